"""Memory: what a device has, what a program needs there, and how wide a pack may be.

Nothing is guessed. A program is compiled without allocating anything, and XLA's analysis of it says
what it will hold; where there is no analysis, two small packs are run and their peaks measured.
"""

import dataclasses
import resource
import sys
from collections.abc import Callable

import jax

from jaxbias.capacity import available_ram
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
    if known is measured and each <= 0:
        return None  # Arguments alone grow: other things moved more than this program.
    fixed = low - each * unit
    fitting = (budget - fixed) / each if each > 0 else wanted
    width = _whole(min(wanted, fitting), unit)
    while known is analysed and width > unit and known(width) > budget:
        width = _whole(0.75 * width, unit)
    if low > budget:
        raise InputError(
            f"a pack of {unit} needs {low / 2**20:,.1f} MiB on a device and has "
            f"{budget / 2**20:,.1f}; use a smaller batch or model, or raise config.grid.memory_mib"
        )
    return width


def _whole(width: float, unit: int) -> int:
    return max(1, int(width // unit)) * unit


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
