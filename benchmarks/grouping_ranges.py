"""How often ranges over groups, of few checkpoints, hold the truth, and whether a fix moved them.

    python -m benchmarks.grouping_ranges --studies=400 --out=benchmarks/results/grouping_ranges.csv

False positives of groups of other sizes, from half to twice the mean; checkpoints differ by what
moves all groups and by what moves one; models answer the same examples alike (correlation 0.7).
One group's rate is higher by the gap; the fix moves that group's rate by the change.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special

from jaxbias.analysis.panels import Panel
from jaxbias.analysis.ranged import Rates, range_change
from jaxbias.metrics.resampling import Share
from jaxbias.progress import progress

LIKE, REPLICATES, LEVEL = 0.7, 200, 0.05
CASES = pd.DataFrame(
    [
        (7, 150, 5, 0.15, 0.0, 0.02, 0.0, 0.0),
        (14, 80, 5, 0.15, 0.0, 0.02, 0.02, 0.0),
        (14, 80, 2, 0.15, 0.0, 0.02, 0.02, 0.0),
        (7, 150, 3, 0.15, 0.0, 0.02, 0.02, 0.0),
        (14, 30, 5, 0.05, 0.0, 0.01, 0.01, 0.0),
        (3, 300, 2, 0.1, 0.0, 0.05, 0.05, 0.0),
        (14, 80, 5, 0.1, 0.2, 0.02, 0.02, 0.0),
        (7, 150, 3, 0.1, 0.1, 0.02, 0.02, 0.0),
        (3, 300, 5, 0.1, 0.1, 0.02, 0.02, 0.0),
        (14, 80, 5, 0.1, 0.0, 0.02, 0.02, 0.3),
        (7, 300, 5, 0.1, 0.0, 0.02, 0.02, 0.15),
        (2, 300, 5, 0.2, 0.1, 0.02, 0.02, -0.2),
        (7, 150, 5, 0.2, 0.1, 0.02, 0.02, -0.2),
    ],
    columns=["groups", "negatives", "checkpoints", "rate", "gap", "common", "own", "change"],
)


class Examples:
    """The examples of groups, each with what makes it hard and its bootstrap multiplicities."""

    def __init__(self, rng: np.random.Generator, sizes: np.ndarray) -> None:
        self.rng = rng
        self.hard = [rng.standard_normal(size) for size in sizes]
        self.times = [rng.poisson(1, (size, REPLICATES)) for size in sizes]

    def panels(self, rates: np.ndarray, units: int, common: float, own: float) -> list[Panel]:
        """Draws the rates of models, one panel per group."""
        moved, places = self.rng.normal(0, common, units), np.arange(units)
        found = []
        for rate, hard, times in zip(rates, self.hard, self.times, strict=True):
            each = np.clip(rate + moved + self.rng.normal(0, own, units), 0.001, 0.999)
            noise = self.rng.standard_normal((units, len(hard)))
            hits = np.sqrt(LIKE) * hard + np.sqrt(1 - LIKE) * noise > -special.ndtri(each)[:, None]
            with np.errstate(invalid="ignore"):  # A small group may never be drawn.
                replicates = (hits @ times) / times.sum(axis=0)
            found.append(Panel(places, places, hits.mean(axis=1), replicates))
        return found


def measure(case: pd.Series, studies: int, seed: int) -> dict[str, float]:
    """Returns how often each statement was made, and held."""
    rng, groups = np.random.default_rng(seed), int(case["groups"])
    sizes = rng.integers(case["negatives"] // 2, 2 * case["negatives"], groups)
    one = np.eye(groups)[0]
    before, after = (case["rate"] + (case["gap"] + x) * one for x in (0, case["change"]))
    moved = np.ptp(after) - np.ptp(before)
    spread = [int(case["checkpoints"]), case["common"], case["own"]]
    share, counts = Share(sizes[:, None].astype(float), counted=True), np.zeros(5)
    for _ in range(studies):
        examples = Examples(rng, sizes)
        panels = [examples.panels(rates, *spread) for rates in (before, after)]
        (found,) = Rates.of(panels[:1], share).ranges(LEVEL)
        change = range_change(*panels, share, LEVEL)
        counts += [
            found.low > 0,
            found.low <= case["gap"] <= found.high,
            change.low > 0,
            change.low <= moved <= change.high,
            change.high < 0,
        ]
    names = ("apart", "held", "larger", "change_held", "smaller")
    return dict(zip(names, (counts / studies).tolist(), strict=True))


def main() -> None:
    """Measures and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = []
    with progress(len(CASES), "ranges", "cases") as advance:
        for _, case in CASES.iterrows():
            rows.append(measure(case, arguments.studies, arguments.seed))
            advance()
    table = pd.concat([CASES, pd.DataFrame(rows)], axis=1).round(4)
    print(table.to_string(index=False))
    if arguments.out:
        table.to_csv(arguments.out, index=False)


if __name__ == "__main__":
    main()
