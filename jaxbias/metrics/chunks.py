"""Chunks: the compiled program that measures some variants, and the loop over all of them."""

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
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
# Chunks dispatched at once: they run side by side, and more of them hold more memory.
_UNDER_WAY = 2


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
    with jax.enable_x64(True):
        columns = -(-(1 + bootstrap) // 8) * 8 if bootstrap else 1
        split = _split(test, bootstrap, columns, seed, 0)
        separate = None
        if source is not None and source is not test:
            separate = _split(source, bootstrap, columns, seed, 1)
        totals = split.totals()
        base_totals = totals if separate is None else separate.totals()
        examples = max(len(s.labels) for s in (split, separate) if s is not None)
        width = _width(len(test.scores), columns, examples)
        allowed = jnp.asarray(base_totals[1, 0])

        def measure(rows: slice) -> tuple[jax.Array, ...]:
            scores = _padded(test.scores[rows], width, len(split.labels))
            base_scores = given = None
            if separate is not None:
                base_scores = _padded(source.scores[rows], width, len(separate.labels))
            if fixed is not None:
                given = _padded(fixed[rows, None], width, 1)
            return _measure(scores, split, base_scores, separate, allowed, given)

        pairs, selected, thresholds = _over_chunks(measure, len(test.scores), width, description)

    thresholds = thresholds.astype(np.float64)
    if source is not None:
        thresholds[:, base_totals[:, 0].sum(axis=0) == 0] = np.nan
    false_positives, true_positives = np.split(selected.swapaxes(0, 1), 2)
    sums = Sums(
        (ALL, *test.groups.names),
        negatives=totals[0],
        positives=totals[1],
        pairs=pairs.swapaxes(0, 1),
        false_positives=false_positives,
        true_positives=true_positives,
        thresholds=thresholds,
    )
    return sums.columns(slice(0, 1 + bootstrap))


def _over_chunks(
    measure: Callable[[slice], tuple[jax.Array, ...]], variants: int, width: int, description: str
) -> list[np.ndarray]:
    """Measures all variants, `width` at a time, into arrays with all of them along axis 0."""
    whole: list[np.ndarray] = []

    def bring(rows: slice, results: tuple[jax.Array, ...]) -> None:
        if not whole:
            whole.extend(np.empty((variants, *r.shape[1:]), r.dtype) for r in results)
        for array, result in zip(whole, results, strict=True):
            array[rows] = np.asarray(result)[: rows.stop - rows.start]
        advance(rows.stop - rows.start)

    with _shown(variants, description) as advance:
        waiting: deque = deque()
        for first in range(0, max(variants, 1), width):
            rows = slice(first, min(first + width, variants))
            waiting.append((rows, measure(rows)))
            if len(waiting) == _UNDER_WAY:
                bring(*waiting.popleft())
        while waiting:
            bring(*waiting.popleft())
    return whole


@jax.jit
def _measure(
    scores: jax.Array,
    test: Split,
    base_scores: jax.Array | None,
    base: Split | None,
    allowed: jax.Array,
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
    multiplicities[:count, 1 : 1 + bootstrap] = draw_multiplicities(seed, number, count, bootstrap)
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
