"""Intervals from resampled examples: by the bootstrap's standard error, percentiles, or BCa.

Each is a function of the value on the sample, its bootstrap replicates, and (for BCa) its values
with a part of the examples left out. How often each holds the truth is measured by
`benchmarks/coverage.py`.
"""

from typing import NamedTuple

import numpy as np
from scipy import special


class Share(NamedTuple):
    """What is known of a statistic that lies in 0..1.

    Attributes:
      size: float64[...], how many examples it rests on, those of the rarer class where it is of
        two.
      counted: whether it is a share of examples, whose variance needs no estimate.
    """

    size: np.ndarray
    counted: bool


class Resampled(NamedTuple):
    """A statistic on the sample and on resampled examples.

    Attributes:
      value: float64[...].
      replicates: float64[..., R], NaN where undefined.
      left_out: float64[..., K], with each part left out; K = 0 where that was not computed.
    """

    value: np.ndarray
    replicates: np.ndarray
    left_out: np.ndarray

    def of(self, rows: list[int]) -> "Resampled":
        """Returns the statistic of some rows."""
        return Resampled(*(array[rows] for array in self))

    def __sub__(self, other: "Resampled") -> "Resampled":
        """The paired difference: replicates and parts are the same examples in both."""
        with np.errstate(invalid="ignore"):  # Two infinite thresholds have no difference.
            return Resampled(*(a - b for a, b in zip(self, other, strict=True)))

    @property
    def error(self) -> np.ndarray:
        """The bootstrap's standard error, float64[...]; NaN where two replicates are not there."""
        defined = (~np.isnan(self.replicates)).sum(axis=-1)
        with np.errstate(invalid="ignore"):
            centred = self.replicates - _mean(self.replicates)[..., None]
            squares = np.nansum(centred**2, axis=-1)
        return np.where(defined > 1, np.sqrt(squares / np.maximum(defined - 1, 1)), np.nan)


def interval(
    resampled: Resampled, confidence: float, kind: str, share: Share | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Computes an interval and the two-sided p-value of zero.

    Args:
      resampled: the statistic.
      confidence: e.g. 0.95.
      kind: "standard": the value ± z · the bootstrap's standard error, of a share as in
        `share_bounds`; "percentile": quantiles of the replicates; "bca": the same, corrected for
        bias and acceleration (Efron, 1987).
      share: of a statistic in 0..1; None where it is none.

    Returns:
      Lower bound, upper bound, p-value, float64[...]; NaN where fewer than two replicates are
      defined, or the value is not.
    """
    value, replicates, left_out = resampled
    defined = (~np.isnan(replicates)).sum(axis=-1)
    fine = (defined >= 2) & ~np.isnan(value)
    alpha = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    if kind == "standard":
        error = resampled.error
        z = special.ndtri(alpha)
        with np.errstate(divide="ignore", invalid="ignore"):
            p = 2 * special.ndtr(-np.abs(value) / error)
        p = np.where((error == 0) & (value == 0), 1.0, p)
        plain = [value + z_one * error for z_one in z]
        bounds = plain if share is None else share_bounds(value, error, z[1], share)
    else:
        ordered = np.sort(replicates, axis=-1)  # NaN last.
        shift, speed = np.zeros(value.shape), np.zeros(value.shape)
        if kind == "bca":
            shift = special.ndtri(_share_below(replicates, value, defined))
            speed = _acceleration(left_out)
        bounds = [
            _quantile(ordered, defined, special.ndtr(_corrected(z, shift, speed)))
            for z in special.ndtri(alpha)
        ]
        p = _p_value(replicates, defined, shift, speed)
    low, high, p = (np.where(fine, x, np.nan) for x in (*bounds, p))
    return low, high, p


def simultaneous(resampled: Resampled, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Computes intervals that hold for all rows at once (max-t).

    Each is the value ± c · its standard error, with c the quantile over replicates of the largest
    |replicate − value| / error of any row. Rows that move together cost little.

    Args:
      resampled: rows along axis 0.
      confidence: that every interval holds its truth.

    Returns:
      Lower and upper bounds, float64[K]; NaN where a row is undefined. A replicate in which a row
      is undefined says nothing of that row.
    """
    error = resampled.error
    moves = (error > 0) & ~np.isnan(resampled.value)
    if not moves.any():
        return resampled.value - 0 * error, resampled.value + 0 * error
    deviations = np.abs(resampled.replicates - resampled.value[:, None])[moves]
    largest = np.fmax.reduce(deviations / error[moves, None], axis=0)
    half = np.nanquantile(largest, confidence) * error
    return resampled.value - half, resampled.value + half


def share_bounds(
    value: np.ndarray, error: np.ndarray, z: float | np.ndarray, share: Share
) -> tuple[np.ndarray, np.ndarray]:
    """Computes bounds of a share: on the logit's scale; at 0 and 1, where that ends, exact ones.

    Of none among `size` examples the exact upper bound is 1 − tail^(1/size) (Clopper and Pearson,
    1934). Where the variance is itself estimated from few (an AUC of 12 positives), it is taken as
    a sample's, and z as Student's with size − 1 degrees of freedom.

    Args:
      value: float64[...].
      error: float64[...], its standard error.
      z: the bounds' distance in standard errors, positive.
      share: what it is a share of.

    Returns:
      Lower and upper bounds, float64[...].
    """
    inside = (value > 0) & (value < 1)
    middle = np.where(inside, value, 0.5)
    logit = special.logit(middle)
    scale = error * _students(z, share) / (middle * (1 - middle))
    reach = -np.expm1(special.log_ndtr(-z) / np.maximum(share.size, 1.0))
    low = np.where(inside, special.expit(logit - scale), np.where(value >= 1, 1 - reach, 0.0))
    high = np.where(inside, special.expit(logit + scale), np.where(value <= 0, reach, 1.0))
    return low, high


def wilson_bounds(
    values: np.ndarray, error: np.ndarray, z: float | np.ndarray, size: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Computes Wilson's bounds of shares, of as many examples as the standard error is of.

    Args:
      values: float64[...], the shares.
      error: float64[...], their standard errors.
      z: the bounds' distance in standard errors.
      size: how many examples they are shares of, where all or none of them count.

    Returns:
      Lower and upper bounds, float64[...].
    """
    inside = (values * (1 - values) > 0) & (error > 0)
    variance = np.where(inside, error, 1.0) ** 2
    size = np.where(inside, values * (1 - values) / variance, size)
    size = np.maximum(size, 1e-9)
    middle = (values + z**2 / (2 * size)) / (1 + z**2 / size)
    spread = values * (1 - values) / size + z**2 / (4 * size**2)
    half = z / (1 + z**2 / size) * np.sqrt(np.maximum(spread, 0.0))
    return middle - half, middle + half


def _students(z: float | np.ndarray, share: Share) -> float | np.ndarray:
    """Returns z as large as it must be where a standard error is of few examples.

    >>> float(round(_students(1.96, Share(np.array(5.0), False)), 2))
    3.1
    """
    if share.counted:
        return z
    df = np.maximum(share.size - 1, 1.0)
    tail = np.maximum(special.ndtr(-z), 1e-300)
    return -special.stdtrit(df, tail) * np.sqrt(1 + 1 / df)


def _share_below(replicates: np.ndarray, value: np.ndarray, defined: np.ndarray) -> np.ndarray:
    """Share of the replicates below the value, ties half, kept off 0 and 1."""
    with np.errstate(invalid="ignore"):
        below = (replicates < value[..., None]).sum(axis=-1)
        equal = (replicates == value[..., None]).sum(axis=-1)
    return (below + equal / 2 + 0.5) / (defined + 1)


def _acceleration(left_out: np.ndarray) -> np.ndarray:
    """Skewness of the parts' influences over 6√K; 0 where nothing was left out."""
    if left_out.shape[-1] < 3:
        return np.zeros(left_out.shape[:-1])
    with np.errstate(invalid="ignore", divide="ignore"):
        influence = _mean(left_out)[..., None] - left_out
        cubes, squares = np.nansum(influence**3, axis=-1), np.nansum(influence**2, axis=-1)
        return np.where(squares > 0, cubes / (6 * squares**1.5), 0.0)


def _corrected(z: np.ndarray, shift: np.ndarray, speed: np.ndarray) -> np.ndarray:
    moved = shift + z
    return shift + moved / (1 - speed * moved)


def _p_value(
    replicates: np.ndarray, defined: np.ndarray, shift: np.ndarray, speed: np.ndarray
) -> np.ndarray:
    """Twice the smaller tail at which the interval would just touch zero."""
    z = special.ndtri(_share_below(replicates, np.zeros(defined.shape), defined))
    moved = z - shift
    tail = special.ndtr(moved / (1 + speed * moved) - shift)
    return np.minimum(1.0, 2 * np.minimum(tail, 1 - tail))


def _quantile(ordered: np.ndarray, defined: np.ndarray, q: float | np.ndarray) -> np.ndarray:
    """Returns a quantile of the first `defined` of ascending values, NaN of fewer than two.

    >>> _quantile(np.array([0.0, 1, 2, 3, 4, np.nan]), np.array(5), 0.25).item()
    1.0
    """
    if ordered.shape[-1] < 2:
        return np.full(ordered.shape[:-1], np.nan)
    place = np.clip(q, 0, 1) * np.maximum(defined - 1, 1)
    place = np.where(np.isnan(place), 0, place)
    below = np.floor(place).astype(int)
    share = place - below
    low = np.take_along_axis(ordered, below[..., None], axis=-1)[..., 0]
    above = np.minimum(below + 1, ordered.shape[-1] - 1)
    high = np.take_along_axis(ordered, above[..., None], axis=-1)[..., 0]
    # At a share of zero the next value may be a NaN that is not part of the sample; two equal
    # infinite thresholds have no difference.
    with np.errstate(invalid="ignore"):
        value = np.where((share > 0) & (low != high), low + share * (high - low), low)
    return np.where(defined >= 2, value, np.nan)


def _mean(values: np.ndarray) -> np.ndarray:
    """The mean of what is defined, without a warning where nothing is."""
    defined = (~np.isnan(values)).sum(axis=-1)
    with np.errstate(invalid="ignore"):
        return np.where(defined, np.nansum(values, axis=-1) / np.maximum(defined, 1), np.nan)
