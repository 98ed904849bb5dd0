"""COCO 2014 and 2017 from their own JSON: 80 objects, and gender from the captions.

Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014. Neither TensorFlow nor
pycocotools is needed; the files are read element by element.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from jaxbias.data import files
from jaxbias.data.json_arrays import elements
from jaxbias.data.source import Source
from jaxbias.data.table import named
from jaxbias.errors import InputError
from jaxbias.study import DataSpec

_FEMALE = {"female", "girl", "woman", "lady", "females", "girls", "women", "ladies"}
_MALE = {"male", "boy", "man", "gentleman", "males", "boys", "men", "gentlemen"}
_GENDERS = ("Female", "Male")
_WORD = re.compile(r"[a-z]+")


def read(data: DataSpec) -> Source:
    """Reads `coco2014` or `coco2017` from `data.path`; splits 'train' and 'val'.

    An object is present where any annotation of it is, crowds included. 'gender' is Female or Male
    where the captions of an image have words of one alone, and unknown otherwise. A table with
    'id' (the image's number), 'gender' and 'skin' goes into `data.annotations`; where it has a
    row, it is right.

    Raises:
      InputError: what of the layout is missing, or a file that is not as published.
    """
    year = data.name.removeprefix("coco")
    layout = f"holds annotations/, train{year}/ and val{year}/ (docs/datasets.md)"
    root = files.folder(data.path, layout)
    parts = []
    for split in ("train", "val"):
        paths = [
            root / "annotations" / f"{kind}_{split}{year}.json"
            for kind in ("instances", "captions")
        ]
        for path in paths:
            if not path.is_file():
                raise InputError(
                    f"{root} has no annotations/{path.name}; it must be the folder that {layout}"
                )
        part = _instances(paths[0], f"{split}{year}", split)
        parts.append(part.assign(gender=_genders(paths[1], part["number"])))
    if set(parts[0]) != set(parts[1]):
        raise InputError(f"the instances of {root} have other categories in train and in val")
    table = pd.concat([parts[0], parts[1][parts[0].columns]], ignore_index=True)
    labels = table.drop(columns=["file", "split", "number", "gender"])
    return files.source(
        f"COCO {year}",
        "coco",
        data,
        root,
        {"the annotations": table["file"].tolist()},
        table["split"],
        {**labels, "gender": named(table["gender"].to_numpy(), _GENDERS)},
        numbers=table["number"].astype(str),
    )


def _instances(path: Path, folder: str, split: str) -> pd.DataFrame:
    """Returns one row per image: its file, split, number, and a column per category."""
    names, categories, pairs = {}, {}, set()
    try:
        for key, each in elements(path, ("images", "annotations", "categories")):
            if key == "images":
                names[int(each["id"])] = str(each["file_name"])
            elif key == "categories":
                categories[int(each["id"])] = str(each["name"])
            else:
                pairs.add((int(each["image_id"]), int(each["category_id"])))
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not as published: {type(error).__name__} {error}") from error
    if not names:
        raise InputError(f"{path} names no image")
    rows = {number: row for row, number in enumerate(names)}
    places = {number: place for place, number in enumerate(sorted(categories))}
    present = np.zeros((len(names), len(categories)), bool)
    for image, kind in pairs:
        if image not in rows or kind not in places:
            raise InputError(
                f"{path} has an annotation of image {image} and category {kind}, one"
                " of which it does not list"
            )
        present[rows[image], places[kind]] = True
    table = pd.DataFrame(
        {categories[n]: pd.array(present[:, i], dtype="boolean") for n, i in places.items()}
    )
    table.insert(0, "file", [f"{folder}/{name}" for name in names.values()])
    table.insert(1, "split", split)
    table.insert(2, "number", list(names))
    return table


def _genders(path: Path, numbers: pd.Series) -> np.ndarray:
    """Returns int8[N]: 0 female, 1 male, -1 where captions name both or none."""
    rows = {number: row for row, number in enumerate(numbers)}
    named_in = np.zeros((len(rows), 2), bool)
    for _, each in elements(path, ("annotations",)):
        try:
            row, words = rows[int(each["image_id"])], set(_WORD.findall(each["caption"].lower()))
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path} has a caption that is not as published: {error!r}") from error
        named_in[row] |= bool(words & _FEMALE), bool(words & _MALE)
    return np.where(named_in.sum(1) == 1, named_in.argmax(1), -1).astype(np.int8)
