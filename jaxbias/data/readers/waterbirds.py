"""Waterbirds: birds cut out and put on backgrounds of land or water.

Sagawa, Koh, Hashimoto & Liang, "Distributionally Robust Neural Networks for Group Shifts", ICLR
2020.
"""

from jaxbias.data import files
from jaxbias.data.source import Source
from jaxbias.data.table import labels
from jaxbias.data.table_file import read_table
from jaxbias.errors import InputError
from jaxbias.study import DataSpec

_SPLITS = {"0": "train", "1": "val", "2": "test"}
_COLUMNS = {"y": "waterbird", "place": "water"}  # 1: a waterbird; 1: a background of water.
_LAYOUT = "holds metadata.csv and a folder per species (waterbird_complete95_forest2water2)"


def read(data: DataSpec) -> Source:
    """Reads Waterbirds from `data.path`: binary 'waterbird' and 'water'; its three splits.

    Raises:
      InputError: what of the layout is missing, or a split that is not 0, 1 or 2.
    """
    root = files.folder(data.path, _LAYOUT)
    path = root / "metadata.csv"
    table = read_table(path, key="img_filename")
    for name in ("img_filename", "split", *_COLUMNS):
        table.column(name, "as published")
    text = table.text
    for row, split in enumerate(text["split"]):
        if split not in _SPLITS:
            raise InputError(f"{table.where(row)}: split '{split}' is not 0, 1 or 2")
    found, unusable, notes = labels(
        text[list(_COLUMNS)].rename(columns=_COLUMNS), data.missing_values
    )
    return files.source(
        "Waterbirds",
        "waterbirds",
        data,
        root,
        {path.name: text["img_filename"].tolist()},
        text["split"].map(_SPLITS),
        found,
        unusable=unusable,
        notes=(*table.notes, *notes),
    )
