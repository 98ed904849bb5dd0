"""What each verb does, by whichever engine."""

import importlib
import types
from pathlib import Path

from absl.flags import FlagValues

from jaxbias import words
from jaxbias.cli.arguments import required, study_of
from jaxbias.errors import InputError, nearest
from jaxbias.files.objects import is_url
from jaxbias.values import build
from jaxbias.workdir.overview import look
from jaxbias.workdir.places import place_of
from launch import cost
from launch import status as printed
from launch.job import Job
from launch.settings import LaunchSpec

ENGINES = ("local", "slurm", "ray", "kubernetes", "tpu_vm")
_RENDERED = ("tpu_vm",)  # Nothing but written.


def render(given: FlagValues) -> None:
    """Writes what would be submitted."""
    engine, job = _job(given, with_study=True, runs=False)
    known = cost.left(job) if job.spec.price else None
    for path in job.write(engine.files(job)):
        print(path)
    if known:
        print(known.sentence(job.spec.price))


def submit(given: FlagValues) -> None:
    """Starts the workers of a study that has none."""
    engine, job = _job(given, with_study=True)
    running = engine.alive(job)
    if running:
        raise InputError(
            f"{job.name} has {words.count(running, 'worker')} already; `resubmit` starts those "
            "that are missing, `cancel` stops all"
        )
    _start(given, engine, job, job.spec.workers)


def resubmit(given: FlagValues) -> None:
    """Starts the workers that a study still needs and has no more."""
    engine, job = _job(given, with_study=True)
    if _is_answered(job.workdir):
        print(f"{job.workdir} is done: nothing is missing")
        return
    missing = job.spec.workers - engine.alive(job)
    if missing <= 0:
        print(f"{words.count(job.spec.workers, 'worker')} wait or run: nothing is missing")
        return
    _start(given, engine, job, missing)


def status(given: FlagValues) -> None:
    """Prints how far a study has come."""
    workdir, spec = _workdir(given), _spec(given)
    if given.watch:
        printed.watch(workdir, spec.price)
    else:
        print(printed.text(look(workdir), spec.price))


def logs(given: FlagValues) -> None:
    """Prints what the workers wrote last."""
    engine, job = _job(given)
    print(engine.logs(job))


def cancel(given: FlagValues) -> None:
    """Stops all workers."""
    engine, job = _job(given)
    engine.cancel(job)


def _start(given: FlagValues, engine: types.ModuleType, job: Job, count: int) -> None:
    known = cost.left(job)
    cost.refuse(known, job.spec, given.yes)
    print(known.sentence(job.spec.price))
    if given.engine == "slurm" and job.spec.slurm.minutes:
        print(cost.within(known, job.spec, count, job.spec.slurm.minutes))
    job.write(engine.files(job))
    engine.submit(job, count)
    print(f"{job.name}: {words.count(count, 'worker')} submitted; files in {job.folder}")


def _is_answered(workdir: Path | str) -> bool:
    """Whether all is done that was planned, and the report is there, which comes last."""
    drawn = _is_there(workdir) and place_of(workdir).has("report/report.html")
    return drawn and look(workdir).is_done


def _is_there(workdir: Path | str) -> bool:
    """Whether it can be looked at: on a disk, once somebody has made it."""
    return isinstance(workdir, str) or workdir.is_dir()


def _workdir(given: FlagValues) -> Path | str:
    """The result directory; a URL as it is."""
    found = required(given, "workdir", "a directory for the results, or its URL")
    return found if is_url(found) else Path(found).absolute()


def _job(
    given: FlagValues, with_study: bool = False, runs: bool = True
) -> tuple[types.ModuleType, Job]:
    name = required(given, "engine", ", ".join(ENGINES))
    if name not in ENGINES:
        raise InputError(f"--engine={name} is no engine; {nearest(name, ENGINES)}")
    if runs and name in _RENDERED:
        raise InputError(f"--engine={name} is rendered alone: `render`, and read and run that")
    workdir = _workdir(given)
    if isinstance(workdir, str) and not given.out:
        raise InputError(
            f"--workdir={workdir} is in a bucket: name --out=DIR for the launch's files"
        )
    folder = Path(given.out).absolute() if given.out else workdir / "launch" / name
    study = study_of(given) if with_study else None
    engine = importlib.import_module(f"launch.{name}")
    spec = _spec(given)
    if name == "tpu_vm":
        spec = engine.settled(spec)
    return engine, Job(workdir, folder, spec, study)


def _spec(given: FlagValues) -> LaunchSpec:
    return build(LaunchSpec, given.launch.to_dict(), "launch")
