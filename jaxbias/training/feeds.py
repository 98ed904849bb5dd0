"""Feeds: the batches of a long training, in an order that its key alone decides.

Where the images lie on the devices a batch is the rows to take of them. Where they lie on the host
Grain's threads gather batches ahead of the loop, and they travel to the devices while it computes.
Either way batch i is a function of i, so the position of a feed is the step that comes next.
"""

import collections
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jaxbias.parallel import split_batch
from jaxbias.training.step import Batch
from jaxbias.training.stores import stored

_THREADS, _AHEAD = 4, 8  # Of Grain: readers, and batches they keep ready.
ON_THE_WAY = 2  # Batches on their way to the devices.


class Curated(NamedTuple):
    """A pretraining set."""

    ids: np.ndarray  # int32[n], rows of the image store
    labels: np.ndarray  # [n, K], as of `objectives.example_losses`
    weights: np.ndarray  # float32[n]


class Batches:
    """Batches by their number: this process's share of each.

    Args:
      curated: what is drawn from.
      order: int32[steps, B], places in it.
      pieces: A, into which every batch is cut.
      images: uint8[N, S, S, 3] to gather from; None: batches name rows, int32[A, M].
    """

    def __init__(
        self, curated: Curated, order: np.ndarray, pieces: int, images: np.ndarray | None
    ) -> None:
        self.curated = curated
        self.order = order
        self.pieces = pieces
        self.images = images
        each = order.shape[1] // pieces // jax.process_count()
        self.mine = slice(jax.process_index() * each, (jax.process_index() + 1) * each)

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> Batch:
        count = self.order.shape[1]
        shape = (self.pieces, count // self.pieces)
        at = np.arange(count, dtype=np.int32).reshape(shape)[:, self.mine]
        places = self.order[index].reshape(shape)[:, self.mine]
        rows = self.curated.ids[places]
        return Batch(
            rows if self.images is None else stored(self.images[rows], leading=2),
            self.curated.labels[places],
            self.curated.weights[places],
            at,
        )


def feed(batches: Batches, begin: int, mesh: Mesh) -> Iterator[Batch]:
    """Yields batches on the devices, from the number `begin` on."""
    steps = range(begin, len(batches))
    if batches.images is None:
        local = (batches[i] for i in steps)
    else:
        import grain  # Takes Orbax with it, a second or two: only where images are on the host.

        options = grain.ReadOptions(num_threads=_THREADS, prefetch_buffer_size=_AHEAD)
        local = iter(grain.MapDataset.source(batches)[begin:].to_iter_dataset(options))
    coming = collections.deque(
        split_batch(batch, mesh) for batch in itertools.islice(local, ON_THE_WAY)
    )
    for batch in local:
        yield coming.popleft()
        coming.append(split_batch(batch, mesh))
    yield from coming
