"""Chunks: the compiled program that measures some variants, and the loop over all of them."""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias.metrics.bootstrap import draw_multiplicities
from jaxbias.metrics.definitions import Sums
from jaxbias.metrics.examples import Checked
from jaxbias.metrics.groups import ALL
from jaxbias.metrics.ranking import key_scores, rank, score_keys
from jaxbias.metrics.sweeps import base_rate_threshold, pair_weights, selected_weights
from jaxbias.progress import progress

# Variants × replicates per chunk: one channel's float64 sums should stay in a core's cache
# (measured), and elsewhere fill the device.
_SUMS = {"cpu": 2**12}
_SUMS_ELSEWHERE = 2**20
# Variants × examples per chunk, which bounds the memory.
_SCORES = 2**21


class Split(NamedTuple):
    """Examples on the device, padded so that sets of similar size share one compiled program.

    Attributes:
      labels: int32[N].
      channels: float64[N, 2, C], zero for padding.
      multiplicities: float32[N, R]; column 0 is 1, the sample itself.
      count: int32[], how many are real.
    """

    labels: jax.Array
    channels: jax.Array
    multiplicities: jax.Array
    count: jax.Array

    @property
    def weights(self) -> jax.Array:
        """float64[N]."""
        return self.channels[:, :, 0].sum(axis=1)

    def totals(self) -> np.ndarray:
        """Weight of each class in each channel and replicate, float64[2, C, R]."""
        channels, m = np.asarray(self.channels), np.asarray(self.multiplicities, np.float64)
        return np.einsum("nlc,nr->lcr", channels, m, optimize=True)


def sweep(
    test: Checked,
    source: Checked | None,
    fixed: np.ndarray | None,
    bootstrap: int,
    seed: int,
    description: str,
) -> Sums:
    """Sums everything the metrics are made of.

    Args:
      test: what is evaluated.
      source: the examples whose base rate gives the threshold; `test` itself where the threshold
        comes from it; None for a fixed threshold.
      fixed: float32[V], or None.
      bootstrap: replicates.
      seed: of the bootstrap.
      description: of the progress; empty: silent.
    """
    v = len(test.scores)
    with jax.enable_x64(True):
        columns = 1 + bootstrap if not bootstrap else -(-(1 + bootstrap) // 8) * 8
        split = _split(test, bootstrap, columns, seed, 0)
        totals = split.totals()
        other, base_totals = None, totals
        if source is not None and source is not test:
            other = _split(source, bootstrap, columns, seed, 1)
            base_totals = other.totals()
        allowed = None if source is None else jnp.asarray(base_totals[1, 0])

        c = totals.shape[1]
        pairs = np.empty((v, c, columns))
        selected = np.empty((v, 2 * c, columns))
        thresholds = np.empty((v, columns))
        width = _width(v, columns, max(len(s.labels) for s in (split, other) if s is not None))

        def start(rows: slice) -> tuple[jax.Array, ...]:
            scores = _padded(test.scores[rows], width, len(split.labels))
            base = None
            if other is not None:
                base = _padded(source.scores[rows], width, len(other.labels))
            given = None if fixed is None else _padded(fixed[rows, None], width, 1)
            return _measure(scores, split, base, other, allowed, given)

        def finish(rows: slice, results: tuple[jax.Array, ...]) -> None:
            size = rows.stop - rows.start
            pairs[rows] = np.asarray(results[0])[:size]
            selected[rows] = np.asarray(results[1])[:size]
            thresholds[rows] = np.asarray(results[2])[:size]

        with _shown(v, description) as advance:
            waiting = None
            for first in range(0, v, width):
                rows = slice(first, min(first + width, v))
                results = start(rows)  # While it runs, the one before is brought to the host.
                if waiting is not None:
                    finish(*waiting)
                    advance(width)
                waiting = rows, results
            if waiting is not None:
                finish(*waiting)
                advance(waiting[0].stop - waiting[0].start)

    if source is not None:
        thresholds[:, base_totals[:, 0].sum(axis=0) == 0] = np.nan
    sums = Sums(
        (ALL, *test.groups.names),
        negatives=totals[0],
        positives=totals[1],
        pairs=pairs.swapaxes(0, 1),
        false_positives=selected[:, :c].swapaxes(0, 1),
        true_positives=selected[:, c:].swapaxes(0, 1),
        thresholds=thresholds,
    )
    return sums.columns(slice(0, 1 + bootstrap))


@jax.jit
def _measure(
    scores: jax.Array,
    test: Split,
    base_scores: jax.Array | None,
    base: Split | None,
    allowed: jax.Array | None,
    fixed: jax.Array | None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns pair weights, selected weights and thresholds of a chunk of variants."""
    keys = score_keys(scores)
    ranking = rank(keys, test.labels, test.count)
    if fixed is not None:
        shape = (len(scores), test.multiplicities.shape[1])
        thresholds = jnp.broadcast_to(score_keys(fixed), shape)
    elif base is None:
        thresholds = base_rate_threshold(
            ranking, test.weights, allowed, test.multiplicities, test.count
        )
    else:
        base_ranking = rank(score_keys(base_scores), base.labels, base.count)
        thresholds = base_rate_threshold(
            base_ranking, base.weights, allowed, base.multiplicities, base.count
        )
    pairs = pair_weights(ranking, test.channels, test.multiplicities, test.count)
    selected = selected_weights(
        ranking, keys, thresholds, test.channels, test.multiplicities, test.count
    )
    return pairs, selected, key_scores(thresholds)


def _split(examples: Checked, bootstrap: int, columns: int, seed: int, number: int) -> Split:
    count = len(examples.labels)
    n = max(256, 1 << max(count - 1, 0).bit_length())
    channels = examples.channels
    multiplicities = np.zeros((n, columns), np.float32)
    multiplicities[:count, 0] = 1
    if bootstrap:
        drawn = draw_multiplicities(np.int32(seed), np.int32(number), n, columns)
        multiplicities[:count, 1 : 1 + bootstrap] = np.asarray(drawn)[:count, :bootstrap]
    return Split(
        jnp.asarray(np.pad(examples.labels, (0, n - count))),
        jnp.asarray(np.pad(channels, ((0, n - count), (0, 0), (0, 0)))),
        jnp.asarray(multiplicities),
        jnp.int32(count),
    )


def _width(variants: int, columns: int, examples: int) -> int:
    """Variants per chunk: a power of two, at least 8, so that few programs are compiled."""
    sums = _SUMS.get(jax.default_backend(), _SUMS_ELSEWHERE)
    most = max(8, min(sums // columns, _SCORES // examples))
    needed = 1 << max(variants - 1, 0).bit_length()
    return max(8, min(1 << (most.bit_length() - 1), needed))


def _padded(array: np.ndarray, rows: int, columns: int) -> np.ndarray:
    return np.pad(array, ((0, rows - array.shape[0]), (0, columns - array.shape[1])))


@contextlib.contextmanager
def _shown(total: int, description: str) -> Iterator:
    if description:
        with progress(total, description, "variants") as advance:
            yield advance
    else:
        yield lambda count: None
