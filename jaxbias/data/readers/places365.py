"""Places365-Standard: class folders, the lists of its authors, or TFDS `places365_small`.

Zhou, Lapedriza, Khosla, Oliva & Torralba, "Places: A 10 Million Image Database for Scene
Recognition", TPAMI 2018.
"""

from pathlib import Path

import pandas as pd

from jaxbias.data import files
from jaxbias.data.readers import tfds
from jaxbias.data.source import Source
from jaxbias.data.table import category
from jaxbias.errors import InputError
from jaxbias.files.digits import whole
from jaxbias.study import DataSpec

_CLASSES = "categories_places365.txt"  # "/a/airfield 0"
_LISTS = {"train": "places365_train_standard.txt", "val": "places365_val.txt"}
# Where the images of a list are: the small (256²) or the large archive.
_FOLDERS = {
    "train": ("data_256_standard", "data_256", "data_large_standard", "data_large"),
    "val": ("val_256", "val_large"),
}
_LAYOUT = (
    f"holds {_CLASSES}, {_LISTS['train']}, {_LISTS['val']}, data_256_standard/ and val_256/; or"
    " train/ and val/ in class folders; or places365_small/ as TFDS prepares it"
)


def read(data: DataSpec) -> Source:
    """Reads Places365 from `data.path`: 'label' (365); splits 'train' and 'val'.

    Raises:
      InputError: what of the layout is missing, or a line that is not as published.
    """
    root = files.folder(data.path, _LAYOUT)
    prepared = tfds.prepared(root, "places365_small")
    if prepared is not None:
        return tfds.read_prepared(prepared, "Places365", (), columns={"label": "label"})
    parts = _lists(root) if (root / _CLASSES).is_file() else _folders(root)
    names = [name for part in parts.values() for name, _ in part]
    label = [label for part in parts.values() for _, label in part]
    splits = [split for split, part in parts.items() for _ in part]
    return files.source(
        "Places365",
        "places365",
        data,
        root,
        {"the lists of Places365": names},
        splits,
        {"label": category(pd.Series(label))},
    )


def _folders(root: Path) -> dict[str, list[tuple[str, str]]]:
    """The authors' "easy" archive: the class is the folder, '-' for '/'."""
    return {
        split: [
            (name, Path(name).parent.relative_to(split).as_posix())
            for name in files.images(root, split, f"be the folder that {_LAYOUT}")
        ]
        for split in _LISTS
    }


def _lists(root: Path) -> dict[str, list[tuple[str, str]]]:
    # A class is "/a/airfield": the letter is only where its folder is.
    classes = {number: name[3:] for name, number in _pairs(root / _CLASSES)}
    parts = {}
    for split, name in _LISTS.items():
        folder = next((f for f in _FOLDERS[split] if (root / f).is_dir()), None)
        if folder is None:
            raise InputError(
                f"{root} has no folder {_FOLDERS[split][0]}/; it must be the folder that {_LAYOUT}"
            )
        parts[split] = []
        for row, (image, number) in enumerate(_pairs(root / name), start=1):
            if number not in classes:
                raise InputError(f"line {row} of {root / name}: there is no class {number}")
            parts[split].append((f"{folder}/{image.lstrip('/')}", classes[number]))
    return parts


def _pairs(path: Path) -> list[tuple[str, str]]:
    """Reads lines "name number"."""
    if not path.is_file():
        raise InputError(f"{path.parent} has no {path.name}; it must be the folder that {_LAYOUT}")
    pairs = []
    for row, line in enumerate(path.read_text("utf-8-sig").splitlines(), start=1):
        name, _, number = line.strip().rpartition(" ")
        if not line.strip():
            continue
        if not name or whole(number) is None:
            raise InputError(f"line {row} of {path} is not 'name number'")
        pairs.append((name, str(whole(number))))
    return pairs
