"""Calibration: what a step and a score cost on the present devices, from small programs timed."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from jaxbias.grid.programs import Packed, extraction, fitted_heads, heads, networks
from jaxbias.grid.runner import Runner
from jaxbias.models import Head, Network
from jaxbias.parallel import SPLIT, WHOLE, map_variants, replicate, shard_variants, split_variants
from jaxbias.training import Examples, Hyper, Penalty, Schedule, make_score, make_train

# Steps, images scored, examples of a fit and rows of features of the small programs.
_STEPS, _SCORED, _FIT, _ROWS = 8, 512, 512, 2048
_BLOCK = 64  # Images per block, in scoring and in extraction.


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
        short = dataclasses.replace(schedule, n=schedule.batch, epochs=_STEPS, cells=cells)
        return cls(model, schedule.objective, short)


@dataclasses.dataclass(frozen=True)
class Rates:
    """What a kind costs per member of a pack.

    Attributes:
      unit_seconds: of a step; of a fit to convergence, per example.
      score_seconds: per scored image.
      unit_flops: of a step; 0 for a fit, whose iterations nobody knows before.
      score_flops: per scored image.
      compile_seconds: of one program.
      memory: bytes of the small program on one device: arguments, results and temporaries.
    """

    unit_seconds: float
    score_seconds: float
    unit_flops: float
    score_flops: float
    compile_seconds: float = 0.0
    memory: int = 0


def calibrate(
    runner: Runner, widths: Mapping[Kind, int], budget: float
) -> tuple[dict[Kind, Rates], int]:
    """Measures kinds, in the order given, until the budget is spent.

    Args:
      runner: of the plan's layout.
      widths: how many members the packs of each kind have.
      budget: seconds after which no further kind is timed; the first always is.

    Returns:
      The rates of every kind, those not timed at the FLOP/s of the first; and how many were timed.
    """
    began = time.perf_counter()
    rates: dict[Kind, Rates] = {}
    scores: dict[Network | Head, tuple[float, float]] = {}
    timed = 0
    for kind, width in widths.items():
        if rates and time.perf_counter() - began > budget:
            rates[kind] = _in_proportion(runner, kind, next(iter(rates.values())))
            continue
        if kind.model not in scores:
            scores[kind.model] = (
                _score_seconds(runner, kind.model, width),
                _score_flops(runner, kind.model),
            )
        rates[kind] = _timed(runner, kind, width, *scores[kind.model])
        timed += 1
    return rates, timed


def extraction_seconds(runner: Runner, network: Network) -> float:
    """Returns the seconds per image of extracting features."""
    blocks = 4 * runner.mesh.size
    ids = np.resize(np.arange(len(runner.images), dtype=np.int32), (blocks, _BLOCK))
    params = replicate(runner.fresh(network, 0), runner.mesh)
    extracting = extraction(network, runner.plan.mode)
    program = SmallProgram(runner, None, (extracting, ids, (params, runner.images)))
    return program.seconds() / ids.size


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
        found = self.compiled.memory_analysis()
        parts = ("argument_size_in_bytes", "output_size_in_bytes", "temp_size_in_bytes")
        return sum(getattr(found, part) for part in parts) if found is not None else 0


def _timed(
    runner: Runner, kind: Kind, width: int, score_seconds: float, score_flops: float
) -> Rates:
    units = _STEPS if kind.schedule else _FIT
    small = small_training(runner, kind, width, runner.plan.mode)
    program = SmallProgram(runner, kind.model, small)
    spent = program.seconds() / width - _BLOCK * score_seconds
    return Rates(
        unit_seconds=max(spent, 0.0) / units,
        score_seconds=score_seconds,
        unit_flops=_step_flops(runner, kind),
        score_flops=score_flops,
        compile_seconds=program.compile_seconds,
        memory=program.memory,
    )


def _in_proportion(runner: Runner, kind: Kind, other: Rates) -> Rates:
    """A step and a score at another kind's seconds per floating-point operation."""
    step, score = _step_flops(runner, kind), _score_flops(runner, kind.model)
    pace = (other.unit_seconds + other.score_seconds) / (other.unit_flops + other.score_flops)
    return dataclasses.replace(
        other,
        unit_seconds=step * pace,
        score_seconds=score * pace,
        unit_flops=step,
        score_flops=score,
    )


def small_training(runner: Runner, kind: Kind, width: int, mode: str) -> tuple[Packed, Any, Any]:
    """Returns a small program of a kind with its members and what they share."""
    model, schedule = kind.model, kind.schedule
    scored = np.zeros(_BLOCK, np.int32)
    images = _images(runner, model)
    if schedule is None:
        each = (_examples(_FIT, len(images), 1), Penalty(np.float32(1), np.float32(1e-4)))
        variances = np.ones(model.inputs, np.float32)
        return fitted_heads(model, kind.objective, mode), _alike(each, width), (
            scored, images, variances,
        )  # fmt: skip
    examples = _examples(schedule.n, len(images), schedule.cells)
    hyper = Hyper(*(np.float32(value) for value in (1e-3, 0, 0.75, 0.01)))
    key = np.asarray(jax.random.key_data(jax.random.key(0)))
    if isinstance(model, Head):
        members = _alike((_params(runner, model), examples, hyper), width)
        return heads(model, schedule, mode), members, (scored, images, key)
    members = _alike((_params(runner, model), examples, hyper, key), width)
    return (
        networks(model, schedule, False, runner.plan.data_devices, mode),
        members,
        (scored, images),
    )


def trained_images(kind: Kind) -> int:
    """Returns how many images, or features of images, a member of a small program is trained on."""
    return _STEPS * kind.schedule.batch if kind.schedule else _FIT


def _score_seconds(runner: Runner, model: Network | Head, width: int) -> float:
    if isinstance(model, Head):

        def packed(params: Any, shared: Any) -> Any:
            ids, features = shared
            return jax.vmap(model.logits, in_axes=(0, None))(params, features[ids])
    else:
        score = make_score(model, runner.plan.data_devices)
        packed = map_variants(lambda params, shared: score(params, *shared), runner.plan.mode)
    images = _images(runner, model)
    ids = np.resize(np.arange(len(images), dtype=np.int32), _SCORED)
    members = _alike(_params(runner, model), width)
    program = SmallProgram(runner, model, (packed, members, (ids, images)))
    return program.seconds() / (_SCORED * width)


def _step_flops(runner: Runner, kind: Kind) -> float:
    """By XLA's cost analysis of one step of one member: it counts the body of a loop once."""
    if kind.schedule is None:
        return 0.0
    one = dataclasses.replace(kind.schedule, epochs=1)
    examples = _examples(one.n, 1, one.cells)
    hyper = Hyper(*[np.float32(0)] * len(Hyper._fields))
    train = make_train(kind.model, one)
    images = _images(runner, kind.model)
    shape = jax.ShapeDtypeStruct(images.shape, images.dtype)
    return _flops(train, _params(runner, kind.model), examples, hyper, jax.random.key(0), shape)


def _score_flops(runner: Runner, model: Network | Head) -> float:
    ids = np.zeros(_BLOCK, np.int32)
    params, images = _params(runner, model), _images(runner, model)
    if isinstance(model, Head):
        return _flops(model.logits, params, images[:_BLOCK]) / _BLOCK
    shape = jax.ShapeDtypeStruct(images.shape, images.dtype)
    return _flops(make_score(model), params, ids, shape) / _BLOCK


def _flops(fn: Callable, *arguments: Any) -> float:
    # Of the program as it is written: compiled, it differs by a few per cent and takes seconds.
    found = jax.jit(fn).lower(*arguments).cost_analysis()
    return float((found or {}).get("flops", 0.0))


def _params(runner: Runner, model: Network | Head) -> Any:
    if isinstance(model, Head):
        kernel = np.zeros((model.inputs, model.outputs), np.float32)
        return {"head": {"kernel": kernel, "bias": np.zeros(model.outputs, np.float32)}}
    return runner.fresh(model, 0)


def _images(runner: Runner, model: Network | Head) -> Any:
    if isinstance(model, Network):
        return runner.images
    rows = min(len(runner.rows), _ROWS)
    return np.random.default_rng(0).standard_normal((rows, model.inputs), np.float32)


def _examples(n: int, images: int, cells: int) -> Examples:
    random = np.random.default_rng(0)
    return Examples(
        ids=random.integers(0, images, n, np.int32),
        labels=random.integers(0, 2, n, np.int32),
        weights=np.ones(n, np.float32),
        cells=random.integers(0, cells, n, np.int32),
        balanced=np.arange(n, dtype=np.int32),
    )


def _alike(member: Any, width: int) -> Any:
    return jax.tree.map(lambda leaf: np.stack([leaf] * width), member)
