import ast
import io
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import jaxbias.data
from jaxbias.data import files
from jaxbias.data.readers import folder
from jaxbias.errors import InputError
from jaxbias.study import DataSpec, DerivedSpec, FacesSpec

SPLITS = {"all": {"pretrain": 0.25, "finetune": 0.25, "validation": 0.25, "test": 0.25}}


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path / "home"))


def save(path, value=100, kind="JPEG", mode="L", size=(12, 12)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path, kind)


@pytest.fixture
def root(tmp_path):
    """Twelve images and a table with every kind of column."""
    root = tmp_path / "mine"
    for i in range(12):
        save(root / "pictures" / f"{i}.jpg", 10 * i)
    table = pd.DataFrame(
        {
            "file": [f"pictures/{i}.jpg" for i in range(12)],
            "hat": [i % 2 for i in range(12)],
            "gender": ["f", "m", ""] * 4,
            "height": [150 + i / 10 for i in range(12)],
            "part": ["train", "train", "val", "test"] * 3,
        }
    )
    table.to_csv(root / "labels.csv", index=False)
    return root


def spec(root, **changes) -> DataSpec:
    settings = {"name": "folder", "path": str(root), "image_size": 8, "splits": SPLITS}
    return DataSpec(**(settings | changes))


def rewrite(root, change) -> None:
    table = change(pd.read_csv(root / "labels.csv", dtype=str, keep_default_na=False))
    table.to_csv(root / "labels.csv", index=False)


def test_a_folder_end_to_end(root):
    dataset = jaxbias.data.load(spec(root))
    assert dataset.name == "folder mine"
    assert dataset.label_columns == ["hat", "gender", "part"]
    assert list(dataset.table.columns[:3]) == ["id", "split", "stratum"]
    assert dataset.table["id"].tolist() == [f"pictures/{i}.jpg" for i in range(12)]
    assert dataset.table["split"].value_counts().to_dict() == dict.fromkeys(SPLITS["all"], 3)
    np.testing.assert_allclose(dataset.images[:, 4, 4, 0], 10 * np.arange(12), atol=2)
    np.testing.assert_array_equal(dataset.binary("hat"), np.arange(12) % 2)
    np.testing.assert_array_equal(dataset.codes("gender", ("f", "m")), [0, 1, -1] * 4)
    assert dataset.notes == (
        "Column 'part' looks like a split and is not used as one: that would be"
        " config.data.split_column='part'.",
    )
    assert dataset.frequencies is None


def test_a_column_that_is_no_label_fails_only_when_it_is_asked_for(root):
    dataset = jaxbias.data.load(spec(root))
    with pytest.raises(InputError, match=r"'height' of folder mine is neither .* 12 distinct"):
        dataset.binary("height")


def test_a_split_column_with_common_names(root):
    dataset = jaxbias.data.load(spec(root, split_column="part", splits={}))
    expected = ["finetune", "finetune", "validation", "test"] * 3
    assert dataset.table["split"].tolist() == expected
    assert "part" not in dataset.label_columns


def test_derived_columns(root):
    made = {"female": DerivedSpec("gender", ("f",))}
    dataset = jaxbias.data.load(spec(root, derived=made))
    np.testing.assert_array_equal(dataset.binary("female"), [1, 0, -1] * 4)


def test_parquet_and_other_column_names(root):
    table = pd.read_csv(root / "labels.csv").rename(columns={"file": "image"})
    (root / "tables").mkdir()
    table.to_parquet(root / "tables" / "t.parquet")
    dataset = jaxbias.data.load(spec(root, table="tables/t.parquet", file_column="image"))
    assert dataset.label_columns == ["hat", "gender", "part"]


def test_the_fingerprint_follows_pixels_and_labels(root):
    first = jaxbias.data.load(spec(root)).fingerprint
    assert jaxbias.data.load(spec(root)).fingerprint == first
    assert jaxbias.data.load(spec(root, seed=1)).fingerprint != first
    assert jaxbias.data.load(spec(root, image_size=4)).fingerprint != first
    rewrite(root, lambda table: table.assign(hat=["1", *table["hat"].tolist()[1:]]))
    relabelled = jaxbias.data.load(spec(root)).fingerprint
    save(root / "pictures" / "3.jpg", 250, size=(13, 13))
    assert len({first, relabelled, jaxbias.data.load(spec(root)).fingerprint}) == 3


def test_the_fingerprint_does_not_depend_on_where_the_folder_is(root, tmp_path):
    first = jaxbias.data.load(spec(root)).fingerprint
    root.rename(tmp_path / "moved")
    assert jaxbias.data.load(spec(tmp_path / "moved")).fingerprint == first


def test_new_labels_do_not_decode_again(root, monkeypatch):
    jaxbias.data.load(spec(root))
    rewrite(root, lambda table: table.assign(coat=["1", "0"] * 6))
    monkeypatch.setattr("jaxbias.data.decode.decode", None)
    assert "coat" in jaxbias.data.load(spec(root)).label_columns


def test_bad_images_are_named_or_skipped_and_counted(root):
    sound = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(sound, "JPEG")
    (root / "pictures" / "1.jpg").write_bytes(sound.getvalue()[:2000])
    (root / "pictures" / "5.jpg").write_bytes(b"")
    (root / "pictures" / "7.jpg").write_text("file,hat\n")
    with pytest.raises(InputError, match=r"'pictures/1\.jpg' cannot be decoded: .*truncated"):
        jaxbias.data.load(spec(root))
    dataset = jaxbias.data.load(spec(root, on_bad_image="skip"))
    assert len(dataset.table) == len(dataset.images) == 9
    assert dataset.table["id"].iloc[1] == "pictures/2.jpg"
    np.testing.assert_allclose(dataset.images[1, 0, 0, 0], 20, atol=2)
    note = dataset.notes[-1]
    assert note.startswith("3 bad images skipped: pictures/1.jpg (")
    assert "pictures/5.jpg (the file is empty)" in note


def test_a_file_too_large_to_be_a_picture_is_bad_and_is_not_read(root):
    with (root / "pictures" / "5.jpg").open("wb") as file:
        file.truncate(300 * 2**20)
    with pytest.raises(InputError, match=r"'pictures/5\.jpg' cannot be decoded: 314,572,800 bytes"):
        jaxbias.data.load(spec(root))


def test_a_category_of_bad_images_alone_is_gone(root):
    (root / "pictures" / "0.jpg").write_bytes(b"")
    rewrite(root, lambda table: table.assign(gender=["other", *table["gender"][1:]]))
    dataset = jaxbias.data.load(spec(root, on_bad_image="skip"))
    assert dataset.column("gender").cat.categories.tolist() == ["f", "m"]


def test_the_content_of_a_file_counts_and_not_its_extension(root):
    save(root / "pictures" / "0.jpg", (9, 9, 9), "PNG", "RGB")
    assert jaxbias.data.load(spec(root)).images[0, 0, 0].tolist() == [9, 9, 9]


def test_unicode_names(root):
    for name in ("ä ö.jpg", "图片/一.png", "emoji 🙂.png"):
        save(root / name, 55, "PNG")
    names = ["ä ö.jpg", "图片/一.png", "emoji 🙂.png"]
    pd.DataFrame({"file": names, "hat": [1, 0, 1]}).to_csv(root / "labels.csv", index=False)
    dataset = jaxbias.data.load(spec(root))
    assert dataset.table["id"].tolist() == names
    assert (dataset.images == 55).all()


@pytest.mark.parametrize(
    "name",
    ["../outside.jpg", "pictures/../../outside.jpg", "/etc/hostname", "C:\\x.jpg", "..\\x.jpg"],
)
def test_paths_that_leave_the_folder(root, name):
    save(root.parent / "outside.jpg")
    rewrite(root, lambda table: table.assign(file=[*table["file"][:2], name, *table["file"][3:]]))
    with pytest.raises(InputError, match=r"labels\.csv names '.*', which .* inside the folder"):
        folder.read(spec(root))


def test_a_folder_of_images_may_be_on_another_disk(root):
    before = folder.read(spec(root))
    (root / "pictures").rename(root.parent / "elsewhere")
    (root / "pictures").symlink_to(root.parent / "elsewhere")
    # A file that is a link inside that folder does not leave it.
    (root.parent / "elsewhere" / "2.jpg").unlink()
    (root.parent / "elsewhere" / "2.jpg").symlink_to("1.jpg")
    linked = folder.read(spec(root))
    pd.testing.assert_frame_equal(linked.table, before.table)
    assert linked.read(2) == before.read(1)
    assert jaxbias.data.load(spec(root)).images.shape == (12, 8, 8, 3)
    # What a table says must stay inside all the same.
    rewrite(root, lambda t: t.assign(file=["pictures/../../elsewhere/1.jpg", *t["file"][1:]]))
    with pytest.raises(InputError, match=r"labels\.csv names '.*', which .* without '\.\.'"):
        folder.read(spec(root))


def test_files_that_are_links_out_of_the_folder(root):
    save(root.parent / "elsewhere" / "0.jpg")
    (root / "pictures" / "2.jpg").unlink()
    (root / "pictures" / "2.jpg").symlink_to(root.parent / "elsewhere" / "0.jpg")
    with pytest.raises(InputError, match=r"labels\.csv names '.*', which .* symbolic link"):
        folder.read(spec(root))


def test_links_inside_the_folder_and_to_it_are_fine(root, tmp_path):
    (root / "pictures" / "2.jpg").unlink()
    (root / "pictures" / "2.jpg").symlink_to("1.jpg")
    (tmp_path / "link").symlink_to(root)
    dataset = jaxbias.data.load(spec(tmp_path / "link"))
    np.testing.assert_array_equal(dataset.images[1], dataset.images[2])


def test_a_broken_link_is_a_missing_file(root):
    (root / "pictures" / "2.jpg").unlink()
    (root / "pictures" / "2.jpg").symlink_to("nowhere.jpg")
    with pytest.raises(InputError, match=r"1 of the 12 image files .* first is 'pictures/2\.jpg'"):
        folder.read(spec(root))


def test_a_million_rows_of_one_file_are_refused_with_the_count(root):
    (root / "labels.csv").write_text("file,hat\n" + "pictures/1.jpg,1\n" * 1_000_000)
    with pytest.raises(
        InputError, match=r"labels\.csv names 1 image file more than once: .*1\.jpg"
    ):
        folder.read(spec(root))


@given(st.lists(st.sampled_from(["a", "..", ".", "", "b.jpg", "..c", "ü x"]), min_size=1))
def test_plain_names_are_those_that_are_their_own_normal_form(parts):
    name = "/".join(parts)
    plain = ".." not in parts and name and not name.startswith("/")
    assert bool(files._PLAIN.fullmatch(name)) == bool(
        plain and str(PurePosixPath(name)) == name != "."
    )


def test_missing_files_are_counted_and_the_first_is_named(root):
    for i in (3, 4):
        (root / "pictures" / f"{i}.jpg").unlink()
    with pytest.raises(InputError, match=r"2 of the 12 image files .* first is 'pictures/3\.jpg'"):
        folder.read(spec(root))


def test_a_folder_is_no_image_file(root):
    rewrite(root, lambda table: table.assign(file=["pictures", *table["file"][1:]]))
    with pytest.raises(InputError, match="first is 'pictures'"):
        folder.read(spec(root))


def test_one_image_is_one_row(root):
    rewrite(root, lambda table: table.assign(file=["./pictures/1.jpg", *table["file"][1:]]))
    with pytest.raises(InputError, match=r"1 image file more than once: 'pictures/1\.jpg'"):
        folder.read(spec(root))


def test_a_row_without_a_file(root):
    rewrite(root, lambda table: table.assign(file=["", *table["file"][1:]]))
    with pytest.raises(InputError, match=r"labels\.csv line 2 names no file"):
        folder.read(spec(root))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": ""}, "data.path is empty: set it to the folder that holds your images"),
        ({"path": "/no/such/place"}, "'/no/such/place' does not exist"),
        ({"table": "label.csv"}, r"table .*label\.csv does not exist"),
        ({"table": "pictures/0.jpg"}, r"must be a \.csv"),
        (
            {"file_column": "fil"},
            r"no column 'fil' \(config.data.file_column\); did you mean 'file'",
        ),
        ({"split_column": "prt"}, r"no column 'prt' .*did you mean 'part'"),
        ({"splits": {}}, r"config\.data\.splits = \{'all': \{"),
        ({"splits": {"train": {"test": 1.0}}}, r"no split 'train'; valid: all"),
        ({"derived": {"x": DerivedSpec("hot", ("1",))}}, "did you mean 'hat'"),
        ({"derived": {"x": DerivedSpec("height", ("1",))}}, "'height' is neither binary nor"),
        ({"name": "foldr"}, "config.data.name='foldr' is no dataset; did you mean 'folder'"),
    ],
)
def test_wrong_settings(root, changes, message):
    with pytest.raises(InputError, match=message) as caught:
        jaxbias.data.load(spec(root, **changes))
    assert "\n" not in str(caught.value)
    assert not (root.parent / "home").exists()  # Nothing was decoded before the mistake was seen.


def test_a_table_without_labels(root):
    rewrite(root, lambda table: table[["file", "height"]])
    with pytest.raises(InputError, match="no label column: 'height' is neither"):
        folder.read(spec(root))


def test_a_column_called_split_that_is_not_said_to_be_the_split(root):
    rewrite(root, lambda table: table.rename(columns={"part": "Split"}))
    shares = (
        "{'test': {'test': 1.0}, 'train': {'pretrain': 0.5, 'finetune': 0.5},"
        " 'val': {'validation': 1.0}}"
    )
    for splits in ({}, SPLITS):
        with pytest.raises(InputError) as refused:
            jaxbias.data.load(spec(root, splits=splits))
        way_out = f"set config.data.split_column='Split' and config.data.splits={shares}, or give"
        assert way_out in str(refused.value)
    used = spec(root, split_column="Split", splits=ast.literal_eval(shares))
    counts = jaxbias.data.load(used).table["split"].value_counts().to_dict()
    assert counts == {"pretrain": 3, "finetune": 3, "validation": 3, "test": 3}
    rewrite(root, lambda table: table.assign(Split=["bus", "car", "cab"] * 4))
    with pytest.raises(InputError, match=r"values 'bus', 'cab', 'car': set .* becomes of each"):
        jaxbias.data.load(spec(root))


def test_rows_that_no_split_takes_are_counted(root):
    rewrite(root, lambda table: table.assign(part=["train", "extra", "val", ""] * 3))
    shares = {"train": {"finetune": 1.0}, "val": {"test": 1.0}}
    dataset = jaxbias.data.load(spec(root, split_column="part", splits=shares))
    assert dataset.notes == (
        "In no split: 6 of 12 examples, of the source's 3 'extra', 3 unknown.",
    )
    part = {"all": {"finetune": 0.5}}
    dataset = jaxbias.data.load(spec(root, splits=part))
    assert dataset.notes[-1] == "In no split: 6 of 12 examples, of the source's 6 'all'."


def test_the_dataset_ignores_the_settings_of_others(root):
    first = jaxbias.data.load(spec(root)).fingerprint
    assert jaxbias.data.load(spec(root, faces=FacesSpec(male_share=0.5))).fingerprint == first
