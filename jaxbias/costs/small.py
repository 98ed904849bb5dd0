"""Small programs: those of a study's packs in all but length, to time and to measure."""

import dataclasses
import functools
import time
from typing import Any

import jax
import numpy as np

from jaxbias.engine.members import key_of
from jaxbias.engine.memory import program_bytes
from jaxbias.engine.programs import Packed, fitted_heads, heads, networks
from jaxbias.engine.runner import Runner
from jaxbias.models import Head, Network
from jaxbias.parallel import SPLIT, WHOLE, replicate, shard_variants, split_variants
from jaxbias.training import Examples, Hyper, Penalty, Schedule

# Steps, examples of a fit, rows of features and images of a sample.
STEPS, FIT, ROWS = 8, 512, 2048
BLOCK = 64  # Images per block, in scoring and in extraction.


@dataclasses.dataclass(frozen=True)
class Kind:
    """What the cost of a step depends on; programs of a kind differ in length and width.

    Attributes:
      model: what is trained.
      objective: what is minimised.
      schedule: of a few steps; None: a fit to convergence.
    """

    model: Network | Head
    objective: str
    schedule: Schedule | None

    @classmethod
    def of(cls, model: Network | Head, schedule: Schedule) -> "Kind":
        """Returns the kind of a schedule, whatever its length; only group DRO looks at cells."""
        cells = schedule.cells if schedule.objective == "group_dro" else 1
        short = dataclasses.replace(schedule, n=schedule.batch, epochs=STEPS, cells=cells)
        return cls(model, schedule.objective, short)


class SmallProgram:
    """A small program, compiled, with its arguments on the devices.

    Args:
      runner: of the plan's layout.
      model: what is trained or scored; None: blocks of images.
      program: it, arrays with a leading axis of members, and what they share.
    """

    def __init__(
        self,
        runner: Runner,
        model: Network | Head | None,
        program: tuple[Packed, Any, Any],
    ) -> None:
        packed, members, shared = program
        mesh, axes = runner.mesh, SPLIT if isinstance(model, Network) else WHOLE
        self.arguments = split_variants(members, mesh, axes), replicate(shared, mesh)
        lowered = jax.jit(shard_variants(packed, mesh, axes)).lower(*self.arguments)
        began = time.perf_counter()
        self.compiled = lowered.compile()
        self.compile_seconds = time.perf_counter() - began

    def seconds(self) -> float:
        """Returns the shortest of three runs; the first also warms up."""
        return min(self.once() for _ in range(3))

    def once(self) -> float:
        """Returns the seconds of one run."""
        began = time.perf_counter()
        jax.block_until_ready(self.compiled(*self.arguments))
        return time.perf_counter() - began

    @property
    def memory(self) -> int:
        """Bytes on one device by XLA's analysis, 0 where the platform gives none."""
        return program_bytes(self.compiled) or 0


def small_training(runner: Runner, kind: Kind, width: int, mode: str) -> tuple[Packed, Any, Any]:
    """Returns a small program of a kind with its members and what they share."""
    model, schedule = kind.model, kind.schedule
    scored = np.zeros(BLOCK, np.int32)
    images = images_of(runner, model)
    if schedule is None:
        each = (examples_alike(FIT, len(images), 1), Penalty(np.float32(1), np.float32(1e-4)))
        variances = np.ones(model.inputs, np.float32)
        return fitted_heads(model, kind.objective, mode), alike(each, width), (
            scored, images, variances,
        )  # fmt: skip
    examples = examples_alike(schedule.n, len(images), schedule.cells)
    hyper = Hyper(*(np.float32(value) for value in (1e-3, 0, 0.75, 0.01)))
    key = key_of("", 0)
    if isinstance(model, Head):
        members = alike((params_of(runner, model), examples, hyper), width)
        return heads(model, schedule, mode), members, (scored, images, key)
    members = alike((params_of(runner, model), examples, hyper, key), width)
    return (
        networks(model, schedule, False, runner.plan.data_devices, mode),
        members,
        (scored, images),
    )


def trained_images(kind: Kind) -> int:
    """Returns how many images, or features of images, a member of a small program is trained on."""
    return STEPS * kind.schedule.batch if kind.schedule else FIT


def params_of(runner: Runner, model: Network | Head) -> Any:
    """Returns parameters of a model that were never trained."""
    if isinstance(model, Head):
        kernel = np.zeros((model.inputs, model.outputs), np.float32)
        return {"head": {"kernel": kernel, "bias": np.zeros(model.outputs, np.float32)}}
    return runner.fresh(model, 0)


def images_of(runner: Runner, model: Network | Head | None) -> Any:
    """Returns the images on the devices, a few where they stay on the host; of heads, noise."""
    if not isinstance(model, Head):
        return runner.images if runner.feed is None else _few_images(runner)
    rows = min(len(runner.rows), ROWS)
    return np.random.default_rng(0).standard_normal((rows, model.inputs), np.float32)


@functools.lru_cache(maxsize=1)
def _few_images(runner: Runner) -> jax.Array:
    return replicate(np.asarray(runner.feed.images[:ROWS]), runner.mesh)


def examples_alike(n: int, images: int, cells: int) -> Examples:
    """Returns n random examples among so many images and cells."""
    random = np.random.default_rng(0)
    return Examples(
        ids=random.integers(0, images, n, np.int32),
        labels=random.integers(0, 2, n, np.int32),
        weights=np.ones(n, np.float32),
        cells=random.integers(0, cells, n, np.int32),
        balanced=np.arange(n, dtype=np.int32),
    )


def alike(member: Any, width: int) -> Any:
    """Returns a pack of one member many times."""
    return jax.tree.map(lambda leaf: np.stack([leaf] * width), member)
