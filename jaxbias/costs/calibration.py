"""Calibration: what a step and a score cost on the present devices, from small programs timed."""

import dataclasses
import time
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxbias.costs.flops import count_flops
from jaxbias.costs.small import (
    BLOCK,
    FIT,
    STEPS,
    Kind,
    SmallProgram,
    alike,
    examples_alike,
    images_of,
    params_of,
    small_training,
)
from jaxbias.engine.programs import extraction
from jaxbias.engine.runner import Runner
from jaxbias.models import Head, Network
from jaxbias.parallel import map_variants, replicate
from jaxbias.training import Hyper, make_score, make_train

# Images that a score is timed on.
_SCORED = 512


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
      budget: seconds after which no further kind is timed; the first always is, and all are where
        FLOPs cannot be counted.

    Returns:
      The rates of every kind, those not timed at the FLOP/s of the first; and how many were timed.
    """
    began = time.perf_counter()
    rates: dict[Kind, Rates] = {}
    scores: dict[Network | Head, tuple[float, float]] = {}
    timed = 0
    for kind, width in widths.items():
        first = next(iter(rates.values()), None)
        if first and first.score_flops and time.perf_counter() - began > budget:
            rates[kind] = _in_proportion(runner, kind, first)
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
    images = images_of(runner, network)
    ids = np.resize(np.arange(len(images), dtype=np.int32), (blocks, BLOCK))
    params = replicate(runner.fresh(network, 0), runner.mesh)
    extracting = extraction(network, runner.plan.mode)
    program = SmallProgram(runner, None, (extracting, ids, (params, images)))
    return program.seconds() / ids.size


def _timed(
    runner: Runner, kind: Kind, width: int, score_seconds: float, score_flops: float
) -> Rates:
    units = STEPS if kind.schedule else FIT
    small = small_training(runner, kind, width, runner.plan.mode)
    program = SmallProgram(runner, kind.model, small)
    spent = program.seconds() / width - BLOCK * score_seconds
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


def _score_seconds(runner: Runner, model: Network | Head, width: int) -> float:
    if isinstance(model, Head):

        def packed(params: Any, shared: Any) -> Any:
            ids, features = shared
            return jax.vmap(model.logits, in_axes=(0, None))(params, features[ids])
    else:
        score = make_score(model, runner.plan.data_devices)
        packed = map_variants(lambda params, shared: score(params, *shared), runner.plan.mode)
    images = images_of(runner, model)
    ids = np.resize(np.arange(len(images), dtype=np.int32), _SCORED)
    members = alike(params_of(runner, model), width)
    program = SmallProgram(runner, model, (packed, members, (ids, images)))
    return program.seconds() / (_SCORED * width)


def _step_flops(runner: Runner, kind: Kind) -> float:
    """By XLA's cost analysis of one step of one member: it counts the body of a loop once."""
    if kind.schedule is None:
        return 0.0
    one = dataclasses.replace(kind.schedule, epochs=1)
    examples = examples_alike(one.n, 1, one.cells)
    hyper = Hyper(*[np.float32(0)] * len(Hyper._fields))
    train = make_train(kind.model, one)
    params, images = params_of(runner, kind.model), images_of(runner, kind.model)
    return count_flops(train, params, examples, hyper, jax.random.key(0), images)


def _score_flops(runner: Runner, model: Network | Head) -> float:
    params, images = params_of(runner, model), images_of(runner, model)
    if isinstance(model, Head):
        return count_flops(model.logits, params, images[:BLOCK]) / BLOCK
    return count_flops(make_score(model), params, np.zeros(BLOCK, np.int32), images) / BLOCK
