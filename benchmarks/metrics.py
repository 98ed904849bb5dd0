"""Metrics of many models at once, against the loops people write today, in one run.

    pip install -e ".[bench]"
    python -m benchmarks.metrics --out=benchmarks/results/metrics

Prints and writes metrics.json (side by side, with the hardware), scaling.csv and scaling.png (time
per variant as their number grows). The peers do the same work on the same scores: AUC, the
base-rate threshold, and FPR and TPR overall and per group. Their loops are timed on a sample of the
variants (and replicates) and extrapolated, which the numbers say.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, roc_auc_score

from benchmarks.hardware import hardware
from jaxbias.metrics import evaluate

METRICS = ("auc", "threshold", "fpr", "tpr", "fpr_gap")
Data = tuple[np.ndarray, np.ndarray, np.ndarray]


def draw(variants: int, examples: int, seed: int = 0) -> Data:
    """Scores [V, N], labels and two groups."""
    rng = np.random.default_rng(seed)
    labels, groups = rng.integers(0, 2, examples), rng.integers(0, 2, examples)
    scores = np.empty((variants, examples), np.float32)
    for row in scores:
        row[:] = rng.standard_normal(examples, np.float32) + 0.8 * labels
    return scores, labels, groups


def with_jaxbias(data: Data, replicates: int = 0) -> np.ndarray:
    """Everything at once; returns the AUCs, so that nothing is left undone."""
    scores, labels, groups = data
    report = evaluate(scores, labels, groups, metrics=METRICS, bootstrap=replicates)
    for metric, place in report.entries():
        report.resampled(metric, place)
    return report.value("auc")


def with_sklearn(data: Data, weights: np.ndarray | None = None) -> np.ndarray:
    """The loop over models, groups and metrics with scikit-learn."""
    scores, labels, groups = data
    found = []
    for row in scores:
        if weights is None:
            threshold = np.sort(row)[-(int(labels.sum()) + 1)]
        else:  # The largest set whose weight does not exceed the positives'.
            order = np.argsort(-row)
            inside = np.cumsum(weights[order]) <= weights @ labels
            threshold = row[order[int(inside.sum())]]
        predicted = row > threshold
        values = []
        for inside in (slice(None), groups == 0, groups == 1):
            w = None if weights is None else weights[inside]
            values.append(roc_auc_score(labels[inside], row[inside], sample_weight=w))
            (tn, fp), (fn, tp) = confusion_matrix(
                labels[inside], predicted[inside], sample_weight=w
            )
            values += [fp / (fp + tn), tp / (tp + fn)]
        found.append(values)
    return np.array(found)


def with_fairlearn(data: Data) -> np.ndarray:
    """The loop over models with fairlearn's MetricFrame."""
    import fairlearn.metrics as fairness  # Here: who times jaxbias alone need not have it.

    scores, labels, groups = data
    found = []
    for row in scores:
        threshold = np.sort(row)[-(int(labels.sum()) + 1)]
        rates = fairness.MetricFrame(
            metrics={
                "fpr": fairness.false_positive_rate,
                "tpr": fairness.true_positive_rate,
            },
            y_true=labels,
            y_pred=(row > threshold).astype(int),
            sensitive_features=groups,
        )
        ranks = fairness.MetricFrame(
            metrics={"auc": roc_auc_score}, y_true=labels, y_pred=row, sensitive_features=groups
        )
        found.append([ranks.overall["auc"], *rates.overall, *rates.by_group.to_numpy().ravel()])
    return np.array(found)


def seconds(work: Callable[[], object], repeats: int) -> list[float]:
    """Wall-clock of some runs, the shortest first."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return sorted(times)


def side_by_side(variants: int, examples: int, replicates: int) -> dict[str, object]:
    """Times jaxbias and its peers on the same scores, medians of repeated runs in turn."""
    data = draw(variants, examples)
    few = (data[0][:16], *data[1:])
    one = (data[0][:4], *data[1:])
    multiplicities = np.random.default_rng(1).poisson(1, examples).astype(float)
    agreement = np.abs(with_jaxbias(few) - with_sklearn(few)[:, 0]).max()
    with_jaxbias(data)
    with_jaxbias(data, replicates)
    runs: dict[str, list[float]] = {}
    for _ in range(5):  # In turn, so that a drifting machine touches all alike.
        for name, work in (
            ("jaxbias", lambda: with_jaxbias(data)),
            ("sklearn", lambda: with_sklearn(few)),
            ("fairlearn", lambda: with_fairlearn(one)),
            ("jaxbias_bootstrap", lambda: with_jaxbias(data, replicates)),
            ("sklearn_replicate", lambda: with_sklearn(one, multiplicities)),
        ):
            runs.setdefault(name, []).extend(seconds(work, 1))
    median = {name: float(np.median(times)) for name, times in runs.items()}
    peers = {
        "sklearn_s": median["sklearn"] * variants / 16,
        "fairlearn_s": median["fairlearn"] * variants / 4,
        "sklearn_bootstrap_s": median["sklearn_replicate"] * variants / 4 * replicates
        + median["sklearn"] * variants / 16,
    }
    return {
        "variants": variants,
        "examples": examples,
        "replicates": replicates,
        "jaxbias_s": median["jaxbias"],
        "jaxbias_bootstrap_s": median["jaxbias_bootstrap"],
        **peers,
        "extrapolated": "sklearn from 16 variants, fairlearn from 4, sklearn's bootstrap from one "
        "replicate of 4 variants",
        "times_sklearn": peers["sklearn_s"] / median["jaxbias"],
        "times_fairlearn": peers["fairlearn_s"] / median["jaxbias"],
        "times_sklearn_bootstrap": peers["sklearn_bootstrap_s"] / median["jaxbias_bootstrap"],
        "largest_auc_difference": float(agreement),
        "all_runs_s": runs,
    }


def scaling(examples: int, replicates: int, most: int) -> pd.DataFrame:
    """Time per variant from 16 variants on."""
    rows = []
    variants = 16
    while variants <= most:
        data = draw(variants, examples)
        with_jaxbias(data, replicates)
        times = seconds(lambda d=data: with_jaxbias(d, replicates), 3)
        rows.append((variants, replicates, times[1], 1000 * times[1] / variants))
        print(f"{variants} variants, {replicates} replicates: {times[1]:.2f} s", file=sys.stderr)
        variants *= 2
    return pd.DataFrame(rows, columns=["variants", "replicates", "seconds", "ms_per_variant"])


def memory(variants: int, examples: int, replicates: int) -> dict[str, float]:
    """Peak memory and time of one evaluation in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.metrics", "--only-memory"]
    command += [f"--variants={variants}", f"--examples={examples}", f"--replicates={replicates}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def report_memory(variants: int, examples: int, replicates: int) -> None:
    """Prints what `memory` reads."""
    data = draw(variants, examples)
    start = time.perf_counter()
    with_jaxbias(data, replicates)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    scores = data[0].nbytes / 2**30
    print(json.dumps({
        "variants": variants,
        "examples": examples,
        "replicates": replicates,
        "seconds": round(time.perf_counter() - start, 1),
        "peak_GiB": round(peak, 2),
        "of_which_scores_GiB": round(scores, 2),
    }))  # fmt: skip


def draw_scaling(table: pd.DataFrame, path: Path) -> None:
    """Time per variant against their number."""
    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 3), layout="constrained")
    for replicates, rows in table.groupby("replicates"):
        label = f"{replicates} replicates" if replicates else "no bootstrap"
        axes.plot(rows["variants"], rows["ms_per_variant"], marker="o", label=label)
    axes.set(xscale="log", yscale="log", xlabel="variants", ylabel="ms per variant")
    axes.set_xticks(sorted(set(table["variants"])), sorted(set(table["variants"])))
    axes.minorticks_off()
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=200)


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", type=int, default=256)
    parser.add_argument("--examples", type=int, default=20_000)
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--most", type=int, default=4096, help="variants of the scaling curve")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only-memory", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    size = (arguments.variants, arguments.examples, arguments.replicates)
    if arguments.only_memory:
        report_memory(*size)
        return
    warnings.filterwarnings("ignore", category=FutureWarning)
    found = {"hardware": hardware(), "side_by_side": side_by_side(*size)}
    found["memory"] = memory(10_000, arguments.examples, arguments.replicates)
    table = pd.concat(
        [scaling(arguments.examples, r, arguments.most) for r in (0, arguments.replicates)]
    )
    print(json.dumps(found, indent=1))
    print(table.to_string(index=False))
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "metrics.json").write_text(json.dumps(found, indent=1) + "\n")
        table.to_csv(arguments.out / "scaling.csv", index=False)
        draw_scaling(table, arguments.out / "scaling.png")


if __name__ == "__main__":
    main()
