"""Thresholds: each rule a search down the ranks, anew in every bootstrap replicate."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxbias.errors import InputError
from jaxbias.metrics.groups import Groups
from jaxbias.metrics.ranking import MINUS_INFINITY, ZERO, host_keys, key_scores, score_keys
from jaxbias.metrics.rules import Rule
from jaxbias.metrics.sweeps import STEP, Sweep

# Sums of the same weights in another order differ in their last bits. A selection that ties with
# the base rate must not be lost to that.
_TOLERANCE = 1e-9

_NONE = np.uint32(0xFFFFFFFF)  # No score has this key.

# The first scores of a variant show that it has more than two values, if it has.
_FIRST = 64


def check_rule(rule: Rule, groups: Groups) -> None:
    """Refuses a threshold for each group where an example has none or several groups.

    Raises:
      InputError: the groups are no partition.
    """
    if rule.per_group and (
        len(groups.families) != 1 or not (groups.membership.sum(axis=0) == 1).all()
    ):
        raise InputError(
            "threshold='group_base_rate' needs every example in exactly one group of one column"
        )


def two_value_cuts(sets: Sequence[tuple[Any, np.ndarray]]) -> np.ndarray:
    """Returns where scores of two values are cut: midway between them, 0 and 1 at 0.5.

    Args:
      sets: of examples that share the threshold: scores float32[V, N], and bool[N], which count.

    Returns:
      float64[V], such that exactly the higher scores are above; NaN where there are more or fewer
      than two values.
    """
    cuts = np.full(len(sets[0][0]), np.nan)
    first = [np.asarray(scores[:, np.flatnonzero(present)[:_FIRST]]) for scores, present in sets]
    first = np.sort(np.concatenate(first, axis=1), axis=1)
    few = (first[:, 1:] != first[:, :-1]).sum(axis=1) < 2
    for v in np.flatnonzero(few):
        rows = [np.asarray(scores[v])[present] for scores, present in sets]
        values = np.unique(np.concatenate(rows))
        if len(values) == 2:
            cuts[v] = _between(*values)
    return cuts


def cut_keys(cuts: np.ndarray) -> np.ndarray:
    """Returns the keys of cuts as float64[V], which holds them exactly; NaN where there is none."""
    return np.where(np.isnan(cuts), np.nan, host_keys(cuts.astype(np.float32)))


def traced_cuts(scores: jax.Array, present: np.ndarray) -> jax.Array:
    """Returns the keys of the cuts of one set, inside a program with 64 bits."""
    keys, present = score_keys(scores), jnp.asarray(present)[None, :]
    highest = jnp.where(present, keys, np.uint32(0)).max(axis=1, initial=0)
    lowest = jnp.where(present, keys, _NONE).min(axis=1, initial=_NONE)
    either = (keys == highest[:, None]) | (keys == lowest[:, None]) | ~present
    low, high = (key_scores(key).astype(jnp.float64) for key in (lowest, highest))
    key = score_keys(((low + high) / 2).astype(jnp.float32))
    key = jnp.where((key >= lowest) & (key < highest), key, lowest)
    return jnp.where(either.all(axis=1) & (lowest < highest), key.astype(jnp.float64), jnp.nan)


def _between(low: np.float32, high: np.float32) -> float:
    with np.errstate(invalid="ignore"):  # Of opposite infinities there is no middle.
        middle = float(np.float32((float(low) + float(high)) / 2))
    return middle if low <= middle < high else float(low)  # That of neighbours may be the higher.


def find_thresholds(sweep: Sweep, rule: Rule, given: jax.Array, totals: jax.Array) -> jax.Array:
    """Chooses the thresholds of every variant and replicate.

    Args:
      sweep: the examples they are taken from.
      rule: not "fixed".
      given: float64[V], its rate.
      totals: float64[2, C, R], weight of the negatives and of the positives of each channel.

    Returns:
      uint32[T, V, R], keys; T = 1, or the number of channels where groups have their own.
    """
    if rule.name == "base_rate":
        return _largest_within(sweep, jnp.int32(0), totals[1, :1], positives=True)[None]
    if rule.per_group:
        return sweep.over_channels(
            lambda c: _largest_within(sweep, c, totals[1, c][None, :], positives=True)
        )
    if rule.name == "fpr":
        limit = given[:, None] * totals[0, :1]
        return _largest_within(sweep, jnp.int32(0), limit, positives=False)[None]
    if rule.name == "tpr":
        return _smallest_reaching(sweep, given[:, None] * totals[1, :1])[None]
    return _youden(sweep, totals[0, 0], totals[1, 0])[None]


def _largest_within(
    sweep: Sweep, channel: jax.Array, allowed: jax.Array, positives: bool
) -> jax.Array:
    """{s > t} is the largest such set whose weight does not exceed what is allowed.

    Unweighted, without ties, and with P allowed, t = sort(s)[-(P + 1)] (the paper's code). Where
    everything is allowed, t = −inf.

    Args:
      sweep: the examples.
      channel: int32[].
      allowed: float64[V or 1, R].
      positives: whether positives count towards the weight; negatives always do.
    """
    limit = allowed * (1 + _TOLERANCE)
    first, last = sweep.extent(channel)

    def unfinished(state: tuple[jax.Array, ...]) -> jax.Array:
        step, total, _ = state
        return (step < last) & (total <= limit).any()

    def walk(state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        step, total, inside = state
        rows = sweep.rows(step)
        for k in range(STEP):
            weight = rows.negative[k] + rows.positive[k] if positives else rows.negative[k]
            total = total + weight * rows.multiplicities[k].astype(jnp.float64)
            inside = inside + (total <= limit).astype(jnp.int32)
        return step + 1, total, inside

    start = first, sweep.zeros(), jnp.zeros(sweep.shape, jnp.int32)
    inside = lax.while_loop(unfinished, walk, start)[2]
    # The first example that does not fit; all that tie with it stay outside with it.
    place = first * STEP + inside
    keys = jnp.take_along_axis(
        sweep.ranking.keys, jnp.minimum(place, sweep.ranking.keys.shape[1] - 1), axis=1
    )
    return jnp.where(place < last * STEP, jnp.maximum(keys, MINUS_INFINITY), MINUS_INFINITY)


def _smallest_reaching(sweep: Sweep, needed: jax.Array) -> jax.Array:
    """The highest threshold above which the positives weigh at least what is needed."""
    needed = needed * (1 - _TOLERANCE)
    first, last = sweep.extent(jnp.int32(0))

    def walk(step: jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        total, short = state
        rows = sweep.rows(step)
        for k in range(STEP):
            total = total + rows.positive[k] * rows.multiplicities[k].astype(jnp.float64)
            short = short + (total < needed).astype(jnp.int32)
        return total, short

    start = sweep.zeros(), jnp.zeros(sweep.shape, jnp.int32)
    short = lax.fori_loop(first, last, walk, start)[1]
    place = jnp.minimum(first * STEP + short, sweep.ranking.keys.shape[1] - 1)
    keys = jnp.take_along_axis(sweep.ranking.keys, place, axis=1)
    # Where nothing is needed nothing is selected; else the next score below the last one needed.
    top = sweep.ranking.keys[:, :1]
    # Just below zero lies the smallest negative number: −0.0 is no less than 0.0.
    below = jnp.where(keys == ZERO, keys - 2, keys - 1)
    return jnp.where(needed > 0, jnp.maximum(below, MINUS_INFINITY), top)


def _youden(sweep: Sweep, negatives: jax.Array, positives: jax.Array) -> jax.Array:
    """The highest threshold at which TPR − FPR is largest."""
    first, last = sweep.extent(jnp.int32(0))
    gain = 1 / jnp.where(positives > 0, positives, 1.0)[None, :]
    loss = 1 / jnp.where(negatives > 0, negatives, 1.0)[None, :]

    def walk(step: jax.Array, state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        rows = sweep.rows(step)
        for k in range(STEP):
            index, best, threshold, before = state
            m = rows.multiplicities[k].astype(jnp.float64)
            # What has been passed is selected by the next key that is drawn and lower.
            drawn = m > 0
            better = drawn & (rows.keys[k] < before) & (index > best + _TOLERANCE)
            threshold = jnp.where(better, jnp.maximum(rows.keys[k], MINUS_INFINITY), threshold)
            best = jnp.where(better, index, best)
            before = jnp.where(drawn, rows.keys[k], before)
            threshold = jnp.where(drawn & (threshold == _NONE), rows.keys[k], threshold)
            index = index + m * (rows.positive[k] * gain - rows.negative[k] * loss)
            state = index, best, threshold, before
        return state

    none = jnp.full(sweep.shape, _NONE)
    start = sweep.zeros(), sweep.zeros(), none, none
    index, best, threshold, _ = lax.fori_loop(first, last, walk, start)
    return jnp.where(index > best + _TOLERANCE, MINUS_INFINITY, threshold)
