"""The program: every sum the metrics are made of, for some variants, as a pure function."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias.metrics import calibration, sweeps
from jaxbias.metrics.channels import Channels
from jaxbias.metrics.definitions import Array
from jaxbias.metrics.ranking import key_scores, order_on_device, rank, score_keys
from jaxbias.metrics.rules import Rule
from jaxbias.metrics.thresholds import find_thresholds

# Examples per matrix product on the host, which bounds the memory.
_ROWS = 4096


class Split(NamedTuple):
    """A set of examples on the device.

    Attributes:
      channels: who counts where.
      multiplicities: uint8[N, R], zero for padded examples; column 0 is 1, the sample itself.
      totals: float64[2, C, R], weight of the negatives and of the positives.
    """

    channels: Channels
    multiplicities: jax.Array
    totals: jax.Array


class Measurement(NamedTuple):
    """What a program is compiled for.

    Attributes:
      sums: some of "pairs", "selected", "precisions", "normalized_precisions", "calibration",
        "mass_calibration", "brier", "log_loss" and "distances".
      rule: of the thresholds.
      link: "identity": scores are probabilities; "sigmoid": they are logits.
      families: places of each family's groups among the groups.
    """

    sums: frozenset[str]
    rule: Rule
    link: str
    families: tuple[tuple[int, ...], ...]


def make_split(channels: Channels, multiplicities: np.ndarray) -> Split:
    """Adds up the weights of each channel on the host.

    Args:
      channels: on the host.
      multiplicities: [n, R] of whole numbers below 256, n real examples.
    """
    padded = np.zeros((len(channels.weights), multiplicities.shape[1]), np.uint8)
    padded[: len(multiplicities)] = multiplicities
    by_class = np.stack([channels.positive == label for label in (False, True)])
    weights = (by_class * channels.weights)[:, None] * channels.membership
    totals = np.zeros((*weights.shape[:2], padded.shape[1]))
    for start in range(0, len(padded), _ROWS):
        rows = slice(start, start + _ROWS)
        totals += weights[:, :, rows] @ padded[rows].astype(np.float64)
    return Split(channels, padded, totals)


def measure(
    asked: Measurement,
    scores: jax.Array,
    sequence: jax.Array | None,
    split: Split,
    base: tuple[jax.Array, jax.Array | None, Split] | None,
    given: jax.Array,
    factor: jax.Array | None,
) -> dict[str, jax.Array]:
    """Sums over the examples of some variants. Call under `jax.enable_x64`.

    Args:
      asked: what is wanted.
      scores: float32[V, N], padded as the split is.
      sequence: int32[V, L] where the host has sorted; None: sort here.
      split: the examples.
      base: scores, sequence and split of the examples thresholds are taken from, where these are
        others.
      given: float64[V], the numbers of a fixed rule, the rate of another, or the keys that scores
        of two values are cut at, NaN where a variant has more.
      factor: float64[C, R], the factor of the negatives in normalised precision.

    Returns:
      name -> float64[V, C, R]; "distances" float64[V, F, R]; "thresholds" float32[V, T, R].
    """
    split, factor = jax.tree.map(jnp.asarray, (split, factor))
    sweep = _sweep(scores, sequence, split)
    found: dict[str, jax.Array] = {}
    thresholds = None
    if "selected" in asked.sums:
        if asked.rule.name == "fixed":
            keys = score_keys(given.astype(jnp.float32))[None, :, None]
            thresholds = jnp.broadcast_to(keys, (1, *sweep.shape))
        elif base is None:
            thresholds = find_thresholds(sweep, asked.rule, given, split.totals)
        else:
            thresholds = find_thresholds(_sweep(*base), asked.rule, given, base[2].totals)
        if asked.rule.cuts_two_values:
            cut = ~jnp.isnan(given)
            keys = jnp.where(cut, given, 0).astype(jnp.uint32)
            thresholds = jnp.where(cut[None, :, None], keys[None, :, None], thresholds)
        found["thresholds"] = key_scores(thresholds)
    if {"pairs", "selected"} & asked.sums:
        found |= sweeps.pairs_and_selected(sweep, thresholds, "pairs" in asked.sums)
    if "precisions" in asked.sums:
        found["precisions"] = sweeps.precisions(sweep, jnp.ones_like(split.totals[0]))
    if "normalized_precisions" in asked.sums:
        found["normalized_precisions"] = sweeps.precisions(sweep, factor)

    values = calibration.probabilities(scores, asked.link)
    positive = split.channels.positive
    for name, equal_mass in (("calibration", False), ("mass_calibration", True)):
        if name in asked.sums:
            found[name] = calibration.calibration_errors(sweep, values, equal_mass)
    if "brier" in asked.sums:
        found["brier"] = sweeps.means(sweep, calibration.brier(values, positive))
    if "log_loss" in asked.sums:
        losses = calibration.log_loss(scores, values, positive, asked.link)
        found["log_loss"] = sweeps.means(sweep, losses)
    if "distances" in asked.sums:
        found["distances"] = sweeps.distances(sweep, scores.astype(jnp.float64), asked.families)
    return {name: array.swapaxes(0, 1) for name, array in found.items()}


def complete(
    rule: Rule, found: dict[str, Array], totals: Array, xp: Any
) -> tuple[Array | None, dict[str, Array]]:
    """Says which thresholds there are none of, and adds up what every group has of its own.

    Args:
      rule: of the thresholds.
      found: sums with their channels along axis 0.
      totals: float64[2, C, R], of the examples the thresholds were taken from.
      xp: `numpy` or `jax.numpy`.

    Returns:
      The thresholds, float64[T, V, R], or None; and the other sums.
    """
    found = dict(found)
    thresholds = found.pop("thresholds", None)
    if thresholds is None:
        return None, found
    thresholds = thresholds.astype(np.float64)
    if rule.name != "fixed":
        weight = totals.sum(axis=0)[:, None, :]
        weight = weight if rule.per_group else weight[:1]
        thresholds = xp.where(weight > 0, thresholds, np.nan)
    if rule.per_group:  # Everyone is in one group: together they are predicted as each group is.
        none = xp.full_like(thresholds[:1], np.nan)
        thresholds = xp.concatenate([none, thresholds[1:]])
        for name in ("true_positives", "false_positives"):
            groups = found[name][1:]
            found[name] = xp.concatenate([groups.sum(axis=0, keepdims=True), groups])
    return thresholds, found


def _sweep(scores: jax.Array, sequence: jax.Array | None, split: Split) -> sweeps.Sweep:
    channels, keys = split.channels, score_keys(scores)
    if sequence is None:
        sequence = order_on_device(keys, channels)
    ranking = rank(keys, sequence, channels.starts, channels.padding)
    return sweeps.Sweep(ranking, channels, split.multiplicities)
