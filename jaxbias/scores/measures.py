"""Measures of a trial on the validation split, of which criteria are made: `plan.criteria`."""

import numpy as np
import pandas as pd

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


def measure_several(
    scores: np.ndarray, labels: np.ndarray, cells: Cells, rows: np.ndarray, examples: pd.DataFrame
) -> dict[str, np.ndarray]:
    """Measures logits of a task of several outputs on the validation split: the loss alone.

    Args:
      scores: float32[K, M, T]; a model with one that is not finite is measured as NaN.
      labels: [N, K], as of `training.objectives.example_losses`.
      cells: the task's cells.
      rows: int32[M], the examples scored, rows of the dataset.
      examples: the dataset's table.

    Returns:
      Measure -> float64[K]; those of binary tasks are NaN.
    """
    inside = cells.codes[rows] >= 0
    rows, logits = rows[inside], scores[:, inside].astype(np.float64)
    weights, true = natural_weights(cells, rows, examples, "the validation split"), labels[rows]
    finite = np.isfinite(logits).all(axis=(1, 2))
    losses = np.full(len(logits), np.nan)
    for k in np.flatnonzero(finite):  # One by one, so that no bit depends on how many there are.
        losses[k] = (_losses(logits[k], true) * weights).sum() / weights.sum()
    return {name: np.full(len(logits), np.nan) for name in _METRICS} | {"loss": losses}


def natural_weights(
    cells: Cells, rows: np.ndarray, examples: pd.DataFrame, where: str
) -> np.ndarray:
    """Returns what examples of a task weigh in the natural population, float64[M].

    A split that is a sample of it weighs 1 each; one to which examples of the task were rendered is
    weighted to the cells' natural shares.

    Raises:
      InputError: such a split lacks a cell.
    """
    if (examples["stratum"].to_numpy()[rows] == "").all():
        return np.ones(len(rows))
    return population_weights(cells.codes[rows], cells.shares, cells.names, where=where)


def _losses(logits: np.ndarray, true: np.ndarray) -> np.ndarray:
    """What is trained for, of float64[M, T] logits: as `training.objectives`, in float64."""
    if true.shape[1] < logits.shape[1]:
        highest = logits.max(axis=1, keepdims=True)
        total = highest[:, 0] + np.log(np.exp(logits - highest).sum(axis=1))
        return total - np.take_along_axis(logits, true, axis=1)[:, 0]
    known = true >= 0
    each = np.where(known, np.logaddexp(0, logits) - true * logits, 0)
    return each.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
