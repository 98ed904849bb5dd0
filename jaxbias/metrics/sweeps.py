"""Sweeps: sums over examples in score order, for all variants and replicates at once.

Shapes: V variants, N examples (the first `count` real, the others of weight zero), R replicates
(columns of multiplicities; a column of ones is the sample itself), C channels (all examples, then
each group). A sweep walks the ranks from the highest score down and carries [.., V, R] sums, so
nothing of size V·N·R is ever stored. Sums are float64: call under `jax.enable_x64`.
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxbias.metrics.ranking import Ranking

# Sums of the same weights in another order differ in their last bits. A selection that ties with
# the base rate must not be lost to that.
_TOLERANCE = 1e-9


def pair_weights(
    ranking: Ranking, channels: jax.Array, multiplicities: jax.Array, count: jax.Array
) -> jax.Array:
    """Weighs the (positive, negative) pairs that are ranked rightly; a tie counts half.

    Divided by the product of the two class weights this is the AUC (Mann and Whitney 1947).

    Args:
      ranking: of V variants.
      channels: float64[N, 2, C], the weight of an example under its label in each channel.
      multiplicities: float32[N, R].
      count: int32[].

    Returns:
      float64[C, V, R].
    """
    ranks = jnp.arange(ranking.keys.shape[1], dtype=jnp.int32)
    tied = ranking.keys == jnp.roll(ranking.keys, 1, axis=1)
    tied &= ((ranks > 0) & (ranks < count))[None, :]

    def sweep(with_ties: bool) -> jax.Array:
        order, starts = ranking.order.T, ~tied.T
        zeros = _zeros(ranking, channels, multiplicities)

        def step(k: jax.Array, sums: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
            pairs, positives, before = sums
            weight, m = _rows(order[k], channels, multiplicities)
            if with_ties:  # `before` holds the positives above the tie.
                before = jnp.where(starts[k][None, :, None], positives, before)
            positives = positives + weight[:, 1].T[:, :, None] * m[None]
            # Inside a tie positives come first, so `positives` already holds all of them.
            rightly = (positives + before) / 2 if with_ties else positives
            pairs = pairs + weight[:, 0].T[:, :, None] * m[None] * rightly
            return pairs, positives, before

        before = zeros if with_ties else jnp.zeros((), jnp.float64)
        return lax.fori_loop(jnp.int32(0), count, step, (zeros, zeros, before))[0]

    return lax.cond(tied.any(), lambda: sweep(True), lambda: sweep(False))


def base_rate_threshold(
    ranking: Ranking,
    weights: jax.Array,
    allowed: jax.Array,
    multiplicities: jax.Array,
    count: jax.Array,
) -> jax.Array:
    """Finds the threshold at which as much weight is predicted positive as is positive.

    {s > t} is the largest such set whose weight does not exceed what is allowed; unweighted and
    without ties, t = sort(s)[-(P + 1)] with P positives (the paper's code). An example of weight
    zero counts as absent. Where everything is allowed, t = −inf.

    Args:
      ranking: of V variants.
      weights: float64[N].
      allowed: float64[R], Σ w·m·y.
      multiplicities: float32[N, R].
      count: int32[].

    Returns:
      uint32[V, R], keys of the thresholds: predict positive where key > threshold.
    """
    order = ranking.order.T
    limit = (allowed * (1 + _TOLERANCE))[None, :]
    shape = (order.shape[1], multiplicities.shape[1])

    def step(k: jax.Array, sums: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        total, inside = sums
        weight, m = _rows(order[k], weights, multiplicities)
        total = total + weight[:, None] * m
        return total, inside + (total <= limit).astype(jnp.int32)

    start = jnp.zeros(shape, jnp.float64), jnp.zeros(shape, jnp.int32)
    _, inside = lax.fori_loop(jnp.int32(0), count, step, start)
    # The first example that does not fit; all that tie with it stay outside with it.
    first_outside = jnp.minimum(inside, order.shape[0] - 1)
    keys = jnp.take_along_axis(ranking.keys, first_outside, axis=1)
    minus_infinity = jnp.uint32(0x007FFFFF)
    return jnp.where(inside < count, keys, minus_infinity)


def selected_weights(
    ranking: Ranking,
    keys: jax.Array,
    thresholds: jax.Array,
    channels: jax.Array,
    multiplicities: jax.Array,
) -> jax.Array:
    """Sums the weights of the examples above each replicate's threshold.

    Replicates' thresholds lie close together: what is above all of them is one matrix product,
    and only the ranks between the highest and the lowest are swept.

    Args:
      ranking: of V variants.
      keys: uint32[V, N], the keys it was made from.
      thresholds: uint32[V, R].
      channels: float64[N, 2, C].
      multiplicities: float32[N, R].

    Returns:
      float64[2, C, V, R]: false positives, then true positives.
    """
    n = keys.shape[1]
    highest, lowest = (f(thresholds, axis=1, keepdims=True) for f in (jnp.max, jnp.min))
    surely = (keys > highest).astype(jnp.float64)
    m = multiplicities.astype(jnp.float64)
    # One channel at a time: all at once would need [2, C, V, N].
    columns = channels.reshape(n, -1).T
    sums = lax.map(lambda column: (surely * column[None, :]) @ m, columns)
    sums = sums.reshape(*channels.shape[1:], *thresholds.shape)

    # Ranks of padding hold the lowest key, which is above no threshold.
    first = (ranking.keys > highest).sum(axis=1, dtype=jnp.int32)
    end = (ranking.keys > lowest).sum(axis=1, dtype=jnp.int32)

    def step(j: jax.Array, sums: jax.Array) -> jax.Array:
        k = jnp.minimum(first + j, n - 1)[:, None]
        order = jnp.take_along_axis(ranking.order, k, axis=1)[:, 0]
        key = jnp.take_along_axis(ranking.keys, k, axis=1)
        weight, m = _rows(order, channels, multiplicities)
        m = jnp.where((key > thresholds) & (first + j < end)[:, None], m, 0.0)
        return sums + weight.transpose(1, 2, 0)[:, :, :, None] * m[None, None]

    return lax.fori_loop(jnp.int32(0), (end - first).max(), step, sums)


def _zeros(ranking: Ranking, channels: jax.Array, multiplicities: jax.Array) -> jax.Array:
    shape = (channels.shape[-1], ranking.order.shape[0], multiplicities.shape[1])
    return jnp.zeros(shape, jnp.float64)


def _rows(
    examples: jax.Array, weights: jax.Array, multiplicities: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Gathers the examples at one rank of every variant, once for all that use them.

    Without the barrier XLA's CPU compiler repeats the gather, which does not vectorise, inside
    every fusion that reads it.
    """
    weight, m = lax.optimization_barrier((weights[examples], multiplicities[examples]))
    return weight, m.astype(jnp.float64)
