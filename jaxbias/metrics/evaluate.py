"""Evaluation of many variants at once: one sort each, then sums in that order."""

from typing import Any

import numpy as np

from jaxbias.errors import InputError
from jaxbias.metrics.chunks import sweep
from jaxbias.metrics.examples import Checked, Examples, check, variant_names
from jaxbias.metrics.report import GroupReport
from jaxbias.study import nearest


def evaluate(
    scores: Any,
    labels: Any,
    groups: Any,
    *,
    weights: Any = None,
    validation: Examples | None = None,
    threshold: str | float | np.ndarray = "base_rate",
    bootstrap: int = 0,
    seed: int = 0,
    confidence: float = 0.95,
    names: Any = None,
    description: str = "",
) -> GroupReport:
    """Computes every metric of every variant, overall and per group, with bootstrap replicates.

    Args:
      scores: float[V, N], higher is more positive (NumPy or JAX), compared as float32; or a
        DataFrame with one row per example and one column per variant. Infinite scores are fine.
      labels: N of 0 and 1.
      groups: N integers, strings or categories, or `Groups` (overlaps allowed); None: no groups.
      weights: float[N] >= 0; an example of weight 0 counts as absent.
      validation: the same variants on other examples, from which the base-rate threshold is then
        taken; without it, it is taken from `scores` themselves.
      threshold: "base_rate", or a number or float[V]; predict positive where score > threshold.
      bootstrap: number of Poisson bootstrap replicates over the examples (of validation too),
        shared by all variants; a base-rate threshold is taken anew in each.
      seed: of the bootstrap.
      confidence: of the percentile intervals in `GroupReport.frame`.
      names: V names of the variants; by default a DataFrame's columns, or "0", "1", ....
      description: shows progress under this name; empty: silent.

    Returns:
      The report.

    Raises:
      InputError: arguments that do not fit together, or NaN scores, naming variant and row.

    >>> report = evaluate([[0.1, 0.4, 0.35, 0.8]], [0, 0, 1, 1], ["f", "f", "m", "m"])
    >>> report.value("auc").tolist(), report.value("threshold").round(2).tolist()
    ([0.75], [0.35])
    >>> report.undefined("auc", "f")
    'no positive example in group f'
    """
    names = variant_names(scores, names)
    test = check(Examples(scores, labels, groups, weights), names)
    if bootstrap < 0:
        raise InputError(f"bootstrap={bootstrap} must be >= 0")
    if seed < 0:
        raise InputError(f"seed={seed} must be >= 0")
    if not 0 < confidence < 1:
        raise InputError(f"confidence={confidence} must lie between 0 and 1")
    fixed = _fixed_threshold(threshold, len(names))
    if fixed is not None:
        source, threshold_from = None, "fixed"
    elif validation is not None:
        source, threshold_from = check(validation, names, "validation."), "validation"
    else:
        source, threshold_from = test, "test"

    sums = sweep(test, source, fixed, bootstrap, seed, description)
    shortfall = np.full(len(names), np.nan)
    if source is not None:
        shortfall = _shortfall(source, sums.thresholds[:, 0])
    present = test.weights > 0
    members = test.groups.membership > 0
    counts = np.concatenate([[present.sum()], (members & present).sum(axis=1)])
    return GroupReport(
        tuple(names), sums.groups, counts, threshold_from, shortfall, confidence, sums
    )


def _fixed_threshold(threshold: str | float | np.ndarray, variants: int) -> np.ndarray | None:
    if isinstance(threshold, str):
        if threshold != "base_rate":
            raise InputError(
                f"threshold='{threshold}' is unknown; {nearest(threshold, ['base_rate'])} "
                "(or a number)"
            )
        return None
    values = np.asarray(threshold, np.float32)
    if values.shape not in ((), (variants,)) or np.isnan(values).any():
        raise InputError(f"threshold must be 'base_rate', a number or one of {variants} numbers")
    return np.broadcast_to(values, (variants,))


def _shortfall(source: Checked, thresholds: np.ndarray) -> np.ndarray:
    """Share of the positives' weight that is not selected where it was to be, float64[V]."""
    positives = source.weights @ source.labels
    if positives == 0:
        return np.where(np.isnan(thresholds), np.nan, 0.0)
    selected = np.stack(
        [source.weights @ (s > t) for s, t in zip(source.scores, thresholds, strict=True)]
        or [np.zeros(0)]
    ).reshape(len(thresholds))
    short = np.maximum(1 - selected / positives, 0.0)
    return np.where(np.isnan(thresholds), np.nan, short)
