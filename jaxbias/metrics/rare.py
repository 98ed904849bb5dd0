"""Rare positives: what AUC and average precision are made of, from the positives' places alone.

Both ask, at each distinct score of a positive, how much weight lies above and beside it. A sweep
passes every example in order and does its sums again at each; where positives are few, examples are
added up between two of them first, by one product of a matrix with a single entry per example, and
the sums are over the few. Measured: 48 variants of 40 classes, 4,000 examples in two groups and 200
replicates take 9 core seconds so, and 20 by sweeps.
"""

import numpy as np
from scipy import sparse

from jaxbias.metrics.program import Split
from jaxbias.metrics.ranking import host_keys

SUMS = frozenset({"pairs", "precisions", "normalized_precisions"})
# Examples per positive from which on it is faster.
_FEWER = 8
# Sums at once, which bounds the memory.
_MOST = 2**19
# Whole numbers up to here are exact in float32, which is read twice as fast.
_EXACT = 2**24


def applies(asked: frozenset[str], split: Split) -> bool:
    """Returns whether sums are made here: of no other kind, and of few positives."""
    present = split.channels.membership[0].sum()
    return asked <= SUMS and _FEWER * split.channels.positive.sum() < present


def measure(
    asked: frozenset[str], scores: np.ndarray, split: Split, factor: np.ndarray
) -> dict[str, np.ndarray]:
    """Sums over the examples of some variants, as `program.measure` does.

    Args:
      asked: some of `SUMS`.
      scores: float32[V, n], of the real examples.
      split: the examples, on the host.
      factor: float64[C, R], of the negatives in normalised precision.

    Returns:
      name -> float64[V, C, R].
    """
    channels = split.channels
    present = np.flatnonzero(channels.membership[0])
    combinations, cells = np.unique(channels.membership[:, present].T, axis=0, return_inverse=True)
    cells = cells.reshape(-1)  # NumPy 2.0.0 returns a column.
    weights, positive = channels.weights[present], channels.positive[present]
    drawn = split.multiplicities[present]
    heaviest = (weights @ drawn.astype(np.float64)).max(initial=0)
    exact = heaviest < _EXACT and (weights == np.round(weights)).all()
    drawn = drawn.astype(np.float32 if exact else np.float64)
    weights = weights.astype(drawn.dtype)
    found = {name: np.zeros((len(scores), *factor.shape)) for name in asked}
    for v, chosen in enumerate(scores):
        places, levels = _places(host_keys(chosen[present]), positive)
        rows = 3 * levels + 1
        shape = (rows * len(combinations), len(present))
        ends = np.arange(len(present) + 1)
        matrix = sparse.csc_matrix((weights, cells * rows + places, ends), shape)
        width = max(8, _MOST // shape[0])
        for first in range(0, drawn.shape[1], width):
            columns = slice(first, first + width)
            by_cell = (matrix @ drawn[:, columns]).astype(np.float64)
            by_cell = by_cell.reshape(len(combinations), rows, -1)
            for c, inside in enumerate(combinations.T):
                sums = _channel(asked, by_cell[inside].sum(axis=0), levels, factor[c, columns])
                for name, values in sums.items():
                    found[name][v, c, columns] = values
    return found


def _places(keys: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, int]:
    """Where each example is added up, and how many distinct scores L the positives have.

    A negative at 2 d, d of these scores being above its own, or at 2 d + 1 where the next one is
    its own; a positive of the d-th highest of them at 2 L + 1 + d.
    """
    levels = np.unique(keys[positive])
    at_least = np.searchsorted(levels, keys, side="right")
    above = len(levels) - at_least
    tied = levels[np.maximum(at_least, 1) - 1] == keys if len(levels) else np.zeros(len(keys), bool)
    return np.where(positive, 2 * len(levels) + 1 + above, 2 * above + tied), len(levels)


def _channel(
    asked: frozenset[str], sums: np.ndarray, levels: int, factor: np.ndarray
) -> dict[str, np.ndarray]:
    """The sums of one channel, float64[R] each, from its rows float64[3 L + 1, R]."""
    negatives, gained = sums[: 2 * levels + 1], sums[2 * levels + 1 :]
    passed = np.cumsum(negatives, axis=0)
    above, beside = passed[: 2 * levels : 2], negatives[1::2]
    found = {}
    if "pairs" in asked:
        below = passed[-1] - above - beside / 2
        found["pairs"] = (gained * below).sum(axis=0)
    true, false = np.cumsum(gained, axis=0), above + beside
    for name, scale in (("precisions", 1.0), ("normalized_precisions", factor)):
        if name in asked:
            every = true + false * scale
            found[name] = (gained * true / np.where(every > 0, every, 1.0)).sum(axis=0)
    return found
