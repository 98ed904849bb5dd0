"""Files that appear whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from jaxbias.errors import InputError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary name that takes the place of `path` once it is whole.

    Raises:
      InputError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise InputError(
            f"cannot write {path} ({error.strerror or error}); choose a place you can write to"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> Path:
    """Writes a file in one piece and returns its path."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return path


def write_text(path: Path, text: str) -> Path:
    """Writes a text file in one piece and returns its path."""
    return write_bytes(path, text.encode())


def write_parquet(path: Path, table: pa.Table) -> Path:
    """Writes a Parquet file in one piece and returns its path."""
    with replacing(path) as temporary:
        pq.write_table(table, temporary)
    return path


def write_csv(path: Path, table: pd.DataFrame) -> Path:
    """Writes a CSV file in one piece and returns its path."""
    return write_text(path, table.to_csv(index=False))


def make_directory(path: Path) -> Path:
    """Makes a directory and its parents where absent, and returns its path.

    Raises:
      InputError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make the directory {path} ({error.strerror}); choose another"
        ) from error
    return path
