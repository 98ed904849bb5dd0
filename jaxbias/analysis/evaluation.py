"""Evaluations: the metrics of every variant of one task on one split and population."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from jaxbias.analysis.panels import Panel
from jaxbias.curation import Cells
from jaxbias.metrics import (
    Examples,
    GroupReport,
    Groups,
    evaluate,
    population_shares,
    population_weights,
)
from jaxbias.metrics.degeneracy import degenerate
from jaxbias.scores.scores import Scores
from jaxbias.study import EvaluationSpec, parse_prevalence

# What tells arms apart.
ARM = ["base", "role", "curation", "kind", "level", "prevalence", "k", "n"]
# What the tidy metrics say of a variant.
TOLD = [
    "variant",
    "task",
    "base",
    "role",
    "pretrain_seed",
    "curation",
    "kind",
    "level",
    "n",
    "seed",
]
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
class Evaluation:
    """Metrics of the variants of one task.

    Attributes:
      task: the task.
      population: name of the evaluation population.
      cells: the task's cells over all examples.
      variants: V rows.
      report: metrics and bootstrap replicates of these V variants, in this order.
      marks: V reasons why a model is degenerate, "" where it is sound.
      examples: how many examples were evaluated.
    """

    task: str
    population: str
    cells: Cells
    variants: pd.DataFrame
    report: GroupReport
    marks: np.ndarray
    examples: int

    @functools.cached_property
    def places(self) -> dict[tuple[str, str, int], np.ndarray]:
        """(base, curation, n) -> the places of its variants, in order of their seeds."""
        ordered = self.variants.reset_index(drop=True).sort_values("seed", kind="stable")
        found = ordered.groupby(["base", "curation", "n"], sort=False).indices
        rows = ordered.index.to_numpy()
        return {(base, curation, int(n)): rows[at] for (base, curation, n), at in found.items()}

    @functools.cached_property
    def _measured(self) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
        return {}

    def measured(self, metric: str, group: str = "all") -> tuple[np.ndarray, np.ndarray]:
        """Returns a metric of all variants, float64[V], and its replicates, float64[V, B]."""
        key = metric, group
        if key not in self._measured:  # Computed once, not once for every arm.
            self._measured[key] = (
                np.asarray(self.report.value(metric, group), np.float64),
                np.asarray(self.report.replicates(metric, group), np.float64),
            )
        return self._measured[key]

    def panel(self, metric: str, base: str, curation: str, n: int, group: str = "all") -> Panel:
        """Returns one arm's metric, model by model; of no model where it has none."""
        places = self.places.get((base, curation, int(n)), np.zeros(0, np.int64))
        values, replicates = self.measured(metric, group)
        units, draws = self._origins
        return Panel(units[places], draws[places], values[places], replicates[places])

    @functools.cached_property
    def _origins(self) -> tuple[np.ndarray, np.ndarray]:
        """int64[V] each: the checkpoint and the draw of every variant."""
        rows = self.variants
        return rows["pretrain_seed"].to_numpy(np.int64), rows["seed"].to_numpy(np.int64)

    def tidy(self) -> pd.DataFrame:
        """Returns one row per variant, metric and group, with the variant's settings."""
        settings = self.variants[TOLD].assign(population=self.population)
        # In the metrics room n counts examples; in a study it is the finetuning size.
        frame = self.report.frame().rename(columns={"n": "examples"})
        return settings.merge(frame, on="variant", validate="one_to_many")

    def arms(self) -> pd.DataFrame:
        """Returns one row per arm: base, role, curation, kind, level, n."""
        return self._arms

    @functools.cached_property
    def _arms(self) -> pd.DataFrame:
        return self.variants[ARM].drop_duplicates().reset_index(drop=True)


def evaluate_task(
    scores: Scores,
    cells: Cells,
    population: str,
    spec: EvaluationSpec,
    split: str,
    replicates: int,
    confidence: float,
    groups: Groups | None = None,
    metrics: Sequence[str] = _METRICS,
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
      groups: of all examples; None: the two of the cells.
      metrics: what is measured of them.

    Returns:
      The evaluation.
    """
    if groups is None:
        groups = Groups(cells.group_names, cells.membership())
    chosen = (scores.variants["task"] == cells.task).to_numpy()
    level = spec.level if spec.level >= 0 else None
    prevalence = parse_prevalence("evaluations", spec.prevalence)
    shares = population_shares(
        cells.shares, cells.targets, cells.groups, level, prevalence, cells.task
    )
    test = _examples(scores, chosen, cells, groups, shares, "test")
    validation = _examples(scores, chosen, cells, groups, shares, "validation")
    evaluated = test if split == "test" else validation
    names = [f"{i}" for i in scores.variants["variant"][chosen]]
    report = evaluate(
        evaluated.scores,
        evaluated.labels,
        evaluated.groups,
        weights=evaluated.weights,
        validation=validation if split == "test" and len(validation.labels) else None,
        metrics=metrics,
        bootstrap=replicates,
        confidence=confidence,
        names=names,
    )
    variants = scores.variants[chosen].reset_index(drop=True)
    marks = degenerate(report)
    return Evaluation(cells.task, population, cells, variants, report, marks, len(evaluated.labels))


def _examples(
    scores: Scores,
    chosen: np.ndarray,
    cells: Cells,
    groups: Groups,
    shares: np.ndarray,
    split: str,
) -> Examples:
    """The chosen variants on the examples of a split that are inside the task."""
    rows = np.flatnonzero((scores.examples["split"] == split).to_numpy())
    inside = cells.codes[rows] >= 0
    rows = rows[inside]
    return Examples(
        scores=scores.matrix(split, chosen)[:, inside],
        labels=cells.labels()[rows],
        groups=dataclasses.replace(groups, membership=groups.membership[:, rows]),
        weights=population_weights(
            cells.codes[rows], shares, cells.names, where=f"the {split} split"
        )
        if len(rows)
        else np.zeros(0),
    )
