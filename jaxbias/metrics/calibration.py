"""Calibration: how far probabilities lie from what happened, per example and per bin."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxbias.metrics.sweeps import STEP, Sweep

_BINS = 15  # Guo et al. (2017).
# What scikit-learn keeps float32 probabilities away from 0 and 1 by.
_EDGE = float(np.finfo(np.float32).eps)


def probabilities(scores: jax.Array, link: str) -> jax.Array:
    """Maps float32 scores to float64 probabilities: as they are, or logits through a sigmoid."""
    scores = scores.astype(jnp.float64)
    return jax.nn.sigmoid(scores) if link == "sigmoid" else scores


def brier(values: jax.Array, positive: jax.Array) -> jax.Array:
    """Squared error of each probability, float64[V, N] (Brier, 1950)."""
    return (values - positive.astype(jnp.float64)[None, :]) ** 2


def log_loss(scores: jax.Array, values: jax.Array, positive: jax.Array, link: str) -> jax.Array:
    """Negative log-likelihood of each label, float64[V, N].

    Exact for logits. Probabilities are kept 2⁻²³ away from 0 and 1, as scikit-learn does for
    float32.
    """
    if link == "sigmoid":
        signed = jnp.where(positive[None, :], scores, -scores).astype(jnp.float64)
        return jax.nn.softplus(-signed)
    likelihood = jnp.where(positive[None, :], values, 1 - values)
    return -jnp.log(jnp.clip(likelihood, _EDGE, 1 - _EDGE))


def calibration_errors(sweep: Sweep, values: jax.Array, equal_mass: bool) -> jax.Array:
    """Sums over bins how far predicted and observed positives lie apart.

    Divided by a channel's weight this is the expected calibration error of the positive class,
    Σ_b (n_b/n)·|mean label − mean probability| (Guo et al., 2017). Bins follow one another in score
    order, so each is a run of ranks.

    Args:
      sweep: the examples.
      values: float64[V, N], probabilities.
      equal_mass: bins of equal weight within each channel, ties kept together; else of equal
        width, (b/15, (b + 1)/15]. Bins are those of the sample in every replicate.

    Returns:
      float64[C, V, R].
    """
    ordered = jnp.take_along_axis(values, sweep.ranking.sequence, axis=1)
    bins = _mass_bins(sweep) if equal_mass else jnp.ceil(ordered * _BINS).clip(1)
    opens = bins != jnp.roll(bins, 1, axis=1)

    def channel_sums(channel: jax.Array) -> jax.Array:
        def step(index: jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, ...]:
            rows = sweep.rows(index)
            p = sweep.ranks(ordered, index)
            new = sweep.ranks(opens, index)
            for k in range(STEP):
                total, inside = state
                total = jnp.where(new[k][:, None], total + jnp.abs(inside), total)
                inside = jnp.where(new[k][:, None], 0.0, inside)
                excess = rows.positive[k] * (1 - p[k][:, None]) - rows.negative[k] * p[k][:, None]
                state = total, inside + excess * rows.multiplicities[k].astype(jnp.float64)
            return state

        first, last = sweep.extent(channel)
        total, inside = lax.fori_loop(first, last, step, (sweep.zeros(),) * 2)
        return total + jnp.abs(inside)

    return sweep.over_channels(channel_sums)


def _mass_bins(sweep: Sweep) -> jax.Array:
    """The bin of each place, float64[V, L]: by the weight above it in its channel."""
    channels, ranking = sweep.channels, sweep.ranking
    weight = channels.weights[ranking.sequence]
    above = jnp.cumsum(weight, axis=1) - weight
    place = jnp.arange(channels.length, dtype=jnp.int32)
    channel = jnp.searchsorted(channels.starts[1:], place, side="right")
    channel = jnp.minimum(channel, jnp.int32(channels.starts.shape[0] - 2))
    total = channels.membership.astype(jnp.float64) @ channels.weights
    share = (above - above[:, channels.starts[channel]]) / total[channel][None, :]
    # Those that tie are in the bin of the first of them; shares never fall within a channel.
    apart = channel.astype(jnp.float64)[None, :] * 2
    share = lax.cummax(jnp.where(ranking.tied, 0.0, share + apart), axis=1) - apart
    return jnp.floor(share * _BINS + 1e-9) + apart * _BINS
