"""Chunks: the loop that measures all variants, some at a time, on every core of the host.

Scores whose variants are split over devices are measured there instead. No others are taken to an
accelerator: a program is one long loop over the examples. On an H100 4,096 variants × 20,000
examples took 10.8 s, and on the 16 cores beside it 1.2 s (`python -m benchmarks.accelerator`).
"""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxbias import words
from jaxbias.capacity import require_ram
from jaxbias.host import host_device
from jaxbias.metrics import rare
from jaxbias.metrics.bootstrap import draw_multiplicities, leave_out
from jaxbias.metrics.channels import make_channels
from jaxbias.metrics.definitions import ALL, Sums
from jaxbias.metrics.examples import Checked
from jaxbias.metrics.program import Measurement, Split, complete, make_split, measure
from jaxbias.metrics.ranking import order_on_host
from jaxbias.progress import progress

# Variants × replicates per chunk: the carried float64 sums should stay in a core's cache
# (measured), and elsewhere fill the device.
_SUMS = {"cpu": 2**12}
_SUMS_ELSEWHERE = 2**20
# Variants × examples per chunk, which bounds the memory. A step down the ranks takes a TPU hardly
# longer for many variants: with 8 columns 42 µs for 64 of them, 72 for 256 and 74 for 512, by the
# compiler of v5e, and these hold 0.7 GiB of 20,000 examples each.
_SCORES = {"tpu": 2**24}
_SCORES_ELSEWHERE = 2**21


def sweep(
    asked: Measurement,
    test: Checked,
    source: Checked | None,
    given: np.ndarray,
    *,
    bootstrap: int,
    folds: int,
    seed: int,
    shares: np.ndarray | None,
    common_positives: float | np.ndarray | None,
    description: str,
) -> Sums:
    """Sums everything the asked metrics are made of.

    Args:
      asked: what the program computes.
      test: what is evaluated.
      source: the examples thresholds are taken from; `test` itself, others, or None where they
        are fixed.
      given: float64[V], the numbers of a fixed rule or the rate of another.
      bootstrap: replicates.
      folds: of the jackknife, each leaving out a part of the test (then of the other) examples.
      seed: of the bootstrap.
      shares: training shares, as `Sums` holds them.
      common_positives: N of the normalised average precision, one or float64[C, 1]; None: each
        channel's own.
      description: of the progress; empty: silent.

    Returns:
      The sums; columns: the sample, the replicates, the folds.
    """
    separate = source if source is not None and source is not test else None
    number = 1 + bootstrap + folds * (1 if separate is None else 2)
    channels = 1 + len(test.groups.names)
    drawn = sum(len(each.labels) for each in (test, separate) if each is not None)
    require_ram(
        # Multiplicities as they are drawn (float32), kept (uint8) and put on the device; sums.
        6 * drawn * number + 8 * channels * len(test.scores) * number * (1 + len(asked.sums)),
        f"{words.count(bootstrap, 'bootstrap replicate')} of "
        f"{words.count(len(test.scores), 'model')} on {words.count(drawn, 'example')} "
        f"in {channels:,} groups",
        "lower their number (--bootstrap, config.answer.replicates) or evaluate fewer models at "
        "once",
    )
    split = _split(test, bootstrap, folds, seed, 0, number)
    base = None if separate is None else _split(separate, bootstrap, folds, seed, 1, number)
    positives = split.totals[1]
    common = positives[:, :1] if common_positives is None else common_positives
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(positives > 0, positives / common, 1.0)

    work = _Work(asked, test.scores, split, None if base is None else separate.scores, base, given)
    found = _over_chunks(work, factor, description)

    source_totals = (base or split).totals
    thresholds, found = complete(asked.rule, found, source_totals, np)
    families = {
        name: tuple(1 + place for place in members)
        for name, members in test.groups.families.items()
    }
    sums = Sums(
        (ALL, *test.groups.names),
        families,
        negatives=split.totals[0][:, None],
        positives=split.totals[1][:, None],
        thresholds=thresholds,
        arrays=found,
        shares=shares,
    )
    return sums.columns(slice(0, number))


class _Work(NamedTuple):
    """What is measured: the examples on the host, their scores there or on devices."""

    asked: Measurement
    scores: np.ndarray | jax.Array
    split: Split
    base_scores: np.ndarray | jax.Array | None
    base: Split | None
    given: np.ndarray


class _Devices(NamedTuple):
    """Devices that share the variants among them.

    Attributes:
      mesh: the devices.
      axis: the mesh axis, or axes, the variants are split over.
    """

    mesh: Mesh
    axis: Any

    @property
    def shards(self) -> int:
        """How many parts the variants are split into."""
        axes = self.axis if isinstance(self.axis, tuple) else (self.axis,)
        return int(np.prod([self.mesh.shape[name] for name in axes]))

    def put(self, tree: Any, split: bool = False) -> Any:
        """Puts arrays on the devices, all of them on each or a part of the rows on each."""
        spec = PartitionSpec(self.axis) if split else PartitionSpec()
        return jax.device_put(tree, NamedSharding(self.mesh, spec))


def _devices_of(scores: np.ndarray | jax.Array) -> _Devices | None:
    """The devices that the variants of scores are split over; None: they are on the host."""
    if isinstance(scores, jax.Array) and isinstance(scores.sharding, NamedSharding):
        return _Devices(scores.sharding.mesh, scores.sharding.spec[0])
    return None


def _over_chunks(work: _Work, factor: np.ndarray, description: str) -> dict[str, np.ndarray]:
    """Measures all variants, some at a time, into arrays with all of them along axis 1."""
    variants = len(work.scores)
    if not variants:  # The sums of one, of which none are kept, have the right shapes.
        blank = work._replace(
            scores=np.zeros((1, work.scores.shape[1]), np.float32),
            base_scores=work.base and np.zeros((1, work.base_scores.shape[1]), np.float32),
            given=np.zeros(1),
        )
        return {k: v[:, :0] for k, v in _over_chunks(blank, factor, "").items()}
    devices = _devices_of(work.scores)
    with jax.enable_x64(True):
        shared = (work.split, work.base, factor)
        # A program runs where these are: all else that it is given comes from the host.
        shared = devices.put(shared) if devices else jax.device_put(shared, host_device())
    width = _width(work, variants, devices.mesh.devices.flat[0] if devices else host_device())
    if devices is None:
        chunks = [np.arange(i, min(i + width, variants)) for i in range(0, variants, width)]
        measured = functools.partial(_on_host, work, shared, width)
    else:
        own = np.arange(variants).reshape(devices.shards, -1)  # Each device's variants.
        width = min(width, own.shape[1])
        starts = [min(i, own.shape[1] - width) for i in range(0, own.shape[1], width)]
        chunks = [own[:, i : i + width].ravel() for i in starts]
        measured = functools.partial(_on_devices, devices, work, shared, width)
    whole: dict[str, np.ndarray] = {}
    # A chunk's arrays live as long as its turn, so the number of turns bounds the memory.
    turns = min(len(chunks), 2 if devices else os.cpu_count() or 1)
    with _shown(variants, description) as advance, ThreadPoolExecutor(max(turns, 1)) as pool:
        for rows, found in zip(chunks, pool.map(measured, chunks), strict=True):
            for name, array in found.items():
                if name not in whole:
                    shape = (array.shape[1], variants, array.shape[2])
                    whole[name] = np.empty(shape, array.dtype)
                whole[name][:, rows] = array[: len(rows)].swapaxes(0, 1)
            advance(len(rows))
    return whole


_program = jax.jit(measure, static_argnums=0)


def _on_host(work: _Work, shared: tuple, width: int, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Measures a chunk on the host, where sorting is faster outside the program."""
    split, base, factor = shared
    if rare.applies(work.asked.sums, work.split):
        scores = np.asarray(work.scores[rows])
        return rare.measure(work.asked.sums, scores, work.split, np.asarray(factor))
    rows = np.resize(rows, width)  # A short chunk repeats its variants.
    tests = _sorted(work.scores, work.split, rows)
    others = None if base is None else (*_sorted(work.base_scores, work.base, rows), base)
    with jax.enable_x64(True):
        found = _program(work.asked, *tests, split, others, work.given[rows], factor)
        return jax.tree.map(np.asarray, found)


def _sorted(scores: np.ndarray, split: Split, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a chunk, padded as the split is, and their sequence."""
    chosen = np.asarray(scores[rows])
    padding = len(split.channels.weights) - chosen.shape[1]
    return np.pad(chosen, ((0, 0), (0, padding))), order_on_host(chosen, split.channels)


def _on_devices(
    devices: _Devices, work: _Work, shared: tuple, width: int, rows: np.ndarray
) -> dict[str, np.ndarray]:
    """Measures a chunk whose variants are split over devices, which exchange nothing."""
    split, base, factor = shared
    take = functools.partial(_rows_on_devices, devices, rows, width)
    others = None if base is None else (take(work.base_scores, work.base), None, base)
    with jax.enable_x64(True):
        given = devices.put(work.given[rows], split=True)
        program = _sharded_program(work.asked, devices, base is not None)
        found = program(take(work.scores, work.split), None, split, others, given, factor)
        return jax.tree.map(np.asarray, found)


@functools.lru_cache(maxsize=64)
def _sharded_program(asked: Measurement, devices: _Devices, others: bool) -> Callable:
    """The program over devices that share the variants and exchange nothing.

    Args:
      asked: what is wanted.
      devices: that share the variants.
      others: whether thresholds are taken from other examples.
    """
    each, every = PartitionSpec(devices.axis), PartitionSpec()
    base = (each, None, every) if others else None
    return jax.jit(
        jax.shard_map(
            functools.partial(measure, asked),
            mesh=devices.mesh,
            in_specs=(each, None, every, base, each, every),
            out_specs=each,
            check_vma=False,
        )
    )


def _rows_on_devices(
    devices: _Devices, rows: np.ndarray, width: int, scores: np.ndarray | jax.Array, split: Split
) -> jax.Array:
    padding = len(split.channels.weights) - scores.shape[1]
    if isinstance(scores, np.ndarray):
        return devices.put(np.pad(scores[rows], ((0, 0), (0, padding))), split=True)
    return _slices(devices, width, padding)(scores, np.int32(rows[0]))


@functools.lru_cache(maxsize=64)
def _slices(devices: _Devices, width: int, padding: int) -> Callable:
    """Takes `width` of each device's own variants, from the same place on."""

    def take(own: jax.Array, first: jax.Array) -> jax.Array:
        return jnp.pad(lax.dynamic_slice_in_dim(own, first, width), ((0, 0), (0, padding)))

    each = PartitionSpec(devices.axis)
    specs = {"in_specs": (each, PartitionSpec()), "out_specs": each}
    return jax.jit(jax.shard_map(take, mesh=devices.mesh, check_vma=False, **specs))


def _split(
    examples: Checked, bootstrap: int, folds: int, seed: int, number: int, columns: int
) -> Split:
    """Prepares a set of examples; `number` 0 are those evaluated, 1 others for thresholds."""
    count = len(examples.labels)
    multiplicities = np.ones((count, -(-columns // 8) * 8 if columns > 1 else 1), np.uint8)
    multiplicities[:, 1 : 1 + bootstrap] = draw_multiplicities(seed, number, count, bootstrap)
    if folds:
        start = 1 + bootstrap + number * folds
        multiplicities[:, start : start + folds] = leave_out(seed, number, count, folds)
    channels = make_channels(examples.labels, examples.groups.membership, examples.weights)
    return make_split(channels, multiplicities)


def _width(work: _Work, variants: int, device: jax.Device) -> int:
    """Variants per chunk on a device: a power of two, so that few programs are compiled."""
    columns = work.split.multiplicities.shape[1]
    examples = work.scores.shape[1]
    if work.base_scores is not None:
        examples = max(examples, work.base_scores.shape[1])
    sums = _SUMS.get(device.platform, _SUMS_ELSEWHERE)
    scores = _SCORES.get(device.platform, _SCORES_ELSEWHERE)
    most = max(8, min(sums // columns, scores // max(examples, 1)))
    needed = 1 << max(variants - 1, 0).bit_length()
    return max(8, min(1 << (most.bit_length() - 1), needed))


@contextlib.contextmanager
def _shown(total: int, description: str) -> Iterator:
    if description:
        with progress(total, description, "variants") as advance:
            yield advance
    else:
        yield lambda count: None
