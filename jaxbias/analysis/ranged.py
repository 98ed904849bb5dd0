"""Ranges over groups: of means over checkpoints and examples, in many arms at once.

The rules are those of `jaxbias.metrics.ranges`: a range's lower bound is the largest of all pairs',
each at the quantile of the studentised range, its upper bound the largest of all pairs' at the
quantile of one. What differs is the error, which is that between checkpoints too, and the quantile,
which is that of few of them.
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from scipy import special

from jaxbias.analysis.estimates import Estimate, covariances, estimate
from jaxbias.analysis.panels import Panel, in_common
from jaxbias.analysis.uncertainty import Interval, critical
from jaxbias.metrics.ranges import difference_bounds, tukey
from jaxbias.metrics.resampling import Share, share_bounds, wilson_bounds

_DRAWS = 1000  # Of groups that are equal, for the range that chance makes.


@dataclasses.dataclass(frozen=True)
class Rates:
    """A rate of G groups in V arms.

    Attributes:
      values: float64[G, V], means over checkpoints.
      error: float64[G, V], their standard errors; NaN of a single model.
      part: float64[G, V], the part of the variance that is between checkpoints.
      df: float64[G, V], its degrees of freedom.
      r: float64[G, G, V], the errors' correlations.
      share: with sizes float64[G, 1]: how many examples each rests on.
    """

    values: np.ndarray
    error: np.ndarray
    part: np.ndarray
    df: np.ndarray
    r: np.ndarray
    share: Share

    @classmethod
    def of(cls, arms: Sequence[Sequence[Panel]], share: Share) -> "Rates":
        """Estimates the rates of V arms, each of G panels."""
        found = [[estimate(panel) for panel in arm] for arm in arms]
        values, error, part, df = (
            np.array([[getattr(one, name) for one in arm] for arm in found]).T
            for name in ("value", "error", "share", "df")
        )
        r = np.stack([_correlations(arm) for arm in found], axis=-1)
        return cls(values, error, part, df, r, share)

    def bounds(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Each group's own two-sided bounds, float64[G, V]; NaN where an error is unknown."""
        known = np.isfinite(self.error) & np.isfinite(self.values)
        error = np.where(known, self.error, 0.0)
        z = np.ones(error.shape)
        z[known] = critical(level / 2, self.part[known], self.df[known])
        size = self.share.size + 0 * error
        if self.share.counted:
            low, high = wilson_bounds(self.values, error, z, size)
        else:
            low, high = share_bounds(self.values, error, z, Share(size, counted=False))
        return np.where(known, low, np.nan), np.where(known, high, np.nan)

    def differences(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the first group minus the second, float64[G, G, V]."""
        return difference_bounds(self.values, *self.bounds(level), self.r)

    def of_pairs(self, level: float) -> float:
        """The level of each pair at which those of all hold together at `level`."""
        return _of_pairs(level, len(self.values))

    def ranges(self, level: float) -> list[Interval]:
        """The range of each arm, within bounds that err at `level`."""
        low = _largest(self.differences(self.of_pairs(level))[0])
        high = _largest(self.differences(level)[1])
        spread = self.values.max(axis=0) - self.values.min(axis=0)
        low, high = np.maximum(low, 0.0), np.minimum(high, 1.0)
        return [Interval(*map(float, row)) for row in zip(spread, low, high, strict=True)]

    def by_chance(self) -> np.ndarray:
        """The mean range if all groups were equal, at their common rate, float64[V]."""
        inside = (self.values * (1 - self.values) > 0) & (self.error > 0)
        variance = np.where(inside, self.error, 1.0) ** 2
        size = np.where(inside, self.values * (1 - self.values) / variance, self.share.size)
        common = (size * self.values).sum(axis=0) / size.sum(axis=0)
        error = np.sqrt(common * (1 - common) / size)
        found = []
        for v in range(error.shape[1]):
            values, vectors = np.linalg.eigh(np.nan_to_num(self.r[:, :, v]))
            root = vectors * np.sqrt(np.maximum(values, 0.0))
            drawn = np.clip(common[v] + error[:, v] * (_deviates(len(error)) @ root.T), 0, 1)
            found.append(np.ptp(drawn, axis=1).mean())
        return np.where(np.isfinite(self.error).all(axis=0), found, np.nan)


def range_change(
    before: Sequence[Panel], after: Sequence[Panel], share: Share, level: float
) -> Interval:
    """Returns the range after minus that before, within bounds that err at `level`.

    The bounds are those of a difference of two quantities with bounds of their own, here those of
    each range (Zou & Donner, 2008). Their errors are taken as independent, though models that
    answer the same examples err alike, unless the two widest gaps err against each other, as where
    a gap was reversed.

    Args:
      before: of each group.
      after: of each group.
      share: as of `Rates`.
      level: two-sided.
    """
    rates = Rates.of([before, after], share)
    first, second = rates.ranges(level)
    r = min(_of_widest(before, after, rates.values), 0.0)
    below = _together(second.value - second.low, first.high - first.value, r)
    above = _together(second.high - second.value, first.value - first.low, r)
    spread = second.value - first.value
    return Interval(spread, spread - below, spread + above)


def _together(one: float, other: float, r: float) -> float:
    return float(np.sqrt(max(one**2 + other**2 - 2 * r * one * other, 0.0)))


def _of_widest(before: Sequence[Panel], after: Sequence[Panel], values: np.ndarray) -> float:
    """The correlation of the errors of the widest gap before and the widest after; 0 if unknown."""
    widest = [
        _minus(panels[int(rates.argmax())], panels[int(rates.argmin())])
        for rates, panels in zip(values.T, (before, after), strict=True)
    ]
    parts = covariances([estimate(one) for one in in_common(*widest)])
    if parts is None or not (np.diag(parts.total) > 0).all():
        return 0.0
    return float(parts.total[0, 1] / np.sqrt(parts.total[0, 0] * parts.total[1, 1]))


def _minus(one: Panel, other: Panel) -> Panel:
    """Of two groups of the same models."""
    return dataclasses.replace(
        one, values=one.values - other.values, replicates=one.replicates - other.replicates
    )


def _correlations(found: Sequence[Estimate]) -> np.ndarray:
    """The correlations of the errors of means, float64[G, G]; NaN of a single model."""
    parts = covariances(found)
    if parts is None:
        return np.full((len(found), len(found)), np.nan)
    error = np.sqrt(np.diag(parts.total))
    error = np.where(error > 0, error, np.inf)
    r = np.clip(parts.total / np.outer(error, error), -1, 1)
    np.fill_diagonal(r, 1.0)
    return r


def _of_pairs(level: float, groups: int) -> float:
    """The level of each pair at which those of all hold together, by Tukey's quantile."""
    return float(2 * special.ndtr(-tukey(level, groups)))


def _largest(pairs: np.ndarray) -> np.ndarray:
    return pairs[~np.eye(len(pairs), dtype=bool)].max(axis=0)


@functools.lru_cache(maxsize=8)
def _deviates(groups: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((_DRAWS, groups))
