"""Criteria: what a search makes small, from a trial's scores of the validation split.

Measured after every epoch, with the definitions and the population of the answer: the split is
weighted to config.answer.population, and the threshold is the base-rate threshold of these scores.

val_loss             mean binary cross-entropy
val_auc              1 − AUC
val_worst_group      1 − the smallest accuracy among the cells of class and group
val_gap_constrained  the highest AUC among epochs and trials whose |FPR gap| is at most
                     config.answer.epsilon; where none is, the smallest |FPR gap|. As a number:
                     1 − AUC inside the bound, 1 + |FPR gap| outside. The groups of a pair share
                     their negatives, so their gap is 0.

A configuration's criterion is the mean over its repeats, epoch by epoch (of AUC and of |FPR gap|
before they are combined), so that one lucky sample does not decide. The authors look at the second
sample's rank by hand instead. A configuration of which a repeat diverged is infinitely bad.
"""

from collections.abc import Mapping

import numpy as np

MEASURES = ("loss", "auc", "worst_group", "fpr_gap")


def criterion(name: str, curves: Mapping[str, np.ndarray], epsilon: float) -> np.ndarray:
    """Combines the repeats of a configuration into what is to be small.

    Args:
      name: one of config.search.criterion.
      curves: measure -> float64[R, E], R repeats over E epochs.
      epsilon: the bound on |FPR gap|.

    Returns:
      float64[E]; infinite where undefined.

    >>> curves = {"auc": np.array([[0.7, 0.8, 0.9]]), "fpr_gap": np.array([[0.0, -0.04, 0.2]])}
    >>> criterion("val_gap_constrained", curves, 0.05).round(2).tolist()
    [0.3, 0.2, 1.2]
    """
    if name == "val_loss":
        values = curves["loss"].mean(axis=0)
    elif name == "val_worst_group":
        values = 1 - curves["worst_group"].mean(axis=0)
    else:
        values = 1 - curves["auc"].mean(axis=0)
        if name == "val_gap_constrained":
            gap = np.abs(curves["fpr_gap"]).mean(axis=0)
            values = np.where(gap <= epsilon, values, 1 + gap)
    return np.where(np.isfinite(values), values, np.inf)


def ranking(name: str) -> str:
    """Returns the criterion by which configurations go on from rung to rung: mostly the same.

    A bound on the gap judges the choice. Early in training a gap says little of the gap later:
    ranked by it, halving keeps what is slow to learn (benchmarks/search.py).
    """
    return "val_auc" if name == "val_gap_constrained" else name
