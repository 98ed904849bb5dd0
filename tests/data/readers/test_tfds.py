"""Datasets that TFDS has written."""

import dataclasses
import json

import numpy as np
import pytest

from jaxbias.data.readers import tfds as reader
from jaxbias.data.readers.tfds_features import label_columns
from jaxbias.errors import InputError
from jaxbias.study import DataSpec
from tests.data.readers.pictures import values
from tests.data.readers.tfds_writer import prepare

PARTS = {"train": [0, 1, 2, 3], "validation": [4, 5]}
SPLITS = ["train"] * 4 + ["validation"] * 2


@pytest.fixture
def spec(tmp_path):
    import tensorflow_datasets as tfds

    objects = tfds.features.FeaturesDict(
        {"label": tfds.features.ClassLabel(names=["cup", "bed"]), "is_crowd": np.bool_}
    )
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "image/filename": tfds.features.Text(),
            "label": tfds.features.ClassLabel(names=["cat", "dog"]),
            "attributes": {"Male": np.bool_, "Young": np.bool_, "id": np.int64},
            "objects": tfds.features.Sequence(objects),
            "box": tfds.features.BBoxFeature(),
            "income": np.float32,
        }
    )

    def example(i):
        box = tfds.features.BBox(0.0, 0.0, 1.0, 1.0)
        found = [{"label": k, "is_crowd": False} for k in ((), (0,), (0, 1))[i % 3]]
        return {
            "image/filename": f"{i}.jpg",
            "label": i % 2,
            "attributes": {"Male": i < 3, "Young": True, "id": i},
            "objects": found,
            "box": box,
            "income": i + 0.5,
        }

    prepare("small_one", tmp_path / "data", PARTS, example, features=features)
    return DataSpec(name="tfds:small_one", path=str(tmp_path / "data"))


def test_contract(spec, holds_contract):
    source = holds_contract(spec, [0, 1, 2, 3, 4, 5], SPLITS)
    assert source.table["id"].tolist()[3:5] == ["train/0000003", "validation/0000000"]
    assert source.numbers.tolist() == [f"{i}.jpg" for i in range(6)]
    assert values(source, "Male") == [True, True, True, False, False, False]
    assert values(source, "cup") == [False, True, True] * 2
    assert values(source, "bed") == [False, False, True] * 2
    assert "array" in source.unusable["box"]
    assert "distinct numbers" in source.unusable["income"]


def test_columns_of_the_config(spec):
    chosen = dataclasses.replace(spec, columns={"man": "attributes/Male", "animal": "label"})
    source = reader.read(chosen)
    assert sorted(source.table.columns[2:]) == ["animal", "man"]
    assert values(source, "animal") == ["cat", "dog"] * 3
    wrong = dataclasses.replace(spec, columns={"man": "attributes/male"})
    with pytest.raises(InputError, match=r"columns\.man='attributes/male' .*'attributes/Male'"):
        reader.read(wrong)
    with pytest.raises(InputError, match=r"image_column='picture' is no feature"):
        reader.read(dataclasses.replace(spec, image_column="picture"))


def test_what_cannot_be_read_is_said(spec, tmp_path):
    with pytest.raises(InputError, match=r"holds no 'mnist/VERSION.*file_format='array_record'"):
        reader.read(dataclasses.replace(spec, name="tfds:mnist"))
    (info,) = (tmp_path / "data" / "small_one").glob("*/dataset_info.json")
    text = json.loads(info.read_text())
    info.write_text(json.dumps({**text, "fileFormat": "tfrecord"}))
    reader._builder.cache_clear()
    with pytest.raises(InputError, match="was prepared as tfrecord"):
        reader.read(spec)


def test_the_newest_version_and_several_configs(tmp_path):
    for folder in ("one/1.0.0", "one/10.0.0", "one/9.0.0", "two/a/1.0.0", "two/b/1.0.0"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "dataset_info.json").write_text("{}")
    assert reader.prepared(tmp_path, "one").name == "10.0.0"
    assert reader.prepared(tmp_path, "two/b") == tmp_path / "two/b/1.0.0"
    assert reader.prepared(tmp_path, "three") is None
    with pytest.raises(InputError, match=r"several configs of two: .*two/a, two/b"):
        reader.prepared(tmp_path, "two")


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([0, 2.0, 1], r"feature 'label' has class names, but holds 2\.0, no whole number"),
        ([0, 2, 1], r"feature 'label' has the class number 2, which has no name: there are 2"),
        ([0, -2, 1], r"the class number -2, which has no name"),
        ([b"cat", 1, 0], r"holds b'cat', no whole number"),
    ],
)
@pytest.mark.parametrize("sequence", [False, True])
def test_class_numbers_that_are_none(numbers, message, sequence):
    import tensorflow_datasets as tfds

    feature = tfds.features.ClassLabel(names=["cat", "dog"])
    feature = tfds.features.Sequence(feature) if sequence else feature
    stored = {"label": [(), *((number,) for number in numbers)]}
    with pytest.raises(InputError, match=message):
        label_columns(stored, {"label": feature}, {"label": "label"}, ())
    sound = {"label": [(), (1,), (0,)]}
    found = label_columns(sound, {"label": feature}, {"label": "label"}, ()).columns
    if sequence:
        assert found["dog"].tolist() == [False, True, False]
    else:
        assert found["label"].isna().tolist() == [True, False, False]
        assert found["label"].tolist()[1:] == ["dog", "cat"]
