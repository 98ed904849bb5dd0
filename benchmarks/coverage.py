"""How often intervals hold the truth, in synthetic studies whose truth is known.

    python -m benchmarks.coverage --studies=1000 --out=benchmarks/results/coverage.csv

Each study draws two correlated models' scores of two groups, and asks `jaxbias.metrics` for 95 %
intervals of AUC, FPR gap and the paired differences of both. A score is normal; a positive's is
higher by a known amount, and the second group's are all higher by `SHIFT`, which makes the gap. The
threshold is the base rate on the same examples, so its own uncertainty counts too. Of more than
two groups see `benchmarks/ranges.py`.
"""

import argparse
import dataclasses
import platform
import time
import typing
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import optimize, stats

from jaxbias.metrics import evaluate
from jaxbias.metrics.resampling import interval
from jaxbias.metrics.settings import Interval
from jaxbias.progress import progress

PREVALENCE = 0.4
SEPARATION = {"a": 1.5, "b": 1.1}  # Of positives from negatives, in each model.
SHIFT = {"a": 0.5, "b": 0.2}  # Of the second group.
CORRELATION = 0.7  # Of the two models' scores of an example.
STATEMENTS = (("auc", "all"), ("auc", "first"), ("fpr", "first"), ("fpr_gap", "all"))


def truth(model: str, metric: str, group: str) -> float:
    """The value in the population."""
    d, shift = SEPARATION[model], SHIFT[model]
    if metric == "auc" and group == "first":
        return float(stats.norm.cdf(d / np.sqrt(2)))
    if metric == "auc":
        differences = [0.0, shift, -shift, 0.0]
        return float(np.mean([stats.norm.cdf((d + x) / np.sqrt(2)) for x in differences]))

    def excess(t: float) -> float:
        selected = [
            PREVALENCE * stats.norm.sf(t - d - s) + (1 - PREVALENCE) * stats.norm.sf(t - s)
            for s in (0.0, shift)
        ]
        return float(np.mean(selected)) - PREVALENCE

    threshold = optimize.brentq(excess, -10, 10)
    first = float(stats.norm.sf(threshold))
    return first if metric == "fpr" else first - float(stats.norm.sf(threshold - shift))


def draw(rng: np.random.Generator, group_size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One study's scores [2, N], labels and groups."""
    groups = np.repeat([0, 1], group_size)
    labels = (rng.random(2 * group_size) < PREVALENCE).astype(int)
    shared, own = rng.normal(size=2 * group_size), rng.normal(size=(2, 2 * group_size))
    noise = np.sqrt(CORRELATION) * shared + np.sqrt(1 - CORRELATION) * own
    moved = [SEPARATION[m] * labels + SHIFT[m] * groups for m in SEPARATION]
    return np.stack(moved) + noise, labels, np.array(["first", "second"])[groups]


def cover(group_size: int, studies: int, replicates: int, seed: int) -> pd.DataFrame:
    """One row per study, kind of interval and statement: low, high and the truth."""
    rng = np.random.default_rng(seed)
    metrics = tuple(dict.fromkeys(metric for metric, _ in STATEMENTS))
    rows = []
    with progress(studies, f"groups of {group_size}", "studies") as advance:
        for study in range(studies):
            scores, labels, groups = draw(rng, group_size)
            report = evaluate(
                scores,
                labels,
                groups,
                names=list(SEPARATION),
                metrics=metrics,
                bootstrap=replicates,
                interval="bca",  # Its replicates serve the other kinds too.
                seed=study,
            )
            for metric, group in STATEMENTS:
                known = {m: truth(m, metric, group) for m in SEPARATION}
                both = report.resampled(metric, group)
                one, other = both.of([0]), both.of([1])
                for kind in typing.get_args(Interval):
                    said = dataclasses.replace(report, interval=kind).intervals(metric, group)
                    low, high, _ = interval(one - other, 0.95, kind)
                    rows += [
                        (kind, metric, group, "value", said.low[0], said.high[0], known["a"]),
                        (
                            *(kind, metric, group, "paired difference"),
                            *(low[0], high[0], known["a"] - known["b"]),
                        ),
                    ]
            advance()
    columns = ["interval", "metric", "group", "statement", "low", "high", "truth"]
    return pd.DataFrame(rows, columns=columns).assign(group_size=group_size)


def main() -> None:
    """Measures and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--group-sizes", type=int, nargs="+", default=[10, 30, 100, 1000])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    start = time.perf_counter()
    drawn = pd.concat(
        cover(size, arguments.studies, arguments.replicates, arguments.seed)
        for size in arguments.group_sizes
    )
    drawn["holds"] = (drawn["low"] <= drawn["truth"]) & (drawn["truth"] <= drawn["high"])
    drawn["width"] = drawn["high"] - drawn["low"]
    drawn["undefined"] = drawn["low"].isna()
    keys = ["group_size", "metric", "group", "statement", "interval"]
    table = drawn.groupby(keys, sort=False).agg(
        coverage=("holds", "mean"), mean_width=("width", "mean"), undefined=("undefined", "sum")
    )
    table["studies"], table["replicates"] = arguments.studies, arguments.replicates
    table["standard_error"] = np.sqrt(
        table["coverage"] * (1 - table["coverage"]) / table["studies"]
    )
    table = table.round(4).reset_index()
    print(table.to_string(index=False))
    print(f"{time.perf_counter() - start:.0f} s on {platform.machine()}")
    if arguments.out:
        table.to_csv(arguments.out, index=False)


if __name__ == "__main__":
    main()
