"""Ranges: intervals of what compares groups, the test of equal groups, and the range by chance.

The largest of many differences is no difference: without any gap it is not zero in the mean, and
its bootstrap knows nothing of that. So everything here starts from pairs of groups. The bounds of a
difference of two rates are x − y − √((x − x₋)² + (y₊ − y)² − 2r(x − x₋)(y₊ − y)) and likewise the
upper one, those of a ratio the same solved for it (Newcombe, 1998; Zou & Donner, 2008; Donner &
Zou, 2012), with Wilson's bounds x₋, x₊ of each rate, or of an AUC those of `share_bounds`, so that
they end at 0 and 1; r is the bootstrap's.

Groups differ, by Tukey's test, if those of any pair do: a range's lower bound is the largest of all
pairs', each at the quantile of the studentised range (Tukey & Kramer; Hayter, 1984). Its upper
bound is the largest of all pairs' too, but at the quantile of one: whatever the true range is, one
pair has it, and it is enough to cover that one. `benchmarks/coverage.py` measures both.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from jaxbias.metrics.comparisons import Comparison
from jaxbias.metrics.resampling import Resampled, Share, share_bounds, wilson_bounds

_FURTHEST = 37.0  # Standard errors; beyond them a normal tail is no number.
_STEPS = 40  # Of bisection, to less than a billionth.


class Compared(NamedTuple):
    """What is known of a comparison of groups, each float64[V].

    Attributes:
      low: the interval's lower bound.
      high: its upper bound.
      p_value: of the hypothesis that all groups are equal; NaN where that is not asked.
      chance: what the comparison would be in the mean if all groups were equal, at their common
        rate; NaN where it has a sign (then 0) or looks for the smallest.
    """

    low: np.ndarray
    high: np.ndarray
    p_value: np.ndarray
    chance: np.ndarray


class Rate(NamedTuple):
    """A rate of G groups.

    Attributes:
      values: float64[G, V].
      replicates: float64[G, V, R].
      share: with sizes float64[G, V or 1]; None of a rate that is none.
    """

    values: np.ndarray
    replicates: np.ndarray
    share: Share | None


def compare_groups(
    comparison: Comparison, rates: Sequence[Rate], confidence: float, jointly: int = 1
) -> Compared:
    """Computes the interval of a comparison, tests that groups are equal, and what chance makes.

    Args:
      comparison: with as many rates.
      rates: of the same groups, at least two, and replicates.
      confidence: e.g. 0.95.
      jointly: how many comparisons without a sign must hold at once.

    Returns:
      NaN wherever the comparison is undefined, or fewer than two replicates are defined.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        groups = [_Groups.of(rate) for rate in rates]
        value = comparison.of([g.values for g in groups])
        if comparison.form == "least":
            found = _least(groups, confidence)
        elif comparison.signed(len(rates[0].values)):
            found = _signed(groups, confidence)
        else:
            found = _unsigned(comparison, groups, confidence, jointly)
    known = ~np.isnan([value, *(error for g in groups for error in g.error)]).any(axis=0)
    return Compared(*(np.where(known, x, np.nan) for x in found))


@functools.lru_cache(maxsize=256)
def tukey(alpha: float, groups: int) -> float:
    """Returns the standard errors that differences of equal groups exceed with chance alpha.

    >>> round(tukey(0.05, 2), 2), round(tukey(0.05, 10), 2)
    (1.96, 3.16)
    """
    return float(_studentized_range().isf(alpha, groups, np.inf)) / 2**0.5


def difference_bounds(
    values: np.ndarray, low: np.ndarray, high: np.ndarray, r: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Computes bounds of every group's rate minus every other's, from the bounds of each.

    Args:
      values: float64[G, V].
      low: float64[G, V], lower bounds.
      high: float64[G, V], upper bounds.
      r: float64[G, G, V], the correlations of their errors.

    Returns:
      Lower and upper bounds of the first minus the second, float64[G, G, V].
    """
    below, above = values - low, high - values
    d = values[:, None] - values[None, :]
    return (
        d - _together(below[:, None], above[None, :], r),
        d + _together(above[:, None], below[None, :], r),
    )


def _studentized_range() -> Any:
    from scipy import stats  # A second or more, and of three groups and more alone.

    return stats.studentized_range


class _Groups(NamedTuple):
    """A rate of G groups and its errors.

    Attributes:
      values: float64[G, V].
      error: float64[G, V], standard errors.
      r: float64[G, G, V], the errors' correlations.
      deviations: float64[G, V, R], the replicates' in standard errors; 0 where there are none.
      share: as in `Rate`.
    """

    values: np.ndarray
    error: np.ndarray
    r: np.ndarray
    deviations: np.ndarray
    share: Share | None

    @classmethod
    def of(cls, rate: Rate) -> "_Groups":
        error = Resampled(rate.values, rate.replicates, rate.replicates).error
        known = ~np.isnan(rate.replicates)
        mean = np.where(known, rate.replicates, 0.0).sum(axis=-1) / known.sum(axis=-1)
        deviations = (rate.replicates - mean[..., None]) / error[..., None]
        deviations = np.where(np.isfinite(deviations), deviations, 0.0)
        r = np.einsum("gvr,hvr->ghv", deviations, deviations) / max(deviations.shape[-1] - 1, 1)
        return cls(rate.values, error, np.clip(r, -1, 1), deviations, rate.share)

    def bounds(self, z: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each group's own, float64[G, V]."""
        if self.share is None:
            return self.values - z * self.error, self.values + z * self.error
        if not self.share.counted:
            return share_bounds(self.values, self.error, z, self.share)
        return wilson_bounds(self.values, self.error, z, self.share.size)

    def differences(self, z: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the first group minus the second, float64[G, G, V]."""
        return difference_bounds(self.values, *self.bounds(z), self.r)

    def ratios(self, z: float) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the first group over the second, float64[G, G, V]."""
        low, high = self.bounds(z)
        below, above = self.values - low, high - self.values
        x, y = self.values[:, None], self.values[None, :]
        ends = []
        for over, under, sign in ((below, above, -1), (above, below, 1)):
            # The roots q of (x − q·y)² = over² + q²·under² − 2·r·q·over·under.
            over, under = over[:, None], under[None, :]
            half = x * y - self.r * over * under
            square, rest = y**2 - under**2, x**2 - over**2
            root = np.sqrt(np.maximum(half**2 - square * rest, 0.0))
            if sign < 0:
                ends.append(np.where((rest > 0) & (half + root > 0), rest / (half + root), 0.0))
            else:  # Over what may be zero it has no end.
                ends.append(np.where(square > 1e-15, (half + root) / square, np.inf))
        return ends[0], ends[1]

    def lowest_range(self, z: float | np.ndarray) -> np.ndarray:
        """The lower bound of the largest difference, float64[V]; negative where it may be none."""
        return _off_diagonal(self.differences(z)[0]).max(axis=0)

    def equal(self) -> np.ndarray:
        """Replicates as they would be if the groups' rates were equal, float64[G, V, R]."""
        normal = np.random.default_rng(0).standard_normal(self.deviations.shape[::2])[:, None]
        deviations = np.where(self.error[..., None] > 0, self.deviations, normal)
        if self.share is None:
            return self.error[..., None] * deviations
        size = np.maximum(self.share.size, 1e-9)
        common = (size * self.values).sum(axis=0) / (size + 0 * self.values).sum(axis=0)
        # How much more, or less, an example says than one of a rate's does.
        binomial = (self.values * (1 - self.values)).sum(axis=0)
        effect = np.where(binomial > 0, (size * self.error**2).sum(axis=0) / binomial, 1.0)
        error = np.sqrt(effect * common * (1 - common) / size)
        return np.clip(common[:, None] + error[..., None] * deviations, 0.0, 1.0)


def _together(one: np.ndarray, other: np.ndarray, r: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(one**2 + other**2 - 2 * r * one * other, 0.0))


def _off_diagonal(pairs: np.ndarray) -> np.ndarray:
    return pairs[~np.eye(len(pairs), dtype=bool)]


def _unsigned(
    comparison: Comparison, groups: Sequence[_Groups], confidence: float, jointly: int
) -> tuple[np.ndarray, ...]:
    """Of a range or a ratio, or of the largest or mean of several."""
    count, tests = len(groups[0].values), len(groups) * jointly
    statistic = np.max([_distance(g.lowest_range, g.values[0]) for g in groups], axis=0)
    tail = _studentized_range().sf(statistic * 2**0.5, count, np.inf)
    p = np.where(statistic > 0, -np.expm1(tests * np.log1p(-np.clip(tail, 0, 1))), 1.0)
    surely = tukey(1 - confidence ** (1 / tests), count)
    # In a mean of several every one must be covered; of the largest that one alone.
    covered = jointly * (len(groups) if comparison.take == "mean" else 1)
    alone = float(-special.ndtri((1 - confidence) / 2 / covered))
    if comparison.form == "ratio":
        low = [_off_diagonal(g.ratios(alone)[0]).min(axis=0) for g in groups]
        high = [_off_diagonal(g.ratios(surely)[1]).min(axis=0) for g in groups]
    else:
        low = [np.maximum(g.lowest_range(surely), 0.0) for g in groups]
        high = [_off_diagonal(g.differences(alone)[1]).max(axis=0) for g in groups]
    take = getattr(np, comparison.take)
    most = np.inf if groups[0].share is None else 1.0
    low, high = (np.minimum(take(ends, axis=0), most) for ends in (low, high))
    return low, high, p, _mean(comparison.of([g.equal() for g in groups]))


def _signed(groups: Sequence[_Groups], confidence: float) -> tuple[np.ndarray, ...]:
    """Of the first of two groups minus the second, or of the mean of two such gaps."""
    gap = functools.partial(_gap, groups)
    low, high = gap(float(-special.ndtri((1 - confidence) / 2)))

    def beyond(z: np.ndarray) -> np.ndarray:
        low, high = gap(z)
        return np.maximum(low, -high)

    p = 2 * special.ndtr(-_distance(beyond, low))
    return low, high, p, np.full(p.shape, np.nan)


def _gap(groups: Sequence[_Groups], z: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    bounds = [[pairs[0, 1] for pairs in g.differences(z)] for g in groups]
    if len(groups) == 1:
        return bounds[0]
    values = [g.values[0] - g.values[1] for g in groups]
    moves = [g.deviations * g.error[..., None] for g in groups]
    one, other = (move[0] - move[1] for move in moves)
    r = (one * other).sum(axis=-1) / np.sqrt((one**2).sum(axis=-1) * (other**2).sum(axis=-1))
    r = np.where(np.isfinite(r), r, 0.0)
    below, above = ([np.abs(v - b[i]) for v, b in zip(values, bounds, strict=True)] for i in (0, 1))
    middle = (values[0] + values[1]) / 2
    return middle - _together(*below, -r) / 2, middle + _together(*above, -r) / 2


def _least(groups: Sequence[_Groups], confidence: float) -> tuple[np.ndarray, ...]:
    """Of the smallest of all groups' rates: it is below any, and one of them is it."""
    cells = len(groups) * len(groups[0].values)
    tail = (1 - confidence) / 2
    surely = float(-special.ndtri(-np.expm1(np.log1p(-tail) / cells)))
    low = np.min([g.bounds(float(-special.ndtri(tail)))[0] for g in groups], axis=(0, 1))
    high = np.min([g.bounds(surely)[1] for g in groups], axis=(0, 1))
    nan = np.full(low.shape, np.nan)
    return low, high, nan, nan


def _distance(bound: Callable[[np.ndarray], np.ndarray], like: np.ndarray) -> np.ndarray:
    """How many standard errors away from zero something is: where its bound falls to zero."""
    near, far = np.zeros(like.shape), np.full(like.shape, _FURTHEST)
    for _ in range(_STEPS):
        middle = (near + far) / 2
        over = bound(middle) > 0
        near, far = np.where(over, middle, near), np.where(over, far, middle)
    return np.where(far < 1e-9, 0.0, near)


def _mean(values: np.ndarray) -> np.ndarray:
    """Over the last axis, of what is defined."""
    known = ~np.isnan(values)
    return np.where(known, values, 0.0).sum(axis=-1) / known.sum(axis=-1)
