"""Estimates: what the training of a plan costs on the present devices.

By proportion from programs in brief: steps times the seconds of a step, scored images times the
seconds of a score, for every place of every pack without results, and the compiling of programs.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxbias import words
from jaxbias.costs.extraction import extraction_flops, extraction_seconds, to_extract
from jaxbias.costs.timing import (
    Rates,
    count_rates,
    measure_rates,
)
from jaxbias.engine.catalog import Catalog
from jaxbias.engine.executor import Executor
from jaxbias.engine.members import inputs_of
from jaxbias.engine.programs import Program, Training
from jaxbias.models import Network
from jaxbias.plan.packs import Pack, Plan
from jaxbias.plan.search import rung_epochs
from jaxbias.plan.variants import Base, Variant


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a set of trainings asks for; programs, FLOPs and seconds are of those to be done.

    Attributes:
      trainings: variants or bases.
      done: those with results.
      packs: that hold any of them.
      programs: compiled programs.
      flops: floating-point operations of training and scoring.
      traffic: bytes that devices have to move for it; 0 of fits to convergence.
      seconds: on the present devices, compiling included.
      score_bytes: of all their scores, uncompressed.
    """

    trainings: int
    done: int
    packs: int
    programs: int
    flops: float
    traffic: float
    seconds: float
    score_bytes: int


@dataclasses.dataclass(frozen=True)
class PlanCost:
    """The cost of a plan.

    Attributes:
      experiments: name -> cost; a variant of two experiments is counted in both.
      bases: of pretraining.
      finetunes: of all variants, each once; with a search under way, an upper bound.
      trials: of a search, each once per rung.
      feature_seconds: of extracting what heads are trained on.
      feature_flops: likewise, floating-point operations.
      parameter_bytes: of the checkpoints of all bases.
      feature_bytes: of all features that heads are trained on.
      image_bytes: of the image store, which every device holds.
      devices: that all seconds are of.
      memory: bytes of the largest timed program on one device.
      kinds: how many kinds of program there are to do.
      timed: how many of them were timed.
      fits: whether some heads are fitted to convergence.
      timing_seconds: what all this took.
    """

    experiments: Mapping[str, Cost]
    bases: Cost
    finetunes: Cost
    trials: Cost
    feature_seconds: float
    feature_flops: float
    parameter_bytes: int
    feature_bytes: int
    image_bytes: int
    devices: int
    memory: int
    kinds: int
    timed: int
    fits: bool
    timing_seconds: float

    @property
    def seconds(self) -> float:
        """Of all that is to be done."""
        training = self.bases.seconds + self.trials.seconds + self.finetunes.seconds
        return training + self.feature_seconds


@dataclasses.dataclass(frozen=True)
class _Job:
    """One member of a pack, as far as its cost goes."""

    member: Base | Variant
    program: Program
    kind: Training  # The program in brief.
    units: int
    scored: int
    padded: bool  # Bases are not: they are trained side by side, or each on all devices.
    pack: Pack
    done: bool


def estimate(
    catalog: Catalog,
    plan: Plan,
    experiments: Mapping[str, Sequence[Variant]],
    has: Callable[[Pack], bool] = lambda pack: False,
    has_features: Callable[[str], bool] = lambda name: False,
    budget: float = 15.0,
    run: bool = True,
) -> PlanCost:
    """Estimates the cost of a plan.

    Args:
      catalog: of the study.
      plan: every pack.
      experiments: the variants of each.
      has: whether a pack has results.
      has_features: whether features, or activations of a trunk, are stored under a name.
      budget: seconds after which no further kind of program is timed.
      run: whether any is: else all seconds are 0.
    """
    began = time.perf_counter()
    pretraining = _jobs(plan.bases, has, functools.partial(_base_job, catalog))
    trying = _jobs(plan.rungs, has, functools.partial(_trial_job, catalog))
    finetunes = _jobs(plan.finetunes, has, functools.partial(_finetune_job, catalog))
    finetuning = {job.member.id: job for job in finetunes}
    wanted = [finetuning[id] for id in dict.fromkeys(v.id for e in experiments.values() for v in e)]
    work: dict[Training, int] = {}
    widths: dict[Training, int] = {}
    for job in (*pretraining, *trying, *wanted):
        if not job.done:
            work[job.kind] = work.get(job.kind, 0) + job.units
            widths[job.kind] = max(widths.get(job.kind, 0), job.pack.width)
    # What most of the work is comes first.
    ordered = {kind: widths[kind] for kind in sorted(work, key=work.__getitem__, reverse=True)}
    starts, images = catalog.starts, catalog.curator.dataset.images
    # What is only timed is no program of the study.
    executor = Executor(catalog.executor.mesh, catalog.executor.mode, catalog.executor.room)
    on_device = 0 if catalog.feed else images.nbytes
    rates, timed = count_rates(ordered), 0
    if run:
        rates, timed = measure_rates(executor, ordered, on_device, budget)
    cost = functools.partial(_cost, rates=rates, devices=executor.mesh.size)

    seen = {
        (variant.base, variant.recipe.solver)
        for variants in experiments.values()
        for variant in variants
        if variant.recipe.mode == "head"
    }
    rows = len(starts.rows)
    extracted = to_extract(starts, plan, seen, has_features)
    bases = {base.id: base for pack in plan.bases for base in pack.members}
    return PlanCost(
        experiments={
            name: cost([finetuning[v.id] for v in variants])
            for name, variants in experiments.items()
        },
        bases=cost(pretraining),
        finetunes=cost(wanted),
        trials=dataclasses.replace(cost(trying), score_bytes=0),
        feature_seconds=sum(
            count * extraction_seconds(executor, program) for program, count in extracted.items()
        )
        if run
        else 0.0,
        feature_flops=sum(
            count * extraction_flops(program) for program, count in extracted.items()
        ),
        parameter_bytes=sum(_bytes(starts.network_of(base)) for base in bases.values()),
        feature_bytes=sum(4 * rows * inputs_of(starts.finetuned(base)) for base, _ in seen),
        image_bytes=images.nbytes,
        devices=executor.mesh.size,
        memory=max((rate.memory for rate in rates.values()), default=0),
        kinds=len(rates),
        timed=timed,
        fits=any(not kind.batch for kind in rates),
        timing_seconds=time.perf_counter() - began,
    )


def _jobs(
    packs: Iterable[Pack], has: Callable[[Pack], bool], asked: Callable[[Any], tuple]
) -> list[_Job]:
    return [
        _Job(member, *asked(member), pack, done)
        for pack in packs
        for done in (has(pack),)
        for member in pack.members
    ]


def _cost(jobs: Iterable[_Job], rates: Mapping[Training, Rates], devices: int) -> Cost:
    jobs = list(jobs)
    todo = [job for job in jobs if not job.done]
    widths = [min(rates[job.kind].width, -(-job.pack.width // devices) * devices) for job in todo]
    programs = {(j.program, width): j.kind for j, width in zip(todo, widths, strict=True)}
    flops = traffic = seconds = 0.0
    for job, width in zip(todo, widths, strict=True):
        rate, members = rates[job.kind], len(job.pack.members)
        flops += job.units * rate.unit_flops + job.scored * rate.score_flops
        traffic += job.units * rate.unit_traffic + job.scored * rate.score_traffic
        spent = job.units * rate.unit_seconds + job.scored * rate.score_seconds
        places = -(-members // width) * width if job.padded else members
        seconds += spent * places / members  # Padding computes too.
    return Cost(
        trainings=len(jobs),
        done=len(jobs) - len(todo),
        packs=len({job.pack.id for job in jobs}),
        programs=len(programs),
        flops=flops,
        traffic=traffic,
        seconds=seconds + sum(rates[kind].compile_seconds for kind in programs.values()),
        score_bytes=4 * sum(job.scored * job.kind.model.outputs for job in jobs),
    )


def _finetune_job(catalog: Catalog, variant: Variant) -> tuple[Program, Training, int, int, bool]:
    """Returns what a job is made of: the program of a member, its kind, its units and so on."""
    program = catalog.finetune(variant)
    return program, program.brief, program.units, program.scored, True


def _base_job(catalog: Catalog, base: Base) -> tuple[Program, Training, int, int, bool]:
    program = catalog.base(base)
    # Two views of every image. What is done step by step is timed as if it were done in a pack.
    steps = program.units * (2 if base.objective == "simclr" else 1)
    return program, program.brief, steps, program.scored, False


def _trial_job(catalog: Catalog, trial: Variant) -> tuple[Program, Training, int, int, bool]:
    """One rung of a trial: its own epochs, each of them scored on validation."""
    rungs, last = rung_epochs(catalog.study.search), trial.recipe.epochs
    epochs = last - max((epochs for epochs in rungs if epochs < last), default=0)
    rung = catalog.rung(trial)
    longest = rung.longest
    units, scored = longest.units * epochs // rungs[-1], epochs * longest.scored
    return rung, longest.brief, units, scored, True


def _bytes(network: Network) -> int:
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    return sum(4 * int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes))


def estimate_text(found: PlanCost) -> str:
    """Returns an estimate as a table and what it rests on, for a terminal."""
    wide = max(len(name) for name in (*found.experiments, "experiment", "all variants"))
    heads = ("variants", "done", "packs", "programs", "FLOPs", "scores", "time")
    rows = [
        (name, cost.trainings, cost.done, cost.packs, cost.programs, f"{cost.flops:.1e}",
         _amount(cost.score_bytes), _duration(cost.seconds))
        for name, cost in (
            *found.experiments.items(),
            *([("all variants", found.finetunes)] if len(found.experiments) > 1 else []),
            ("all bases", found.bases),
            *([("search", found.trials)] if found.trials.trainings else []),
        )
    ]  # fmt: skip
    lines = [
        f"{name:<{wide}} " + " ".join(f"{value:>9}" for value in values)
        for name, *values in (("experiment", *heads), *rows)
    ]
    if found.trials.trainings > found.trials.done:
        lines.append(
            "Finetunes are counted at config.search.max_epochs: the search will choose no more. "
            "Its trials count once per rung, and keep no scores."
        )
    if found.feature_seconds:
        lines.append(f"Features of frozen bases: {_duration(found.feature_seconds)} to extract")
    device = jax.local_devices()[0]
    lines += [
        f"Bytes: images {_amount(found.image_bytes)}, bases {_amount(found.parameter_bytes)}, "
        f"features {_amount(found.feature_bytes)}, "
        f"scores {_amount(found.finetunes.score_bytes + found.bases.score_bytes)}; "
        f"largest small program {_amount(found.memory)} on a device",
        f"Time: {_duration(found.seconds)} of training, scoring and compiling on {found.devices} × "
        f"{device.device_kind}",
        f"It rests on {found.timed} of {words.count(found.kinds, 'kind')} of program, timed in "
        f"{found.timing_seconds:.0f} s over a few steps and scores, and goes by proportion; "
        "FLOPs are XLA's count of one step and one score.",
    ]
    if found.timed < found.kinds:
        lines.append("The kinds that were not timed are taken at the FLOP/s of the commonest.")
    if found.kinds and not (found.bases.flops + found.trials.flops + found.finetunes.flops):
        lines.append("FLOPs could not be counted: JAX_PLATFORMS names no cpu, whose compiler does.")
    if found.fits:
        lines.append(
            "Fits to convergence are timed on noise and may take another number of iterations; "
            "their FLOPs are left out."
        )
    lines.append(
        "Left out: preparing images, reading and writing, the report. Programs that the "
        "compilation cache holds already take no time to compile."
    )
    return "\n".join(lines)


def _amount(count: float) -> str:
    """Returns bytes for people.

    >>> _amount(999), _amount(12_345_678)
    ('999 B', '12.3 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB"


def _duration(seconds: float) -> str:
    """Returns seconds for people.

    >>> _duration(4.2), _duration(600), _duration(100_000)
    ('4.2 s', '10.0 min', '27.8 h')
    """
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
