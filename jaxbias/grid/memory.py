"""Memory: what a device has, what a program needs there, and how wide a pack may be.

Nothing is guessed. A program is compiled without allocating anything, and XLA's analysis of it says
what it will hold; where there is no analysis, two small packs are run and their peaks measured.
"""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import jax

from jaxbias.errors import InputError

# Of a device's own memory; the rest is for fragments and what others put there.
_SHARE = 0.9
# Of the host's RAM, where it is the device's memory too: the other half holds the results on their
# way to the disk, the labels and this program.
_HOST_SHARE = 0.5


@dataclasses.dataclass(frozen=True)
class Room:
    """Memory of one device.

    Attributes:
      budget: bytes that packs are sized to.
      limit: bytes beyond which no program is started.
    """

    budget: int
    limit: int


def device_room(mib: int, devices: int) -> Room | None:
    """Returns the room on each of the first `devices` devices.

    Args:
      mib: as a setting gives it, in MiB; 0: what the device reports, and on CPU a share of the RAM
        that is available to this process.
      devices: how many share the host's RAM, on CPU.

    Returns:
      The room; None where a device does not tell.
    """
    if mib:
        return Room(mib * 2**20, mib * 2**20)
    device = jax.local_devices()[0]
    if device.platform == "cpu":
        available = available_ram() // devices
        return Room(int(_HOST_SHARE * available), available)
    limit = (device.memory_stats() or {}).get("bytes_limit")
    return Room(int(_SHARE * limit), limit) if limit else None


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


def program_bytes(compiled: jax.stages.Compiled) -> int | None:
    """Returns what a program holds on one device: arguments, results and temporaries.

    Returns:
      Bytes; None where the platform has no analysis.
    """
    try:
        found = compiled.memory_analysis()
    except NotImplementedError:
        return None
    if found is None:
        return None
    parts = ("argument_size_in_bytes", "output_size_in_bytes", "temp_size_in_bytes")
    return sum(getattr(found, part) for part in parts) - found.alias_size_in_bytes


def widest(
    wanted: int,
    unit: int,
    budget: int,
    analysed: Callable[[int], int | None],
    measured: Callable[[int], int | None],
) -> int | None:
    """Returns the largest width, up to the wanted one, whose program fits a budget.

    Args:
      wanted: a multiple of the unit.
      unit: devices that a pack is split over.
      budget: bytes on a device.
      analysed: a width's bytes by the analysis of its compiled program; None: there is none.
      measured: a width's bytes by running it; None: they cannot be told.

    Returns:
      The width; None where the bytes of no width can be told.

    Raises:
      InputError: not even one unit fits.
    """
    whole = analysed(wanted)
    known = analysed if whole is not None else measured
    if whole is not None and whole <= budget:
        return wanted
    low, high = known(unit), known(2 * unit)
    if low is None or high is None:
        return None
    each = (high - low) / unit
    fixed = low - each * unit
    # What grows by nothing is not limited by memory.
    fitting = (budget - fixed) / each if each > 0 else wanted
    width = _whole(min(wanted, fitting), unit)
    while known is analysed and width > unit and known(width) > budget:
        width = _whole(0.75 * width, unit)
    if low > budget:
        raise InputError(
            f"a pack of {unit} needs {low / 2**20:,.0f} MiB on a device and has "
            f"{budget / 2**20:,.0f}; use a smaller batch or model, or raise config.grid.memory_mib"
        )
    return width


def _whole(width: float, unit: int) -> int:
    return max(1, int(width // unit)) * unit
