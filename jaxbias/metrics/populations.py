"""Populations: weights under which examples stand for other frequencies than their own."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxbias.errors import InputError
from jaxbias.metrics.examples import Checked

# A cell of this group belongs to both (the shared negatives of a pair).
_BOTH = -1


def population_shares(
    natural: np.ndarray,
    targets: np.ndarray,
    groups: np.ndarray,
    level: float | None,
    prevalence: float | None,
    task: str = "",
) -> np.ndarray:
    """Returns the cell shares of an evaluation population.

    Args:
      natural: float64[C], the cells' shares as they are.
      targets: int[C], the class of each cell.
      groups: int[C], its group: 0, 1, or -1 where it belongs to both.
      level: correlation level (of a pair: tenths of the second attribute); None: as it is.
      prevalence: share of positives; None: as it is.
      task: its name, for the error.

    Returns:
      float64[C], adding up to 1.

    Raises:
      InputError: a class without an example, or more than two classes.
    """
    positive = targets == 1
    positives = float(natural[positive].sum())
    if prevalence is None:
        prevalence = positives
    elif not 0 < positives < 1:
        label = "negative" if positives == 1 else "positive"
        raise InputError(f"task '{task}' has no {label} example to weight to a prevalence")
    by_class = np.where(positive, prevalence, 1 - prevalence)
    if level is None:
        within = np.where(positive, positives, 1 - positives)
        return np.where(within > 0, natural * by_class / np.where(within > 0, within, 1), 0.0)
    if targets.max() != 1:
        raise InputError(f"task '{task}' has more than two classes; a level needs two")
    # Level 0 ties positives to the first group, and negatives to the other unless they are of both.
    in_second = np.where(positive, level, 10 - level) / 10
    in_group = np.where(groups == 1, in_second, 1 - in_second)
    return by_class * np.where(groups == _BOTH, 1.0, in_group)


def population_weights(
    codes: np.ndarray,
    shares: np.ndarray,
    names: tuple[str, ...],
    weights: np.ndarray | None = None,
    where: str = "the set",
) -> np.ndarray:
    """Weights examples so that their cells have the given shares.

    Args:
      codes: int[N], the cell of each example; -1 gets weight 0.
      shares: float[C], the wanted shares of the cells.
      names: the cells' names, for the error.
      weights: float[N], what the examples weigh already; None: 1 each.
      where: what errors call the examples, such as "the test split".

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
        raise InputError(f"{where} has no example of ({cell}) to evaluate on: give it more")
    factors = counts.sum() * shares / np.where(counts > 0, counts, 1) / shares.sum()
    return np.where(inside, factors[codes], 0.0)


def reweighted(examples: Checked, population: Mapping[str, Any], where: str) -> Checked:
    """Weights the (label, group) cells of examples to a population.

    Deterministic, and no example is lost: the paper resamples the test set without a seed instead.

    Args:
      examples: with one family of two groups.
      population: "level", the correlation of label and group as in curation, 0..10 (absent: as it
        is); "prevalence", the share of positives (absent: as it is).
      where: what errors call the examples.

    Returns:
      The examples with their weights multiplied; those in neither group get none.

    Raises:
      InputError: not two groups, or an empty cell.
    """
    level, prevalence = population.get("level"), population.get("prevalence")
    groups = examples.groups
    if len(groups.families) != 1 or len(groups.names) != 2:
        raise InputError(
            f"population needs two groups of one column; there are {len(groups.names)} in "
            f"{len(groups.families)}"
        )
    inside = (groups.membership.sum(axis=0) == 1) & (examples.weights > 0)
    if (groups.membership.sum(axis=0) > 1).any():
        raise InputError("population needs groups that do not overlap")
    group = groups.membership.argmax(axis=0)
    codes = np.where(inside, 2 * examples.labels + group, -1)
    shares = population_shares(
        _shares(codes, examples.weights),
        np.array([0, 0, 1, 1]),
        np.array([0, 1, 0, 1]),
        level,
        prevalence,
    )
    cells = tuple(f"label {label}, {name}" for label in (0, 1) for name in groups.names)
    factor = population_weights(codes, shares, cells, examples.weights, where)
    return dataclasses.replace(examples, weights=examples.weights * factor)


def _shares(codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    by_cell = np.bincount(codes[codes >= 0], weights[codes >= 0], minlength=4)
    return by_cell / max(by_cell.sum(), 1e-300)
