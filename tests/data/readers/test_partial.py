"""Datasets of which only a part is there, and names that are almost those of files."""

import dataclasses
import os
import unicodedata

import numpy as np
import pandas as pd
import pytest

import jaxbias.data
from jaxbias.data import files
from jaxbias.data.readers import celeba, folder, mix, read
from jaxbias.errors import InputError
from jaxbias.study import DataSpec, default_config, make_study
from tests.data.readers import celeba_files, coco_files, dollar_street_files, imagenet_files
from tests.data.readers.pictures import paint, values

SPLITS = {"all": {"finetune": 1.0}}


@pytest.fixture
def spec(tmp_path):
    """A folder of six images."""
    root = tmp_path / "mine"
    for i in range(6):
        paint(root / "pictures" / f"{i}.jpg", i)
    write(root, [f"pictures/{i}.jpg" for i in range(6)])
    return DataSpec(name="folder", path=str(root), image_size=8, splits=SPLITS)


def write(root, names):
    table = pd.DataFrame({"file": names, "hat": np.arange(len(names)) % 2})
    table.assign(who=list("aabbcc")[: len(names)]).to_csv(root / "labels.csv", index=False)


def test_part_of_a_folder_end_to_end(spec, tmp_path):
    (tmp_path / "mine/pictures/0.jpg").unlink()
    (tmp_path / "mine/pictures/4.jpg").unlink()
    (tmp_path / "mine/pictures/5.jpg").unlink()
    with pytest.raises(InputError, match=r"lacks 3 of the 6 image files named in labels\.csv; "):
        jaxbias.data.load(spec)
    dataset = jaxbias.data.load(dataclasses.replace(spec, on_missing="skip"))
    assert dataset.images.mean((1, 2, 3)) == pytest.approx([12, 20, 28], abs=1)
    assert dataset.binary("hat").tolist() == [1, 0, 1]
    # Nobody here is "c".
    assert dataset.column("who").cat.categories.tolist() == ["a", "b"]
    assert dataset.notes == (
        "Left out, not being there: 3 of the 6 images named in labels.csv, such as"
        " 'pictures/0.jpg'.",
    )


def test_nothing_is_no_part(spec, tmp_path):
    for path in (tmp_path / "mine/pictures").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="lacks 6 of the 6 image files") as refused:
        folder.read(dataclasses.replace(spec, on_missing="skip"))
    assert "set config.data.on_missing" not in str(refused.value)


@pytest.mark.parametrize(
    ("written", "there"),
    [
        ("pictures/0.JPG", "pictures/0.jpg"),
        ("Pictures/0.jpg", "pictures/0.jpg"),
        ("pictures/0", "pictures/0.jpg"),
        ("pictures/0.png", "pictures/0.jpg"),
        ("pictures\\0.jpg", "pictures/0.jpg"),
        ("0.jpg", "pictures/0.jpg"),
        ("mine/pictures/0.jpg", "pictures/0.jpg"),
        ("picture/0.jpg", "pictures/0.jpg"),
        (" pictures/0.jpg.jpg", "pictures/0.jpg"),
        ("pictures/10.jpg", ""),
        ("pictures/0/1.jpg", "pictures/1.jpg"),
        ("elsewhere.jpg", ""),
    ],
)
def test_the_nearest_file_is_named(spec, tmp_path, written, there):
    write(tmp_path / "mine", [written, *(f"pictures/{i}.jpg" for i in range(2, 6))])
    with pytest.raises(InputError, match=r"lacks 1 of the 5 image files named in labels\.csv") as e:
        folder.read(spec)
    near = f" (there is '{there}')" if there else ""
    assert f"the first is '{written.strip()}'{near}; set config.data.on_missing" in str(e.value)
    left_out = folder.read(dataclasses.replace(spec, on_missing="skip")).notes
    assert left_out[0].endswith(f"such as '{written.strip()}'{near}.")


def test_a_name_of_several_lines_is_told_in_one(spec, tmp_path):
    write(tmp_path / "mine", ["pictures/0.jpg", "pictures/\nx\r\n.jpg"])
    with pytest.raises(InputError, match=r"the first is 'pictures/ x \.jpg'; set") as refused:
        folder.read(spec)
    assert "\n" not in str(refused.value)


def test_a_folder_whose_name_is_no_text(spec, tmp_path):
    odd = tmp_path / os.fsdecode(b"\xff")
    (tmp_path / "mine").rename(odd)
    with pytest.raises(InputError, match=r"\\udcff/labels\.csv' is not UTF-8: rename it"):
        read(dataclasses.replace(spec, path=str(odd)))


def test_words_that_are_missing_by_default_can_be_kept(spec, tmp_path):
    table = pd.DataFrame({"file": [f"pictures/{i}.jpg" for i in range(6)], "hat": list("01") * 3})
    table.assign(look=["none", "hat", "none", "hat", "?", "?"]).to_csv(
        tmp_path / "mine/labels.csv", index=False
    )
    assert values(folder.read(spec), "look") == [None, "hat", None, "hat", None, None]
    kept = folder.read(dataclasses.replace(spec, missing_values=("?",)))
    assert values(kept, "look") == ["none", "hat", "none", "hat", None, None]
    assert kept.notes[0].endswith("config.data.missing_values: 'look' 2 × '?'.")
    config = default_config()
    config.data.missing_values = ()
    config.targets = ("look",)
    config.bases.Scratch = {"role": "scratch"}
    assert make_study(config).data.missing_values == ()


def test_names_in_another_normal_form(spec, tmp_path):
    composed, apart = (unicodedata.normalize(form, "ä.jpg") for form in ("NFC", "NFD"))
    paint(tmp_path / "mine" / apart, 1)
    write(tmp_path / "mine", [composed])
    with pytest.raises(InputError, match=f"first is '{composed}' \\(there is '{apart}'\\)"):
        folder.read(spec)


def test_part_of_celeba(tmp_path):
    spec = celeba_files.write(tmp_path)
    (tmp_path / "img_align_celeba/000002.jpg").unlink()
    # Attributes of 1 to 5 below a line that says 6, splits of 2 to 6.
    celeba_files.cut(tmp_path / "list_attr_celeba.txt")
    path = tmp_path / "list_eval_partition.txt"
    path.write_text(path.read_text().split("\n", 1)[1])
    for refused in (
        r"says in its first line that it has 6 images, but has 5; .*on_missing='skip'",
        r"1 of the 5 images of list_attr_celeba are not in list_eval_partition, such as"
        r" '000001\.jpg'; 1 of the 5 images of list_eval_partition .*'000006\.jpg'; .*'skip'",
    ):
        with pytest.raises(InputError, match=refused):
            celeba.read(spec)
        celeba_files.swap(tmp_path / "list_attr_celeba.txt", "6\n", "5\n")
    celeba_files.swap(tmp_path / "list_attr_celeba.txt", "5\n", "6\n")
    source = celeba.read(dataclasses.replace(spec, on_missing="skip"))
    assert source.numbers.tolist() == ["000003.jpg", "000004.jpg", "000005.jpg"]
    assert source.table["split"].tolist() == celeba_files.SPLITS[2:5]
    np.testing.assert_array_equal(
        source.table[celeba_files.NAMES].to_numpy(bool), celeba_files.LABELS[2:5] == 1
    )
    assert [note.split(" images")[0] for note in source.notes] == [
        "list_attr_celeba.txt says in its first line that it has 6",
        "1 of the 5",
        "1 of the 5",
        "Left out, not being there: 1 of the 4",
    ]


def test_a_fortieth_of_a_large_table(tmp_path, monkeypatch):
    """CelebA's shape, a tenth of its rows: what is not there is not asked for one by one."""
    count, there = 20_000, 500
    (tmp_path / "img_align_celeba").mkdir()
    (tmp_path / "list_attr_celeba.txt").write_text(
        f"{count}\nMale Smiling\n" + "".join(f"{i:06d}.jpg  1 -1\n" for i in range(count))
    )
    (tmp_path / "list_eval_partition.txt").write_text(
        "".join(f"{i:06d}.jpg {i % 3}\n" for i in range(count))
    )
    for i in range(0, count, count // there):
        (tmp_path / "img_align_celeba" / f"{i:06d}.jpg").write_bytes(b"")
    asked = []
    monkeypatch.setattr(files, "_status", lambda *a, f=files._status: asked.append(a) or f(*a))
    source = celeba.read(DataSpec(name="celeba", path=str(tmp_path), on_missing="skip"))
    assert len(source.table) == there == len(asked)
    assert source.numbers[1] == "000040.jpg"
    assert source.notes[0].startswith("Left out, not being there: 19,500 of the 20,000 images")


def test_labels_of_images_that_are_not_there(spec, tmp_path):
    (tmp_path / "mine/pictures/1.jpg").unlink()
    (tmp_path / "more.csv").write_text("id,coat\npictures/0.jpg,1\npictures/1.jpg,0\n")
    chosen = dataclasses.replace(spec, annotations=str(tmp_path / "more.csv"), on_missing="skip")
    assert jaxbias.data.load(chosen).binary("coat").tolist() == [1, -1, -1, -1, -1]
    (tmp_path / "more.csv").write_text("id,coat\npictures/0.jpg,1\npictures/7.jpg,0\n")
    with pytest.raises(InputError, match=r"1 of the 2 ids of .*; the first is 'pictures/7\.jpg'"):
        jaxbias.data.load(chosen)


def test_a_mix_of_parts(tmp_path):
    coco = coco_files.write(tmp_path / "coco")
    dollar = dollar_street_files.write(tmp_path / "dollar")
    spec = DataSpec(name="mix", sources={"coco": coco, "dollar": dollar})
    whole = mix.read(spec).table
    (tmp_path / "dollar" / whole["id"][5].removeprefix("dollar/")).unlink()
    with pytest.raises(InputError, match="lacks 1 of the 4 image files"):
        mix.read(spec)
    part = mix.read(dataclasses.replace(spec, on_missing="skip"))
    assert part.table["id"].tolist() == whole["id"].drop(index=5).tolist()
    assert whole["id"][5] in part.absent
    assert "1 of the 4 images named in images_v2.csv" in part.notes[-1]
    own = dataclasses.replace(dollar, on_missing="skip")
    with pytest.raises(InputError, match=r"sources\.dollar\.on_missing belongs to the whole"):
        mix.read(dataclasses.replace(spec, sources={"coco": coco, "dollar": own}))


def test_classes_and_splits_on_another_disk(tmp_path):
    imagenet_files.write(tmp_path / "imagenet", flat=False)
    spec = DataSpec(name="imagenet", path=str(tmp_path / "imagenet"))
    before = read(spec).table
    for name in ("val", "train/n02012849"):
        away = tmp_path / name.replace("/", "_")
        (tmp_path / "imagenet" / name).rename(away)
        (tmp_path / "imagenet" / name).symlink_to(away)
    (tmp_path / "imagenet/train/n02012849/round").symlink_to(tmp_path / "imagenet")
    pd.testing.assert_frame_equal(read(spec).table, before)


def test_names_that_are_no_text(tmp_path):
    imagenet_files.write(tmp_path, flat=False)
    spec = DataSpec(name="imagenet", path=str(tmp_path))
    (tmp_path / "train/n01440764" / os.fsdecode(b"\xff.JPEG")).write_bytes(b"")
    with pytest.raises(InputError, match=r"'train/n01440764/\\udcff\.JPEG', which is no UTF-8"):
        read(spec)


def test_labels_that_are_no_text(tmp_path):
    spec = coco_files.write(tmp_path)
    for path in (tmp_path / "annotations").glob("instances_*.json"):
        path.write_text(path.read_text().replace('"cup"', '"\\ud800"'))
    with pytest.raises(InputError, match=r"the name '\\ud800', which is no UTF-8 text: rename"):
        read(spec)
