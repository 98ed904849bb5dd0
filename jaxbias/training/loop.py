"""The loop: step after step on all devices, hearing of each when the next is under way."""

import contextlib
import dataclasses
import functools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from jaxbias.errors import InputError
from jaxbias.parallel import lift, replicate
from jaxbias.progress import progress
from jaxbias.training.feeds import Source, feed
from jaxbias.training.saves import Saves
from jaxbias.training.step import Step, StepMetrics, TrainState

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
      state: after the last step, as host arrays.
      loss: mean since the last checkpoint.
      seconds: of this process's steps, compiling not counted.
      waited: of them for batches.
      steps: done by this process.
    """

    state: TrainState
    loss: float
    seconds: float
    waited: float
    steps: int


def fit(
    name: str,
    step: Step,
    begin: Callable[[], TrainState],
    source: Source,
    key: np.ndarray,
    mesh: Mesh,
    kind: str,
    saves: Saves,
    save_every: int,
    store: jax.Array | None = None,
    tell: Tell = lambda step, values: None,
) -> Ended:
    """Trains to the last step of a source, from the last checkpoint where there is one.

    With several processes all of them call this alike.

    Args:
      name: of what is trained, for messages.
      step: what is done.
      begin: makes the state before the first step.
      source: the batches.
      key: data of the run's key.
      mesh: of `make_data_mesh`.
      kind: of `lift`.
      saves: its checkpoints.
      save_every: steps from one to the next.
      store: the images on every device, where batches name rows of them.
      tell: is given figures at every checkpoint.

    Returns:
      The end.

    Raises:
      InputError: the loss turned non-finite; the last good checkpoint is kept.
      Terminated: SIGTERM came; what was done is saved.
    """
    first = begin()
    done, state, loss = saves.restore(first) or (0, first, float("nan"))
    state, key = replicate((state, key), mesh)
    run = _lifted(step, mesh, kind)
    total, batch = len(source), step.course.batch
    watch = _Watch(name, saves, done, loss)
    if done:
        print(f"pretraining {name}: going on from step {done:,} of {total:,}", flush=True)
    with _on_sigterm() as terminated, progress(total, f"pretraining {name}", "steps") as advance:
        advance(done)
        batches = feed(source, done, mesh)
        for index in range(done, total):
            waiting = time.perf_counter()
            inputs = next(batches)
            watch.waited += time.perf_counter() - waiting
            with jax.transfer_guard("disallow"):  # Whatever the step needs is on the devices.
                state, metrics = run(state, inputs, key, store)
            watch.check()  # Of the step before, which ends while this one is begun.
            watch.pending = index, metrics
            last = index + 1 == total
            stop = _anywhere(terminated.is_set(), last or (index + 1) % _ASKED_EVERY == 0)
            if stop or last or (index + 1) % save_every == 0:
                watch.check()
                figures = watch.figures(batch)
                saves.save(index + 1, state, figures["loss"])
                tell(index + 1, figures)
                if stop:
                    saves.wait()
                    raise Terminated
            advance(1, watch.note(batch))
    saves.wait()
    return Ended(
        jax.tree.map(np.asarray, state), watch.loss, watch.seconds, watch.waited, total - done
    )


# Bases of one network and course share a program.
_lifted = functools.lru_cache(maxsize=8)(lift)


class _Watch:
    """What the steps say, one step late, and the time they take."""

    def __init__(self, name: str, saves: Saves, done: int, loss: float) -> None:
        self.name = name
        self.saves = saves
        self.done = done
        self.pending: tuple[int, StepMetrics] | None = None
        self.losses: list[float] = []
        self.loss = loss
        self.waited = 0.0
        self.compiled: tuple[float, int] | None = None  # When the first step here had ended.
        self.now = time.perf_counter()

    def check(self) -> None:
        """Reads what the pending step says.

        Raises:
          InputError: its loss is not finite.
        """
        if self.pending is None:
            return
        index, metrics = self.pending
        self.pending = None
        loss, finite = jax.device_get(metrics)
        self.now = time.perf_counter()
        if self.compiled is None:
            self.compiled = self.now, index + 1
            self.waited = 0.0
        self.done = index + 1
        if not finite:
            self.saves.wait()
            last = self.saves.last
            kept = f"the state before step {last:,} is kept in {self.saves.directory / str(last)}"
            raise InputError(
                f"pretraining {self.name}: the loss turned non-finite at step {index:,}; "
                f"{kept if last else 'there is no checkpoint before'}; lower "
                "config.pretrain.learning_rate or raise config.pretrain.warmup, in a new workdir"
            )
        self.losses.append(float(loss))

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


def _anywhere(told: bool, now: bool) -> bool:
    """Whether any process was told to stop: all must stop at the same step."""
    if jax.process_count() == 1:
        return told
    if not now:
        return False
    return bool(multihost_utils.process_allgather(np.array(told)).any())


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
