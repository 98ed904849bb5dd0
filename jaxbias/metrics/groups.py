"""Groups: which examples belong to which, in one or several columns, overlaps allowed."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from jaxbias import words
from jaxbias.errors import InputError, nearest
from jaxbias.metrics.arrays import as_array
from jaxbias.metrics.definitions import ALL


@dataclasses.dataclass(frozen=True)
class Groups:
    """Named groups of examples. An example may be in several groups or in none.

    Attributes:
      names: G names; a gap is the first of a family minus the second.
      membership: float64[G, N] of 0 and 1.
      families: family -> places of its groups in `names`. A gap compares the groups of one
        family (one column, or one intersection of columns). By default all groups are one
        family, named "all".
    """

    names: tuple[str, ...]
    membership: np.ndarray
    families: Mapping[str, tuple[int, ...]] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(str(name) for name in self.names))
        object.__setattr__(self, "membership", np.asarray(self.membership, np.float64))
        if self.families is None:
            object.__setattr__(self, "families", {ALL: tuple(range(len(self.names)))})
        shape = self.membership.shape
        if len(shape) != 2 or shape[0] != len(self.names):
            raise InputError(
                f"groups.membership has shape {shape}; expected [{len(self.names)}, examples], a "
                "row per name"
            )
        if not np.isin(self.membership, (0, 1)).all():
            raise InputError("groups.membership must be 0 or 1")
        if ALL in self.names or len(set(self.names)) < len(self.names):
            raise InputError(f"groups.names={self.names} must differ, and '{ALL}' is taken")


def as_groups(
    groups: Any, n: int, argument: str = "groups", intersections: Sequence[Sequence[str]] = ()
) -> Groups:
    """Makes `Groups` of one or several values per example.

    Args:
      groups: `Groups`; N integers, strings, booleans or a categorical series, in sorted or
        categories' order, missing values in no group; a mapping or a DataFrame of several such
        columns, each a family of its own, whose groups are named "column=value"; None for no
        groups.
      n: number of examples.
      argument: its name in errors.
      intersections: tuples of columns; each adds a family of the combinations that occur.

    Raises:
      InputError: another length, floats, or a column that does not exist.

    >>> as_groups(["b", "a", None], 3).names
    ('a', 'b')
    >>> as_groups({"g": ["b", "a"], "h": [0, 0]}, 2, intersections=[("g", "h")]).names
    ('g=a', 'g=b', 'h=0', 'g=a & h=0', 'g=b & h=0')
    """
    several = isinstance(groups, Mapping | pd.DataFrame)
    if intersections and not several:
        raise InputError(f"intersections need {argument} by name, such as {{'gender': ..., ...}}")
    if groups is None:
        return Groups((), np.zeros((0, n)))
    if isinstance(groups, Groups):
        if groups.membership.shape[1] != n:
            raise InputError(
                f"{argument} has {words.count(groups.membership.shape[1], 'example')} and "
                f"scores {n}"
            )
        return groups
    if not several:
        values, codes = _column(groups, n, argument)
        return Groups(values, _one_hot(codes, len(values)))

    columns = {str(name): _column(groups[name], n, f"{argument}['{name}']") for name in groups}
    if not columns:
        raise InputError(f"{argument} is empty; give at least one column, or None")
    families = [
        (name, [f"{name}={value}" for value in values], _one_hot(codes, len(values)))
        for name, (values, codes) in columns.items()
    ]
    families += [_intersection(tuple(names), columns, argument) for names in intersections]
    places, start = {}, 0
    for family, names, _ in families:
        if family in places:
            raise InputError(f"intersections has '{family}' twice")
        places[family] = tuple(range(start, start + len(names)))
        start += len(names)
    return Groups(
        tuple(name for _, names, _ in families for name in names),
        np.concatenate([membership for _, _, membership in families]),
        places,
    )


def _column(values: Any, n: int, argument: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns a column's values in order, and int[N], the place of each example's; -1 missing."""
    if np.shape(values) != (n,):
        raise InputError(f"{argument} has shape {np.shape(values)}; expected ({n},) as in scores")
    series = values
    if not isinstance(values, pd.Series):
        # Of a list, integers stay integers beside missing values.
        plain = isinstance(values, list | tuple)
        series = pd.Series(
            values if plain else as_array(values, argument), dtype=object if plain else None
        )
    if "float" in pd.api.types.infer_dtype(series, skipna=True):
        raise InputError(f"{argument} holds floats; expected integers, strings or categories")
    categories = pd.Categorical(series)
    return tuple(str(value) for value in categories.categories), np.asarray(categories.codes)


def _one_hot(codes: np.ndarray, count: int) -> np.ndarray:
    return (codes == np.arange(count)[:, None]).astype(np.float64)


def _intersection(
    names: tuple[str, ...],
    columns: Mapping[str, tuple[tuple[str, ...], np.ndarray]],
    argument: str,
) -> tuple[str, list[str], np.ndarray]:
    """The combinations of several columns' values that occur, as a family."""
    if len(names) < 2:
        raise InputError(f"intersections has {names}; expected at least two columns of {argument}")
    for name in names:
        if name not in columns:
            raise InputError(
                f"intersections names '{name}', which {argument} has not; {nearest(name, columns)}"
            )
    codes = np.stack([columns[name][1] for name in names])
    present = np.unique(codes[:, (codes >= 0).all(axis=0)], axis=1).T
    membership = np.stack(
        [(codes == combination[:, None]).all(axis=0) for combination in present]
        or [np.zeros((0,))],
    )
    labels = [
        " & ".join(f"{name}={columns[name][0][code]}" for name, code in zip(names, c, strict=True))
        for c in present
    ]
    return " & ".join(names), labels, membership.reshape(len(labels), -1).astype(np.float64)
