"""The image files a table names: inside one folder, present, and told apart by size and time."""

import dataclasses
import hashlib
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from jaxbias.data.dataset import listed
from jaxbias.data.decode import BadImageError
from jaxbias.errors import InputError
from jaxbias.progress import progress

# More than any photograph: what claims to be one is not read into memory.
_MAX_BYTES = 256 * 2**20
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
# Relative, in normal form, and the same path on every system: most names of a million are.
_PLAIN = re.compile(r"(?:(?!\.{1,2}(?:/|$))[^/\\:\0]+/)*(?!\.{1,2}$)[^/\\:\0]+")
_STEP = 1000  # Files between two redrawings of the progress bar.


def find(root: Path, names: Sequence[str], table: str) -> tuple[list[str], str]:
    """Checks that every named file lies inside a folder.

    Args:
      root: the folder.
      names: one file per row of the table, relative to `root`.
      table: what to call the table in errors.

    Returns:
      The names in normal form ("a/b.jpg"), and a key that changes when a file's name, size or
      time of change does.

    Raises:
      InputError: a path that leaves the folder, a missing file, or a file named twice.
    """
    normal = [
        name if _PLAIN.fullmatch(name) else _inside(name, row, table)
        for row, name in enumerate(names, start=1)
    ]
    _check_unique(normal, table)
    resolved = root.resolve()
    key = hashlib.sha256(str(resolved).encode())
    folders: dict[Path, bool] = {}
    missing = []
    with progress(len(normal), "checking image files", "files") as advance:
        for row, name in enumerate(normal, start=1):
            if row % _STEP == 0 or row == len(normal):
                advance(row - (row - 1) // _STEP * _STEP)
            path = resolved / name
            inside = folders.get(path.parent)
            if inside is None:
                inside = folders[path.parent] = _stays(path.parent, resolved)
            try:
                status = path.lstat()
                if stat.S_ISLNK(status.st_mode):
                    inside = inside and _stays(path, resolved)
                    status = path.stat()
                if not stat.S_ISREG(status.st_mode):
                    missing.append(name)
            except OSError:
                missing.append(name)
                continue
            if not inside:
                raise InputError(
                    f"row {row} of {table}: '{name}' leaves {root} through a symbolic link;"
                    " put the file itself there"
                )
            key.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    if missing:
        raise InputError(
            f"{len(missing):,} of the {len(normal):,} image files that {table} names are not in"
            f" {root}; the first is '{missing[0]}'"
        )
    return normal, key.hexdigest()


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
    or begins with a dot is none. Links to folders are not followed.

    Raises:
      InputError: there is no such folder, or no image in it.
    """
    top = root / below
    if not top.is_dir():
        raise InputError(f"{root} has no folder {below}/{table and f'; it must {table}'}")
    found = []
    for at, folders, names in os.walk(top):
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
    root = Path(path).expanduser()
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise InputError(f"config.data.path='{path}' {what}: set it to the folder that {expected}")
    return root


def _inside(name: str, row: int, table: str) -> str:
    """Returns a relative path in normal form, refusing any that could leave its folder."""
    path = PurePosixPath(name)
    if not name or "\0" in name or path == PurePosixPath("."):
        raise InputError(f"row {row} of {table} names no file")
    # A table may be written on one system and read on another.
    strict = PureWindowsPath(name) if "\\" in name or ":" in name else path
    if path.root or strict.drive or strict.root or ".." in strict.parts:
        raise InputError(
            f"row {row} of {table}: '{name}' must be a path inside the folder of the images:"
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
            f"{table} names {len(set(twice)):,} image files more than once:"
            f" {listed(sorted(set(twice)), limit=3)}; one image is one row"
        )


def _stays(path: Path, resolved_root: Path) -> bool:
    try:
        return path.resolve().is_relative_to(resolved_root)
    except (OSError, RuntimeError):  # A loop of links leads nowhere.
        return False
