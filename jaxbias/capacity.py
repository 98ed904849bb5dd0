"""Capacity: what fits into memory and onto a disk, asked before anything is allocated there."""

import os
import shutil
from pathlib import Path

from jaxbias.errors import InputError

_GIB = 2**30
# Bytes of memory that are not worth asking for.
_SMALL = 2**26


def require_ram(needed: float, what: str, way_out: str) -> None:
    """Refuses what this process's memory cannot hold.

    Args:
      needed: bytes.
      what: is to be allocated, such as "the scores of 3 models".
      way_out: what to change.

    Raises:
      InputError: with both sizes in GiB.

    >>> require_ram(8, "a number", "")
    """
    if needed < _SMALL:
        return
    free = available_ram()
    if needed > free:
        raise InputError(f"{what}: {gib(needed)} of memory, and {gib(free)} are free; {way_out}")


def require_disk(needed: float, place: Path, what: str, way_out: str) -> None:
    """Refuses what a disk cannot hold.

    Args:
      needed: bytes.
      place: a file or folder to be; the disk is that of the nearest parent which exists.
      what: is to be written.
      way_out: what to change.

    Raises:
      InputError: with both sizes in GiB.
    """
    folder = place.absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(f"{what}: {gib(needed)} in {folder}, and {gib(free)} are free; {way_out}")


def gib(count: float) -> str:
    """Returns bytes in GiB.

    >>> gib(3 * 2**30), gib(2**20), gib(1e15)
    ('3.0 GiB', '0.00098 GiB', '931,322.6 GiB')
    """
    size = count / _GIB
    return f"{size:,.1f} GiB" if size >= 1 else f"{size:.2g} GiB"


def available_ram(root: Path = Path("/")) -> int:
    """Returns the bytes of RAM that this process may still take, limits of its cgroup included.

    Args:
      root: where the system's files are.
    """
    free = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            free.append(int(line.split()[1]) * 1024)
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            version = 1 if controllers else 2
            free += _cgroup_free(root / "sys/fs/cgroup" / controllers, path, version)
    return max(0, min(free))


def _cgroup_free(mount: Path, path: str, version: int) -> list[int]:
    """Free bytes of a cgroup and of those around it; inside a container only some are seen."""
    limit, usage, cache = {
        1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        2: ("memory.max", "memory.current", "inactive_file"),
    }[version]
    inside = mount / path.lstrip("/")
    free = []
    for folder in (inside, *inside.parents):
        most, used = (_lines(folder / name) for name in (limit, usage))
        if most and used and most[0].isdigit():
            stats = dict(line.split() for line in _lines(folder / "memory.stat"))
            # The page cache counts as used and is given back when it is needed.
            free.append(int(most[0]) - int(used[0]) + int(stats.get(cache, 0)))
        if folder == mount:
            break
    return free


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
