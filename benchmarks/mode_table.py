"""The table of modes that comes with jaxbias, from the committed results of other benchmarks.

    python -m benchmarks.mode_table

Measured by `accelerator.py`, on every card that it ran on; what `targets.py` has of TPUs is marked
as predicted. Of convolutions it takes the rows by the method that a run on that card would choose.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import heads, targets
from jaxbias.costs import mode_table
from jaxbias.costs.mode_table import PackTiming, subject_of
from jaxbias.files.atomic import write_text
from jaxbias.models import Head, Network, make_network
from jaxbias.study import ModelSpec
from jaxbias.targets import KINDS, Target, Unattached, aim, kind_of

RESULTS = Path(__file__).parent / "results"
# The newest first.
MEASURED = ("accelerator_second.json", "accelerator_224.json", "accelerator.json")
PREDICTED = "targets.json"
TABLE = Path(mode_table.__file__).with_suffix(".json")
# Heads of a measurement, by mode; in "map" they take too long for as many.
COUNTS = {"map": 1000, "vmap": 10_000}


def measured(found: dict[str, Any]) -> Iterator[PackTiming]:
    """Yields the entries of what one card did."""
    machine = found["hardware"]
    known = {
        "device": machine["device"],
        "hardware": f"{machine['devices']} × {machine['device']} on {machine['cores']} cores of "
        f"{machine['processor']}",
        "load": None,
        "predicted": False,
        "jax": machine["jax"],
        "devices": machine["devices"],
    }
    if kind := KINDS.get(kind_of(machine["device"]) or ""):  # Else it is this very device.
        aim(Unattached("there", kind, (machine["devices"],)))
    try:
        yield from _networks(known, found.get("modes", {}))
    finally:
        aim(Target())
    for solver, passes in (("sgd", heads.EPOCHS), ("lbfgs", 1)):
        rows = {
            mode: found.get("heads", {}).get(f"{count} heads, {solver}, {mode}")
            for mode, count in COUNTS.items()
        }
        if all(row and "error" not in row for row in rows.values()):
            yield PackTiming(
                **known,
                **_subject(Head(heads.FEATURES), "head", solver),
                batch=heads.BATCH,
                dtype="float32",
                width=heads.WIDTH,
                images_per_second={
                    mode: _rounded(row["heads_per_second"] * heads.N * passes)
                    for mode, row in rows.items()
                },
                compile_seconds={m: round(row["compiling_s"], 2) for m, row in rows.items()},
            )


def _networks(known: dict[str, Any], rows: dict[str, Any]) -> Iterator[PackTiming]:
    alike: dict[tuple, dict[str, Any]] = {}
    for name, row in rows.items():
        if not isinstance(row, dict) or "error" in row:
            continue
        subject = tuple(row[field] for field in ("model", "size", "dtype", "width", "batch"))
        mode = name.split(", ")[1]
        if row["convolution"] == _network(*subject[:3], mode).spec.convolution:
            alike.setdefault(subject, {})[mode] = row
    for (model, size, dtype, width, batch), modes in alike.items():
        if "map" in modes:
            yield PackTiming(
                **known,
                **_subject(_network(model, size, dtype, "map"), "full", "sgd"),
                batch=batch,
                dtype=dtype,
                width=width,
                images_per_second={m: _rounded(r["images_per_second"]) for m, r in modes.items()},
                compile_seconds={mode: row["compile_s"] for mode, row in modes.items()},
            )


def predicted(found: dict[str, Any]) -> Iterator[PackTiming]:
    """Yields the entries of what the compiler of TPUs expects, of the modes that fit."""
    versions = found["hardware"]
    for kind in targets.TARGETS:
        for network in targets.NETWORKS:
            modes = {mode: found["rows"].get(f"{network} {mode} {kind}") for mode in targets.MODES}
            modes = {mode: row for mode, row in modes.items() if row and row.get("fits")}
            if "map" not in modes or len(modes) < 2 or modes["map"]["basis"] != "cycles":
                continue
            chip, model = modes["map"]["chip"], targets.program_of(network, "map").model
            trains = "head" if network == "head" else "full"
            yield PackTiming(
                device=chip,
                hardware=f"1 × {chip}, as its compiler expects (libtpu {versions['libtpu']})",
                load=None,
                predicted=True,
                jax=versions["jax"],
                **_subject(model, trains, "sgd"),
                batch=targets.BATCH,
                dtype="float32" if network == "head" else "bfloat16",
                width=targets.width_of(network),
                devices=1,
                images_per_second={mode: _rounded(row["images_s"]) for mode, row in modes.items()},
                compile_seconds={mode: row["compile_cpu_s"][-1] for mode, row in modes.items()},
            )


def entries() -> list[PackTiming]:
    """Returns the whole table: of a training the newest run, before those that took one mode alone.

    Modes are not compared across runs, whose hosts differ.
    """
    kept: dict[tuple, PackTiming] = {}
    for name in MEASURED:
        for entry in measured(json.loads((RESULTS / name).read_text())):
            before = kept.get(entry.subject)
            alone = before and len(before.images_per_second) == 1
            if before is None or (alone and len(entry.images_per_second) > 1):
                kept[entry.subject] = entry
    expected = predicted(json.loads((RESULTS / PREDICTED).read_text()))
    return [*kept.values(), *expected]


def _network(model: str, size: int, dtype: str, mode: str) -> Network:
    widths = targets.WIDTHS
    spec = ModelSpec(name=model, compute_dtype=dtype, widths=widths)
    return make_network(spec, size, 1, mapped=mode)


def _subject(model: Network | Head, trains: str, solver: str) -> dict[str, Any]:
    names = ("model", "parameters", "image_size", "trains")
    return dict(zip(names, subject_of(model, trains, solver), strict=True))


def _rounded(rate: float) -> float:
    return float(f"{rate:.4g}")


if __name__ == "__main__":
    write_text(TABLE, mode_table.written(entries()))
