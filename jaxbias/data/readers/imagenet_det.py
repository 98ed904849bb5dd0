"""ImageNet DET: 200 classes, several in an image, from the challenge's XML annotations.

Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", IJCV 2015.
"""

from pathlib import Path
from xml.parsers import expat

import numpy as np
import pandas as pd

from jaxbias.data import files
from jaxbias.data.source import Source
from jaxbias.errors import InputError
from jaxbias.progress import progress
from jaxbias.study import DataSpec
from jaxbias.words import count

_WORDS = "map_det.txt"  # "n02672831 1 accordion"
_MOST_BYTES = 4 * 2**20
_LAYOUT = "holds Annotations/DET/ and Data/DET/, each with train/ and val/ (ILSVRC/ of the archive)"


def read(data: DataSpec) -> Source:
    """Reads ImageNet DET from `data.path`: a binary column per class; splits 'train' and 'val'.

    Columns are WordNet ids, or words where map_det.txt of the development kit is in the folder.
    A class that an annotation does not mention is absent. Images without an annotation (the
    'extra' and unannotated negatives of the training set) are left out and counted in a note.

    Raises:
      InputError: what of the layout is missing, or an annotation that is not as published.
    """
    root = files.folder(data.path, _LAYOUT)
    if (root / "ILSVRC").is_dir():
        root = root / "ILSVRC"
    names, splits, found, bare = [], [], [], 0
    for split in ("train", "val"):
        part = files.images(root, f"Data/DET/{split}", f"be the folder that {_LAYOUT}")
        part += _without_image(root, split, part)
        with progress(len(part), f"reading annotations, {split}", "files") as advance:
            for name in part:
                path = root / Path(name.replace("Data/", "Annotations/", 1)).with_suffix(".xml")
                advance()
                if not path.is_file():
                    bare += 1
                    continue
                names.append(name)
                splits.append(split)
                found.append(classes(path))
    if not names:
        raise InputError(f"{root} has no annotation in Annotations/DET/ of any image in Data/DET/")
    words = _words(root)
    columns = {}
    for wnid in sorted(set().union(*found) | set(words)):
        present = np.fromiter((wnid in classes for classes in found), bool, len(found))
        columns[words.get(wnid, wnid)] = pd.Series(present, dtype="boolean")
    images = count(bare, "image")
    notes = (f"{images} of ImageNet DET without an annotation left out.",) if bare else ()
    return files.source(
        "ImageNet DET",
        "imagenet_det",
        data,
        root,
        {"Annotations/DET": names},
        splits,
        columns,
        notes=notes,
    )


def _without_image(root: Path, split: str, names: list[str]) -> list[str]:
    """Returns the images that the annotations of a split are of, and that are not in its folder."""
    there = {name.rpartition(".")[0] for name in names}
    found = (root / "Annotations/DET" / split).rglob("*.xml")
    stems = sorted(path.relative_to(root).with_suffix("").as_posix() for path in found)
    images = (stem.replace("Annotations/", "Data/", 1) for stem in stems)
    return [f"{image}.JPEG" for image in images if image not in there]


def classes(path: Path) -> set[str]:
    """Returns the classes that an annotation names: the text of annotation/object/name.

    Raises:
      InputError: no XML, a document type or entity (nothing of either is ever published, and both
        can be made to read other files or to fill the memory), or a file of many megabytes.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(f"annotation {path} is larger than {_MOST_BYTES:,} bytes")
    found: set[str] = set()
    at: list[str] = []
    text: list[str] = []

    def refuse(*_: object) -> None:
        raise InputError(f"annotation {path} declares a document type: it is not as published")

    def start(tag: str, _: dict[str, str]) -> None:
        at.append(tag)
        text.clear()

    def end(tag: str) -> None:
        if at == ["annotation", "object", "name"]:
            found.add("".join(text).strip())
        at.pop()

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text.append
    try:
        parser.Parse(path.read_bytes(), True)
    except expat.ExpatError as error:
        raise InputError(f"annotation {path} is no XML: {error}") from None
    return found


def _words(root: Path) -> dict[str, str]:
    path = root / _WORDS
    if not path.is_file():
        return {}
    lines = [line.split(maxsplit=2) for line in path.read_text("utf-8-sig").splitlines()]
    return {line[0]: line[2].strip() for line in lines if len(line) == 3}
