"""Which file a name that is none was meant to be: what people write otherwise than it is."""

import contextlib
import difflib
import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

# A folder of a million images is not compared letter by letter.
_MOST_COMPARED = 1000


def nearest_file(root: Path, name: str) -> str:
    """Returns an existing file that a name may stand for, "" where none is near.

    Names may differ in case, extension, separators, normal form, the folders in front, or a few
    letters; never in a digit, since 2.jpg is not what 3.jpg was meant to be.

    Args:
      root: the folder that the name is relative to.
      name: of no file.
    """
    parts = [part for part in re.split(r"[/\\]+", name.strip()) if part not in ("", ".", "..")]
    for start in range(len(parts)):  # The table's folder may be in `root` already.
        found = _descend(root, parts[start:])
        if found:
            return found
    if parts:
        for folder in _listing(root, folders=True):  # Or the table leaves it out.
            found = _descend(root / folder, parts[-1:])
            if found:
                return f"{folder}/{found}"
    return ""


def _descend(root: Path, parts: list[str]) -> str:
    at: list[str] = []
    for depth, part in enumerate(parts, start=1):
        last = depth == len(parts)
        here = _like(part, _listing(root.joinpath(*at), folders=not last))
        if not here:
            return ""
        at.append(here)
    return "/".join(at)


def _listing(folder: Path, folders: bool) -> list[str]:
    found: list[str] = []
    with contextlib.suppress(OSError, ValueError), os.scandir(folder) as entries:
        names = (entry.name for entry in entries if entry.is_dir() == folders)
        found = sorted(name for name in names if name.isprintable())
    return found


def _like(wanted: str, names: Iterable[str]) -> str:
    names = list(names)
    if wanted in names:
        return wanted
    for name in names:
        if _folded(name) == _folded(wanted):
            return name
    for name in names:  # With another extension, without one, or with two.
        if _stem(wanted) in (_stem(name), _folded(name)) or _folded(wanted) == _stem(name):
            return name
    digits = re.sub(r"\D", "", wanted)
    rivals = [name for name in names if re.sub(r"\D", "", name) == digits]
    return next(iter(difflib.get_close_matches(wanted, rivals[:_MOST_COMPARED], 1, 0.8)), "")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold().strip()


def _stem(name: str) -> str:
    name = _folded(name)
    return name.rpartition(".")[0] or name
