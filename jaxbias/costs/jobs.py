"""Jobs: the members of packs as far as their cost goes, each with the kind of program it is of."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

from jaxbias.costs.prediction import Asked
from jaxbias.engine.catalog import Catalog
from jaxbias.engine.programs import Networks, Program, Rung, Training
from jaxbias.engine.unattached import UnattachedExecutor
from jaxbias.plan.packs import Pack
from jaxbias.plan.search import rung_epochs
from jaxbias.plan.variants import Base, Variant
from jaxbias.study import by_loop

# The program of a member and its kind, units and scored images; whether it is padded, and looped.
_Shape = tuple[Program, Training, int, int, bool, bool]


@dataclasses.dataclass(frozen=True)
class OnAll(Networks):
    """What kind of program bases are that all chips of a target train together, step by step.

    Attributes:
      objective: of the bases.
    """

    objective: str = "supervised"


@dataclasses.dataclass(frozen=True)
class Job:
    """One member of a pack, as far as its cost goes."""

    member: Base | Variant
    program: Program
    kind: Training  # The program in brief.
    units: int
    scored: int
    padded: bool  # Bases are not: they are trained side by side, or each on all devices.
    looped: bool  # Step by step, each on all devices.
    pack: Pack
    done: bool


def jobs_of(
    packs: Iterable[Pack], has: Callable[[Pack], bool], asked: Callable[[Any], _Shape]
) -> list[Job]:
    """Returns the members of packs.

    Args:
      packs: in order.
      has: whether a pack has results.
      asked: a member -> its program and so on, as of the functions below.
    """
    return [
        Job(member, *asked(member), pack, done)
        for pack in packs
        for done in (has(pack),)
        for member in pack.members
    ]


def finetune_job(catalog: Catalog, variant: Variant) -> _Shape:
    """Returns what finetuning a variant asks for."""
    program = catalog.finetune(variant)
    return program, program.brief, program.units, program.scored, True, False


def base_job(catalog: Catalog, base: Base) -> _Shape:
    """Returns what pretraining a base asks for."""
    program = catalog.base(base)
    # Two views of every image. What is done step by step is timed as if it were done in a pack.
    steps = program.units * (2 if base.objective == "simclr" else 1)
    looped, kind = by_loop(catalog.study, base), program.brief
    if looped and isinstance(catalog.executor, UnattachedExecutor):
        fields = {field.name: getattr(kind, field.name) for field in dataclasses.fields(kind)}
        kind = OnAll(**fields, objective=base.objective)
    return program, kind, steps, program.scored, False, looped


def trial_job(catalog: Catalog, trial: Variant) -> _Shape:
    """Returns what one rung of a trial asks for: its own epochs, each scored on validation."""
    rungs, last = rung_epochs(catalog.study.search), trial.recipe.epochs
    epochs = last - max((epochs for epochs in rungs if epochs < last), default=0)
    rung = catalog.rung(trial)
    longest = rung.longest
    units, scored = longest.units * epochs // rungs[-1], epochs * longest.scored
    return rung, longest.brief, units, scored, True, False


def largest(jobs: Iterable[Job]) -> dict[Training, Asked]:
    """Returns, of every kind, the program that holds most, at the width of the widest pack."""
    kinds: dict[Training, list[Job]] = {}
    for job in jobs:
        kinds.setdefault(job.kind, []).append(job)

    def size(job: Job) -> tuple[int, ...]:
        whole = job.program.longest if isinstance(job.program, Rung) else job.program
        return whole.n, whole.units, whole.scored

    found = {}
    for kind, each in kinds.items():
        packed = [job for job in each if not job.looped]
        job = max(packed or each, key=size)
        width = max(job.pack.width for job in packed or each)
        found[kind] = Asked(job.program, width, None if packed else job.member)
    return found
