"""Comparisons: how a metric compares the groups of a family, on values, replicates or anything."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

_Array = Any  # A NumPy or a JAX array.


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What a metric makes of some rates of all groups.

    Attributes:
      rates: names of the metrics of one group that are compared.
      form: "gap": of two groups the first minus the second, of more the range; "range": largest
        minus smallest; "ratio": smallest over largest; "least": the smallest.
      take: "max", "min" or "mean", over the rates.
    """

    rates: tuple[str, ...]
    form: str
    take: str = "max"

    def signed(self, groups: int) -> bool:
        """Whether it has a sign, and so is zero in the mean where groups are equal."""
        return self.form == "gap" and groups == 2

    def of(self, rates: Sequence[_Array], xp: Any = np) -> _Array:
        """Compares.

        Args:
          rates: one array [G, ...] per rate.
          xp: `numpy` or `jax.numpy`.

        Returns:
          [...]; NaN where a rate is, and where a ratio is of zeros.

        >>> Comparison(("fpr",), "ratio").of([np.array([[0.1, 0.0], [0.2, 0.0]])]).tolist()
        [0.5, nan]
        """
        each = [self._of_one(rate, xp) for rate in rates]
        return each[0] if len(each) == 1 else getattr(xp.stack(each), self.take)(axis=0)

    def _of_one(self, rate: _Array, xp: Any) -> _Array:
        if self.signed(len(rate)):
            return rate[0] - rate[1]
        if self.form == "least":
            return rate.min(axis=0)
        low, high = rate.min(axis=0), rate.max(axis=0)
        if self.form == "ratio":
            return xp.where(high > 0, low / xp.where(high > 0, high, 1.0), np.nan)
        return high - low
