"""The sections of `accelerator.py`: what each measures.

    pip install -e ".[bench]"

Packages are imported where they are used, so that one that is missing costs its section alone.
"""

import argparse
import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import pretrain
from benchmarks.accelerator_packs import modes, packs, packs_torch, time_mode
from benchmarks.accelerator_sizes import Sizes, Subject
from benchmarks.accelerator_timing import Measurements, peak_gib, repeated, with_shares


def pretraining(sizes: Sizes) -> Measurements:
    """The long loop, and what the device makes of a matrix product."""
    yield "matrix product", lambda: pretrain.run_product(_asked(sizes.loops[0]))
    for subject in sizes.loops:
        yield _name(subject), lambda subject=subject: _pretrained(_asked(subject))


def depthwise(sizes: Sizes) -> Measurements:
    """Depthwise convolutions as XLA's and as shifted sums: in the long loop and in packs."""
    subject = sizes.depthwise
    large = dataclasses.replace(subject, batch=max(sizes.loops[0].batch, subject.batch))
    for method in ("conv", "patches"):
        yield f"loop, {method}", lambda method=method: _pretrained(_asked(large, method))
    for mode in ("map", "vmap"):
        for method in ("conv", "patches"):
            given = (subject, mode, method, sizes.rounds)
            yield f"{mode}, {method}", lambda given=given: time_mode(*given)


def _pretrained(asked: argparse.Namespace) -> dict[str, Any]:
    return with_shares(pretrain.run_jaxbias(asked), asked.dtype)


def pretraining_torch(sizes: Sizes) -> Measurements:
    """A plain PyTorch loop of the same networks."""
    return _torch(sizes.loops)


def modes_torch(sizes: Sizes) -> Measurements:
    """A plain PyTorch loop over batches of the size that packs take."""
    return _torch((*sizes.large, *sizes.largest))


def _torch(subjects: tuple[Subject, ...]) -> Measurements:
    for subject in subjects:
        yield _name(subject), lambda subject=subject: pretrain.run_torch(_asked(subject))


def _name(subject: Subject) -> str:
    return f"{subject.model}, batch {subject.batch}"


def _asked(subject: Subject, convolution: str = "auto") -> argparse.Namespace:
    return argparse.Namespace(
        model=subject.model, size=subject.size, batch=subject.batch, steps=subject.steps, warm=3,
        dtype=subject.dtype, convolution=convolution, lift="shard_map", devices=1,
    )  # fmt: skip


def metrics(sizes: Sizes) -> Measurements:
    """AUC, base-rate threshold and rates of a grid's scores, from scores on the host."""
    from benchmarks import metrics as compared

    data = compared.draw(*sizes.grid)
    for replicates in (0, sizes.replicates):
        name = f"{replicates} replicates"
        yield name, lambda r=replicates: _metrics(compared, data, r, sizes)


def _metrics(compared: Any, data: Any, replicates: int, sizes: Sizes) -> dict[str, Any]:
    variants, examples = sizes.grid
    aucs = np.nan

    def once() -> float:
        nonlocal aucs
        began = time.perf_counter()
        aucs = compared.with_jaxbias(data, replicates)
        return time.perf_counter() - began

    first = once()
    times = repeated(once, sizes.rounds)
    return {
        "variants": variants,
        "examples": examples,
        "seconds": float(np.median(times)),
        "first_call_s": first,
        "mean_auc": float(np.mean(aucs)),
        "process_peak_GiB": peak_gib(),
        "all_s": times,
    }


def heads(sizes: Sizes) -> Measurements:
    """Heads on features of one base, from features on the host to scores there."""
    from benchmarks import heads as compared

    data = compared.make_data(sizes.heads)
    few = data._replace(ids=data.ids[: math.ceil(sizes.heads / 10)])
    for mode, chosen in (("vmap", data), ("map", few)):
        for solver in ("sgd", "lbfgs"):
            name = f"{len(chosen.ids)} heads, {solver}, {mode}"
            yield name, lambda d=chosen, s=solver, m=mode: _heads(compared, d, s, m)


def _heads(compared: Any, data: Any, solver: str, mode: str) -> dict[str, Any]:
    from sklearn.metrics import roc_auc_score

    found = compared.with_jaxbias(data, solver, 0.01, mode, 1)
    labels = data.labels[compared.POOL :]
    aucs = [roc_auc_score(labels, row) for row in found.pop("scores")[:16]]
    steady = found["seconds"] - found["compiling_s"]
    count = len(data.ids)
    return {**found, "heads": count, "heads_per_second": count / steady, "auc": np.mean(aucs)}


SECTIONS: dict[str, Callable[[Sizes], Measurements]] = {
    "pretraining": pretraining,
    "pretraining_torch": pretraining_torch,
    "depthwise": depthwise,
    "packs": packs,
    "packs_torch": packs_torch,
    "modes": modes,
    "modes_torch": modes_torch,
    "metrics": metrics,
    "heads": heads,
}
