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


def leave_out(seed: int, split: int, examples: int, folds: int) -> np.ndarray:
    """Leaves each of `folds` random parts of the examples out in turn: a grouped jackknife.

    Returns:
      float32[N, folds] of 0 and 1.

    >>> leave_out(0, 0, 6, 3).sum(axis=0).tolist()
    [4.0, 4.0, 4.0]
    """
    # The last word of the counter sets this stream apart from the replicates'.
    bits = np.random.Philox(key=[seed, split], counter=[0, 0, 0, 1])
    fold = np.argsort(np.random.Generator(bits).random(examples), kind="stable") % folds
    return (fold[:, None] != np.arange(folds)).astype(np.float32)
