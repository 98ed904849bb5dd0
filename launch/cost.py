"""What a launch will cost, before it starts: each part of it said with where the number is from.

Measured, of stages that packs of this study have results of; estimated, by the dry run, where the
devices of this machine are of the kind that workers get; else bounded, by the peak rates of that
kind. Prices are the user's.
"""

import dataclasses
import math
import multiprocessing
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

from jaxbias import words
from jaxbias.errors import InputError
from jaxbias.study import make_study, to_dict
from jaxbias.targets import KINDS, Kind, kind_of, target
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
    # In a process of its own: JAX holds the devices that workers of this machine need.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:
        what = to_dict(job.study), str(job.workdir), (spec.device, spec.kind), environment
        kind, found = apart.submit(_ask, *what).result()
    if found is None:
        why = f"this machine has no {spec.kind or spec.device}"
        return Left({}, f"{why}; with launch.kind ({', '.join(KINDS)}) it is bounded by its peaks")
    if kind:
        hours, source = estimated(found), f"estimated on {found.devices} × {kind} of this machine"
    else:
        hours = bounded(found, KINDS[spec.kind])
        source = f"at {_REACHED:.0%} of the peak rates of {spec.kind}, measured nowhere"
    return Left({source: sum(hours[name] for name in hours if name not in known)})


def _ask(
    config: dict[str, Any], workdir: str, workers: tuple[str, str], environment: dict[str, str]
) -> "tuple[str, PlanCost | None]":
    """Returns the kind of this machine's devices, if it is that of workers, and what is left."""
    os.environ.update(environment)
    from jaxbias.stages import outlook

    device, kind = workers
    here = target().device
    alike = _are_alike(here, LaunchSpec(device=device, kind=kind))
    if not (alike or kind):
        return "", None
    return here if alike else "", outlook.costs(make_study(config), workdir, run=alike)
