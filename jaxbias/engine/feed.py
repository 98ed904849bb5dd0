"""The feed: members trained and scored on images that stay on the host.

For stores that do not fit the devices. A thread gathers the images of the next steps while the
devices work on these, so two chunks are under way at any time. The steps are those of the whole run
(`training.advance`), cut anywhere, and so are the results.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import jax
import numpy as np

from jaxbias.engine.executor import Executor
from jaxbias.engine.parts import in_parts
from jaxbias.engine.passes import Advanced, Begun, Rated
from jaxbias.engine.programs import Networks, Program
from jaxbias.models.network import Params
from jaxbias.parallel import replicate, split_variants
from jaxbias.training import (
    Hyper,
    Schedule,
    State,
    Step,
    TrainingSet,
    batches_of,
    places_of,
    steps_of,
    stored,
    stored_bytes,
)

T = TypeVar("T")
Member = tuple[Params, TrainingSet, Hyper, np.ndarray]

# Of a device's budget, for the chunk that is worked on and the next.
SHARE = 0.25
# Where the budget is unknown.
_PLAIN_BYTES = 256 * 2**20
# Images per chunk of scoring, at most, and what it is a multiple of: two blocks, for of one alone
# XLA makes another program, which may round otherwise.
_SCORED, _UNIT = 4096, 128


def prefetched(jobs: Iterable[Callable[[], T]]) -> Iterator[T]:
    """Yields what jobs return, in order; the next one runs while the last result is used.

    >>> list(prefetched([lambda: 1, lambda: 2]))
    [1, 2]
    """
    with ThreadPoolExecutor(1, "feed") as pool:
        pending = None
        for job in jobs:
            following = pool.submit(job)
            if pending is not None:
                # The next one is queued behind it already; the thread never waits for us.
                yield pending.result()
            pending = following
        if pending is not None:
            yield pending.result()


class Feed:
    """Trains packs on images of the host.

    Args:
      executor: of the devices.
      images: uint8[N, S, S, 3], possibly a memory map.
    """

    def __init__(self, executor: Executor, images: np.ndarray) -> None:
        self.executor = executor
        self.images = images
        self.image_bytes = stored_bytes((1, *images.shape[1:]), images.dtype)
        budget = executor.room.budget * SHARE if executor.room else _PLAIN_BYTES
        self.chunk_bytes = budget / 2
        self._batches = functools.lru_cache(maxsize=8)(self._batches_of)

    def train(
        self,
        program: Networks,
        members: Sequence[Member],
        width: int,
        scored: np.ndarray,
    ) -> dict[str, Any]:
        """Trains and scores members, so many at a time; see `in_parts`.

        Args:
          program: what it would be on images of the devices.
          members: parameters to start from, examples, numbers and key of each.
          width: of a part.
          scored: int32[M], images to score.

        Returns:
          As of the program, on the host.
        """
        run = functools.partial(self._train_part, program, scored)
        return in_parts(run, members, width, self.executor.places(program, width))

    def held(self, program: Networks, width: int) -> tuple[Program, int]:
        """Returns what of a program the devices hold at once, and the bytes that lie beside it."""
        step, *_ = steps_of(program.model, program.schedule)
        advanced, each = self._advanced(program, step, width), -(-width // self.executor.mesh.size)
        # The chunk that is worked on is an argument.
        return advanced, each * advanced.steps * program.batch * self.image_bytes

    def _train_part(
        self, program: Networks, scored: np.ndarray, padded: Sequence[Member]
    ) -> dict[str, Any]:
        params, *rest = jax.tree.map(lambda *leaves: np.stack(leaves), *padded)
        state, *fixed = split_variants((params, *rest), self.executor.mesh)
        for step in steps_of(program.model, program.schedule):
            places = [
                places_of(step, examples, self._batches(program.schedule, key.tobytes()))
                for _, examples, _, key in padded
            ]
            state = self._trained(program, step, state, fixed, np.stack(places), rest[0])
        ends = {"loss": state.loss, "diverged_at": state.diverged_at}
        if program.keep:
            ends["params"] = state.params
        scores = self._scored(program, state.params, scored)
        return {"scores": scores, **self.executor.fetch(program, ends)}

    def _trained(
        self,
        program: Networks,
        step: Step,
        before: Params | State,
        fixed: list,
        places: np.ndarray,
        examples: TrainingSet,
    ) -> State:
        """All steps of a phase, on batches int32[V, steps, batch] of places among the examples."""
        mesh, schedule = self.executor.mesh, step.schedule
        state = self.executor.on_devices(Begun(program, step.refits), (before,), ())
        advanced = self._advanced(program, step, places.shape[0])
        steps = advanced.steps

        def gathered(start: int) -> tuple:
            count = np.int32(min(steps, schedule.steps - start))
            # Steps beyond the last are not taken; they make all chunks one program.
            inside = np.minimum(np.arange(start, start + steps), schedule.steps - 1)
            batch = places[:, inside]
            ids = np.take_along_axis(examples.ids[:, None, :], batch, axis=2)
            images = stored(np.take(self.images, ids, axis=0), leading=3)
            return split_variants((batch, images), mesh), replicate(count, mesh)

        starts = range(0, schedule.steps, steps)
        for split, taken in prefetched(functools.partial(gathered, start) for start in starts):
            state = self.executor.on_devices(advanced, (state, *fixed, *split), taken)
            jax.block_until_ready(state)
        return state

    def _advanced(self, program: Networks, step: Step, width: int) -> Advanced:
        """The program of a chunk of a phase: as many steps as fit."""
        mesh, each = self.executor.mesh, self.image_bytes
        steps = chunk_steps(step.schedule, width, each, mesh, self.chunk_bytes)
        return Advanced(program, step.refits, steps)

    def _scored(self, program: Networks, params: Params, ids: np.ndarray) -> np.ndarray:
        """float[V, M, outputs], chunk by chunk of one shape."""
        mesh, most = self.executor.mesh, self.chunk_bytes // self.image_bytes
        size = min(_SCORED, -(-len(ids) // _UNIT) * _UNIT, most)
        size = max(1, int(size) // _UNIT) * _UNIT

        def gathered(start: int) -> Any:
            chunk = np.resize(ids[start : start + size], size)
            return replicate(stored(np.take(self.images, chunk, axis=0)), mesh)

        rated = Rated(program.model, (size, *self.images.shape[1:]))
        found = [
            self.executor.fetch(program, self.executor.on_devices(rated, (params,), images))
            for images in prefetched(
                functools.partial(gathered, start) for start in range(0, len(ids), size)
            )
        ]
        return np.concatenate(found, axis=1)[:, : len(ids)]

    def blocks(self, ids: np.ndarray, mirrored: np.ndarray) -> Any:
        """Puts blocks of images [V, B, ...], and which are mirrored, on the devices."""
        images = stored(np.take(self.images, ids, axis=0), leading=2)
        return split_variants((images, mirrored), self.executor.mesh)

    def _batches_of(self, schedule: Schedule, key: bytes) -> np.ndarray:
        data = np.frombuffer(key, np.uint32)
        return np.asarray(_order(jax.random.wrap_key_data(data), schedule))


_order = jax.jit(batches_of, static_argnums=1)


def chunk_steps(
    schedule: Schedule, width: int, image: int, mesh: jax.sharding.Mesh, chunk: float
) -> int:
    """Returns how many steps a chunk holds: as many as fit, and all chunks about as many.

    Args:
      schedule: of the members.
      width: how many there are.
      image: bytes of one on a device.
      mesh: members are split over it.
      chunk: bytes that a chunk may have on one device.
    """
    each = -(-width // mesh.size) * schedule.batch * image
    most = max(1, min(schedule.steps, int(chunk // each)))
    return -(-schedule.steps // -(-schedule.steps // most))
