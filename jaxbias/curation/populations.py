"""Populations: the cell shares a set of examples is to stand for, and the weights that do it."""

import numpy as np

from jaxbias.curation.cells import BOTH, Cells
from jaxbias.errors import InputError


def population_shares(cells: Cells, level: int | None, prevalence: float | None) -> np.ndarray:
    """Returns the cell shares of an evaluation population.

    Args:
      cells: the task's cells with their natural shares.
      level: correlation level (of a pair: tenths of the second attribute); None: as it is.
      prevalence: share of positives; None: as it is.

    Returns:
      float64[C], adding up to 1.

    Raises:
      InputError: a class without an example, or more than two classes.
    """
    positive = cells.targets == 1
    natural = float(cells.shares[positive].sum())
    if prevalence is None:
        prevalence = natural
    elif not 0 < natural < 1:
        label = "negative" if natural == 1 else "positive"
        raise InputError(f"task '{cells.task}' has no {label} example to weight to a prevalence")
    by_class = np.where(positive, prevalence, 1 - prevalence)
    if level is None:
        within = np.where(positive, natural, 1 - natural)
        return np.where(within > 0, cells.shares * by_class / np.where(within > 0, within, 1), 0.0)
    if cells.classes != 2:
        raise InputError(f"task '{cells.task}' has more than two classes; a level needs two")
    # Level 0 ties positives to the first group, and negatives to the other unless they are of both.
    in_second = np.where(positive, level, 10 - level) / 10
    in_group = np.where(cells.groups == 1, in_second, 1 - in_second)
    return by_class * np.where(cells.groups == BOTH, 1.0, in_group)


def population_weights(
    codes: np.ndarray, shares: np.ndarray, names: tuple[str, ...], weights: np.ndarray | None = None
) -> np.ndarray:
    """Weights examples so that their cells have the given shares.

    Args:
      codes: int[N], the cell of each example; -1 gets weight 0.
      shares: float[C], the wanted shares of the cells.
      names: the cells' names, for the error.
      weights: float[N], what the examples weigh already; None: 1 each.

    Returns:
      float64[N], a factor for those weights, with mean 1 over the examples inside the task.

    Raises:
      InputError: a cell with a positive share has no example.

    >>> population_weights(np.array([0, 0, 0, 1]), np.array([0.5, 0.5]), ("a", "b")).round(2)
    array([0.67, 0.67, 0.67, 2.  ])
    """
    inside = codes >= 0
    held = None if weights is None else weights[inside]
    counts = np.bincount(codes[inside], held, minlength=len(shares))
    empty = (shares > 0) & (counts == 0)
    if empty.any():
        cell = names[int(np.argmax(empty))]
        raise InputError(f"no example of ({cell}) to evaluate on: give that split more images")
    factors = counts.sum() * shares / np.where(counts > 0, counts, 1) / shares.sum()
    return np.where(inside, factors[codes], 0.0)
