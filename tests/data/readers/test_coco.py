import dataclasses
import json

import pandas as pd
import pytest

import jaxbias.data
from jaxbias.data.attach import attach
from jaxbias.data.readers import coco
from jaxbias.errors import InputError
from jaxbias.study import DataSpec
from tests.data.readers.pictures import paint, values

CATEGORIES = [(1, "person", "person"), (67, "furniture", "dining table"), (47, "kitchen", "cup")]
# image -> split, its categories, its captions
IMAGES = {
    9: ("train", (67, 67, 47), ("A woman's cup.", "Two GIRLS eating.")),
    25: ("train", (), ("A mango on a table.", "Womanly.")),
    42: ("train", (1,), ("A man in black.", "The gentleman waits.")),
    73: ("val", (1,), ("A man and a lady.",)),
    74: ("val", (47,), ()),
}
SPLITS = ["train"] * 3 + ["val"] * 2


def write(root, year="2014"):
    for split in ("train", "val"):
        ours = {i: each for i, each in IMAGES.items() if each[0] == split}
        prefix = f"COCO_{split}2014_" if year == "2014" else ""
        names = {i: f"{prefix}{i:012d}.jpg" for i in ours}
        for i, name in names.items():
            paint(root / f"{split}{year}" / name, list(IMAGES).index(i))
        images = [
            {
                "license": 3,
                "file_name": names[i],
                "height": 16,
                "width": 20,
                "id": i,
                "coco_url": "http://images.cocodataset.org/é",
            }
            for i in ours
        ]
        objects = [
            {
                "segmentation": [[1.5, 2.0, 3.25]],
                "area": 7.1,
                "iscrowd": 0,
                "image_id": i,
                "bbox": [1.0, 2.0, 3.0, 4.0],
                "category_id": kind,
                "id": 100 * i + k,
            }
            for i, (_, kinds, _) in ours.items()
            for k, kind in enumerate(kinds)
        ]
        kinds = [{"supercategory": s, "id": i, "name": n} for i, s, n in CATEGORIES]
        info = {"description": "COCO", "year": int(year)}
        captions = [
            {"image_id": i, "id": 1000 * i + k, "caption": text}
            for i, (_, _, texts) in ours.items()
            for k, text in enumerate(texts)
        ]
        (root / "annotations").mkdir(exist_ok=True)
        # As published: categories come last, on one line.
        content = {
            "info": info,
            "images": images,
            "licenses": [],
            "annotations": objects,
            "categories": kinds,
        }
        (root / "annotations" / f"instances_{split}{year}.json").write_text(json.dumps(content))
        content = {"info": info, "images": images, "licenses": [], "annotations": captions}
        (root / "annotations" / f"captions_{split}{year}.json").write_text(json.dumps(content))
    return DataSpec(name=f"coco{year}", path=str(root))


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
