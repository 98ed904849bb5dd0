"""Planning: what is to be done by what is known so far, agreed upon with other processes."""

from collections.abc import Callable
from pathlib import Path

import jax

from jaxbias import checkpoint, data, screen
from jaxbias.data.dataset import Dataset
from jaxbias.grid import Base, Plan, Runner, features
from jaxbias.grid.estimate import estimate, estimate_text
from jaxbias.grid.features import Features
from jaxbias.grid.layout import experiments, extend
from jaxbias.grid.search import assumed
from jaxbias.leases import Leases
from jaxbias.models import Network
from jaxbias.models.registry import Params
from jaxbias.results import ResultDirectory
from jaxbias.search_stage import read_results
from jaxbias.study import Study


def agree_on_plan(
    study: Study,
    dataset: Dataset,
    directory: ResultDirectory,
    leases: Leases,
    runner: Runner | None = None,
) -> tuple[Plan, Runner]:
    """Writes or extends the plan, or uses the one that another process has written meanwhile.

    A runner of the directory's layout is used again; none: one is made.
    """
    loaders = _base_loader(directory), _features_loader(directory, leases)
    while True:
        directory.check(study, dataset)
        old = directory.plan()
        mine = runner or _runner(study, dataset, old, *loaders)
        results = read_results(directory, old)
        finetunes = screen.wanted(study, dataset, directory) if study.screen.on else None
        plan = extend(old or mine.plan, mine, results, finetunes)
        with leases.lock("plan"):
            if directory.plan() == old:
                directory.claim(study, dataset)
                if plan != old:
                    directory.write_plan(plan)
                return plan, mine


def _runner(study: Study, dataset: Dataset, old: Plan | None, *loaders: Callable) -> Runner:
    """Returns the runner of a plan's layout, of a new plan's where there is none."""
    layout = old or Plan(dataset.fingerprint, study.grid.mode, _devices(study))
    runner = Runner(study, dataset, layout, *loaders)
    for task in (*study.targets, *study.pairs):
        runner.curator.check_evaluation(task)
    return runner


def dry_run(study: Study, workdir: str | Path) -> str:
    """Estimates what `train` would do, and writes nothing to the directory.

    Returns:
      Per experiment: variants, packs, programs, FLOPs, bytes and time; in lines for a terminal.

    Raises:
      InputError: as of `train`.
    """
    directory = ResultDirectory(workdir)
    dataset = data.load(study.data)
    directory.check(study, dataset)
    old = directory.plan()
    runner = _runner(study, dataset, old, _base_loader(directory))
    results = assumed(study, read_results(directory, old))
    named = experiments(study, dataset.fingerprint, results)
    note = ""
    if study.screen.on:
        named, note = screen.stages(study, dataset, directory)
    every = {variant.id: variant for variants in named.values() for variant in variants}
    plan = extend(old or runner.plan, runner, results, list(every.values()))

    def has_features(base: Base, solver: str) -> bool:
        network = runner.network_of(base) if base.target else runner.starts.network(1)
        name = features.features_id(base, network, dataset.fingerprint, solver == "lbfgs")
        return (directory.features_path / f"{name}.json").exists()

    found = estimate(runner, plan, named, directory.has, has_features)
    return estimate_text(found, plan.devices) + note


def _devices(study: Study) -> int:
    return study.grid.devices or len(jax.local_devices())


def _base_loader(directory: ResultDirectory) -> Callable[[Base, Network], Params]:
    return lambda base, network: checkpoint.load(directory.base_path(base.id), network)


def _features_loader(
    directory: ResultDirectory, leases: Leases
) -> Callable[[str, Callable[[], Features]], Features]:
    place = directory.features_path

    def load(name: str, make: Callable[[], Features]) -> Features:
        if (stored := features.read(place, name)) is not None:
            return stored
        with leases.lock(f"features-{name}"):  # Another process may be extracting them.
            stored = features.read(place, name) or features.write(place, name, make())
        leases.forget(f"features-{name}")
        return stored

    return load
