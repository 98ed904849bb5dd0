"""Planning: what is to be done by what is known so far, agreed upon with other processes."""

import dataclasses
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import jax

from jaxbias import data
from jaxbias.analysis.evaluation import evaluate_task
from jaxbias.analysis.prospects import Spread, assumptions, measured, prospects
from jaxbias.capacity import gib, require_ram
from jaxbias.costs.estimate import estimate, estimate_text
from jaxbias.costs.layout import experiments, extend
from jaxbias.costs.modes import chosen_mode, measure_modes, modes_text, user_table, write_table
from jaxbias.curation import Cells, target_cells
from jaxbias.data.dataset import Dataset
from jaxbias.data.exclusions import exclusions
from jaxbias.engine import features
from jaxbias.engine.compilation import use_compilation_cache
from jaxbias.engine.features import Features
from jaxbias.engine.limits import check_limits, shrunk_text
from jaxbias.engine.memory import device_room
from jaxbias.engine.runner import Runner
from jaxbias.engine.starts import LoadFeatures
from jaxbias.errors import InputError
from jaxbias.models import Network, make_network
from jaxbias.models.registry import Params
from jaxbias.parallel import make_mesh
from jaxbias.plan.packs import Plan
from jaxbias.plan.search import assumed
from jaxbias.plan.variants import Base, curations_of
from jaxbias.stages import screen
from jaxbias.stages.bases import check_batch
from jaxbias.stages.search import read_results
from jaxbias.study import STUDIED, Study, by_loop
from jaxbias.weights import checkpoint, content_hash, departures
from jaxbias.workdir.leases import Leases
from jaxbias.workdir.results import ResultDirectory

# Of parameters, in the training of one network.
_COPIES = 3


def load_data(study: Study, directory: ResultDirectory | None = None) -> Dataset:
    """Reads the data of a study that is to be trained.

    Args:
      study: the study.
      directory: of its results, which may have a plan already.

    Raises:
      InputError: the data, the machine or the directory cannot hold the study; all that can be
        told from settings and labels is told before an image is decoded.
    """
    if directory is not None:
        directory.check(study)
    notes = departures(study)
    plan = directory.plan() if directory is not None else None

    def check(labelled: Dataset) -> None:
        check_limits(study, labelled)
        _check_machine(study, plan, len(labelled.table))

    dataset = data.load(study.data, check)
    notes += [*exclusions(dataset, study), *filter(None, [shrunk_text(study, dataset)])]
    return dataclasses.replace(dataset, notes=(*dataset.notes, *notes))


def _check_machine(study: Study, plan: Plan | None, images: int) -> None:
    """Refuses a study that the devices of this machine cannot hold or share out."""
    devices = plan.devices if plan else _devices(study)
    make_mesh(devices, study.grid.data_devices)
    if any(base.target and by_loop(study, base) for base in study.bases.values()):
        check_batch(study.pretrain, jax.device_count() if jax.process_count() > 1 else devices)
    if plan is None:
        _store(study, devices, images * study.data.image_size**2 * 3)
    shapes = jax.eval_shape(
        make_network(study.model, study.data.image_size, 1).init, jax.random.key(0)
    )
    held = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))
    require_ram(
        _COPIES * held,
        "config.model: the parameters of one training, its gradients and momenta",
        "use a smaller model, such as smaller config.model.widths",
    )


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


def runner_of(study: Study, dataset: Dataset, directory: ResultDirectory, leases: Leases) -> Runner:
    """Returns a runner of the plan that a directory has."""
    loaders = _base_loader(directory), _features_loader(directory, leases)
    return _runner(study, dataset, directory.plan(), *loaders)


def _runner(study: Study, dataset: Dataset, old: Plan | None, *loaders: Callable) -> Runner:
    """Returns the runner of a plan's layout, of a new plan's where there is none."""
    layout = old or _layout(study, dataset)
    runner = Runner(study, dataset, layout, *loaders)
    for task in (*study.targets, *study.pairs):
        runner.curator.check_evaluation(task)
    return runner


def _layout(study: Study, dataset: Dataset) -> Plan:
    """Returns an empty plan, whose layout all packs of the study will have."""
    device = jax.local_devices()[0].device_kind
    mode, timed = chosen_mode(study, device)
    if study.grid.mode == "auto" and timed is None:
        print(
            f"config.grid.mode='auto': nothing was timed for this model on {device}, so it is "
            f"'{mode}'; `jaxbias run --config=... --calibrate` times it",
            file=sys.stderr,
        )
    devices = _devices(study)
    store = _store(study, devices, dataset.images.nbytes)
    return Plan(
        dataset.fingerprint, mode, devices, data_devices=study.grid.data_devices, store=store
    )


def _store(study: Study, devices: int, size: int) -> str:
    """Returns where images of that many bytes are during training: "device" or "host"."""
    store, room = study.grid.store, device_room(study.grid.memory_mib, devices)
    if store == "auto":
        store = "device" if room is None or size <= room.budget / 2 else "host"
    if store == "host" and study.search.on:
        raise InputError(
            f"config.search trains on images that lie on the devices, and these ({gib(size)}) do "
            "not fit or config.grid.store='host'; raise config.grid.memory_mib, lower "
            "config.data.image_size, or search in mode 'head' of a smaller study"
        )
    if store == "device" and room is not None and size > room.limit:
        raise InputError(
            f"config.grid.store='device': the images are {gib(size)}, and a device has "
            f"{gib(room.limit)}; set it to 'auto' or 'host', or lower config.data.image_size"
        )
    return store


def dry_run(study: Study, workdir: str | Path) -> str:
    """Estimates what `train` would do, and writes nothing to the directory.

    Returns:
      Per experiment: variants, packs, programs, FLOPs, bytes and time; in lines for a terminal.

    Raises:
      InputError: as of `train`.
    """
    directory = ResultDirectory(workdir)
    dataset = load_data(study, directory)
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
        network = runner.network_of(base) if base.target else runner.starts.finetuned(base)
        name = features.features_id(base, network, dataset.fingerprint, solver == "lbfgs")
        return (directory.features_path / f"{name}.json").exists()

    found = estimate(runner, plan, named, directory.has, has_features)
    said = "".join(f"\n{sentence}" for sentence in dataset.notes)
    return estimate_text(found, plan.devices) + note + said + _prospects(study, dataset, directory)


def _prospects(study: Study, dataset: Dataset, directory: ResultDirectory) -> str:
    """What the planned repeats and test examples can decide of every target, in lines."""
    rule, table = study.answer, dataset.table
    studied = [name for name, base in study.bases.items() if base.role in STUDIED]
    if not (studied and study.targets):
        return ""
    cells = {task: target_cells(dataset, task, study.group) for task in study.targets}
    natural = (table["stratum"] == "").to_numpy()
    pools = {name: natural & (table["split"] == name).to_numpy() for name in ("validation", "test")}
    spread = _spread(study, directory, cells)
    asked = len(study.targets) * len(studied) * len(study.finetune.n)
    lines = [
        prospects(
            task,
            cells[task],
            pools,
            study.finetune.seeds,
            len(study.bases) - len(studied),
            len(curations_of(study, task)) - 1,
            asked,
            spread,
            rule,
        )
        for task in study.targets
    ]
    return "\n" + "\n".join([assumptions(spread), *(f"  {line}" for line in lines)])


def _spread(study: Study, directory: ResultDirectory, cells: Mapping[str, Cells]) -> Spread:
    """How much repeats differ: measured on natural draws where packs exist."""
    plan = directory.plan()
    if plan is None or not any(map(directory.has, plan.finetunes)):
        return Spread()
    scores = directory.scores()
    table = scores.variants
    natural = (table["curation"] == "natural") & (table["status"] == "ok")
    scores = scores.only((natural & table["task"].isin(list(cells))).to_numpy())
    rule, name = study.answer, study.answer.population
    tasks = [task for task in cells if (scores.variants["task"] == task).any()]
    spec = study.evaluations[name]
    return measured(
        evaluate_task(scores, cells[task], name, spec, "test", rule.replicates, rule.confidence)
        for task in tasks
    )


def calibrate(study: Study) -> str:
    """Times the finetunes of a study in every mode and adds that to the user's table.

    Returns:
      What was measured, in lines for a terminal.

    Raises:
      InputError: as of `train`, or the table cannot be written.
    """
    dataset = load_data(study)
    use_compilation_cache()
    entries = measure_modes(study, dataset, _devices(study))
    write_table(user_table(), entries)
    return (
        f"{modes_text(entries)}\n{user_table()}: config.grid.mode='auto' takes "
        f"'{entries[-1].mode}' for this model on {entries[-1].hardware}"
    )


def _devices(study: Study) -> int:
    return study.grid.devices or len(jax.local_devices())


def _base_loader(directory: ResultDirectory) -> Callable[[Base, Network], Params]:
    def load(base: Base, network: Network) -> Params:
        path, recorded = directory.base_path(base.id), directory.parameters().get(base.id)
        try:
            params = checkpoint.load(path, network)
            if recorded not in (None, content_hash(params)):
                raise InputError(f"{path} holds other parameters than those that were pretrained")
        except InputError as error:
            raise directory.lost_base(base, error) from error
        return params

    return load


def _features_loader(directory: ResultDirectory, leases: Leases) -> LoadFeatures:
    place = directory.features_path

    def load(base: Base, name: str, make: Callable[[], Features]) -> Features:
        of = directory.parameters().get(base.id, "")
        if (stored := features.read(place, name, of)) is not None:
            return stored
        with leases.lock(f"features-{name}"):  # Another process may be extracting them.
            stored = features.read(place, name, of) or features.write(place, name, make(), of)
        leases.forget(f"features-{name}")
        return stored

    return load
