"""How often intervals over 3, 6 and 10 groups hold the truth, and how often equal groups differ.

    python -m benchmarks.ranges --studies=300 --out=benchmarks/results/ranges.csv

Scores are normal; positives' are higher by the group's separation, all of a group's by its shift.
Groups are all alike, or one is apart from the others, or half of them are; as large as one another,
or from few to many. The threshold is the base rate on the same examples. "pairs" is what `evaluate`
says; "own error" is what it said before: the range ± z · the bootstrap's standard error of it;
"unequal" is how often an interval excludes that groups are equal.
"""

import argparse
import itertools
import platform
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import optimize, stats

from jaxbias.metrics import METRICS, GroupReport, evaluate
from jaxbias.metrics.resampling import Resampled, interval
from jaxbias.progress import progress

PREVALENCE = 0.4
ALIKE, APART = (1.5, 0.0), (0.9, 0.5)  # Separation and shift.
GROUPS = (3, 6, 10)
# The smallest and the largest group's examples; 75 have 30 positives.
SIZES = {"75 each": (75, 75), "400 each": (400, 400), "30 to 1,000": (30, 1000)}
TRUTHS = ("all alike", "one apart", "half apart")
STATEMENTS = (
    "auc_gap",
    "fpr_gap",
    "tpr_gap",
    "ppv_gap",
    "accuracy_gap",
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "equalized_odds_difference",
    "equalized_odds_mean_difference",
    "equalized_odds_ratio",
    "worst_group_accuracy",
)
_AT_ONCE = 50  # Independent models on the same labels: of selection rates these are the draws.


def parameters(groups: int, truth: str) -> np.ndarray:
    """Separation and shift of every group, float64[2, G]; the smallest group is the first apart."""
    apart = {"all alike": 0, "one apart": 1, "half apart": groups // 2}[truth]
    return np.array([APART] * apart + [ALIKE] * (groups - apart)).T


def rates(parameters: np.ndarray, sizes: np.ndarray) -> dict[str, np.ndarray]:
    """Every rate of every group in the population, float64[G]."""
    separation, shift = parameters

    def at(threshold: float) -> tuple[np.ndarray, np.ndarray]:
        return stats.norm.sf(threshold - shift), stats.norm.sf(threshold - shift - separation)

    def excess(threshold: float) -> float:
        fpr, tpr = at(threshold)
        return float(np.average((1 - PREVALENCE) * fpr + PREVALENCE * tpr, weights=sizes))

    fpr, tpr = at(optimize.brentq(lambda t: excess(t) - PREVALENCE, -10, 10))
    selected = (1 - PREVALENCE) * fpr + PREVALENCE * tpr
    return {
        "auc": stats.norm.cdf(separation / np.sqrt(2)),
        "fpr": fpr,
        "tnr": 1 - fpr,
        "tpr": tpr,
        "ppv": PREVALENCE * tpr / selected,
        "accuracy": PREVALENCE * tpr + (1 - PREVALENCE) * (1 - fpr),
        "selection_rate": selected,
    }


def reports(
    parameters: np.ndarray, sizes: np.ndarray, studies: int, replicates: int, seed: int
) -> Iterator[GroupReport]:
    """Evaluates `studies` models whose scores have nothing to do with one another."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    separation, shift = parameters[:, groups]
    for place in range(0, studies, _AT_ONCE):
        labels = (rng.random(len(groups)) < PREVALENCE).astype(int)
        scores = rng.normal(size=(_AT_ONCE, len(groups))) + labels * separation + shift
        yield evaluate(
            scores, labels, groups, metrics=STATEMENTS, bootstrap=replicates, seed=seed + place
        )


def cover(count: int, size: str, truth: str, arguments: argparse.Namespace) -> pd.DataFrame:
    """One row per statement and kind of interval."""
    sizes = np.geomspace(*SIZES[size], count).round().astype(int)
    chosen = parameters(count, truth)
    known = rates(chosen, sizes)
    found = []
    for report in reports(
        chosen, sizes, arguments.studies, arguments.replicates, arguments.seed + count
    ):
        for metric in STATEMENTS:
            comparison = METRICS[metric].compares
            true = comparison.of([known[name] for name in comparison.rates])
            said = report.intervals(metric, report.families[0])
            resampled = report.resampled(metric)
            one, other = (resampled.of(list(range(k, _AT_ONCE, 2))) for k in (0, 1))
            for kind, value, (low, high), chance, known_value in (
                ("pairs", resampled.value, (said.low, said.high), said.chance, true),
                ("own error", resampled.value, _own(resampled), np.nan, true),
                ("difference of two models", (one - other).value, _own(one - other), np.nan, 0.0),
            ):
                unequal = high < 1 if comparison.form == "ratio" else low > 0
                columns = {"value": value, "low": low, "high": high, "unequal": unequal}
                rows = pd.DataFrame({"metric": metric, "interval": kind, **columns})
                found.append(rows.assign(chance=chance, truth=known_value))
    drawn = pd.concat(found, ignore_index=True)
    drawn["above"] = drawn["low"] > drawn["truth"] + 1e-12
    drawn["below"] = drawn["high"] < drawn["truth"] - 1e-12
    drawn["width"] = drawn["high"] - drawn["low"]
    table = drawn.groupby(["metric", "interval"], sort=False).agg(
        truth=("truth", "first"),
        mean=("value", "mean"),
        chance=("chance", "mean"),
        lies_above=("above", "mean"),
        lies_below=("below", "mean"),
        mean_width=("width", "mean"),
        lowest=("low", "min"),
        highest=("high", "max"),
        unequal=("unequal", "mean"),
        undefined=("low", lambda low: int(low.isna().sum())),
        studies=("low", "size"),
    )
    table.insert(0, "coverage", 1 - table["lies_above"] - table["lies_below"])
    table = table.reset_index()
    table.insert(0, "truly", truth)
    table.insert(0, "group_sizes", size)
    table.insert(0, "groups", count)
    return table


def _own(resampled: Resampled) -> tuple[np.ndarray, np.ndarray]:
    return interval(resampled, 0.95, "standard")[:2]


def main() -> None:
    """Measures and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=300, help=f"a multiple of {_AT_ONCE}")
    parser.add_argument("--replicates", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    start = time.perf_counter()
    designs = list(itertools.product(GROUPS, SIZES, TRUTHS))
    tables = []
    with progress(len(designs), "ranges", "designs") as advance:
        for design in designs:
            tables.append(cover(*design, arguments))
            advance()
    table = pd.concat(tables, ignore_index=True).round(4)
    print(table.to_string(index=False))
    print(f"{time.perf_counter() - start:.0f} s on {platform.machine()}")
    if arguments.out:
        table.to_csv(arguments.out, index=False)


if __name__ == "__main__":
    main()
