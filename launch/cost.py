"""What a launch will cost, before it starts: each part of it said with where the number is from.

Measured, of stages that packs of this study have results of; estimated, by the dry run, where the
devices of this machine are of the kind that workers get; else predicted, by the compiler of that
kind, where it is installed and tells cycles; else bounded, by the peak rates of the kind. Prices
are the user's.
"""

import dataclasses
import math
import multiprocessing
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from jaxbias import words
from jaxbias.errors import InputError
from jaxbias.study import make_study, to_dict
from jaxbias.targets import KINDS, Kind, aim, described, kind_of, slice_name, target
from jaxbias.workdir.overview import Overview, look
from launch.job import Job, cpu_environment
from launch.settings import LaunchSpec

if TYPE_CHECKING:  # It brings JAX.
    from jaxbias.costs.estimate import Cost, PlanCost

_HOUR = 3600.0
# Of the peak rates, as much is taken to be reached where nothing was measured.
_REACHED = 0.1


@dataclasses.dataclass(frozen=True)
class Left:
    """What is left to do of a study.

    Attributes:
      hours: of one device, by what they are known from, in words.
      unknown: why no more is known; "" where all is.
    """

    hours: Mapping[str, float]
    unknown: str = ""

    @property
    def total(self) -> float:
        """All hours that are known."""
        return sum(self.hours.values())

    def sentence(self, price: float) -> str:
        """Says what is left, what it costs at a price of an hour, and how that is known."""
        if not self.hours:
            return f"What is left is not known: {self.unknown}"
        known = "; ".join(f"{_amount(hours)} {source}" for source, hours in self.hours.items())
        cost = f", {_amount(self.total * price)} at {price:g} an hour" if price else ""
        more = f"; more is left, and not known: {self.unknown}" if self.unknown else ""
        return f"{_amount(self.total)} device hours are left{cost}: {known}{more}"


def left(job: Job) -> Left:
    """Returns what is left of a job's study."""
    there = isinstance(job.workdir, str) or job.workdir.is_dir()
    overview = look(job.workdir) if there else None
    known = measured(overview, job.spec) if overview else {}
    hours = {"by what packs took so far": sum(known.values())} if known else {}
    if overview and overview.stages and known.keys() == _going(overview):
        return Left(hours)
    if not job.spec.price:
        return Left(hours, "a pack of each stage must be done, or launch.price be given to ask")
    try:
        more = _asked(job, known)
    except InputError as error:
        return Left(hours, str(error))
    return Left({**hours, **more.hours}, more.unknown)


def measured(overview: Overview, spec: LaunchSpec) -> dict[str, float]:
    """Returns the hours of a device that are left of each stage, by packs on devices alike."""
    found = {}
    for stage in overview.stages:
        seconds = [each for kind, each in stage.of_kinds.items() if _are_alike(kind, spec)]
        if stage.left and seconds:
            # Of several kinds of GPU the slowest: who knows which workers will get.
            found[stage.name] = stage.left * max(seconds) / _HOUR
    return found


def estimated(found: "PlanCost") -> dict[str, float]:
    """Returns the hours of a device that are left of each stage, by a dry run."""
    seconds = {name: cost.seconds for name, cost in _stages(found).items()}
    seconds["finetune"] += found.feature_seconds
    return {name: each * found.devices / _HOUR for name, each in seconds.items()}


def bounded(found: "PlanCost", peak: Kind) -> dict[str, float]:
    """Returns the hours of a device that are left of each stage, at a share of its peak rates.

    The roofline's lower bound, that of the arithmetic or of the memory, by that share.
    """
    flops = {name: cost.flops for name, cost in _stages(found).items()}
    flops["finetune"] += found.feature_flops
    traffic = {name: cost.traffic for name, cost in _stages(found).items()}
    return {
        name: max(flops[name] / peak.flops, traffic[name] / peak.bandwidth) / _REACHED / _HOUR
        for name in flops
    }


def predicted(found: "PlanCost", peak: Kind) -> tuple[dict[str, float], dict[str, float]]:
    """Returns the hours of a device that are left of each stage, by its compiler.

    Args:
      found: the cost of the plan on devices of the kind.
      peak: the kind.

    Returns:
      Of stages all of whose programs it tells the time of, or a run of the kind was timed of; and
      of the others, as of `bounded`.

    Raises:
      InputError: a program fits no device of the kind.
    """
    from jaxbias.costs.prediction import TOLD
    from jaxbias.costs.texts import misfits

    unfit = misfits(found)
    if unfit:
        raise InputError(unfit)
    bounds, stages = bounded(found, peak), _stages(found)
    told = {
        name
        for name, cost in stages.items()
        if all(found.rates[kind].basis in TOLD for kind in cost.kinds)
    }
    hours = estimated(found)
    rest = stages.keys() - told
    return {name: hours[name] for name in told}, {name: bounds[name] for name in rest}


def refuse(told: Left, spec: LaunchSpec, confirmed: bool) -> None:
    """Refuses what costs more than `launch.max_cost`, or what nobody knows.

    Raises:
      InputError: it does, and nobody confirmed it; or there is no price to tell by.
    """
    if spec.max_cost and not spec.price:
        raise InputError("launch.max_cost needs launch.price: what a device costs in an hour")
    too_much = told.unknown or told.total * spec.price > spec.max_cost
    if spec.max_cost and too_much and not confirmed:
        raise InputError(
            f"{told.sentence(spec.price)}; launch.max_cost={spec.max_cost:g}, so add --yes to "
            "submit it"
        )


def within(told: Left, spec: LaunchSpec, workers: int, minutes: int) -> str:
    """Says what workers can do in the time they have, and how many would be enough."""
    each = spec.devices * minutes / 60
    said = (
        f"{words.count(workers, 'worker')} × {minutes / 60:g} h × "
        f"{words.count(spec.devices, 'device')}: {workers * each:,.2f} device hours at most"
    )
    if told.unknown:
        return said
    enough = max(1, math.ceil(told.total / each))
    if enough > workers:
        return f"{said}; it takes {enough:,}, or `resubmit` when they have ended"
    return f"{said}; {enough:,} would do"


def _amount(number: float) -> str:
    """Returns hours, or money, for people.

    >>> _amount(1234.567), _amount(0.001234)
    ('1,234.57', '0.0012')
    """
    return f"{number:,.2f}" if number >= 0.1 or not number else f"{number:.2g}"


def _are_alike(device: str, spec: LaunchSpec) -> bool:
    """Whether a device, by the name that JAX gives it, is what workers of a launch get."""
    platform = "cpu" if device == "cpu" else "tpu" if device.startswith("TPU") else "gpu"
    return platform == spec.device and spec.kind in ("", kind_of(device))


def _stages(found: "PlanCost") -> dict[str, "Cost"]:
    return {"pretrain": found.bases, "search": found.trials, "finetune": found.finetunes}


def _going(overview: Overview) -> set[str]:
    return {stage.name for stage in overview.stages if stage.left}


def _asked(job: Job, known: Mapping[str, float]) -> Left:
    """What is left of the stages of which nothing is known, from the study itself."""
    spec = job.spec
    environment = cpu_environment(job) if spec.device == "cpu" else {}
    what = to_dict(job.study), str(job.workdir)
    alike, found = _apart(_ask, *what, (spec.device, spec.kind), environment)
    if alike:
        hours = {f"estimated on {found.devices} × {alike} of this machine": estimated(found)}
    elif not spec.kind:
        why = f"this machine has no {spec.device}"
        return Left({}, f"{why}; with launch.kind ({', '.join(KINDS)}) it is bounded by its peaks")
    else:
        kind = KINDS[spec.kind]
        name = slice_name(spec.kind, spec.devices)
        hours = {}
        if kind.clock and find_spec("libtpu"):
            by_compiler, bounds = _apart(_predict, *what, name)
            hours[f"predicted for {name} by its compiler, run nowhere"] = by_compiler
        else:
            bounds = bounded(_apart(_count, *what), kind)
        hours[f"at {_REACHED:.0%} of the peak rates of {spec.kind}, measured nowhere"] = bounds
    totals = {
        source: sum(hours for name, hours in stages.items() if name not in known)
        for source, stages in hours.items()
    }
    return Left({source: total for source, total in totals.items() if total})


def _apart(function: Callable, *what: Any) -> Any:
    """Calls it in a process of its own: JAX holds the devices that workers of this machine need."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:
        return apart.submit(function, *what).result()


def _ask(
    config: dict[str, Any], workdir: str, workers: tuple[str, str], environment: dict[str, str]
) -> "tuple[str, PlanCost | None]":
    """Returns the kind of this machine's devices, if it is that of workers, and what is left."""
    os.environ.update(environment)
    from jaxbias.stages import outlook

    device, kind = workers
    here = target().device
    if not _are_alike(here, LaunchSpec(device=device, kind=kind)):
        return "", None
    return here, outlook.costs(make_study(config), workdir)


def _count(config: dict[str, Any], workdir: str) -> "PlanCost":
    """Returns what is left, of which nothing is timed."""
    from jaxbias.stages import outlook

    return outlook.costs(make_study(config), workdir, run=False)


def _predict(
    config: dict[str, Any], workdir: str, name: str
) -> tuple[dict[str, float], dict[str, float]]:
    """Returns `predicted` of what is left, on devices that are not attached."""
    at = described(name)
    os.environ.update(at.environment)
    from jaxbias.stages import outlook

    aim(at)
    return predicted(outlook.costs(make_study(config), workdir), at.kind)
