"""Timing for `accelerator.py`, and what is told of a timed training."""

from collections.abc import Callable, Iterator
from typing import Any

from jaxbias.targets import KINDS, kind_of

# Names of measurements, with what to call for each.
Measurements = Iterator[tuple[str, Callable[[], dict[str, Any]]]]

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

    kind = KINDS.get(kind_of(jax.devices()[0].device_kind) or "")
    peak = kind and {"bfloat16": kind.flops, "float32": kind.flops32}[dtype]
    work = found["images_per_second"] * found["GFLOP_per_image"] * 1e9
    return {
        **found,
        "TFLOP_per_second": work / 1e12,
        "share_of_peak": round(work / peak, 4) if peak else None,
    }


def peak_gib() -> float:
    """The most that this process ever held on the device."""
    import jax

    found = jax.local_devices()[0].memory_stats() or {}
    return round(found.get("peak_bytes_in_use", 0) / 2**30, 2)
