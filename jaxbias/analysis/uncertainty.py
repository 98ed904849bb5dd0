"""Tails and intervals of estimates over few units and many examples, alone and in families."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from scipy import special

from jaxbias.analysis.estimates import Estimate, covariances

# From so many units on their correlation is estimated well enough to be used.
MAX_T_UNITS = 5
_MOST_DF = 1e6
_DRAWS = 10_000
_GRID = np.linspace(-8.0, 8.0, 81)
_WEIGHTS = np.exp(-(_GRID**2) / 2) / np.exp(-(_GRID**2) / 2).sum()


@dataclasses.dataclass(frozen=True)
class Interval:
    """An estimate with an interval.

    Attributes:
      value: the estimate.
      low: lower bound.
      high: upper bound.
    """

    value: float
    low: float
    high: float

    def within(self, bound: float) -> bool:
        """Whether the whole interval lies inside ±bound."""
        return -bound < self.low and self.high < bound

    def named(self, name: str) -> dict[str, float]:
        """Returns the three as columns of a table: NAME, NAME_low and NAME_high."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}

    def outside(self, bound: float) -> bool:
        """Whether the whole interval lies outside ±bound."""
        return self.low > bound or self.high < -bound


def tail(t: np.ndarray, share: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Returns P(T > t) of a mean over its standard error, from few units and many examples.

    The mean of two laws. Satterthwaite's t, whose degrees of freedom df/share² are estimated
    themselves, errs too often with few units: 6.3 % for 2.5 % at two, and at 0.5 %, as families
    ask for, 4.2 % at two, 1.7 % at three. Behrens' and Fisher's (a t between units plus a normal
    over examples) errs too seldom: 0.6 %. Their mean stays between 1.1 and 3.9 % at two units and
    2.0 and 3.0 % from three on (simulated for all shares).

    Args:
      t: float64[...], at least 0.
      share: float64[...], the part of the variance that is between units.
      df: float64[...], its degrees of freedom.
    """
    t, share, df = np.broadcast_arrays(
        *(np.asarray(x, np.float64) for x in (t, share, np.maximum(df, 1e-9)))
    )
    single = special.stdtr(np.minimum(df / np.maximum(share, 1e-12) ** 2, _MOST_DF), -t)
    # Below this share the grid no longer resolves the t; both laws are the normal one there.
    small = share < 0.002
    scaled = np.sqrt(np.where(small, 1.0, share))[..., None]
    moved = t[..., None] - np.sqrt(1 - share)[..., None] * _GRID
    both = special.stdtr(df[..., None], -moved / scaled) @ _WEIGHTS
    return np.where(small, single, (single + both) / 2)


def critical(p: float | np.ndarray, share: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Returns the t with P(T > t) = p, float64[...]; p below 0.5."""
    p, share, df = np.broadcast_arrays(*(np.asarray(x, np.float64) for x in (p, share, df)))
    low = np.zeros(p.shape)
    high = special.stdtrit(np.maximum(df, 1e-9), 1 - p) + 1e-6  # The t's tail is the heavier.
    below = np.log(0.5 / p)
    above = np.log(np.maximum(tail(high, share, df), 1e-300) / p)
    for step in range(60):
        # False position on the logarithm, halved where it creeps.
        middle = high - above * (high - low) / (above - below) if step % 3 else (low + high) / 2
        value = np.log(np.maximum(tail(middle, share, df), 1e-300) / p)
        right = value > 0
        low, below = np.where(right, middle, low), np.where(right, value, below)
        high, above = np.where(right, high, middle), np.where(right, above, value)
        if (np.abs(value) < 1e-10).all():
            return middle
    return high


def interval(found: Estimate, level: float) -> Interval:
    """Returns the two-sided interval that errs at `level`; NaN bounds where a part is unknown."""
    return intervals([found], level)[0]


def intervals(found: Sequence[Estimate], level: float | np.ndarray) -> list[Interval]:
    """Returns the two-sided interval of each alone, erring at `level`: one, or float64[K]."""
    if not found:
        return []
    values, errors, shares, dfs = _parts(found)
    known = np.isfinite(errors) & np.isfinite(values)
    half = np.full(len(found), np.nan)
    levels = np.broadcast_to(level, known.shape)[known]
    half[known] = critical(levels / 2, shares[known], dfs[known]) * errors[known]
    return [
        Interval(*map(float, row)) for row in zip(values, values - half, values + half, strict=True)
    ]


def p_value(found: Estimate) -> float:
    """Returns the two-sided p-value of a mean of zero; 1 where a part of it is unknown."""
    if not (np.isfinite(found.error) and np.isfinite(found.value)):
        return 1.0
    if found.error == 0:
        return float(found.value == 0)
    ratio = abs(found.value) / found.error
    one = tail(np.array(ratio), np.array(found.share), np.array(found.df))
    return float(min(2 * one, 1.0))


def simultaneous_level(
    found: Sequence[Estimate], level: float | np.ndarray, family: int
) -> float | np.ndarray:
    """Returns the level of each interval at which all of a family hold together at `level`.

    Single-step max-t: correlated normal deviates through each estimate's own tail. Bonferroni's
    level / family where units are fewer than five or differ, for members that have no estimate
    yet, and wherever max-t would be below it.

    Args:
      found: the estimates there are.
      level: of the family, two-sided, such as 0.05; or several, float64[L].
      family: members planned, at least as many as found.
    """
    family = max(family, len(found), 1)
    few = len(found) < 2 or min(len(one.labels) for one in found) < MAX_T_UNITS
    parts = None if few else covariances(found)
    return _max_t_level(parts and parts.total, level, family)


def _max_t_level(
    matrix: np.ndarray | None, level: float | np.ndarray, family: int
) -> float | np.ndarray:
    """Returns the level of each of a family: by max-t from the covariance of K of its estimates.

    Args:
      matrix: float64[K, K]; None: Bonferroni's.
      level: of the family, two-sided.
      family: its members, at least K.
    """
    bonferroni = level / family
    if matrix is None:
        return bonferroni
    errors = np.sqrt(np.diag(matrix))
    if not (errors > 0).all():
        return bonferroni
    correlation = np.clip(matrix / np.outer(errors, errors), -1, 1)
    missing = (family - len(matrix)) * bonferroni
    bound = np.quantile(_largest(correlation), 1 - (level - missing), method="higher")
    return np.maximum(2 * special.ndtr(-bound), bonferroni)


def chosen_level(
    choosing: Sequence[Estimate],
    testing: Sequence[Estimate],
    level: float | np.ndarray,
    family: int,
) -> float | np.ndarray:
    """Returns the one-sided level at which what one split chose is tested on another.

    The same units are evaluated on both splits, so what looks best on one by the luck of its units
    looks good on the other. The level is that at which the chosen one's test errs at `level` where
    all lie exactly on the bound: by simulation from the estimated covariances, the worst of bounds
    on one side, on alternating sides, and half on each. Bonferroni's where units are fewer than
    five or differ, and that of max-t where more were planned than are here.

    Args:
      choosing: the estimates that were chosen among.
      testing: the same on the other split.
      level: of the test, one-sided; or several, float64[L].
      family: how many were planned.
    """
    if len(testing) < 2 and family < 2:
        return level
    if family > len(testing):
        return simultaneous_level(testing, 2 * level, family) / 2
    bonferroni = level / len(testing)
    if min(len(one.labels) for one in (*choosing, *testing)) < MAX_T_UNITS:
        return bonferroni
    parts = covariances([*choosing, *testing])
    if parts is None:
        return bonferroni
    count = len(testing)
    total = parts.total
    # Examples of the two splits are others: only units are common.
    total[:count, count:] = parts.between[:count, count:]
    total[count:, :count] = parts.between[count:, :count]
    return level_of_chosen(total, level)


def level_of_chosen(total: np.ndarray, level: float | np.ndarray) -> float | np.ndarray:
    """Returns `chosen_level` from the covariance of K estimates chosen among and the same tested.

    Args:
      total: float64[2K, 2K].
      level: of the test, one-sided; or several, float64[L].
    """
    count = len(total) // 2
    bonferroni = level / count
    errors = np.sqrt(np.diag(total))
    if not (errors > 0).all():
        return bonferroni
    drawn = _drawn(np.clip(total / np.outer(errors, errors), -1, 1))
    bound = np.zeros(np.shape(level))
    for side in _sides(count):
        chosen = (drawn[:, :count] * side).argmin(axis=1)
        tested = -(drawn[:, count:] * side)[np.arange(len(drawn)), chosen]
        bound = np.maximum(bound, np.quantile(tested, 1 - level, method="higher"))
    return np.clip(special.ndtr(-bound), bonferroni, level)


def _sides(count: int) -> list[np.ndarray]:
    places = np.arange(count)
    return [np.ones(count), (-1.0) ** places, np.where(places < count / 2, 1.0, -1.0)]


def _largest(correlation: np.ndarray) -> np.ndarray:
    """The largest |deviate| of every draw from a normal law with this correlation."""
    return np.abs(_drawn(correlation)).max(axis=1)


def _drawn(correlation: np.ndarray) -> np.ndarray:
    """Draws from a normal law with this correlation."""
    values, vectors = np.linalg.eigh(correlation)
    scale = vectors * np.sqrt(np.maximum(values, 0.0))
    # Clipping negative eigenvalues leaves variances a little above one; they are one.
    scale /= np.maximum(np.sqrt((scale**2).sum(axis=1, keepdims=True)), 1e-12)
    return _deviates(len(correlation)) @ scale.T


@functools.lru_cache(maxsize=8)
def _deviates(count: int) -> np.ndarray:
    """The same draws for everyone: a verdict does not depend on chance."""
    return np.random.default_rng(0).standard_normal((_DRAWS, count))


def _parts(found: Sequence[Estimate]) -> tuple[np.ndarray, ...]:
    rows = [(one.value, one.error, one.share, one.df) for one in found]
    return tuple(np.array(rows, np.float64).reshape(-1, 4).T)
