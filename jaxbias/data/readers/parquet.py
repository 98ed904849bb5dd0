"""Parquet files with the images inside, as Hugging Face `datasets` writes them."""

import dataclasses
import hashlib
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jaxbias.data import files
from jaxbias.data.decode import BadImageError
from jaxbias.data.source import Source, locate, with_labels
from jaxbias.data.table import Labels, labels
from jaxbias.data.table_file import (
    UNREADABLE,
    check_names,
    class_names,
    class_numbers,
    texts,
    unreadable,
)
from jaxbias.errors import InputError, nearest
from jaxbias.files.paths import expanded
from jaxbias.study import DataSpec

_SHARD = re.compile(r"^(?P<split>.+?)-\d+-of-\d+")  # "train-00000-of-00002-0123abc.parquet"

_held = threading.local()


def read(data: DataSpec) -> Source:
    """Reads all Parquet files below `data.path`, or the one file that it is.

    `data.image_column` holds encoded images: bytes, or a struct with 'bytes'. Other columns are
    labels where they can be (`data.columns`: label column -> column; empty: all of them); class
    numbers take the names that `datasets` keeps in the file. The split is the file's name before
    '-00000-of-00002', or all of it; of a file that is a number ('train/0000.parquet'), its folder.

    Raises:
      InputError: no file, one that cannot be read or differs from the others, or no such column.
    """
    if data.path.endswith(".parquet") and expanded(data.path, "config.data.path").is_file():
        paths = [expanded(data.path, "config.data.path")]
        root = paths[0].parent
    else:
        root = files.folder(data.path, "holds .parquet files with images in them")
        paths = sorted(root.rglob("*.parquet"))
        if not paths:
            raise InputError(f"config.data.path={root} holds no .parquet file")
    schema = _opened(paths[0]).schema_arrow
    check_names(schema.names, paths[0])
    image = data.image_column
    if image not in schema.names:
        raise InputError(
            f"config.data.image_column='{image}' is no column of {paths[0]};"
            f" {nearest(image, schema.names)}"
        )
    wanted = dict(data.columns) or {name: name for name in schema.names if name != image}
    for name, column in wanted.items():
        if column not in schema.names:
            raise InputError(
                f"config.data.columns.{name}='{column}' is no column of {paths[0]};"
                f" {nearest(column, schema.names)}"
            )
    parts, ids, splits, groups, digest = [], [], [], [], hashlib.sha256()
    for path in paths:
        file = _opened(path)
        if file.schema_arrow.remove_metadata() != schema.remove_metadata():
            raise InputError(f"{path} has other columns than {paths[0]}")
        parts.append(_columns(file, path, sorted(set(wanted.values()))))
        name = path.relative_to(root).as_posix()
        splits += [_split(path)] * file.metadata.num_rows
        ids += [f"{name}#{row:07d}" for row in range(file.metadata.num_rows)]
        groups += [
            (path, group, file.metadata.row_group(group).num_rows)
            for group in range(file.metadata.num_row_groups)
        ]
        status = path.stat()
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    found, unusable, notes = _labels(pa.concat_tables(parts), wanted, class_names(schema), data)
    return Source(
        name=f"Parquet {Path(data.path).name}",
        key=f"parquet/{root.resolve()}/{image}/{digest.hexdigest()}",
        table=with_labels(ids, splits, found),
        read=_Reader(
            tuple((path, group) for path, group, _ in groups),
            tuple(np.cumsum([rows for *_, rows in groups]).tolist()),
            image,
        ),
        unusable=unusable,
        notes=notes,
    )


@dataclasses.dataclass(frozen=True)
class _Reader:
    """From a row to the bytes of its image; holds one group of rows per thread."""

    groups: tuple[tuple[Path, int], ...]
    ends: tuple[int, ...]
    image: str

    def __call__(self, row: int) -> bytes:
        """Returns the bytes of row `row`."""
        part, at = locate(self.ends, row)
        value = _group(*self.groups[part], self.image)[at].as_py()
        if isinstance(value, dict):
            value = value.get("bytes")
        if not isinstance(value, bytes):
            raise BadImageError("the row holds no bytes of an image")
        return value


def _split(path: Path) -> str:
    shard = _SHARD.match(path.stem)
    if shard:
        return shard["split"]
    return path.parent.name if path.stem.isdigit() else path.stem


def _group(*wanted: Any) -> pa.ChunkedArray:
    """Returns the images of (path, group, column); each thread reads groups in turn."""
    if getattr(_held, "which", None) != wanted:
        path, group, image = wanted
        _held.which = _held.column = None  # Before the next is read: one at a time.
        try:
            read = _opened(path).read_row_group(group, columns=[image], use_threads=False)
        except UNREADABLE as error:
            raise BadImageError(unreadable(path, error)) from error
        _held.which, _held.column = wanted, read.column(image)
    return _held.column


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, page_checksum_verification=True)
    except UNREADABLE as error:
        raise InputError(unreadable(path, error)) from error


def _columns(file: pq.ParquetFile, path: Path, names: list[str]) -> pa.Table:
    try:
        table = file.read(columns=names)
        table.validate(full=True)
    except UNREADABLE as error:
        raise InputError(unreadable(path, error)) from error
    return table


def _labels(
    table: pa.Table, wanted: dict[str, str], names: dict[str, list[str]], data: DataSpec
) -> Labels:
    classes, plain = {}, {}
    for name, column in wanted.items():
        values = table.column(column)
        if column in names:
            numbers = class_numbers(values, names[column], f"column '{column}' of {data.path}")
            classes[name] = numbers, names[column]
        else:
            plain[name] = values
    text, unusable = texts(plain)
    found, neither, notes = labels(text, data.missing_values, classes)
    kept = [name for name in wanted if name in found]
    return Labels(found[kept], {**unusable, **neither}, notes)
