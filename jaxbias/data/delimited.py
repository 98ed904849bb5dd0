"""Delimited text, read strictly: a row that does not fit its header is refused with its line."""

import codecs
import csv
import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from jaxbias.errors import InputError
from jaxbias.words import count

# By how often they occur; a header that fits several is refused.
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_MARKS = (  # A UTF-32 mark begins with one of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UTF8 = "utf-8-sig"
_CELLS = 2**17  # Of a chunk.


@dataclasses.dataclass(frozen=True)
class _Rows:
    """Consecutive rows of a file.

    Attributes:
      fields: a list of texts per row, as many as the header has.
      lines: the line each row begins in, counted from 1 with the header's.
    """

    fields: list[list[str]]
    lines: list[int]


@dataclasses.dataclass(frozen=True)
class Delimited:
    """A file of delimited text whose header has been read.

    Attributes:
      path: the file.
      encoding: of its text: UTF-8, or what its byte order mark says.
      separator: of its fields, one of `_SEPARATORS`, found in the header.
      header: the names of its columns, as written.
    """

    path: Path
    encoding: str
    separator: str
    header: tuple[str, ...]

    def chunks(self) -> Iterator[_Rows]:
        """Yields the rows in pieces of a bounded number of fields.

        Raises:
          InputError: a row with another number of fields than the header, an empty line between
            rows, a quote that is never closed, a NUL or what the encoding does not know.
        """
        with _opened(self.path, self.encoding) as file:
            records = _records(file, self.path, self.separator)
            next(records)
            size = max(1, _CELLS // len(self.header))
            while part := list(itertools.islice(self._whole(records), size)):
                yield _Rows([fields for _, fields in part], [line for line, _ in part])

    def _whole(self, records: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
        wanted, empty = len(self.header), 0
        for line, fields in records:
            # At the end of a file empty lines mean nothing.
            if not fields or (wanted > 1 and len(fields) == 1 and not fields[0].strip()):
                empty = empty or line
                continue
            if empty:
                raise InputError(f"{self.path} line {empty} is empty, and rows follow: delete it")
            if len(fields) != wanted:
                raise InputError(self._misfit(line, fields))
            yield line, fields

    def _misfit(self, line: int, fields: list[str]) -> str:
        many = len(fields) > len(self.header)
        name = _SEPARATORS[self.separator]
        way_out = (
            f"put quotes around a field that holds {name}, or name every column"
            if many
            else "is the line whole?"
        )
        return (
            f"{self.path} line {line}, which begins {shown(fields[0])}, has"
            f" {count(len(fields), 'field')}, where the header has"
            f" {len(self.header):,} (separated by {name}): {way_out}"
        )


def open_delimited(path: Path) -> Delimited:
    """Reads the header of a file of delimited text, and how it is written.

    The separator is the comma, semicolon or tab that divides the header and the first row into
    equally many fields.

    Raises:
      InputError: the file is empty, cannot be opened, has no row, or several separators fit.
    """
    encoding = _encoding(path)
    heads, malformed = {}, None
    for separator in _SEPARATORS:
        try:
            with _opened(path, encoding) as file:
                records = _records(file, path, separator)
                heads[separator] = [fields for _, fields in itertools.islice(records, 2)]
        except _MalformedError as error:
            malformed = malformed or error
    if not all(heads.values()):
        raise InputError(f"{path} is empty")
    if not all(head[0] for head in heads.values()):
        raise InputError(f"{path} line 1 is empty, where the names of the columns must be")
    dividing = {s: head for s, head in heads.items() if len(head[0]) > 1}
    if malformed and not dividing:
        raise malformed
    fitting = [s for s, head in dividing.items() if len(head) > 1 and len(head[0]) == len(head[1])]
    if len(fitting) > 1:
        names = " and by ".join(_SEPARATORS[s] for s in fitting)
        raise InputError(
            f"{path}: its header and first row can be divided by {names} alike; put quotes around"
            " names that hold one"
        )
    likely = fitting or sorted(dividing, key=lambda s: -len(dividing[s][0])) or list(heads)
    return Delimited(path, encoding, likely[0], tuple(heads[likely[0]][0]))


def shown(text: str, limit: int = 80) -> str:
    """Returns a text in quotes on one line, a long one cut."""
    line = " ".join(text.split())
    return f"'{line}'" if len(line) <= limit else f"'{line[:limit]}…'"


class _MalformedError(InputError):
    """Quotes that do not fit, which may be due to the wrong separator."""


def _encoding(path: Path) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    return next((name for mark, name in _MARKS if head.startswith(mark)), _UTF8)


def _opened(path: Path, encoding: str) -> IO[str]:
    # Line ends inside quotes stay as they are.
    return path.open(encoding=encoding, newline="")


def _records(file: IO[str], path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yields each record with the line it begins in."""
    reader = csv.reader(_lines(file, path), delimiter=separator, strict=True)
    line = 1
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise _MalformedError(_malformed(path, line, reader.line_num, str(error))) from None
        except UnicodeError:
            raise InputError(_undecodable(path, file.encoding)) from None
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error
        if fields is None:
            return
        yield line, fields
        line = reader.line_num + 1


def _lines(file: IO[str], path: Path) -> Iterator[str]:
    for number, line in enumerate(file, start=1):
        if "\0" in line:
            raise InputError(
                f"{path} line {number} holds a NUL: it is no text, torn, or UTF-16 without its"
                " byte order mark; save it as UTF-8"
            )
        yield line


def _malformed(path: Path, first: int, last: int, error: str) -> str:
    if "unexpected end" in error:
        return f"{path} line {first}: a quote is opened that is never closed"
    if "expected after" in error:
        where = f"line {first}" if first == last else f"lines {first} to {last}"
        return (
            f"{path} {where}: a quote closes before its field ends; a quote inside a quoted"
            " field is written twice"
        )
    return f"{path} line {first} cannot be read: {error}"


def _undecodable(path: Path, encoding: str) -> str:
    if encoding != _UTF8:
        return f"{path} begins like {encoding.upper()}, but cannot be read as that: is it whole?"
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = line[error.start]
                return (
                    f"{path} line {number} is not UTF-8 (byte {byte:#04x}), but perhaps Latin-1 or"
                    " of another code page: save the table as UTF-8"
                )
    return f"{path} is not UTF-8: save the table as UTF-8"
