"""The user's own images: a folder and one table with a row per image."""

from jaxbias.data import files
from jaxbias.data.source import Source
from jaxbias.data.table import labels
from jaxbias.data.table_file import read_table
from jaxbias.errors import InputError
from jaxbias.study import DataSpec


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
    splits = "all"
    if data.split_column:
        splits = table.column(data.split_column, "config.data.split_column").str.strip()
    elif "split" in table.text and not data.splits:
        raise InputError(
            f"table {path} has a column 'split' that is not used: set"
            " config.data.split_column='split', or say in config.data.splits how to divide 'all'"
        )
    own = [name for name in (data.file_column, data.split_column) if name]
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
        notes=(*table.notes, *notes),
    )
