"""Populations: the cell shares a set of examples is to stand for, and the weights that do it."""

import numpy as np

from jaxbias.curation.cells import Cells
from jaxbias.curation.quotas import Curation, quotas
from jaxbias.errors import InputError

# Shares of a population are quotas of a large n, so one rule serves both.
_MANY = 1_000_000


def population_shares(cells: Cells, level: int | None, prevalence: float | None) -> np.ndarray:
    """Returns the cell shares of an evaluation population.

    Args:
      cells: the task's cells with their natural shares.
      level: correlation level (of a pair: tenths of the second attribute); None: as it is.
      prevalence: share of positives; None: as it is.

    Returns:
      float64[C], adding up to 1.
    """
    if level is not None:
        kind = "pair_mix" if len(cells.names) == 3 else "correlation"
        return quotas(Curation(kind, level, prevalence), cells, _MANY) / _MANY
    if prevalence is None:
        return cells.shares
    positive = cells.targets == 1
    natural = cells.shares[positive].sum()
    return cells.shares * np.where(positive, prevalence / natural, (1 - prevalence) / (1 - natural))


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
