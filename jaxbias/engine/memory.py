"""Memory: what a device has, what a program needs there, and how many members fit at once.

Nothing is guessed. A program is compiled without allocating anything, and XLA's analysis of it says
what it will hold; where there is no analysis, two small ones are run and their peaks measured.
"""

import dataclasses
import json
import resource
import sys
from collections.abc import Callable

import jax

from jaxbias import words
from jaxbias.capacity import available_ram
from jaxbias.errors import InputError
from jaxbias.peers import all_say
from jaxbias.targets import target

# Of a device's own memory; the rest is for fragments and what others put there.
_SHARE = 0.9
# Of the host's RAM, where it is the device's memory too: the other half holds the results on their
# way to the disk, the labels and this program.
_HOST_SHARE = 0.5


@dataclasses.dataclass(frozen=True)
class Room:
    """Memory of one device.

    Attributes:
      budget: bytes that parts of packs are sized to.
      limit: bytes beyond which no program is started.
    """

    budget: int
    limit: int


def device_room(mib: int, devices: int) -> Room | None:
    """Returns the room on each of the first `devices` devices.

    Args:
      mib: as a setting gives it, in MiB; 0: what the device reports, and on CPU a share of the RAM
        that is available to this process.
      devices: how many, of all processes, each of which has its own RAM on CPU.

    Returns:
      The room; None where a device does not tell.
    """
    if mib:
        return Room(mib * 2**20, mib * 2**20)
    at = target()
    if at.platform == "cpu":
        available = available_ram() // (devices // at.processes)
        return Room(int(_HOST_SHARE * available), available)
    limit = at.limit
    return Room(int(_SHARE * limit), limit) if limit else None


def least(room: Room | None) -> Room | None:
    """Returns what every process of a gang has, given what this one has."""
    told = [json.loads(each) for each in all_say(json.dumps(room and dataclasses.astuple(room)))]
    return Room(*map(min, zip(*told, strict=True))) if all(told) else None


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
    room: Room,
    analysed: Callable[[int], int | None],
    measured: Callable[[int], int | None],
) -> int | None:
    """Returns the wanted width, or that of the fewest even parts whose program fits the memory.

    Args:
      wanted: a multiple of the unit.
      unit: devices that members are split over.
      room: of a device; one member on each may take more than the budget.
      analysed: a width's bytes by the analysis of its compiled program; None: there is none.
      measured: a width's bytes by running it; None: they cannot be told.

    Returns:
      The width; None where the bytes of no width can be told.

    Raises:
      InputError: not even one unit is within the limit.
    """
    budget, whole = room.budget, analysed(wanted)
    known = analysed if whole is not None else measured
    if whole is not None and whole <= budget:
        return wanted
    low = known(unit)
    if low is None:
        return None
    if low > room.limit:
        raise InputError(
            f"{words.count(unit, 'training')} at once need {low / 2**20:,.1f} MiB on a device that "
            f"has {room.limit / 2**20:,.1f}; use a smaller batch or model, or raise "
            "config.grid.memory_mib"
        )
    if wanted == unit:
        return unit
    high = known(2 * unit)
    if high is None:
        return None
    each = (high - low) / unit
    if known is measured and each <= 0:
        return None  # Arguments alone grow: other things moved more than this program.
    fixed = low - each * unit
    fitting = (budget - fixed) / each if each > 0 else wanted
    width = _even(wanted, fitting, unit)
    while known is analysed and width > unit and known(width) > budget:
        width = _even(wanted, 0.75 * width, unit)
    return width


def _even(wanted: int, most: float, unit: int) -> int:
    """The width of the fewest parts of equal size that are no wider than `most`, but for a unit."""
    count = -(-wanted // (max(1, int(most // unit)) * unit))
    return -(-wanted // (count * unit)) * unit


def peak_memory() -> dict[str, int]:
    """Returns the most bytes this process has used, and each device where it can tell."""
    unit = 1 if sys.platform == "darwin" else 1024
    peak = {"process_peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    used = [
        (device.memory_stats() or {}).get("peak_bytes_in_use") for device in jax.local_devices()
    ]
    if any(used):
        peak["device_peak_bytes"] = max(value or 0 for value in used)
    return peak
