"""Pack files: Parquet that carries a checksum of its content, so damage is named, never used."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jaxbias.files.atomic import damaged, write_parquet

_PACK, _ROWS, _CHECKSUM = b"jaxbias.pack", b"jaxbias.rows", b"jaxbias.blake2b"


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes the rows of a pack, at least one, in one piece.

    Args:
      path: the file, named after the pack.
      rows: one per member, all with the same columns.
    """
    table = pa.table({name: [row[name] for row in rows] for name in rows[0]})
    marks = {_PACK: path.stem, _ROWS: str(len(rows)), _CHECKSUM: _checksum(table)}
    write_parquet(path, table.replace_schema_metadata(marks))


def read(path: Path, cost: str) -> pa.Table:
    """Reads a pack back.

    Args:
      path: the file.
      cost: what deleting it costs.

    Raises:
      InputError: the file is cut short, altered, another pack's, or written by something else.
    """
    try:
        with path.open("rb") as file:  # Of a directory, Parquet would read what lies in it.
            table = pq.read_table(file)
        marks = table.schema.metadata or {}
        table = table.replace_schema_metadata(None)
        expected = {
            _PACK: path.stem.encode(),
            _ROWS: str(len(table)).encode(),
            _CHECKSUM: _checksum(table).encode(),
        }
    except Exception as error:  # A damaged file may raise anything.
        raise damaged(path, error, cost) from error
    for mark, value in expected.items():
        if marks.get(mark) != value:
            what = mark.decode().removeprefix("jaxbias.")
            told = marks.get(mark, b"none").decode(errors="replace")
            reason = f"{what}: {told[:16]} recorded, {value.decode()[:16]} found"
            raise damaged(path, reason, cost)
    return table


def _checksum(table: pa.Table) -> str:
    """Returns a hash of names, types and values, whatever pieces a table is stored in."""
    digest = hashlib.blake2b(digest_size=16)
    for name in table.column_names:
        column = table[name].combine_chunks()
        digest.update(name.encode())
        while pa.types.is_list(column.type):  # Parquet renames a list's items: hash no list type.
            digest.update(b"list")
            digest.update(pc.list_value_length(column).to_numpy(zero_copy_only=False))
            column = column.flatten()
        digest.update(f"{column.type} {len(column)} {column.null_count}".encode())
        values = column.to_numpy(zero_copy_only=False)
        if values.dtype == object:
            # Lengths keep ["ab", "c"] and ["a", "bc"] apart.
            texts = [str(value).encode() for value in values]
            digest.update(np.array([len(text) for text in texts], np.int64))
            digest.update(b"".join(texts))
        else:
            digest.update(np.ascontiguousarray(values))
    return digest.hexdigest()
