"""Estimates: what the training of a plan costs on the present devices, or would on others.

By proportion from programs in brief: steps times the seconds of a step, scored images times the
seconds of a score, for every place of every pack without results, and the compiling of programs.
On the present devices they are timed; on a target that is not attached its compiler is asked.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import jax
import numpy as np

from jaxbias.costs.extraction import extraction_flops, extraction_seconds, to_extract
from jaxbias.costs.jobs import Job, base_job, finetune_job, jobs_of, largest, trial_job
from jaxbias.costs.prediction import predict_rates
from jaxbias.costs.timing import Rates, count_rates, measure_rates
from jaxbias.engine.catalog import Catalog
from jaxbias.engine.executor import Executor
from jaxbias.engine.members import inputs_of
from jaxbias.engine.programs import Training
from jaxbias.engine.unattached import UnattachedExecutor
from jaxbias.models import Network
from jaxbias.plan.packs import Pack, Plan
from jaxbias.plan.variants import Variant
from jaxbias.training import stored_bytes


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
      seconds: on the present devices, compiling included; on others without.
      idle_seconds: of those, of places in packs that no member takes.
      score_bytes: of all their scores, uncompressed.
      kinds: of programs in brief, of all that is to be done.
      steps: of all members that are trained by steps.
      step_seconds: of those steps, padding left out.
      step_flops: likewise, floating-point operations.
      images: that those steps are trained on.
    """

    trainings: int
    done: int
    packs: int
    programs: int
    flops: float
    traffic: float
    seconds: float
    score_bytes: int
    idle_seconds: float = 0.0
    kinds: frozenset[Training] = frozenset()
    steps: int = 0
    step_seconds: float = 0.0
    step_flops: float = 0.0
    images: int = 0


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
      rates: of every kind of program to do.
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
    rates: Mapping[Training, Rates]

    @property
    def seconds(self) -> float:
        """Of all that is to be done."""
        training = self.bases.seconds + self.trials.seconds + self.finetunes.seconds
        return training + self.feature_seconds


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
    pretraining = jobs_of(plan.bases, has, functools.partial(base_job, catalog))
    trying = jobs_of(plan.rungs, has, functools.partial(trial_job, catalog))
    finetunes = jobs_of(plan.finetunes, has, functools.partial(finetune_job, catalog))
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
    executor = catalog.executor
    if isinstance(executor, UnattachedExecutor):
        jobs = [job for job in (*pretraining, *trying, *wanted) if not job.done]
        rates, timed = predict_rates(catalog, largest(jobs)), len(ordered)
    elif run:  # What is only timed is no program of the study.
        executor = Executor(executor.mesh, executor.mode, executor.room)
        on_device = 0 if catalog.feed else stored_bytes(images.shape, images.dtype)
        rates, timed = measure_rates(executor, ordered, on_device, budget)
    else:
        rates, timed = count_rates(ordered), 0
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
        image_bytes=stored_bytes(images.shape, images.dtype),
        devices=executor.mesh.size,
        memory=max((rate.memory for rate in rates.values()), default=0),
        kinds=len(rates),
        timed=timed,
        fits=any(not kind.batch for kind in rates),
        timing_seconds=time.perf_counter() - began,
        rates=rates,
    )


def _cost(jobs: Iterable[Job], rates: Mapping[Training, Rates], devices: int) -> Cost:
    jobs = list(jobs)
    todo = [job for job in jobs if not job.done]
    widths = [min(rates[job.kind].width, -(-job.pack.width // devices) * devices) for job in todo]
    programs = {(j.program, width): j.kind for j, width in zip(todo, widths, strict=True)}
    flops = traffic = seconds = idle = step_seconds = step_flops = 0.0
    steps = images = 0
    for job, width in zip(todo, widths, strict=True):
        rate, members = rates[job.kind], len(job.pack.members)
        flops += job.units * rate.unit_flops + job.scored * rate.score_flops
        traffic += job.units * rate.unit_traffic + job.scored * rate.score_traffic
        spent = job.units * rate.unit_seconds + job.scored * rate.score_seconds
        places = -(-members // width) * width if job.padded else members
        seconds += spent * places / members  # Padding computes too.
        idle += spent * (places / members - 1)
        if job.kind.batch:
            steps += job.units
            images += job.units * job.kind.batch
            step_seconds += job.units * rate.unit_seconds
            step_flops += job.units * rate.unit_flops
    return Cost(
        trainings=len(jobs),
        done=len(jobs) - len(todo),
        packs=len({job.pack.id for job in jobs}),
        programs=len(programs),
        flops=flops,
        traffic=traffic,
        seconds=seconds + sum(rates[kind].compile_seconds for kind in programs.values()),
        score_bytes=4 * sum(job.scored * job.kind.model.outputs for job in jobs),
        idle_seconds=idle,
        kinds=frozenset(job.kind for job in todo),
        steps=steps,
        step_seconds=step_seconds,
        step_flops=step_flops,
        images=images,
    )


def _bytes(network: Network) -> int:
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    return sum(4 * int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes))
