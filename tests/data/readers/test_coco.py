import dataclasses
import json

import pandas as pd
import pytest

import jaxbias.data
from jaxbias.data.attach import attach
from jaxbias.data.readers import coco
from jaxbias.errors import InputError
from tests.data.readers.coco_files import SPLITS, write
from tests.data.readers.pictures import values


@pytest.mark.parametrize("year", ["2014", "2017"])
def test_contract(tmp_path, holds_contract, year):
    source = holds_contract(write(tmp_path / "coco", year), [0, 1, 2, 3, 4], SPLITS)
    assert list(source.table.columns[2:]) == ["person", "cup", "dining table", "gender"]
    assert values(source, "dining table") == [True, False, False, False, False]
    assert values(source, "cup") == [True, False, False, False, True]
    assert values(source, "gender") == ["Female", None, "Male", None, None]
    assert source.numbers.tolist() == ["9", "25", "42", "73", "74"]


def test_annotated_gender_and_skin_where_the_user_has_them(tmp_path):
    spec = write(tmp_path)
    pd.DataFrame({"id": [73, 74], "gender": ["Female", "Male"], "skin": ["Light", "Dark"]}).to_csv(
        tmp_path / "annotated.csv", index=False
    )
    chosen = dataclasses.replace(
        spec, annotations="annotated.csv", image_size=8, splits={"val": {"test": 1.0}}
    )
    dataset = jaxbias.data.load(chosen)
    assert dataset.codes("gender", ("Female", "Male")).tolist() == [0, -1, 1, 0, 1]
    assert dataset.codes("skin", ("Light", "Dark")).tolist() == [-1, -1, -1, 0, 1]


def damage(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        ("instances", lambda c: c["annotations"][0].update(image_id=5), "image 5 and category 67"),
        ("instances", lambda c: c["annotations"][0].pop("category_id"), r"KeyError 'category_id'"),
        ("instances", lambda c: c.pop("categories"), "has no 'categories'"),
        ("instances", lambda c: c.update(images={}), "'images' of .* is no array"),
        (
            "instances",
            lambda c: c["images"][0].update(file_name="../../x.jpg"),
            "inside the folder",
        ),
        ("instances", lambda c: c["images"].clear(), "names no image"),
        ("captions", lambda c: c["annotations"][0].update(caption=3), "a caption that is not"),
    ],
)
def test_files_that_are_not_as_published(tmp_path, kind, change, words):
    spec = write(tmp_path)
    damage(tmp_path / "annotations" / f"{kind}_train2014.json", change)
    with pytest.raises(InputError, match=words):
        coco.read(spec)


def test_a_file_cut_off(tmp_path):
    spec = write(tmp_path)
    path = tmp_path / "annotations" / "instances_train2014.json"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"instances_train2014\.json"):
        coco.read(spec)


def test_annotations_in_another_spelling(tmp_path):
    spec = write(tmp_path / "coco")
    source = coco.read(spec)
    rows = f"{source.numbers[0]},female\n{source.numbers[1]}, MALE\n{source.numbers[2]},NA\n"
    (tmp_path / "a.csv").write_text(f"id,gender\n{rows}")
    attached, _ = attach(source, dataclasses.replace(spec, annotations=str(tmp_path / "a.csv")))
    assert values(attached, "gender")[:3] == ["Female", "Male", None]
    assert attached.table["gender"].cat.categories.tolist() == ["Female", "Male"]
    assert attached.notes[-1].endswith(
        "alone are one: 'gender' 'MALE' as 'Male', 'female' as 'Female'."
    )
