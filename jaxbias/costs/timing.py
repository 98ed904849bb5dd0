"""Timing: what a step and a score cost on the present devices, from programs in brief."""

import dataclasses
import math
import time
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxbias.costs.corrections import Correction
from jaxbias.costs.flops import count_flops
from jaxbias.engine.executor import Executor
from jaxbias.engine.memory import program_bytes
from jaxbias.engine.passes import Rated
from jaxbias.engine.programs import BLOCK, Program, Training
from jaxbias.parallel import replicate, split_variants
from jaxbias.targets import Host, aimed, target
from jaxbias.training import Step

# Images that a score is timed on.
SCORED = 512


@dataclasses.dataclass(frozen=True)
class Rates:
    """What a kind of program costs per member of a pack.

    Attributes:
      unit_seconds: of a step; of a fit to convergence, per example.
      score_seconds: per scored image.
      unit_flops: of a step; 0 for a fit, whose iterations nobody knows before.
      score_flops: per scored image.
      unit_traffic: bytes that a step has to move to and from memory; 0 for a fit.
      score_traffic: likewise, per scored image.
      compile_seconds: of one program.
      memory: bytes of the program in brief on one device: arguments, results and temporaries; of
        devices that are not attached the most at once, of the largest program of its kind.
      width: members that run at once.
      basis: what it rests on, where it is predicted; see `prediction`.
      correction: by what a prediction was corrected, if it was.
      misfit: why it fits no device, if it does not.
      pieces: of a batch, of bases that are trained step by step where a compiler told.
      exchanged: bytes that a chip gives to be added up over all of them in a step of these.
    """

    unit_seconds: float
    score_seconds: float
    unit_flops: float
    score_flops: float
    unit_traffic: float
    score_traffic: float
    compile_seconds: float = 0.0
    memory: int = 0
    width: int = 1
    basis: str = ""
    correction: Correction | None = None
    misfit: str = ""
    pieces: int = 0
    exchanged: float = 0.0


class Timed:
    """A program, compiled, with sample arguments on the devices.

    Args:
      executor: of the devices.
      program: it; its results take the place of no argument.
      width: of the pack.
    """

    def __init__(self, executor: Executor, program: Program, width: int) -> None:
        before = executor.compile_seconds
        self.compiled = executor.compiled(program, width)
        self.compile_seconds = executor.compile_seconds - before
        member, shared = program.sample()
        members = jax.tree.map(lambda leaf: np.broadcast_to(leaf, (width, *leaf.shape)), member)
        self.arguments = split_variants(members, executor.mesh), replicate(shared, executor.mesh)

    def seconds(self) -> float:
        """Returns the shortest of three runs; the first also warms up."""
        return min(self.once() for _ in range(3))

    def once(self) -> float:
        """Returns the seconds of one run."""
        began = time.perf_counter()
        jax.block_until_ready(self.compiled(*self.arguments))
        return time.perf_counter() - began


def measure_rates(
    executor: Executor, widths: Mapping[Training, int], beside: int, budget: float
) -> tuple[dict[Training, Rates], int]:
    """Measures programs in brief, in the order given, until the budget is spent.

    Args:
      executor: of the devices; what it compiles here it keeps.
      widths: of the packs of each, which are timed in parts where they do not fit.
      beside: bytes that lie on a device beside a program in brief.
      budget: seconds after which no further one is timed; the first always is, and all are where
        FLOPs cannot be counted.

    Returns:
      The rates of every one, those not timed at the FLOP/s of the first; and how many were timed.
    """
    began, unit = time.perf_counter(), executor.mesh.size
    rates: dict[Training, Rates] = {}
    scores: dict[Any, float] = {}
    timed = 0
    for brief, width in widths.items():
        first = next(iter(rates.values()), None)
        if first and first.score_flops and time.perf_counter() - began > budget:
            rates[brief] = _in_proportion(brief, first, -(-width // unit) * unit)
            continue
        width = executor.part_width(lambda part, of=brief: (of, beside), brief, width)
        if brief.model not in scores:
            rated = Timed(executor, Rated(brief.model, (SCORED, *brief.store[1:])), width)
            scores[brief.model] = rated.seconds() / (SCORED * width)
        rates[brief] = _measured(executor, brief, width, scores[brief.model])
        timed += 1
    return rates, timed


def count_rates(widths: Mapping[Training, int]) -> dict[Training, Rates]:
    """Counts what programs in brief take of any device, and runs none: their seconds are 0."""
    return {brief: Rates(0.0, 0.0, **counts(brief), width=width) for brief, width in widths.items()}


def step_flops(brief: Training) -> float:
    """Returns the floating-point operations of one step of one member; 0 for a fit."""
    if not brief.batch:
        return 0.0
    # Of loops one turn is counted: one step, and the scores of one block.
    return program_flops(brief.resized(brief.n, 1)) - BLOCK * score_flops(brief)


def score_flops(brief: Training) -> float:
    """Returns the floating-point operations of scoring one image."""
    return program_flops(Rated(brief.model, (BLOCK, *brief.store[1:]))) / BLOCK


def step_traffic(brief: Training) -> float:
    """Returns the bytes that one step of one member has to move, however it is compiled.

    Parameters are read, what is trained and its momenta are written too, and a batch is read. What
    lies between the layers is left out: it need not leave the chip. 0 for a fit.
    """
    if not brief.batch:
        return 0.0
    (params, *_), _ = brief.shapes
    state = jax.eval_shape(Step(brief.model, brief.schedule).begin, params)
    moved = _bytes(state.parts, state.optimizer, state.parts.trained, state.optimizer)
    return moved + brief.batch * score_traffic(brief)


def score_traffic(brief: Training) -> float:
    """Returns the bytes of one example: an image, or its features."""
    (rows,) = jax.tree.leaves(brief.shapes[1][1])
    return math.prod(brief.store[1:]) * rows.dtype.itemsize


def counts(brief: Training) -> dict[str, float]:
    """Returns what a step and a score take of any device, as `Rates` has them."""
    return {
        "unit_flops": step_flops(brief),
        "score_flops": score_flops(brief),
        "unit_traffic": step_traffic(brief),
        "score_traffic": score_traffic(brief),
    }


def _bytes(*trees: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(trees))


def program_flops(program: Program) -> float:
    """Returns what one member takes, by XLA's cost analysis of the program as it is written.

    For a TPU some of a network is left out, which is not counted as done, and some is computed
    beside it to fill lanes, which is nothing done either: the fewer of its FLOPs and a CPU's.
    """
    counted = _flops(program)
    if counted and target().platform == "tpu":
        with aimed(Host()):
            counted = min(counted, _flops(program))
    return counted


def _flops(program: Program) -> float:
    member, shared = program.shapes
    one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape), leaf.dtype), member)
    return count_flops(program.function("unroll"), one, shared)


def _measured(executor: Executor, brief: Training, width: int, score_seconds: float) -> Rates:
    program = Timed(executor, brief, width)
    spent = program.seconds() / width - BLOCK * score_seconds
    return Rates(
        unit_seconds=max(spent, 0.0) / brief.units,
        score_seconds=score_seconds,
        **counts(brief),
        compile_seconds=program.compile_seconds,
        memory=program_bytes(program.compiled) or 0,
        width=width,
    )


def _in_proportion(brief: Training, other: Rates, width: int) -> Rates:
    """A step and a score at another's seconds per floating-point operation."""
    counted = counts(brief)
    pace = (other.unit_seconds + other.score_seconds) / (other.unit_flops + other.score_flops)
    return dataclasses.replace(
        other,
        unit_seconds=counted["unit_flops"] * pace,
        score_seconds=counted["score_flops"] * pace,
        **counted,
        width=width,
    )
