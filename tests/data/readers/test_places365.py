import pytest

from jaxbias.data.readers import places365
from jaxbias.errors import InputError
from jaxbias.study import DataSpec
from tests.data.readers.pictures import paint, values
from tests.data.readers.tfds_writer import prepare

CLASSES = "/a/airfield 0\n/a/apartment_building/outdoor 8\n/z/zen_garden 364\n"
TRAIN = "/a/airfield/00000001.jpg 0\n/a/apartment_building/outdoor/00000002.jpg 8\n"
VAL = "Places365_val_00000001.jpg 364\n"
LABELS = ["airfield", "apartment_building/outdoor", "zen_garden"]
SPLITS = ["train", "train", "val"]


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "places"
    paint(root / "data_256_standard" / "a/airfield/00000001.jpg", 0)
    paint(root / "data_256_standard" / "a/apartment_building/outdoor/00000002.jpg", 1)
    paint(root / "val_256" / "Places365_val_00000001.jpg", 2)
    (root / "categories_places365.txt").write_text(CLASSES)
    (root / "places365_train_standard.txt").write_text(TRAIN)
    (root / "places365_val.txt").write_text(VAL)
    return root


def spec(root):
    return DataSpec(name="places365", path=str(root))


def test_contract(root, holds_contract):
    assert values(holds_contract(spec(root), [0, 1, 2], SPLITS), "label") == LABELS


def test_class_folders(tmp_path, holds_contract):
    for number, name in enumerate(
        ("train/airfield/1.jpg", "train/zen_garden/2.jpg", "val/airfield/3.jpg")
    ):
        paint(tmp_path / "easy" / name, number)
    source = holds_contract(spec(tmp_path / "easy"), [0, 1, 2], SPLITS, missing=None)
    assert values(source, "label") == ["airfield", "zen_garden", "airfield"]


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("places365_val.txt", VAL.replace("364", "365"), r"line 1 of .*: there is no class 365"),
        ("places365_val.txt", "Places365_val_00000001.jpg\n", r"line 1 of .* is not 'name number'"),
        ("places365_val.txt", "../../etc/passwd 0\n", r"names '.*passwd', .* inside the folder"),
    ],
)
def test_lines_that_are_not_as_published(root, file, text, words):
    (root / file).write_text(text)
    with pytest.raises(InputError, match=words):
        places365.read(spec(root))


def test_tfds(tmp_path, holds_contract):
    def example(i):
        return {"filename": f"{i}.jpg", "label": 364 * i}

    data = tmp_path / "data"
    prepare("places365_small", data, {"train": [0], "validation": [1]}, example, (256, 256))
    source = holds_contract(spec(data), [0, 1], ["train", "validation"])
    assert values(source, "label") == ["airfield", "zen_garden"]
