"""Sweeps: sums over examples in score order, for all variants and replicates at once.

Shapes: V variants, N examples (the first `count` real, the others of weight zero), R replicates
(columns of multiplicities; a column of ones is the sample itself), C channels (all examples, then
each group). A sweep walks the ranks from the highest score down and carries [.., V, R] sums, so
nothing of size V·N·R is ever stored. Sums are float64: call under `jax.enable_x64`.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from jaxbias.metrics.ranking import Ranking

# Sums of the same weights in another order differ in their last bits. A selection that ties with
# the base rate must not be lost to that.
_TOLERANCE = 1e-9

# Ranks per step of a sweep. A step costs a few microseconds whatever it does, and sums that stay
# in registers for eight ranks are read and written an eighth as often: 0.9 against 2.0 s for
# 500 variants, 4,500 examples and 200 replicates. Every padded size is a multiple of both.
_BLOCK = 8
# Examples per matrix product.
_PRODUCT = 256


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
      float64[V, C, R].
    """
    ranks = jnp.arange(ranking.keys.shape[1], dtype=jnp.int32)
    tied = ranking.keys == jnp.roll(ranking.keys, 1, axis=1)
    tied &= ((ranks > 0) & (ranks < count))[None, :]
    shape = (len(ranking.order), channels.shape[2], multiplicities.shape[1])

    def sweep(with_ties: bool) -> jax.Array:
        zeros = jnp.zeros(shape, jnp.float64)

        def step(block: jax.Array, sums: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
            pairs, positives, before = sums
            weight, m = _rows(_ranks(ranking.order, block), channels, multiplicities)
            starts = ~_ranks(tied, block)
            for k in range(_BLOCK):
                if with_ties:  # `before` holds the positives above the tie.
                    before = jnp.where(starts[k][:, None, None], positives, before)
                positives = positives + weight[k, :, 1, :, None] * m[k][:, None]
                # Inside a tie positives come first, so `positives` already holds all of them.
                rightly = (positives + before) / 2 if with_ties else positives
                pairs = pairs + weight[k, :, 0, :, None] * m[k][:, None] * rightly
            return pairs, positives, before

        before = zeros if with_ties else jnp.zeros((), jnp.float64)
        return lax.fori_loop(jnp.int32(0), _blocks(count), step, (zeros, zeros, before))[0]

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
    limit = (allowed * (1 + _TOLERANCE))[None, :]
    shape = (len(ranking.order), multiplicities.shape[1])

    def step(block: jax.Array, sums: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        total, inside = sums
        weight, m = _rows(_ranks(ranking.order, block), weights, multiplicities)
        for k in range(_BLOCK):
            total = total + weight[k][:, None] * m[k]
            inside = inside + (total <= limit).astype(jnp.int32)
        return total, inside

    start = jnp.zeros(shape, jnp.float64), jnp.zeros(shape, jnp.int32)
    _, inside = lax.fori_loop(jnp.int32(0), _blocks(count), step, start)
    # The first example that does not fit; all that tie with it stay outside with it.
    first_outside = jnp.minimum(inside, ranking.keys.shape[1] - 1)
    keys = jnp.take_along_axis(ranking.keys, first_outside, axis=1)
    minus_infinity = jnp.uint32(0x007FFFFF)
    return jnp.where(inside < count, keys, minus_infinity)


def selected_weights(
    ranking: Ranking,
    keys: jax.Array,
    thresholds: jax.Array,
    channels: jax.Array,
    multiplicities: jax.Array,
    count: jax.Array,
) -> jax.Array:
    """Sums the weights of the examples above each replicate's threshold.

    Replicates' thresholds lie close together: what is above all of them is a matrix product, and
    only the ranks between the highest and the lowest are swept.

    Args:
      ranking: of V variants.
      keys: uint32[V, N], the keys it was made from.
      thresholds: uint32[V, R].
      channels: float64[N, 2, C].
      multiplicities: float32[N, R].
      count: int32[].

    Returns:
      float64[V, 2·C, R]: false positives in each channel, then true positives.
    """
    highest = thresholds.max(axis=1, keepdims=True)
    lowest = thresholds.min(axis=1, keepdims=True)
    columns = channels.reshape(len(channels), -1)
    shape = (len(keys), columns.shape[1], multiplicities.shape[1])

    def product(block: jax.Array, sums: jax.Array) -> jax.Array:
        rows = functools.partial(
            lax.dynamic_slice_in_dim, start_index=block * _PRODUCT, slice_size=_PRODUCT
        )
        above = rows(keys, axis=1) > highest
        weight = jnp.where(above[:, None, :], rows(columns).T[None], 0.0)
        weight = weight.reshape(shape[0] * shape[1], _PRODUCT)
        return sums + (weight @ rows(multiplicities).astype(jnp.float64)).reshape(shape)

    zeros = jnp.zeros(shape, jnp.float64)
    sums = lax.fori_loop(jnp.int32(0), -(-count // _PRODUCT), product, zeros)

    # Ranks of padding hold the lowest key, which is above no threshold.
    first = (ranking.keys > highest).sum(axis=1, dtype=jnp.int32)
    end = (ranking.keys > lowest).sum(axis=1, dtype=jnp.int32)
    offsets = jnp.arange(_BLOCK, dtype=jnp.int32)[None, :]

    def step(block: jax.Array, sums: jax.Array) -> jax.Array:
        rank = first[:, None] + block * _BLOCK + offsets
        place = jnp.minimum(rank, keys.shape[1] - 1)
        order = jnp.take_along_axis(ranking.order, place, axis=1).T
        key = jnp.where(rank < end[:, None], jnp.take_along_axis(ranking.keys, place, axis=1), 0)
        weight, m = _rows(order, columns, multiplicities)
        for k in range(_BLOCK):
            selected = jnp.where(key[:, k, None] > thresholds, m[k], 0.0)
            sums = sums + weight[k][:, :, None] * selected[:, None]
        return sums

    return lax.fori_loop(jnp.int32(0), _blocks((end - first).max()), step, sums)


def _blocks(count: jax.Array) -> jax.Array:
    return -(-count // _BLOCK)


def _ranks(array: jax.Array, block: jax.Array) -> jax.Array:
    """Takes the ranks of a block from [V, N], as [_BLOCK, V]."""
    return lax.dynamic_slice_in_dim(array, block * _BLOCK, _BLOCK, axis=1).T


def _rows(
    examples: jax.Array, weights: jax.Array, multiplicities: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Gathers what belongs to the examples, once for all that use it.

    Without the barrier XLA's CPU compiler repeats the gather, which does not vectorise, inside
    every fusion that reads it.
    """
    weight, m = lax.optimization_barrier((weights[examples], multiplicities[examples]))
    return weight, m.astype(jnp.float64)
