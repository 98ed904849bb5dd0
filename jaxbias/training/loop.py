"""The loop: step after step on all devices, hearing of each when the next is under way."""

import contextlib
import dataclasses
import functools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from jaxbias.files.claims import Lost
from jaxbias.parallel import lift, replicate
from jaxbias.progress import progress
from jaxbias.training.feeds import Batches, feed
from jaxbias.training.saves import Saves
from jaxbias.training.schedule import Hyper
from jaxbias.training.step import Batch, State, Step
from jaxbias.training.stores import Store

# Steps from one time to the next that processes ask each other whether to stop.
_ASKED_EVERY = 16
# What is told of a training now and then: its step, and figures by name.
Tell = Callable[[int, dict[str, float]], None]


class Terminated(SystemExit):
    """SIGTERM came, and the state was saved: exit status 143."""

    def __init__(self) -> None:
        super().__init__(143)


@dataclasses.dataclass(frozen=True)
class Ended:
    """A training that is done.

    Attributes:
      state: after the last step, as host arrays; of one that diverged the last finite.
      loss: mean since the last checkpoint; of one that diverged that of the step.
      seconds: of this process's steps, compiling not counted.
      waited: of them for batches.
      steps: done by this process.
    """

    state: State
    loss: float
    seconds: float
    waited: float
    steps: int


def fit(
    name: str,
    step: Step,
    begin: Callable[[], State],
    batches: Batches,
    hyper: Hyper,
    key: np.ndarray,
    mesh: Mesh,
    kind: str,
    saves: Saves,
    save_every: int,
    store: Store | None = None,
    tell: Tell = lambda step, values: None,
    is_lost: Callable[[], bool] = lambda: False,
) -> Ended:
    """Trains to the last of some batches, from the last checkpoint where there is one.

    A training that diverges ends there.

    With several processes all of them call this alike.

    Args:
      name: of what is trained, for messages.
      step: what is done.
      begin: makes the state before the first step.
      batches: one for each step.
      hyper: numeric hyperparameters.
      key: data of the run's key.
      mesh: of `make_data_mesh`.
      kind: of `lift`.
      saves: its checkpoints.
      save_every: steps from one to the next.
      store: the images on every device, where batches name rows of them.
      tell: is given figures at every checkpoint.
      is_lost: whether another process is to train it now; asked after every step.

    Returns:
      The end.

    Raises:
      Terminated: SIGTERM came; what was done is saved.
      Lost: another process is to train it now; nothing more is saved.
    """
    first = begin()
    done, state, loss = saves.restore(first) or (0, first, float("nan"))
    del first  # Or a device would hold it to the end.
    state, numbers = replicate((state, (hyper, key)), mesh)
    run = lifted(step, mesh, kind)
    total, batch = len(batches), step.schedule.batch
    watch = _Watch(done, loss)
    if done:
        print(f"pretraining {name}: going on from step {done:,} of {total:,}", flush=True)
    with _on_sigterm() as terminated, progress(total, f"pretraining {name}", "steps") as advance:
        advance(done)
        coming = feed(batches, done, mesh)
        for index in range(done, total):
            waiting = time.perf_counter()
            inputs = next(coming)
            watch.waited += time.perf_counter() - waiting
            with jax.transfer_guard("disallow"):  # Whatever the step needs is on the devices.
                state, told = run(state, inputs, numbers, store)
            watch.read()  # Of the step before, which ends while this one is begun.
            watch.pending = index, told
            last = index + 1 == total
            now = last or (index + 1) % _ASKED_EVERY == 0
            stop, lost = _anywhere((terminated.is_set(), is_lost()), now)
            if lost:
                raise Lost(f"the pretraining of {name} was taken over by another process")
            saving = stop or last or (index + 1) % save_every == 0
            if saving:
                watch.read()
            if watch.diverged:
                break
            if saving:
                figures = watch.figures(batch)
                saves.save(index + 1, state, figures["loss"])
                tell(index + 1, figures)
                if stop:
                    saves.wait()
                    raise Terminated
            advance(1, watch.note(batch))
    saves.wait()
    return Ended(
        jax.tree.map(np.asarray, state), watch.loss, watch.seconds, watch.waited, watch.done - done
    )


class _Told(NamedTuple):
    """What a step tells."""

    loss: jax.Array  # float[], of the whole batch
    diverged_at: jax.Array  # int32[], as of `State`


# Bases of one network and schedule share a program.
@functools.lru_cache(maxsize=8)
def lifted(step: Step, mesh: Mesh, kind: str) -> Callable:
    """Returns a step on every device: `run(state, batch, (hyper, key), store) -> (state, told)`.

    It is jitted; batches name rows of the store, or where that is None bring their images.
    """

    def told(
        state: State, batch: Batch, numbers: Any, store: Store | None, parts: int
    ) -> tuple[State, _Told]:
        images = batch.images.images if store is None else store[batch.images]
        state = step(state, batch._replace(images=images), *numbers, parts)
        return state, _Told(state.loss, state.diverged_at)

    return lift(told, mesh, kind)


class _Watch:
    """What the steps say, one step late, and the time they take."""

    def __init__(self, done: int, loss: float) -> None:
        self.done = done
        self.pending: tuple[int, _Told] | None = None
        self.diverged = False
        self.losses: list[float] = []
        self.loss = loss
        self.waited = 0.0
        self.compiled: tuple[float, int] | None = None  # When the first step here had ended.
        self.now = time.perf_counter()

    def read(self) -> None:
        """Reads what the pending step says."""
        if self.pending is None:
            return
        index, told = self.pending
        self.pending = None
        loss, diverged_at = jax.device_get(told)
        self.now = time.perf_counter()
        if self.compiled is None:
            self.compiled = self.now, index + 1
            self.waited = 0.0
        self.done = index + 1
        self.losses.append(float(loss))
        self.diverged = diverged_at >= 0
        if self.diverged:
            self.loss = float(loss)

    @property
    def seconds(self) -> float:
        """Of the steps after the first, which was compiled."""
        return self.now - self.compiled[0] if self.compiled else 0.0

    def rate(self, batch: int) -> float:
        """Examples per second."""
        steps = self.done - self.compiled[1] if self.compiled else 0
        return steps * batch / self.seconds if self.seconds and steps else float("nan")

    def figures(self, batch: int) -> dict[str, float]:
        """Figures since the last call; the losses begin anew."""
        self.loss = float(np.mean(self.losses))
        self.losses = []
        if not self.rate(batch) > 0:  # The first step compiles.
            return {"loss": self.loss}
        waited = self.waited / self.seconds
        return {"loss": self.loss, "images_per_second": self.rate(batch), "waited": waited}

    def note(self, batch: int) -> str:
        """For the progress line."""
        if not self.losses or not self.rate(batch) > 0:
            return ""
        share = 100 * self.waited / self.seconds
        return (
            f"loss {self.losses[-1]:.3f}, {self.rate(batch):,.0f} images/s, {share:.0f} % waiting"
        )


def _anywhere(told: tuple[bool, bool], now: bool) -> tuple[bool, bool]:
    """Whether any process was told to stop, and why: all must stop at the same step."""
    if jax.process_count() == 1:
        return told
    if not now:
        return False, False
    stop, lost = multihost_utils.process_allgather(np.array(told)).any(axis=0)
    return bool(stop), bool(lost)


@contextlib.contextmanager
def _on_sigterm() -> Iterator[threading.Event]:
    """Yields an event that SIGTERM sets instead of killing; only the main thread may ask for it."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def told(*_: Any) -> None:
        event.set()

    before = signal.signal(signal.SIGTERM, told)
    try:
        yield event
    finally:
        signal.signal(signal.SIGTERM, before)
