"""Predictions: what a step and a score cost on devices that are not attached.

By their compiler: the cycles of the instructions of one step over the clock, and the bytes of what
has no cycles over the bandwidth. Where there is no clock or no compiler, by the roofline: FLOPs and
bytes over the published peaks, of which no device reaches more. Where a run of the model was timed
on such a device, corrected by it. Nothing here was run.
"""

import dataclasses
from collections.abc import Mapping

from jaxbias.capacity import gib
from jaxbias.costs.corrections import correction
from jaxbias.costs.looped import predict_looped
from jaxbias.costs.timing import SCORED, Rates, counts
from jaxbias.engine.catalog import Catalog
from jaxbias.engine.instructions import Work
from jaxbias.engine.passes import Rated
from jaxbias.engine.programs import Program, Rung, Training
from jaxbias.engine.unattached import BRIEFLY, FULLY, UnattachedExecutor
from jaxbias.errors import InputError
from jaxbias.models import Network
from jaxbias.models.network import computed_in
from jaxbias.plan.variants import Base
from jaxbias.targets import Kind, Unattached, target

# What predictions rest on; of a fit to convergence there is none.
CYCLES, ROOFLINE, CORRECTED, NOTHING = "cycles", "roofline", "corrected", "nothing"
# Those that are no bounds.
TOLD = (CYCLES, CORRECTED)
# Steps of a program whose step is looked for among its loops: no other loop has so many turns.
_STEPS = 11


@dataclasses.dataclass(frozen=True)
class Asked:
    """The largest program of a kind.

    Attributes:
      program: it.
      width: of the widest pack.
      looped: a base of that kind, if all are trained step by step, each step on all devices.
    """

    program: Training | Rung
    width: int
    looped: Base | None


def predict_rates(catalog: Catalog, kinds: Mapping[Training, Asked]) -> dict[Training, Rates]:
    """Predicts what kinds of programs cost on the target.

    Args:
      catalog: of the study; its executor is of the target.
      kinds: each, in brief, with its largest program, by which its width is told.
    """
    return {brief: _predicted(catalog, brief, asked) for brief, asked in kinds.items()}


def predicted_seconds(executor: UnattachedExecutor, program: Program, flops: float) -> float:
    """Returns the seconds of a program of one member on each device.

    Args:
      executor: of the target.
      program: it.
      flops: of a member.
    """
    at = _at()
    if not at.kind.clock:
        return flops / peak_flops(at.kind, program)
    found = executor.analysis(program, executor.mesh.size, FULLY)
    return _seconds(found.instructions.work, at.kind) if found.fits else 0.0


def peak_flops(kind: Kind, program: Program) -> float:
    """Returns the floating-point operations of a second at most, of what a program computes in."""
    model = getattr(program, "model", None) or getattr(program, "network", None)
    half = isinstance(model, Network) and computed_in(model.spec) == "bfloat16"
    return kind.flops if half else kind.flops32


def _at() -> Unattached:
    at = target()
    assert isinstance(at, Unattached)
    return at


def _predicted(catalog: Catalog, brief: Training, asked: Asked) -> Rates:
    executor, at = catalog.executor, _at()
    unit = executor.mesh.size
    bound = _bounded(brief, at.kind, unit, -(-asked.width // unit) * unit)
    if not at.compiled:
        return bound if asked.looped else _corrected(executor, brief, bound)
    if asked.looped:
        return predict_looped(catalog, asked.looped, bound, at.kind, CYCLES)
    try:
        width = catalog.part_width(asked.program, asked.width)
    except InputError:
        program, beside = catalog.held(asked.program, unit)
        needed = executor.analysis(program, unit, BRIEFLY).held + beside
        return dataclasses.replace(bound, width=unit, memory=needed, misfit=_misfit(brief, needed))
    program, beside = catalog.held(asked.program, width)
    memory = executor.analysis(program, width, BRIEFLY).peak + beside
    found = dataclasses.replace(bound, width=width, memory=memory)
    counted = _counted(executor, brief, found) if at.kind.clock else found
    return _corrected(executor, brief, counted)


def _bounded(brief: Training, kind: Kind, devices: int, width: int) -> Rates:
    """What no device of the kind is faster than; a fit to convergence is not told."""
    found, peak = counts(brief), peak_flops(kind, brief)

    def least(part: str) -> float:
        return max(found[f"{part}_flops"] / peak, found[f"{part}_traffic"] / kind.bandwidth)

    return Rates(
        unit_seconds=least("unit") / devices,
        score_seconds=least("score") / devices,
        **found,
        width=width,
        basis=ROOFLINE if brief.batch else NOTHING,
    )


def _counted(executor: UnattachedExecutor, brief: Training, bound: Rates) -> Rates:
    """A step and a score by the cycles that the compiler expects of them.

    By "map" and "unroll" each member takes its own time, so that one on each device is enough.
    """
    kind = _at().kind
    width = bound.width if executor.mode == "vmap" else executor.mesh.size
    rated = executor.analysis(Rated(brief.model, (SCORED, *brief.store[1:])), width, FULLY)
    score = _seconds(rated.instructions.work, kind) / (SCORED * width)
    if not brief.batch:
        return dataclasses.replace(bound, score_seconds=score)
    seconds = step_seconds(executor, brief, width, kind) / width
    return dataclasses.replace(bound, unit_seconds=seconds, score_seconds=score, basis=CYCLES)


def _corrected(executor: UnattachedExecutor, brief: Training, found: Rates) -> Rates:
    """What runs that were timed make of it."""
    at = _at()

    def predicted(other: Training) -> float:
        devices = executor.mesh.size
        if found.basis == CYCLES:
            width = found.width if executor.mode == "vmap" else devices
            return step_seconds(executor, other, width, at.kind) * devices / width
        return _bounded(other, at.kind, devices, devices).unit_seconds * devices

    known = correction(brief, executor.mode, at.device, predicted)
    if known is None:
        return found
    return dataclasses.replace(
        found,
        unit_seconds=found.unit_seconds * known.factor,
        score_seconds=found.score_seconds * known.factor,
        basis=CORRECTED,
        correction=known,
    )


def step_seconds(executor: UnattachedExecutor, brief: Training, width: int, kind: Kind) -> float:
    """Returns the seconds of one step of a whole pack, by its compiler's cycles.

    Args:
      executor: of the target.
      brief: the program in brief.
      width: of the pack.
      kind: of the target, which has a clock.
    """
    several = executor.analysis(brief.resized(brief.batch, _STEPS), width, FULLY)
    step = several.instructions.turn_of(_STEPS)
    if step is None:  # It is no loop any more: what comes before the steps is counted with them.
        step = Work().plus(several.instructions.work, 1 / _STEPS)
    return _seconds(step, kind)


def _seconds(work: Work, kind: Kind) -> float:
    return work.cycles / kind.clock + work.moved / kind.bandwidth


def _misfit(brief: Training, needed: int) -> str:
    """What does not fit, and the way out."""
    at = _at()
    name = brief.model.spec.name if isinstance(brief.model, Network) else "a head"
    needs = f"needs {gib(needed)}" if needed > at.limit else "needs more than that"
    return (
        f"one training of {name} at batch {brief.batch or brief.n} {needs} on a chip of {at.name} "
        f"with {gib(at.limit)}; lower the batch or config.data.image_size, use a smaller "
        "config.model or config.grid.store='host', or another --target"
    )
