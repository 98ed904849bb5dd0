"""Groups: which examples belong to which, overlaps allowed."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from jaxbias.errors import InputError

ALL = "all"  # The name of the row over all examples.


@dataclasses.dataclass(frozen=True)
class Groups:
    """Named groups of examples. An example may be in several groups or in none.

    Attributes:
      names: G names; a gap is the first minus the second.
      membership: float64[G, N] of 0 and 1.
    """

    names: tuple[str, ...]
    membership: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(str(name) for name in self.names))
        object.__setattr__(self, "membership", np.asarray(self.membership, np.float64))
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


def as_groups(groups: Any, n: int, argument: str) -> Groups:
    """Makes `Groups` of one value per example.

    Args:
      groups: `Groups`; N integers, strings, booleans or a categorical series, in sorted or
        categories' order, missing values in no group; None for no groups.
      n: number of examples.
      argument: its name in errors.

    Raises:
      InputError: another length, or floats.

    >>> as_groups(["b", "a", None], 3, "groups")
    Groups(names=('a', 'b'), membership=array([[0., 1., 0.],
           [1., 0., 0.]]))
    """
    if groups is None:
        return Groups((), np.zeros((0, n)))
    if isinstance(groups, Groups):
        if groups.membership.shape[1] != n:
            raise InputError(f"{argument} has {groups.membership.shape[1]} examples and scores {n}")
        return groups
    if np.shape(groups) != (n,):
        raise InputError(f"{argument} has shape {np.shape(groups)}; expected ({n},) as in scores")
    series = groups if isinstance(groups, pd.Series) else pd.Series(groups)
    if pd.api.types.is_float_dtype(series.dtype):
        raise InputError(f"{argument} holds floats; expected integers, strings or categories")
    categories = pd.Categorical(series)
    codes = np.asarray(categories.codes)
    names = tuple(str(name) for name in categories.categories)
    return Groups(names, (codes == np.arange(len(names))[:, None]).astype(np.float64))
