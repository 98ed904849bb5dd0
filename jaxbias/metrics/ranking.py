"""Order: one sort per variant, on integers, so that ties and denormals are what they are.

Everything else in this room is a sum over examples in this order. Scores are compared as the
unsigned integers that sort like them, never as floats: compiled CPU code may flush denormals to
zero, and would then see ties that are none.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

_SIGN = np.uint32(0x80000000)
_LAST = np.uint32(0xFFFFFFFF)


class Ranking(NamedTuple):
    """Examples of each variant from the highest score to the lowest, padding last.

    Attributes:
      order: int32[V, N], which example stands at each rank; in a tie positives come first.
      keys: uint32[V, N], its key, descending.
    """

    order: jax.Array
    keys: jax.Array


def score_keys(scores: jax.Array) -> jax.Array:
    """Maps float32 scores to uint32 keys that compare as the scores do; −0.0 equals 0.0.

    The scores may be infinite and must not be NaN.

    >>> keys = score_keys(jnp.asarray([-jnp.inf, -1.0, -0.0, 0.0, 1e-45, 1.0], jnp.float32))
    >>> (keys[1:] > keys[:-1]).tolist()
    [True, True, False, True, True]
    """
    bits = lax.bitcast_convert_type(scores, jnp.uint32)
    bits = jnp.where(bits == _SIGN, np.uint32(0), bits)
    return bits ^ jnp.where(bits >= _SIGN, _LAST, _SIGN)


def key_scores(keys: jax.Array) -> jax.Array:
    """Maps keys back to the float32 scores they stand for.

    >>> key_scores(score_keys(jnp.asarray([-2.5, 0.0, 3.0], jnp.float32))).tolist()
    [-2.5, 0.0, 3.0]
    """
    bits = keys ^ jnp.where(keys >= _SIGN, _SIGN, _LAST)
    return lax.bitcast_convert_type(bits, jnp.float32)


def rank(keys: jax.Array, labels: jax.Array, count: jax.Array) -> Ranking:
    """Sorts the examples of each variant. Needs 64-bit integers (`jax.enable_x64`).

    One operand holds key, label and index together: XLA's CPU sort of one uint64 operand is
    several times faster than `argsort`, which carries two.

    Args:
      keys: uint32[V, N], from `score_keys`.
      labels: int32[N], 0 or 1.
      count: int32[], the first `count` examples are real, the others padding.
    """
    n = keys.shape[1]
    index = jnp.arange(n, dtype=jnp.uint32)
    low = jnp.where(labels == 1, index, index | _SIGN)
    high = jnp.where((index < count.astype(jnp.uint32))[None, :], ~keys, _LAST)
    packed = (high.astype(jnp.uint64) << 32) | low.astype(jnp.uint64)[None, :]
    packed = lax.sort(packed, dimension=1, is_stable=False)
    order = (packed & np.uint64(_SIGN - 1)).astype(jnp.int32)
    return Ranking(order, ~(packed >> 32).astype(jnp.uint32))
