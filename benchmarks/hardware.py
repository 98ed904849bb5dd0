"""The machine that something was measured on, as all results record it."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

# What decides how fast something runs, where it is installed.
_PACKAGES = ("jax", "jaxlib", "numpy", "scikit-learn", "torch")


def hardware() -> dict[str, object]:
    """The machine, what else it did at the time, and the versions that ran on it."""
    import jax  # Here: a program with a GPU of its own to measure must not take it first.

    devices = jax.local_devices()
    found: dict[str, object] = {
        "device": devices[0].device_kind,
        "devices": len(devices),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "load_average": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **_versions(),
        "commit": _said("git", "rev-parse", "HEAD"),
    }
    if devices[0].platform == "gpu":
        asked = "--query-gpu=name,memory.total,driver_version"
        found["card"] = _said("nvidia-smi", asked, "--format=csv,noheader")
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "unknown")


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _said(*command: str) -> str:
    """What a program prints; "" where there is none, or it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""
