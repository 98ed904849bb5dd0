"""Tables of the user's, from files: strict, as text, every row with the line it stands in."""

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from jaxbias.data.dataset import listed
from jaxbias.data.delimited import open_delimited, shown
from jaxbias.errors import InputError, nearest
from jaxbias.files.json_files import parse_json

ID = "id"
_KINDS = ".csv, .tsv or .parquet"
# What reading a damaged Parquet file raises.
UNREADABLE = (pa.ArrowException, ValueError, OSError, MemoryError)
_DELIMITED = (".csv", ".tsv")
_REASON = 200  # Characters of Arrow's reason; some repeat the whole schema.
# What pandas calls columns without a name, and we until they are left out: no text holds a NUL.
_UNNAMED = re.compile(r"\0\d+|Unnamed: \d+|__index_level_\d+__")


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """A table as it stands in a file.

    Attributes:
      path: the file.
      text: N rows of strings, '' where there is no value. Text of CSV and TSV is as written;
        numbers of Parquet are written out (1.0 as '1.0'), truth values as 'true' and 'false'.
      lines: int64[N], the line each row begins in, counted from 1 with the header's; of Parquet
        the row, counted from 1.
      key: the column that names a row in messages, where the table has it.
      notes: what was left out of the file, in sentences.
      unusable: columns that are no text, each with the reason.
    """

    path: Path
    text: pd.DataFrame
    lines: np.ndarray
    key: str = ID
    notes: tuple[str, ...] = ()
    unusable: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def column(self, name: str, setting: str) -> pd.Series:
        """Returns the column that `setting` names, or says which columns there are.

        Raises:
          InputError: no such column, or one that is no text.
        """
        if name in self.unusable:
            raise InputError(f"{self.path}: column '{name}' ({setting}) {self.unusable[name]}")
        if name not in self.text:
            raise InputError(
                f"table {self.path} has no column '{name}' ({setting});"
                f" {nearest(name, self.text.columns)}"
            )
        return self.text[name]

    def where(self, row: int) -> str:
        """Returns how messages call row `row` (from 0): the file, the line, and the id."""
        unit = "row" if self.path.suffix.lower() == ".parquet" else "line"
        name = self.text[self.key].iloc[row] if self.key in self.text else ""
        return f"{self.path} {unit} {self.lines[row]}" + (f" ({shown(name)})" if name else "")


def read_table(path: Path, key: str = ID) -> Table:
    """Reads a CSV, TSV or Parquet table as text, without guessing what the text means.

    Fields of CSV and TSV are separated by commas, semicolons or tabs, as the header is; the text is
    UTF-8, or UTF-16 with its mark. Row numbers in a column without a name are left out, with a
    note.

    Args:
      path: the file.
      key: the column that names a row in messages.

    Raises:
      InputError: no such file, another kind of file, or one that cannot be read; no rows; a row
        that does not fit the header; a column that is there twice or has no name.
    """
    if check_kind(path) == ".parquet":
        text, unusable = texts(read_parquet(path))
        lines = np.arange(1, len(text) + 1)
    else:
        (text, unusable), lines = _read_delimited(path)
    notes = []
    for name in [name for name in text if unnamed(name)]:
        notes.append(refuse_unless_row_numbers(text.pop(name), path, key in text))
    return Table(path, text, lines, key, tuple(notes), unusable)


def check_kind(path: Path) -> str:
    """Returns the suffix of a table's file, in lower case.

    Raises:
      InputError: no such file, none of the kinds, or a name that is no UTF-8.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(f"the name of table {str(path)!a} is not UTF-8: rename it") from None
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"table {path} {what}; it must be a {_KINDS} file")
    suffix = path.suffix.lower()
    if suffix not in (*_DELIMITED, ".parquet"):
        raise InputError(f"table {path} must be a {_KINDS} file")
    return suffix


def read_parquet(path: Path) -> dict[str, pa.ChunkedArray]:
    """Reads the columns of a Parquet file; class numbers of `datasets` become their names.

    Raises:
      InputError: it cannot be read, has a column twice, or no rows.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
        table.validate(full=True)
    except UNREADABLE as error:
        raise InputError(unreadable(path, error)) from error
    names = named_by_place(table.column_names)
    check_names(names, path)
    if not table.num_rows:
        raise InputError(f"table {path} has no rows")
    columns = dict(zip(names, table.columns, strict=True))
    for name, words in class_names(table.schema).items():
        if name in columns:
            numbers = class_numbers(columns[name], words, f"column '{name}' of {path}")
            places = pa.array(np.maximum(numbers, 0), mask=numbers < 0)
            columns[name] = pa.chunked_array([pa.array(words, pa.string()).take(places)])
    return columns


def unreadable(path: Path, error: Exception) -> str:
    """Returns the one line that says why a Parquet file cannot be read."""
    reason = " ".join(str(error).split())[:_REASON]
    return f"{path} cannot be read as Parquet: {reason or type(error).__name__}; is it whole?"


def class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Returns the class names of the columns that have some, from the file's own metadata."""
    try:
        info = parse_json((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            # Half of a pair of surrogates, which JSON can hold, is written out.
            name: [
                str(word).encode(errors="backslashreplace").decode() for word in feature["names"]
            ]
            for name, feature in info.items()
            if feature.get("_type") == "ClassLabel"
        }
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def class_numbers(column: pa.ChunkedArray, names: Sequence[str], where: str) -> np.ndarray:
    """Returns the class numbers of a column, int64[N], -1 where there is none.

    Raises:
      InputError: numbers that are not whole, or without a name.
    """
    if not pa.types.is_integer(column.type):
        raise InputError(f"{where} has class names, but holds {column.type}, not whole numbers")
    numbers = column.cast(pa.int64()).fill_null(-1).to_numpy()
    wrong = np.flatnonzero((numbers < -1) | (numbers >= len(names)))
    if len(wrong):
        raise InputError(
            f"{where} has the class number {numbers[wrong[0]]} in row {wrong[0] + 1}, which has no"
            f" name: there are {len(names):,}"
        )
    return numbers


def check_names(names: Sequence[str], path: Path) -> None:
    """Raises an InputError where two columns have one name."""
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise InputError(f"table {path} has more than one column {listed(twice)}; rename one")


def unnamed(name: str) -> bool:
    """Whether a column has no name, or one that pandas gives to such columns."""
    return _UNNAMED.fullmatch(name) is not None


def named_by_place(header: Sequence[str]) -> list[str]:
    """Returns the names of columns on one line each, one by its place where there is none."""
    return [" ".join(name.split()) or f"\0{place}" for place, name in enumerate(header, start=1)]


def refuse_unless_row_numbers(column: pd.Series, path: Path, keyed: bool) -> str:
    """Returns a note that a column without a name is left out.

    Args:
      column: its texts, and the name that stands for none.
      path: the file.
      keyed: whether the file has a column of ids.

    Raises:
      InputError: it holds other than the numbers of rows, in order or beside ids.
    """
    name = str(column.name)
    which = f"column {name[1:]} has no name" if name[0] == "\0" else f"column '{name}' has no name"
    filled = column[column != ""]
    if filled.empty:
        return f"{path.name}: {which}, is empty and was left out."
    if len(filled) == len(column) and column.str.fullmatch("[0-9]{1,15}").all():
        numbers = column.astype(np.int64)
        if numbers.is_unique and (keyed or numbers.is_monotonic_increasing):
            return f"{path.name}: {which}, holds row numbers and was left out."
    raise InputError(
        f"table {path}: {which}, and holds values such as {shown(filled.iloc[0])}: name it"
        " ('id' where it is the example's id), or delete it"
    )


def texts(columns: Mapping[str, pa.ChunkedArray]) -> tuple[pd.DataFrame, dict[str, str]]:
    """Returns Arrow columns as strings, '' where null; and those that are none, with the reason."""
    found, unusable = {}, {}
    for name, column in columns.items():
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
            unusable[name] = f"holds {column.type}: neither binary nor categorical"
            continue
        found[name] = column.cast(pa.string()).fill_null("").to_pandas().astype(str)
    return pd.DataFrame(found), unusable


def _read_delimited(path: Path) -> tuple[tuple[pd.DataFrame, dict[str, str]], np.ndarray]:
    file = open_delimited(path)
    names = named_by_place(file.header)
    check_names(names, path)
    parts: list[list[pa.Array]] = [[] for _ in names]
    lines = []
    for rows in file.chunks():
        lines += rows.lines
        for part, column in zip(parts, zip(*rows.fields, strict=True), strict=True):
            part.append(pa.array(column, pa.string()))
    if not lines:
        raise InputError(f"table {path} has no rows")
    columns = {name: pa.chunked_array(part) for name, part in zip(names, parts, strict=True)}
    return texts(columns), np.array(lines)
