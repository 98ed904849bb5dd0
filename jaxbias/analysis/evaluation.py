"""Evaluations: the metrics of every variant of one task on one split and population."""

import dataclasses

import numpy as np
import pandas as pd

from jaxbias.curation import Cells, population_shares, population_weights
from jaxbias.metrics import Examples, GroupReport, Groups, contrast_interval, evaluate
from jaxbias.results import Scores
from jaxbias.study import EvaluationSpec, parse_prevalence

_METRICS = (
    "auc",
    "threshold",
    "fpr",
    "tpr",
    "ppv",
    "selection_rate",
    "accuracy",
    "balanced_error",
    "auc_gap",
    "fpr_gap",
    "tpr_gap",
    "worst_group_accuracy",
    "mean_group_accuracy",
    "equalized_odds_difference",
    "demographic_parity_difference",
    "bias_amplification",
)


@dataclasses.dataclass(frozen=True)
class Panel:
    """A metric of one arm (base, curation, n) over its repeats.

    Attributes:
      seeds: int[R], the repeats, ascending.
      values: float64[R].
      replicates: float64[R, B], under B bootstrap replicates of the examples, shared by all arms.
    """

    seeds: np.ndarray
    values: np.ndarray
    replicates: np.ndarray

    def __sub__(self, other: "Panel") -> "Panel":
        """The paired difference over the repeats both arms have."""
        seeds, mine, theirs = np.intersect1d(self.seeds, other.seeds, return_indices=True)
        return Panel(
            seeds,
            self.values[mine] - other.values[theirs],
            self.replicates[mine] - other.replicates[theirs],
        )

    def times(self, factor: float) -> "Panel":
        """The panel times a number."""
        return Panel(self.seeds, factor * self.values, factor * self.replicates)

    @property
    def mean(self) -> float:
        """The mean over repeats; NaN where the metric is undefined in one."""
        return float(self.values.mean()) if len(self.values) else float("nan")

    @property
    def repeat_variance(self) -> float:
        """Variance of the mean over repeats of base and draw; NaN for one repeat."""
        count = len(self.values)
        return float(self.values.var(ddof=1) / count) if count > 1 else float("nan")

    @property
    def example_variance(self) -> float:
        """Variance of the mean over bootstrap replicates of the examples."""
        return float(np.nanvar(self.replicates.mean(axis=0), ddof=1))

    def interval(self, confidence: float) -> "Interval":
        """The mean with its interval over repeats and examples together."""
        if not np.isfinite(self.values).all() or not len(self.values):
            nan = float("nan")
            return Interval(nan, nan, nan, nan, len(self.values))
        found = contrast_interval(self.values, np.float64(self.example_variance), confidence)
        numbers = (found.estimate, found.low, found.high, found.p_value)
        return Interval(*map(float, numbers), len(self.values))


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean over repeats with its interval; p_value tests that it is zero, two-sided."""

    value: float
    low: float
    high: float
    p_value: float
    repeats: int

    def within(self, bound: float) -> bool:
        """Whether the whole interval lies inside ±bound."""
        return -bound < self.low and self.high < bound

    def outside(self, bound: float) -> bool:
        """Whether the whole interval lies outside ±bound."""
        return self.low > bound or self.high < -bound

    @property
    def half_width(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Metrics of the variants of one task.

    Attributes:
      task: the task.
      population: name of the evaluation population.
      cells: the task's cells over all examples.
      variants: V rows.
      report: metrics and bootstrap replicates of these V variants, in this order.
      examples: how many examples were evaluated.
    """

    task: str
    population: str
    cells: Cells
    variants: pd.DataFrame
    report: GroupReport
    examples: int

    def panel(self, metric: str, base: str, curation: str, n: int, group: str = "all") -> Panel:
        """Returns one arm's metric over its repeats."""
        rows = self.variants
        chosen = (rows["base"] == base) & (rows["curation"] == curation) & (rows["n"] == n)
        places = np.flatnonzero(chosen.to_numpy())
        seeds = rows["seed"].to_numpy()[places]
        places = places[np.argsort(seeds, kind="stable")]
        return Panel(
            np.sort(seeds),
            np.asarray(self.report.value(metric, group), np.float64)[places],
            np.asarray(self.report.replicates(metric, group), np.float64)[places],
        )

    def arms(self) -> pd.DataFrame:
        """Returns one row per arm: base, role, curation, kind, level, n."""
        columns = ["base", "role", "curation", "kind", "level", "prevalence", "k", "n"]
        return self.variants[columns].drop_duplicates().reset_index(drop=True)


def evaluate_task(
    scores: Scores,
    cells: Cells,
    population: str,
    spec: EvaluationSpec,
    split: str,
    replicates: int,
    confidence: float,
) -> Evaluation:
    """Evaluates every variant of a task on a split weighted to a population.

    Args:
      scores: all variants.
      cells: the task's cells.
      population: its name.
      spec: what it is.
      split: "test" (threshold from validation) or "validation" (threshold from itself).
      replicates: bootstrap replicates.
      confidence: of the intervals per variant.

    Returns:
      The evaluation.
    """
    chosen = (scores.variants["task"] == cells.task).to_numpy()
    level = spec.level if spec.level >= 0 else None
    shares = population_shares(cells, level, parse_prevalence("evaluations", spec.prevalence))
    test = _examples(scores.test, scores, cells, shares, "test")
    validation = _examples(scores.validation, scores, cells, shares, "validation")
    evaluated = test if split == "test" else validation
    names = [f"{i}" for i in scores.variants["variant"][chosen]]
    report = evaluate(
        evaluated.scores[chosen],
        evaluated.labels,
        evaluated.groups,
        weights=evaluated.weights,
        validation=dataclasses.replace(validation, scores=validation.scores[chosen])
        if split == "test" and len(validation.labels)
        else None,
        metrics=_METRICS,
        bootstrap=replicates,
        confidence=confidence,
        names=names,
    )
    variants = scores.variants[chosen].reset_index(drop=True)
    return Evaluation(cells.task, population, cells, variants, report, len(evaluated.labels))


def _examples(
    matrix: np.ndarray, scores: Scores, cells: Cells, shares: np.ndarray, split: str
) -> Examples:
    rows = np.flatnonzero((scores.examples["split"] == split).to_numpy())
    inside = cells.codes[rows] >= 0
    rows = rows[inside]
    return Examples(
        scores=matrix[:, inside],
        labels=cells.labels()[rows],
        groups=Groups(cells.group_names, cells.membership()[:, rows].astype(np.float64)),
        weights=population_weights(cells.codes[rows], shares, cells.names)
        if len(rows)
        else np.zeros(0),
    )
