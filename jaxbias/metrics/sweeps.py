"""Sweeps: sums over examples in score order, for all variants and replicates at once.

Shapes: V variants, L places of a sequence, R replicates (columns of multiplicities; a column of
ones is the sample itself), C channels (all examples, then each group). A sweep walks a channel's
ranks from the highest score down and carries [V, R] sums, so nothing of size V·L·R is ever stored.
Sums are float64: call under `jax.enable_x64`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxbias.metrics.channels import BLOCK, Channels
from jaxbias.metrics.ranking import Ranking, first_not_above

# Ranks per step of a sweep. A step costs a few microseconds whatever it does, and sums that stay
# in registers for eight ranks are read and written an eighth as often. It divides `BLOCK`.
STEP = 8


class _Ranks(NamedTuple):
    """What a step of a sweep needs of its ranks.

    Attributes:
      negative: float64[STEP, V, 1], an example's weight where it is negative, else 0.
      positive: float64[STEP, V, 1], likewise.
      multiplicities: [STEP, V, R].
      keys: uint32[STEP, V, 1].
      tied: bool[STEP, V, 1].
    """

    negative: jax.Array
    positive: jax.Array
    multiplicities: jax.Array
    keys: jax.Array
    tied: jax.Array


class Sweep(NamedTuple):
    """One set of examples, ready to be swept.

    Attributes:
      ranking: of V variants.
      channels: on the device.
      multiplicities: uint8[N, R], zero for padded examples.
    """

    ranking: Ranking
    channels: Channels
    multiplicities: jax.Array

    @property
    def shape(self) -> tuple[int, int]:
        """(V, R)."""
        return self.ranking.sequence.shape[0], self.multiplicities.shape[1]

    def rows(self, step: jax.Array) -> _Ranks:
        """Gathers what belongs to the ranks of a step, once for all that use it.

        Without the barrier XLA's CPU compiler repeats the gather, which does not vectorise, inside
        every fusion that reads it.
        """
        examples, keys, tied = (self.ranks(array, step) for array in self.ranking)
        signed = jnp.where(self.channels.positive, self.channels.weights, -self.channels.weights)
        weight, multiplicities = lax.optimization_barrier(
            (signed[examples], self.multiplicities[examples])
        )
        return _Ranks(
            jnp.maximum(-weight, 0.0)[:, :, None],
            jnp.maximum(weight, 0.0)[:, :, None],
            multiplicities,
            keys[:, :, None],
            tied[:, :, None],
        )

    def extent(self, channel: jax.Array) -> tuple[jax.Array, jax.Array]:
        """First and last step of a channel."""
        return self.channels.starts[channel] // STEP, self.channels.starts[channel + 1] // STEP

    def zeros(self) -> jax.Array:
        """float64[V, R]."""
        return jnp.zeros(self.shape, jnp.float64)

    def over_channels(self, sums: Callable) -> jax.Array:
        """Stacks what `sums(channel)` returns for each channel."""
        count = self.channels.starts.shape[0] - 1
        return lax.map(sums, jnp.arange(count, dtype=jnp.int32))

    @staticmethod
    def ranks(array: jax.Array, step: jax.Array) -> jax.Array:
        """Takes the ranks of a step from [V, L], as [STEP, V]."""
        return lax.dynamic_slice_in_dim(array, step * STEP, STEP, axis=1).T


class _State(NamedTuple):
    """float64[V, R] each.

    Attributes:
      pairs: weight of (positive, negative) pairs ranked rightly so far; a tie counts half.
      positives: weight of the positives so far.
      negatives: weight of the negatives so far.
      above: weight of the positives above the present tie.
      true_positives: weight of the positives above the threshold.
      false_positives: weight of the negatives above the threshold.
    """

    pairs: jax.Array
    positives: jax.Array
    negatives: jax.Array
    above: jax.Array
    true_positives: jax.Array
    false_positives: jax.Array


def pairs_and_selected(
    sweep: Sweep, thresholds: jax.Array | None, pairs: bool
) -> dict[str, jax.Array]:
    """Weighs rightly ranked pairs, and what lies above each replicate's threshold.

    The weight of the pairs divided by the product of the two class weights is the AUC (Mann and
    Whitney, 1947). Replicates' thresholds lie close together: only the ranks between the highest
    and the lowest are compared with them.

    Args:
      sweep: the examples.
      thresholds: uint32[T, V, R], keys, predict positive where key > threshold; T = 1, or one per
        channel; None: nothing is selected.
      pairs: whether pairs are wanted.

    Returns:
      "pairs", and "false_positives" and "true_positives" where there are thresholds: float64[C, V,
      R] each.
    """

    def channel_sums(with_ties: bool, channel: jax.Array) -> _State:
        first, last = sweep.extent(channel)
        state = _State(*[sweep.zeros()] * 6)
        if thresholds is None:
            return _walk(sweep, first, last, state, ties=with_ties, pairs=True, negatives=False)
        limit = thresholds[channel if thresholds.shape[0] > 1 else 0]
        low, high = first * STEP, last * STEP
        above_all = first_not_above(sweep.ranking.keys, limit.max(axis=1), low, high).min()
        above_one = first_not_above(sweep.ranking.keys, limit.min(axis=1), low, high).max()
        compared, rest = above_all // STEP, -(-above_one // STEP)
        state = _walk(sweep, first, compared, state, ties=with_ties, pairs=pairs)
        # Whatever has been passed is above every threshold.
        state = state._replace(true_positives=state.positives, false_positives=state.negatives)
        state = _walk(sweep, compared, rest, state, ties=with_ties, pairs=pairs, limit=limit)
        if pairs:
            state = _walk(sweep, rest, last, state, ties=with_ties, pairs=True, negatives=False)
        return state

    def sums(with_ties: bool) -> _State:
        return sweep.over_channels(lambda channel: channel_sums(with_ties, channel))

    if pairs:
        state = lax.cond(sweep.ranking.tied.any(), lambda: sums(True), lambda: sums(False))
    else:
        state = sums(False)
    found = {"pairs": state.pairs} if pairs else {}
    if thresholds is not None:
        found |= {name: getattr(state, name) for name in ("true_positives", "false_positives")}
    return found


def _walk(
    sweep: Sweep,
    first: jax.Array,
    last: jax.Array,
    state: _State,
    *,
    ties: bool,
    pairs: bool,
    negatives: bool = True,
    limit: jax.Array | None = None,
) -> _State:
    """Carries the state over steps first .. last − 1."""

    def step(index: jax.Array, state: _State) -> _State:
        rows = sweep.rows(index)
        pair_sum, positives, negative_sum, above, tp, fp = state
        for k in range(STEP):
            m = rows.multiplicities[k].astype(jnp.float64)
            if ties and pairs:
                above = jnp.where(rows.tied[k], above, positives)
            positives = positives + rows.positive[k] * m
            negative = rows.negative[k] * m
            if pairs:
                # Inside a tie positives come first, so `positives` already holds all of them.
                rightly = (positives + above) / 2 if ties else positives
                pair_sum = pair_sum + negative * rightly
            if negatives:
                negative_sum = negative_sum + negative
            if limit is not None:
                selected = rows.keys[k] > limit
                tp = jnp.where(selected, positives, tp)
                fp = jnp.where(selected, negative_sum, fp)
        return _State(pair_sum, positives, negative_sum, above, tp, fp)

    return lax.fori_loop(first, last, step, state)


def precisions(sweep: Sweep, factor: jax.Array) -> jax.Array:
    """Sums precision over the positives, each tie counted at its lowest rank.

    Divided by the positives' weight this is the average precision Σ ΔR·P. With the negatives'
    weight multiplied by P/N, precision becomes R·N/(R·N + FP): the normalised average precision
    for a common number N of positives (Hoiem et al., 2012).

    Args:
      sweep: the examples.
      factor: float64[C, R], by which negatives are multiplied.

    Returns:
      float64[C, V, R].
    """

    def channel_sums(channel: jax.Array) -> jax.Array:
        scale = factor[channel][None, :]

        def step(index: jax.Array, state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
            rows = sweep.rows(index)
            for k in range(STEP):
                total, tp, fp, above = state
                closed = total + _precision(tp - above, tp, fp)
                total = jnp.where(rows.tied[k], total, closed)
                above = jnp.where(rows.tied[k], above, tp)
                m = rows.multiplicities[k].astype(jnp.float64)
                state = total, tp + rows.positive[k] * m, fp + rows.negative[k] * m * scale, above
            return state

        first, last = sweep.extent(channel)
        total, tp, fp, above = lax.fori_loop(first, last, step, (sweep.zeros(),) * 4)
        return total + _precision(tp - above, tp, fp)

    return sweep.over_channels(channel_sums)


def _precision(gained: jax.Array, tp: jax.Array, fp: jax.Array) -> jax.Array:
    return jnp.where(gained > 0, gained * tp / jnp.where(tp + fp > 0, tp + fp, 1.0), 0.0)


def distances(sweep: Sweep, values: jax.Array, families: tuple[tuple[int, ...], ...]) -> jax.Array:
    """Integrates the difference of two groups' score distributions, ∫|F₀ − F₁|.

    Args:
      sweep: the examples.
      values: float64[V, N], the scores.
      families: places of each family's groups among the groups.

    Returns:
      float64[F, V, R]; of more than two groups the largest distance of any two.
    """
    ordered = jnp.take_along_axis(values, sweep.ranking.sequence, axis=1)
    # Up to where the next example's score begins; nothing at padding, which has key 0.
    height = jnp.where(
        jnp.roll(sweep.ranking.keys, -1, axis=1) > 0, ordered - jnp.roll(ordered, -1, axis=1), 0.0
    )
    height = jnp.where(sweep.ranking.keys > 0, height, 0.0)
    weight = sweep.channels.membership[1:].astype(jnp.float64) * sweep.channels.weights[None, :]
    totals = weight @ sweep.multiplicities.astype(jnp.float64)

    def distance(pair: jax.Array) -> jax.Array:
        one, other = weight[pair[0]], weight[pair[1]]
        sizes = totals[pair[0]][None, :], totals[pair[1]][None, :]

        def step(index: jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, ...]:
            examples = sweep.ranks(sweep.ranking.sequence, index)
            heights = sweep.ranks(height, index)
            first, second, m = lax.optimization_barrier(
                (one[examples], other[examples], sweep.multiplicities[examples])
            )
            total, difference = state
            for k in range(STEP):
                difference = difference + m[k].astype(jnp.float64) * (
                    first[k][:, None] / sizes[0] - second[k][:, None] / sizes[1]
                )
                total = total + jnp.abs(difference) * heights[k][:, None]
            return total, difference

        begin, end = sweep.extent(jnp.int32(0))
        total = lax.fori_loop(begin, end, step, (sweep.zeros(),) * 2)[0]
        return jnp.where((sizes[0] > 0) & (sizes[1] > 0), total, jnp.nan)

    found = []
    for groups in families:
        pairs = [(a, b) for i, a in enumerate(groups) for b in groups[i + 1 :]]
        if not pairs:
            found.append(jnp.full(sweep.shape, jnp.nan, jnp.float64))
            continue
        found.append(lax.map(distance, jnp.asarray(pairs, jnp.int32)).max(axis=0))
    return jnp.stack(found)


def means(sweep: Sweep, values: jax.Array) -> jax.Array:
    """Sums values over the examples of each channel, as matrix products.

    Args:
      sweep: the examples.
      values: float64[V, N]; an infinite one counts only where its example is drawn.

    Returns:
      float64[C, V, R], Σ w·m·value.
    """
    infinite = jnp.isinf(values)
    none = jnp.zeros((sweep.channels.starts.shape[0] - 1, *sweep.shape), jnp.float64)
    # 0 · ∞ is no number, and what is huge in float64 is infinite on TPUs, which have its digits as
    # two of float32, and float32's range: what is infinite is counted, where there is any.
    drawn = lax.cond(
        infinite.any(), lambda: _weighed(sweep, infinite.astype(jnp.float64)), lambda: none
    )
    return jnp.where(drawn > 0, jnp.inf, _weighed(sweep, jnp.where(infinite, 0.0, values)))


def _weighed(sweep: Sweep, values: jax.Array) -> jax.Array:
    """Σ w·m·value of finite values."""
    channels = sweep.channels

    def channel_sums(channel: jax.Array) -> jax.Array:
        def product(block: jax.Array, total: jax.Array) -> jax.Array:
            examples = lax.dynamic_slice_in_dim(channels.members, block * BLOCK, BLOCK)
            m = sweep.multiplicities[examples].astype(jnp.float64)
            return total + (values[:, examples] * channels.weights[examples][None, :]) @ m

        first, last = channels.starts[channel] // BLOCK, channels.starts[channel + 1] // BLOCK
        return lax.fori_loop(first, last, product, sweep.zeros())

    return sweep.over_channels(channel_sums)
