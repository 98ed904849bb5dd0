"""Dollar Street: household objects over incomes and countries.

Gaviria Rojas et al., "The Dollar Street Dataset: Images Representing the Geographic and
Socioeconomic Diversity of the World", NeurIPS 2022 (MLCommons).
"""

import ast
import difflib
import re
from pathlib import Path

import numpy as np
import pandas as pd

from jaxbias.data import files
from jaxbias.data.source import Source
from jaxbias.data.table import category, cleaned
from jaxbias.data.table_file import Table, read_table
from jaxbias.errors import InputError
from jaxbias.study import DataSpec

# COCO class -> topics, as the paper maps them.
_COCO = {
    "bed": ("beds", "kids_bed"),
    "book": ("books",),
    "bowl": ("bowls",),
    "car": ("cars",),
    "cup": ("cups",),
    "sink": ("kitchen_sinks",),
    "motorcycle": ("motorcycles",),
    "oven": ("ovens",),
    "refrigerator": ("refrigerators",),
    "couch": ("sofas",),
    "tv": ("tvs",),
    "toilet": ("toilets",),
    "toothbrush": ("toothbrushes",),
    "clock": ("wall_clocks",),
}
_ALL, _PARTS = (
    "images_v2.csv",
    {"train": "images_v2_imagenet_train.csv", "test": "images_v2_imagenet_test.csv"},
)
_OLD = "metadata.csv"
# Our column -> its names in the MLCommons table and in the older metadata.csv.
_NAMES = {
    "country": ("country.name", "country"),
    "region": ("region.id", "region"),
    "income": ("income",),
    "topics": ("topics", "label", "labels"),
}
_LONGEST = 10_000  # Characters of a list of topics.
_LAYOUT = f"holds {_ALL} and assets/ (dataset_dollarstreet/ of MLCommons), or {_OLD} and its images"


def read(data: DataSpec) -> Source:
    """Reads Dollar Street from `data.path`.

    Labels are 'topic' (the first), the 14 COCO classes that topics stand for, 'country', 'region'
    and 'income_bin', round(ln(income) / 3). Images of the MLCommons tables of its ImageNet subset
    are of the splits 'train' and 'test' where both are there; all others are of 'all'. The older
    metadata.csv names an image by the last part of its 'url', in images/ or beside the table.

    Raises:
      InputError: what of the layout is missing, or a row that is not as published.
    """
    root = files.folder(data.path, _LAYOUT)
    path = next((root / name for name in (_ALL, _OLD) if (root / name).is_file()), None)
    if path is None:
        raise InputError(f"{root} has no {_ALL}; it must be the folder that {_LAYOUT}")
    table = read_table(path)
    columns = {name: _column(table, names) for name, names in _NAMES.items()}
    names = _files(root, table)
    plain = pd.DataFrame({name: columns[name] for name in ("country", "region", "income")})
    plain, unknown = cleaned(plain, data.missing_values)
    topics = [_topics(text, row, table) for row, text in enumerate(columns["topics"])]
    found = {
        "topic": category(pd.Series([each[0] if each else "" for each in topics])),
        "country": category(plain["country"]),
        "region": category(plain["region"]),
        "income_bin": category(_bins(plain["income"], table)),
    }
    for name, wanted in _COCO.items():
        present = [any(topic in wanted for topic in each) for each in topics]
        found[name] = pd.Series(present, dtype="boolean")
    there = sorted({topic for each in topics for topic in each})
    never = [
        f"'{name}' ({', '.join(wanted)}{_near(wanted, there)})"
        for name, wanted in _COCO.items()
        if not found[name].any()
    ]
    note = f"No image has a topic of the columns {', '.join(never)}: they have no positive."
    return files.source(
        "Dollar Street",
        "dollar_street",
        data,
        root,
        {path.name: names},
        _splits(root, names),
        found,
        numbers=table.text.get("id"),
        unusable={"income": "is a number; use income_bin"},
        notes=(*table.notes, *unknown, *([note] if never else [])),
    )


def _near(wanted: tuple[str, ...], there: list[str]) -> str:
    near = [match for topic in wanted for match in difflib.get_close_matches(topic, there, 1, 0.8)]
    return f"; there is '{near[0]}'" if near else ""


def _column(table: Table, names: tuple[str, ...]) -> pd.Series:
    for name in names:
        if name in table.text:
            return table.text[name].str.strip()
    raise InputError(f"{table.path} has no column '{names[0]}'; it must be as published")


def _files(root: Path, table: Table) -> list[str]:
    if table.path.name == _ALL:
        return _column(table, ("imageRelPath",)).tolist()
    urls = _column(table, ("url",))
    names = urls.str.split("?").str[0].str.rsplit("/", n=1).str[-1]
    return (("images/" if (root / "images").is_dir() else "") + names).tolist()


def _topics(text: str, row: int, table: Table) -> list[str]:
    """Returns topics as words joined by '_', from a list written out or a single one."""
    names = [text]
    if text.startswith("["):
        try:
            names = ast.literal_eval(text) if len(text) <= _LONGEST else None
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            names = None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InputError(f"{table.where(row)}: topics {text[:40]!r} are no list of words")
    words = [re.sub(r"[^\w]+", "_", name.strip().lower()).strip("_") for name in names]
    return [word for word in words if word]


def _bins(income: pd.Series, table: Table) -> pd.Series:
    values = pd.to_numeric(income.replace("", "nan"), errors="coerce")
    wrong = np.flatnonzero(~((values > 0) & np.isfinite(values)) & (income != ""))
    if len(wrong):
        raise InputError(
            f"{table.where(wrong[0])}: income '{income.iloc[wrong[0]]}' must be a positive number"
        )
    bins = (np.log(values) / 3).round()
    return bins.map(lambda value: "" if np.isnan(value) else str(int(value)))


def _splits(root: Path, names: list[str]) -> list[str]:
    if not all((root / name).is_file() for name in _PARTS.values()):
        return ["all"] * len(names)
    of = {}
    for split, name in _PARTS.items():
        part = read_table(root / name)
        of |= dict.fromkeys(_column(part, ("imageRelPath",)), split)
    return [of.get(name, "all") for name in names]
