"""The Poisson bootstrap: each example enters each replicate Poisson(1) times.

Multiplicities come from a counter: example i of replicate r has its own, whatever the number of
examples, replicates or variants, so all variants share them and differences between variants are
paired.
"""

import math

import numpy as np

# Poisson(1) has less than 2^-53 of its mass beyond 18, so a random double never reaches it.
_CUMULATIVE = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(19)])


def draw_multiplicities(seed: int, split: int, examples: int, replicates: int) -> np.ndarray:
    """Draws how often each example enters each replicate.

    On the host: a few million numbers once per evaluation are not worth a compiled program.

    Args:
      seed: >= 0.
      split: a number for each set of examples, whose draws are independent.
      examples: N.
      replicates: R.

    Returns:
      float32[N, R] of whole numbers.

    >>> few, many = (draw_multiplicities(0, 0, n, r) for n, r in ((3, 2), (500, 20)))
    >>> bool((many[:3, :2] == few).all()), round(float(many.mean()), 1)
    (True, 1.0)
    """
    drawn = np.empty((examples, replicates), np.float32)
    for r in range(replicates):
        # The replicate is a word of the counter, the example counts on within it.
        bits = np.random.Philox(key=[seed, split], counter=[0, r, 0, 0])
        drawn[:, r] = np.searchsorted(
            _CUMULATIVE, np.random.Generator(bits).random(examples), side="right"
        )
    return drawn


def percentile_interval(replicates: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the percentile interval over the replicates in which the metric is defined.

    Args:
      replicates: float[..., R], NaN where undefined.
      confidence: e.g. 0.95.

    Returns:
      Lower and upper bounds, float64[...]; NaN where fewer than two replicates are defined.

    >>> low, high = percentile_interval(np.array([[0.0, 1, 2, 3, 4, np.nan]]), 0.5)
    >>> low.tolist(), high.tolist()
    ([1.0], [3.0])
    """
    ordered = np.sort(replicates, axis=-1)  # NaN last.
    defined = (~np.isnan(ordered)).sum(axis=-1)
    tail = (1 - confidence) / 2
    bounds = [_quantile(ordered, defined, q) for q in (tail, 1 - tail)]
    return bounds[0], bounds[1]


def _quantile(ordered: np.ndarray, defined: np.ndarray, q: float) -> np.ndarray:
    if ordered.shape[-1] < 2:
        return np.full(ordered.shape[:-1], np.nan)
    place = q * np.maximum(defined - 1, 1)
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
