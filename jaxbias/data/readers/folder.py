"""The user's own images: a folder and one table with a row per image."""

import numpy as np

from jaxbias.data import files
from jaxbias.data.dataset import listed
from jaxbias.data.source import Source
from jaxbias.data.splits import example, is_split
from jaxbias.data.table import labels
from jaxbias.data.table_file import Table, read_table
from jaxbias.errors import InputError
from jaxbias.study import DataSpec

_MOST_SPLITS = 20


def read(data: DataSpec) -> Source:
    """Reads a folder of images and its table.

    The table (`data.table`, CSV, TSV or Parquet, relative to `data.path`) names one image file
    per row in `data.file_column`, relative to `data.path`. `data.split_column`, where set, is the
    source split; every other column is a label where it can be one (see `table.labels`).

    Raises:
      InputError: whatever is missing, named twice or outside the folder, with its row.
    """
    root = files.folder(data.path, f"holds your images and {data.table}")
    path = root / data.table
    table = read_table(path, key=data.file_column)
    names = table.column(data.file_column, "config.data.file_column").str.strip()
    nameless = np.flatnonzero(names == "")
    if len(nameless):
        raise InputError(f"{table.where(nameless[0])} names no file")
    splits = "all"
    if data.split_column:
        splits = table.column(data.split_column, "config.data.split_column").str.strip()
    own = [name for name in (data.file_column, data.split_column) if name]
    unused = () if data.split_column else _unused_splits(table)
    found, unusable, notes = labels(table.text.drop(columns=own), data.missing_values)
    unusable |= table.unusable
    if found.empty:
        reasons = "; ".join(f"'{name}' {reason}" for name, reason in unusable.items())
        raise InputError(f"table {path} has no label column: {reasons or 'only ' + ', '.join(own)}")
    return files.source(
        f"folder {root.name}",
        "folder",
        data,
        root,
        {data.table: names.tolist()},
        splits,
        found,
        unusable=unusable,
        notes=(*table.notes, *unused, *notes),
    )


def _unused_splits(table: Table) -> tuple[str, ...]:
    """Returns what the report says of columns that look like a split and are not used as one.

    Raises:
      InputError: one is called so.
    """
    said = []
    for name, column in table.text.items():
        words = sorted(set(column.str.strip()) - {""})[:_MOST_SPLITS]
        called = str(name).casefold() == "split"
        if called and not is_split(words):
            raise InputError(
                f"table {table.path} has a column '{name}' that is not used, with the values"
                f" {listed(words)}: set config.data.split_column='{name}' and say in"
                " config.data.splits what becomes of each, or give the column another name"
            )
        if called:
            raise InputError(
                f"table {table.path} has a column '{name}' that is not used: set"
                f" config.data.split_column='{name}' and config.data.splits={example(words)}, or"
                " give the column another name to divide all rows anew"
            )
        if is_split(words):
            said.append(
                f"Column '{name}' looks like a split and is not used as one: that would be"
                f" config.data.split_column='{name}'."
            )
    return tuple(said)
