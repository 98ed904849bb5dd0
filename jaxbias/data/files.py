"""The image files a table names: inside one folder, present, and told apart by size and time."""

import contextlib
import dataclasses
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import pandas as pd

from jaxbias.data.dataset import listed
from jaxbias.data.decode import BadImageError
from jaxbias.data.delimited import shown
from jaxbias.data.nearest_file import nearest_file
from jaxbias.data.source import Source, only, with_labels
from jaxbias.errors import InputError
from jaxbias.files.paths import expanded
from jaxbias.progress import progress
from jaxbias.study import DataSpec
from jaxbias.words import count

# More than any photograph: what claims to be one is not read into memory.
_MAX_BYTES = 256 * 2**20
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
# Relative, in normal form, and the same path on every system: most names of a million are.
_LONG = 200  # Characters of a path in a message.
_LEAVES = (-1, -1)  # Of a link out of the folder.
_PLAIN = re.compile(r"(?:(?!\.{1,2}(?:/|$))[^/\\:\0]+/)*(?!\.{1,2}$)[^/\\:\0]+")


def source(
    name: str,
    kind: str,
    data: DataSpec,
    root: Path,
    tables: Mapping[str, Sequence[str]],
    split: pd.Series | list[str] | str,
    labels: Mapping[str, pd.Series],
    numbers: pd.Series | None = None,
    notes: Sequence[str] = (),
    **more: Any,
) -> Source:
    """Returns the source of images that tables name, one per row.

    Args:
      name: of the dataset.
      kind: of the reader; the first part of the source's key.
      data: `on_missing` says what becomes of rows whose image is not there.
      root: the folder that the files are in.
      tables: what to call a table in errors -> its files, relative to `root`, one per row.
      split: of every row of all tables, in order.
      labels: columns over the same rows.
      numbers: other names of the same rows.
      notes: sentences about the data.
      **more: other fields of the source.

    Raises:
      InputError: a path that leaves the folder, a file named twice or missing (unless rows without
        one are to be skipped), or none at all.
    """
    found = [_find(root, names, table) for table, names in tables.items()]
    names = [name for part in found for name in part.names]
    starts = np.cumsum([0, *(len(part.names) for part in found)])
    rows = np.concatenate([part.rows + at for part, at in zip(found, starts, strict=False)])
    table = with_labels(names, split, labels)
    absent = pd.Index([], dtype=str)
    if len(rows) < len(names):
        missing = np.setdiff1d(np.arange(len(names)), rows)
        notes = (*notes, _left_out(root, " and ".join(tables), names, missing, data.on_missing))
        absent = pd.Index([names[row] for row in missing])
        if numbers is not None:
            numbers = numbers.reset_index(drop=True)
            absent = absent.append(pd.Index(numbers.iloc[missing]))
            numbers = numbers.iloc[rows].reset_index(drop=True)
        table = only(table, rows)
    ids = table["id"].tolist()
    return Source(
        name=name,
        key=f"{kind}/" + "/".join(part.key for part in found),
        table=table,
        read=Reader(root, ids),
        numbers=numbers,
        notes=tuple(notes),
        absent=absent,
        **more,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """Which rows of a table have an image file."""

    names: list[str]  # Of every row, in normal form ("a/b.jpg").
    rows: np.ndarray  # int64: the rows whose file is there, in order.
    key: str  # Changes when the name, size or time of change of one of the files does.


def _find(root: Path, names: Sequence[str], table: str) -> Found:
    """Looks for the files that a table names; every folder is listed once.

    A folder may be a link, to another disk or wherever its owner keeps images. A file that is one
    must stay in the folder, or in that of the link.

    Args:
      root: the folder.
      names: one file per row of the table, relative to `root`.
      table: what to call the table in errors.

    Raises:
      InputError: a path that leaves the folder, or a file named twice.
    """
    normal = [
        name if _PLAIN.fullmatch(name) else _inside(name, row, table)
        for row, name in enumerate(names)
    ]
    _check_unique(normal, table)
    resolved = root.resolve()
    folders: dict[str, list[int]] = {}
    for row, name in enumerate(normal):
        folders.setdefault(name.rpartition("/")[0], []).append(row)
    sizes, times = np.full(len(normal), -1, np.int64), np.zeros(len(normal), np.int64)
    with progress(len(normal), "checking image files", "files") as advance:
        for below, rows in folders.items():
            for row, entry in _entries(resolved / below, rows, normal):
                status = _status(entry, resolved)
                if status == _LEAVES:
                    raise InputError(
                        f"{table} names {shown(normal[row])}, which leaves {root} through a"
                        " symbolic link; put the file itself there"
                    )
                if status is not None:
                    sizes[row], times[row] = status
            advance(len(rows))
    rows = np.flatnonzero(sizes >= 0)
    key = hashlib.sha256(os.fsencode(resolved))
    for row in rows:
        text = f"{normal[row]}\0{sizes[row]}\0{times[row]}\0"
        key.update(text.encode("utf-8", "surrogatepass"))
    return Found(normal, rows, key.hexdigest())


@dataclasses.dataclass(frozen=True)
class Reader:
    """From a row to the bytes of its file; may be sent to other processes."""

    root: Path
    names: Sequence[str]

    def __call__(self, row: int) -> bytes:
        """Returns the bytes of row `row`.

        Raises:
          BadImageError: the file is too large to be a picture.
        """
        with (self.root / self.names[row]).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > _MAX_BYTES:
                raise BadImageError(f"{size:,} bytes are more than {_MAX_BYTES:,}")
            return file.read()


def images(root: Path, below: str, table: str = "") -> list[str]:
    """Returns every image file below a folder of `root`, relative to `root` and in order.

    What has no suffix of an image (.jpg, .jpeg, .png, .webp, .bmp, .gif, .tif, .tiff, in any case)
    or begins with a dot is none. Links to folders elsewhere are followed, each folder once.

    Raises:
      InputError: there is no such folder, no image in it, or one whose name is no UTF-8.
    """
    top = root / below
    if not top.is_dir():
        raise InputError(f"{root} has no folder {below}/{table and f'; it must {table}'}")
    found: list[str] = []
    within, seen = [root.resolve(), *root.resolve().parents], set()
    for at, folders, names in os.walk(top, followlinks=True):
        place = Path(at).resolve()
        linked = Path(at) != top and Path(at).is_symlink()
        # A link to where we are or have been would bring the same images twice, or no end.
        if place in seen or (linked and (place in within or place.is_relative_to(within[0]))):
            folders.clear()
            continue
        seen.add(place)
        folders.sort()
        inside = Path(at).relative_to(root).as_posix()
        found += [
            f"{inside}/{name}"
            for name in sorted(names)
            if name.lower().endswith(_SUFFIXES) and not name.startswith(".")
        ]
    if not found:
        raise InputError(f"{top} holds no image")
    return found


def folder(path: str, expected: str) -> Path:
    """Returns `config.data.path` as an existing folder.

    Args:
      path: the setting; '~' is the user's home.
      expected: what the folder must hold, completing "set config.data.path to the folder that".

    Raises:
      InputError: the setting is empty, or there is no such folder.
    """
    if not path:
        raise InputError(f"config.data.path is empty: set it to the folder that {expected}")
    root = expanded(path, "config.data.path")
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise InputError(f"config.data.path='{path}' {what}: set it to the folder that {expected}")
    return root


def _inside(name: str, row: int, table: str) -> str:
    """Returns a relative path in normal form, refusing any that could leave its folder."""
    path = PurePosixPath(name)
    if not name or "\0" in name or path == PurePosixPath("."):
        raise InputError(f"{table} names no file in row {row + 1:,}")
    # A table may be written on one system and read on another.
    strict = PureWindowsPath(name) if "\\" in name or ":" in name else path
    if path.root or strict.drive or strict.root or ".." in strict.parts:
        raise InputError(
            f"{table} names {shown(name)}, which must be a path inside the folder of the images:"
            " relative, without '..'"
        )
    return str(path)


def _check_unique(names: Sequence[str], table: str) -> None:
    seen, twice = set(), []
    for name in names:
        if name in seen:
            twice.append(name)
        seen.add(name)
    if twice:
        raise InputError(
            f"{table} names {count(len(set(twice)), 'image file')} more than once:"
            f" {listed(sorted(set(twice)), limit=3)}; one image is one row"
        )


def _entries(folder: Path, rows: list[int], names: list[str]) -> Iterator[tuple[int, os.DirEntry]]:
    """Yields the rows whose file is in a folder, with its entry there."""
    wanted = {names[row].rpartition("/")[2]: row for row in rows}
    with contextlib.suppress(OSError, ValueError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name in wanted:
                yield wanted[entry.name], entry


def _status(entry: os.DirEntry, resolved_root: Path) -> tuple[int, int] | None:
    """Returns the size and time of change of a file, None where there is none behind the name."""
    try:
        status = entry.stat()
        if not stat.S_ISREG(status.st_mode):
            return None
        if entry.is_symlink():
            target, folder = Path(entry.path).resolve(), Path(entry.path).parent.resolve()
            if not (target.is_relative_to(resolved_root) or target.is_relative_to(folder)):
                return _LEAVES
    except (OSError, RuntimeError):  # Gone, or a loop of links.
        return None
    return status.st_size, status.st_mtime_ns


def _left_out(
    root: Path, table: str, names: Sequence[str], missing: np.ndarray, on_missing: str
) -> str:
    """Returns what the report says about rows without an image, or refuses them."""
    near = nearest_file(root, names[missing[0]])
    first = shown(names[missing[0]], _LONG)
    hint = f" (there is '{near}')" if near else ""
    gone, every = f"{len(missing):,}", len(names)
    if on_missing == "error" or len(missing) == len(names):
        way_out = "; set config.data.on_missing='skip' to leave such rows out and count them"
        raise InputError(
            f"{root} lacks {gone} of the {count(every, 'image file')} named in {table}; the first"
            f" is {first}{hint}{way_out if len(missing) < len(names) else ''}"
        )
    lacking = f"{gone} of the {count(every, 'image')} named in {table}"
    return f"Left out, not being there: {lacking}, such as {first}{hint}."
