"""Ten thousand heads on the features of one base, against scikit-learn's loop, in one run.

    pip install -e ".[bench]"
    python -m benchmarks.heads --out=benchmarks/results/heads.json
    python -m benchmarks.heads --heads=256 --sample=16   # in seconds

Each head has its own 1,024 examples of a pool and scores 5,000 others. jaxbias trains packs of up
to 1,024, by SGD (8 epochs, batches of 64, weight decay 1 / (C n)) and by L-BFGS; seconds go from
features on the host to scores on the host and hold compiling, standardising and rotating. The peers
fit scikit-learn's LogisticRegression to the same examples: one after another with one BLAS thread,
and with joblib over two processes of one BLAS thread each. Both are timed on a sample of the heads
and extrapolated, which the numbers say.
"""

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

# One virtual device per core, as `jaxbias run` does.
os.environ.setdefault("JAX_NUM_CPU_DEVICES", str(os.cpu_count()))

import jax
import joblib
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from benchmarks.hardware import hardware
from jaxbias.engine.features import principal_axes
from jaxbias.engine.programs import FittedHeads, Heads
from jaxbias.models import Head
from jaxbias.parallel import make_mesh, replicate, shard_variants, split_variants
from jaxbias.training import Hyper, Penalty, Schedule, TrainingSet

POOL, SCORED = 20_000, 5_000
FEATURES, N, EPOCHS, BATCH = 512, 1024, 8, 64
WIDTH = 1024
TOLERANCE = 1e-4  # scikit-learn's default, of the largest entry of the gradient.


class Data(NamedTuple):
    """Features of a pool and of what is scored, and every head's curated examples."""

    features: np.ndarray  # float32[POOL + SCORED, F]
    labels: np.ndarray  # int32[POOL + SCORED]
    ids: np.ndarray  # int32[V, N], rows of the pool


def make_data(heads: int, seed: int = 0) -> Data:
    """Correlated features (variance of axis k as 1/k) and labels with a linear signal.

    Curations take different shares of positives, from 0.2 to 0.8.
    """
    rng = np.random.default_rng(seed)
    spectrum = 1 / np.arange(1, FEATURES + 1)
    spectrum *= FEATURES / spectrum.sum()
    axes, _ = np.linalg.qr(rng.standard_normal((FEATURES, FEATURES)))
    values = rng.standard_normal((POOL + SCORED, FEATURES)) * np.sqrt(spectrum) @ axes
    logits = values @ rng.standard_normal(FEATURES) * 1.5 / np.sqrt(FEATURES)
    labels = (rng.random(len(values)) < 1 / (1 + np.exp(-logits))).astype(np.int32)
    places = [np.flatnonzero(labels[:POOL] == label) for label in (0, 1)]
    ids = np.empty((heads, N), np.int32)
    for i, row in enumerate(ids):
        positives = round(N * (0.2 + 0.6 * (i % 11) / 10))
        row[:positives] = rng.choice(places[1], positives, replace=False)
        row[positives:] = rng.choice(places[0], N - positives, replace=False)
    return Data(values.astype(np.float32), labels, ids)


def examples_of(data: Data, ids: np.ndarray) -> TrainingSet:
    """Stacked examples of some heads, all of weight 1."""
    even = np.zeros_like(ids)
    return TrainingSet(
        ids,
        data.labels[ids][..., None].astype(np.float32),
        np.ones(ids.shape, np.float32),
        even,
        even,
    )


def with_jaxbias(data: Data, solver: str, C: float, mode: str, devices: int) -> dict[str, Any]:
    """Trains and scores all heads in packs; seconds from features on the host to scores there."""
    began = time.perf_counter()
    mesh = make_mesh(devices)
    count = len(data.ids)
    width = -(-min(WIDTH, count) // devices) * devices
    head = Head(FEATURES)
    schedule = Schedule(N, EPOCHS, BATCH, momentum=0.9, mode="head")
    scored = np.arange(POOL, POOL + SCORED, dtype=np.int32)

    def full(*values: float) -> list[np.ndarray]:
        return [np.full(width, value, np.float32) for value in values]

    if solver == "lbfgs":
        features = principal_axes(data.features, np.arange(len(data.features)) < POOL)
        shared = (scored, features.values, features.variances)
        settings: tuple = (Penalty(*full(C, TOLERANCE)),)
        program = FittedHeads(head, SCORED, data.features.shape, N, "erm")
    else:
        shared = (scored, data.features, jax.random.key_data(jax.random.key(0)))
        # The weight decay of the same objective: scikit-learn's, divided by C and by n.
        settings = (Hyper(*full(0.02, 1 / (C * N), 0.75, 0.01, 0)),)
        program = Heads(head, SCORED, data.features.shape, schedule)
    shared = replicate(shared, mesh)
    packed = jax.jit(shard_variants(program.function(mode), mesh))
    zeros = {"kernel": np.zeros((width, FEATURES, 1)), "bias": np.zeros((width, 1))}
    start = jax.tree.map(np.float32, {"head": zeros})
    scores, failed, compiling, program = [], 0, 0.0, None
    for first in range(0, count, width):
        ids = np.resize(data.ids[first : first + width], (width, N))
        members = (examples_of(data, ids), *settings)
        members = split_variants(members if solver == "lbfgs" else (start, *members), mesh)
        if program is None:
            compiled = time.perf_counter()
            program = packed.lower(members, shared).compile()
            compiling = time.perf_counter() - compiled
        out = jax.tree.map(np.asarray, program(members, shared))
        kept = min(width, count - first)
        scores.append(out["scores"][:kept, :, 0])
        failed += int((out["diverged_at"][:kept] >= 0).sum())
    return {
        "seconds": time.perf_counter() - began,
        "compiling_s": compiling,
        "failed": failed,
        "scores": np.concatenate(scores),
    }


def fit_one(features: np.ndarray, data: Data, i: int, C: float) -> np.ndarray:
    """One head of scikit-learn with one BLAS thread; returns its scores."""
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 100 iterations, its default.
        ids = data.ids[i]
        model = LogisticRegression(C=C, tol=TOLERANCE).fit(features[ids], data.labels[ids])
        return model.decision_function(features[POOL:])


def with_sklearn(data: Data, C: float, sample: int) -> tuple[float, np.ndarray]:
    """Seconds per head of the plain loop, and the sample's scores."""
    scale = principal_axes(data.features, np.arange(len(data.features)) < POOL).scale
    features = data.features / np.float32(scale)
    fit_one(features, data, 0, C)
    began = time.perf_counter()
    scores = np.stack([fit_one(features, data, i, C) for i in range(sample)])
    return (time.perf_counter() - began) / sample, scores


def with_joblib(data: Data, C: float, sample: int, processes: int) -> float:
    """Seconds per head over processes, their start not counted; features are memory-mapped."""
    run: Callable = joblib.delayed(fit_one)
    with joblib.Parallel(n_jobs=processes, batch_size="auto") as pool:
        pool(run(data.features, data, i, C) for i in range(2 * processes))
        began = time.perf_counter()
        pool(run(data.features, data, i, C) for i in range(sample))
        return (time.perf_counter() - began) / sample


def compare(data: Data, C: float, sample: int, mode: str, devices: int) -> dict[str, Any]:
    """Times everything in turn and compares the AUCs of the sample."""
    each, expected = with_sklearn(data, C, sample)
    parallel = with_joblib(data, C, 4 * sample, 2)
    again, _ = with_sklearn(data, C, sample)
    loop, count = (each + again) / 2, len(data.ids)
    labels = data.labels[POOL:]
    aucs = np.array([roc_auc_score(labels, row) for row in expected])
    found: dict[str, Any] = {
        "C": C,
        "tolerance": TOLERANCE,
        "sklearn_sample": sample,
        "sklearn_one_thread_s_extrapolated": loop * count,
        "sklearn_joblib_2_s_extrapolated": parallel * count,
        "sklearn_auc_mean": float(aucs.mean()),
    }
    for solver in ("sgd", "lbfgs"):
        out = with_jaxbias(data, solver, C, mode, devices)
        mine = np.array([roc_auc_score(labels, row) for row in out["scores"][:sample]])
        found[solver] = {
            "seconds": out["seconds"],
            "of_it_compiling_s": out["compiling_s"],
            "heads_per_s": count / out["seconds"],
            "failed": out["failed"],
            "times_faster_than_sklearn_one_thread": loop * count / out["seconds"],
            "times_faster_than_joblib_2": parallel * count / out["seconds"],
            "auc_mean": float(mine.mean()),
            "auc_difference_mean": float((mine - aucs).mean()),
            "auc_difference_largest": float(np.abs(mine - aucs).max()),
        }
    return found


def main() -> None:
    """Measures, prints and, where asked, writes the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--heads", type=int, default=10_000)
    parser.add_argument("--sample", type=int, default=64, help="heads of scikit-learn's")
    parser.add_argument("--C", type=float, nargs="+", default=[0.01])
    parser.add_argument("--mode", choices=("map", "vmap"), default="map")
    parser.add_argument("--out", type=Path, help="JSON to write")
    given = parser.parse_args()
    machine = hardware()
    data = make_data(given.heads)
    devices = len(jax.local_devices())
    sample = min(given.sample, given.heads)
    result = {
        "hardware": machine,
        "heads": given.heads,
        "features": FEATURES,
        "n": N,
        "epochs": EPOCHS,
        "batch": BATCH,
        "scored": SCORED,
        "mode": given.mode,
        "results": [compare(data, C, sample, given.mode, devices) for C in given.C],
    }
    text = json.dumps(result, indent=1)
    print(text)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
