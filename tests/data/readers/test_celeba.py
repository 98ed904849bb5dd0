import numpy as np
import pytest

from jaxbias.data.readers import celeba
from jaxbias.errors import InputError
from jaxbias.study import DataSpec
from tests.data.readers.celeba_files import (
    COUNT,
    LABELS,
    NAMES,
    PARTITION,
    SPLITS,
    cut,
    swap,
    write,
)
from tests.data.readers.tfds_writer import prepare


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_contract(tmp_path, holds_contract, newline):
    source = holds_contract(write(tmp_path / "celeba", newline), list(range(COUNT)), SPLITS)
    assert list(source.table.columns[2:]) == NAMES
    np.testing.assert_array_equal(
        source.table[NAMES].to_numpy(bool), LABELS == 1, err_msg="labels, row by row"
    )
    assert source.table["id"][0] == "img_align_celeba/000001.jpg"
    assert source.numbers[0] == "000001.jpg"


def test_the_csv_files_of_mirrors(tmp_path):
    spec = write(tmp_path / "celeba")
    root = tmp_path / "celeba"
    official = celeba.read(spec).table
    lines = [",".join(["image_id", *NAMES])]
    lines += [f"{i + 1:06d}.jpg," + ",".join(map(str, row)) for i, row in enumerate(LABELS)]
    (root / "list_attr_celeba.csv").write_text("\n".join(lines))
    lines = [f"{i + 1:06d}.jpg,{part}" for i, part in enumerate(PARTITION)]
    (root / "list_eval_partition.csv").write_text("\n".join(["image_id,partition", *lines]))
    for name in ("list_attr_celeba.txt", "list_eval_partition.txt"):
        (root / name).unlink()
    (root / "img_align_celeba").rename(root / "inner")
    (root / "img_align_celeba").mkdir()
    (root / "inner").rename(root / "img_align_celeba" / "img_align_celeba")
    table = celeba.read(spec).table
    assert table["id"][0] == "img_align_celeba/img_align_celeba/000001.jpg"
    assert table.drop(columns="id").equals(official.drop(columns="id"))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda root: (root / "list_eval_partition.txt").unlink(), r"no list_eval_partition\.txt"),
        (lambda root: cut(root / "list_attr_celeba.txt"), r"has 6 images, but has 5"),
        (lambda root: cut(root / "list_eval_partition.txt"), r"1 of the 6 images .*'000006\.jpg'"),
        (
            lambda root: swap(root / "list_attr_celeba.txt", "-1", " 0"),
            r"line 3 .*: .* is '0', not -1 or 1",
        ),
        (lambda root: swap(root / "list_attr_celeba.txt", "-1", " x"), r"is 'x', not -1 or 1"),
        (
            lambda root: swap(root / "list_eval_partition.txt", "jpg 2", "jpg 3"),
            r"is '3', not 0, 1 or 2",
        ),
        (lambda root: swap(root / "list_attr_celeba.txt", " -1", ""), r"a name and 40 numbers"),
        (lambda root: (root / "img_align_celeba/000002.jpg").unlink(), r"1 of the 6 image files"),
    ],
)
def test_what_is_not_as_published_is_refused(tmp_path, damage, words):
    spec = write(tmp_path / "celeba")
    damage(tmp_path / "celeba")
    with pytest.raises(InputError, match=words):
        celeba.read(spec)


def test_tfds(tmp_path, holds_contract):
    """The builder of TFDS itself, its download replaced by six pictures."""
    keys = ("lefteye", "righteye", "nose", "leftmouth", "rightmouth")
    landmarks = {f"{key}_{axis}": 7 for key in keys for axis in "xy"}

    def example(i):
        return {
            "landmarks": landmarks,
            "attributes": {n: bool(v == 1) for n, v in zip(NAMES, LABELS[i], strict=True)},
            "identity": {"Identity_No": i},
        }

    parts = {"train": [0, 1, 2], "validation": [3], "test": [4, 5]}
    prepare("celeb_a", tmp_path / "data", parts, example, (178, 218))
    spec = DataSpec(name="celeba", path=str(tmp_path / "data"))
    splits = ["train"] * 3 + ["validation"] + ["test"] * 2
    source = holds_contract(spec, list(range(COUNT)), splits)
    assert sorted(source.table.columns[2:]) == sorted(NAMES)
    np.testing.assert_array_equal(source.table[NAMES].to_numpy(bool), LABELS == 1)
