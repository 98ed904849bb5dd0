"""Populations: weights under which examples stand for other frequencies than their own."""

import dataclasses
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxbias.curation import Cells, population_shares, population_weights
from jaxbias.errors import InputError, nearest
from jaxbias.metrics.examples import Checked

_FIELDS = ("level", "prevalence")


def check_population(population: Mapping[str, Any]) -> None:
    """Refuses a field of a population that is unknown or out of range, with an InputError."""
    for name in population:
        if name not in _FIELDS:
            raise InputError(f"population has no field '{name}'; {nearest(name, _FIELDS)}")
    level, prevalence = (population.get(name) for name in _FIELDS)
    if level is not None and not (isinstance(level, numbers.Real) and 0 <= level <= 10):
        raise InputError(f"population level={level!r} must be a number in 0..10")
    if prevalence is not None and not (isinstance(prevalence, numbers.Real) and 0 < prevalence < 1):
        raise InputError(f"population prevalence={prevalence!r} must lie between 0 and 1")


def reweighted(examples: Checked, population: Mapping[str, Any]) -> Checked:
    """Weights the (label, group) cells of examples to a population.

    Deterministic, and no example is lost: the paper resamples the test set without a seed instead.

    Args:
      examples: with one family of two groups.
      population: "level", the correlation of label and group as in curation, 0..10 (absent: as it
        is); "prevalence", the share of positives (absent: as it is).

    Returns:
      The examples with their weights multiplied; those in neither group get none.

    Raises:
      InputError: not two groups, a field that is unknown or out of range, or an empty cell.
    """
    check_population(population)
    level, prevalence = (population.get(name) for name in _FIELDS)
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
    cells = Cells(
        task="",
        names=tuple(f"label {label}, {name}" for label in (0, 1) for name in groups.names),
        targets=np.array([0, 0, 1, 1], np.int32),
        groups=np.array([0, 1, 0, 1], np.int32),
        group_names=groups.names,
        codes=codes,
        shares=_shares(codes, examples.weights),
    )
    shares = population_shares(cells, level, prevalence)
    factor = population_weights(codes, shares, cells.names, examples.weights)
    return dataclasses.replace(examples, weights=examples.weights * factor)


def _shares(codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    by_cell = np.bincount(codes[codes >= 0], weights[codes >= 0], minlength=4)
    return by_cell / max(by_cell.sum(), 1e-300)
