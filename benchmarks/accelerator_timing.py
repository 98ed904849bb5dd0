"""Timing for `accelerator.py`, and what is told of a timed training."""

from collections.abc import Callable, Iterator
from typing import Any

# Names of measurements, with what to call for each.
Measurements = Iterator[tuple[str, Callable[[], dict[str, Any]]]]

# FLOP/s by data sheet, dense: of bfloat16, and of TF32, which float32 is multiplied in by default.
_HOPPER = {"bfloat16": 989e12, "float32": 494e12}
PEAKS = {"NVIDIA H100 80GB HBM3": _HOPPER, "NVIDIA H200": _HOPPER}
# Seconds after which nothing is timed once more.
_LONG = 4.0


def repeated(once: Callable[[], float], rounds: int) -> list[float]:
    """Seconds of some rounds, fewer where they are long."""
    times = [once()]
    while len(times) < rounds and sum(times) < _LONG:
        times.append(once())
    return times


def with_shares(found: dict[str, Any], dtype: str) -> dict[str, Any]:
    """Adds the share of the peak to images per second and their FLOPs."""
    import jax

    peak = PEAKS.get(jax.devices()[0].device_kind)
    work = found["images_per_second"] * found["GFLOP_per_image"] * 1e9
    return {
        **found,
        "TFLOP_per_second": work / 1e12,
        "share_of_peak": round(work / peak[dtype], 4) if peak else None,
    }


def peak_gib() -> float:
    """The most that this process ever held on the device."""
    import jax

    found = jax.local_devices()[0].memory_stats() or {}
    return round(found.get("peak_bytes_in_use", 0) / 2**30, 2)
