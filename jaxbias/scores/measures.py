"""Measures of a trial on the validation split, of which criteria are made: `plan.criteria`."""

import numpy as np

from jaxbias.curation import Cells
from jaxbias.metrics import Groups, evaluate, population_shares, population_weights
from jaxbias.study import EvaluationSpec, parse_prevalence

_METRICS = {"auc": "auc", "worst_group": "worst_group_accuracy", "fpr_gap": "fpr_gap"}


def measure(
    scores: np.ndarray, cells: Cells, rows: np.ndarray, population: EvaluationSpec
) -> dict[str, np.ndarray]:
    """Measures logits of the validation split.

    Args:
      scores: float32[K, M]; a row that is not finite is measured as NaN.
      cells: the task's cells.
      rows: int32[M], the examples scored, rows of the dataset.
      population: what their weights make of them.

    Returns:
      Measure -> float64[K].
    """
    inside = cells.codes[rows] >= 0
    rows, scores = rows[inside], scores[:, inside]
    level = population.level if population.level >= 0 else None
    prevalence = parse_prevalence("evaluations", population.prevalence)
    shares = population_shares(
        cells.shares, cells.targets, cells.groups, level, prevalence, cells.task
    )
    weights = population_weights(
        cells.codes[rows], shares, cells.names, where="the validation split"
    )
    labels = cells.labels()[rows]
    finite = np.isfinite(scores).all(axis=1)
    scores = np.where(finite[:, None], scores, np.float32(0))
    report = evaluate(
        scores,
        labels,
        Groups(cells.group_names, cells.membership()[:, rows].astype(np.float64)),
        weights=weights,
        metrics=tuple(_METRICS.values()),
    )
    logits = scores.astype(np.float64)
    losses = np.logaddexp(0, logits) - labels[None, :] * logits
    # Row by row, not by a matrix product, whose last bits depend on how many rows there are.
    found = {"loss": (losses * weights[None, :]).sum(axis=1) / weights.sum()}
    found |= {m: np.asarray(report.value(name), np.float64) for m, name in _METRICS.items()}
    return {name: np.where(finite, values, np.nan) for name, values in found.items()}
