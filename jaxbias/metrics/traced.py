"""Metrics inside a program: the same definitions as a pure function that `jit` can trace."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias.errors import InputError
from jaxbias.metrics.channels import make_channels
from jaxbias.metrics.definitions import ALL, DEFAULT_METRICS, Sums, compute, places, sums_for
from jaxbias.metrics.examples import check_labels, check_weights
from jaxbias.metrics.groups import as_groups
from jaxbias.metrics.program import Measurement, complete, make_split, measure
from jaxbias.metrics.rules import parse_rule
from jaxbias.metrics.thresholds import check_rule, traced_cuts


def group_metrics(
    scores: jax.Array,
    labels: Any,
    groups: Any = None,
    *,
    weights: Any = None,
    threshold: Any = "base_rate",
    metrics: Sequence[str] = DEFAULT_METRICS,
    link: str = "identity",
    intersections: Sequence[Sequence[str]] = (),
) -> dict[str, dict[str, jax.Array]]:
    """Computes metrics of every variant as a pure function of the scores.

    For use inside `jax.jit`, or inside `jax.shard_map` over the variants, where it needs no
    collective. `evaluate` checks more, works in bounded memory and gives intervals.

    Args:
      scores: float[V, N], traced or not. NaN is not noticed here: it sorts beyond the infinities.
      labels: N of 0 and 1, known when the program is traced; so are groups and weights.
      groups: as in `evaluate`.
      weights: float[N] >= 0.
      threshold: as in `evaluate`.
      metrics: names among `METRICS`.
      link: as in `evaluate`.
      intersections: as in `evaluate`.

    Returns:
      metric -> group (or family) -> float32[V]; NaN where undefined.

    Raises:
      InputError: arguments that do not fit together.

    >>> found = jax.jit(lambda s: group_metrics(s, [0, 0, 1, 1], metrics=["auc"]))(
    ...     jnp.asarray([[0.1, 0.4, 0.35, 0.8]])
    ... )
    >>> found["auc"]["all"].tolist()
    [0.75]
    """
    if scores.ndim != 2 or len(labels) != scores.shape[1]:
        raise InputError(
            f"scores has shape {scores.shape} and labels {len(labels)} entries; expected "
            "[variants, examples] and one label each"
        )
    count = scores.shape[1]
    rule, given = parse_rule(threshold, scores.shape[0])
    named = as_groups(groups, count, intersections=intersections)
    check_rule(rule, named)
    known, present = check_labels(labels, count)
    channels = make_channels(known, named.membership, check_weights(weights, count) * present)
    split = make_split(channels, np.ones((count, 1), np.uint8))
    asked = Measurement(sums_for(metrics), rule, link, tuple(named.families.values()))
    families = {k: tuple(1 + place for place in v) for k, v in named.families.items()}
    with jax.enable_x64(True):
        scores = scores.astype(jnp.float32)
        if rule.cuts_two_values:
            given = traced_cuts(scores, channels.membership[0, :count])
        padded = jnp.pad(scores, ((0, 0), (0, len(channels.weights) - count)))
        found = measure(
            asked,
            padded,
            None,
            split,
            None,
            jnp.asarray(given, jnp.float64),
            np.ones_like(split.totals[0]),
        )
        found = {name: array.swapaxes(0, 1) for name, array in found.items()}
        thresholds, found = complete(rule, found, jnp.asarray(split.totals), jnp)
        sums = Sums(
            (ALL, *named.names),
            families,
            negatives=jnp.asarray(split.totals[0][:, None]),
            positives=jnp.asarray(split.totals[1][:, None]),
            thresholds=thresholds,
            arrays=found,
            xp=jnp,
        )
        each = functools.partial(_values, sums)
        return {name: each(name) for name in metrics}


def _values(sums: Sums, metric: str) -> dict[str, jax.Array]:
    return {
        place: compute(sums, metric, place)[:, 0].astype(jnp.float32)
        for place in places(sums, metric)
    }
