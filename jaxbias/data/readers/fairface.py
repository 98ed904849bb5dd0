"""FairFace in the layout its authors publish: two label files and two folders of JPEGs.

Karkkainen & Joo, "FairFace: Face Attribute Dataset for Balanced Race, Gender, and Age for Bias
Measurement and Mitigation", WACV 2021.
"""

import pandas as pd

from jaxbias.data import files
from jaxbias.data.source import Source
from jaxbias.data.table import category, read_table, require_column
from jaxbias.errors import InputError
from jaxbias.study import DataSpec

_TABLES = {"train": "fairface_label_train.csv", "val": "fairface_label_val.csv"}
_LABELS = ("age", "gender", "race")
_LAYOUT = (
    f"holds {_TABLES['train']}, {_TABLES['val']}, train/ and val/, as published at"
    " https://github.com/joojs/fairface"
)


def read(data: DataSpec) -> Source:
    """Reads FairFace from `data.path`: columns age, gender and race; splits 'train' and 'val'.

    Raises:
      InputError: what of the layout is missing, and where it comes from.
    """
    root = files.folder(data.path, _LAYOUT)
    parts = []
    for split, name in _TABLES.items():
        if not (root / name).is_file():
            raise InputError(f"{root} has no {name}; it must be the folder that {_LAYOUT}")
        part = read_table(root / name)
        for column in ("file", *_LABELS):
            require_column(part, column, "as published", root / name)
        ids, key = files.find(root, part["file"].tolist(), name)
        parts.append((part[list(_LABELS)].assign(id=ids, split=split), key))
    text = pd.concat([part for part, _ in parts], ignore_index=True)
    ids = text["id"].tolist()
    return Source(
        name="FairFace",
        key="fairface/" + "/".join(key for _, key in parts),
        table=text[["id", "split"]].assign(**{name: category(text[name]) for name in _LABELS}),
        read=files.Reader(root, ids),
    )
