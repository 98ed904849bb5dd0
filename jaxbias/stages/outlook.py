"""Before training: what a study would cost and could decide, and which mode is fastest here."""

from collections.abc import Mapping
from pathlib import Path

from jaxbias.analysis.evaluation import evaluate_task
from jaxbias.analysis.prospects import Spread, assumptions, measured, prospects
from jaxbias.costs.estimate import PlanCost, estimate
from jaxbias.costs.mode_table import user_table, write_table
from jaxbias.costs.modes import measure_modes, modes_text
from jaxbias.costs.packing import experiments, extend
from jaxbias.costs.texts import estimate_text, misfits, prediction_text
from jaxbias.curation import Cells, target_cells
from jaxbias.data.dataset import Dataset
from jaxbias.engine.compilation import use_compilation_cache
from jaxbias.engine.layout import Layout
from jaxbias.files.claims import Claims
from jaxbias.plan.packs import Plan
from jaxbias.plan.search import assumed
from jaxbias.plan.variants import curations_of
from jaxbias.stages import screen
from jaxbias.stages.planning import Planner, devices_of, load_data
from jaxbias.stages.search import read_results
from jaxbias.study import STUDIED, Study
from jaxbias.targets import Unattached
from jaxbias.workdir.results import ResultDirectory


def dry_run(study: Study, workdir: str | Path) -> str:
    """Estimates what `train` would do, and writes nothing to the directory.

    Returns:
      Per experiment: variants, packs, programs, FLOPs, bytes and time; in lines for a terminal.

    Raises:
      InputError: as of `train`.
    """
    directory = ResultDirectory(workdir)
    dataset = load_data(study, directory)
    found, note, _ = _costs(study, dataset, directory)
    said = "".join(f"\n{sentence}" for sentence in dataset.notes)
    return estimate_text(found) + note + said + _prospects(study, dataset, directory)


def predict(study: Study, workdir: str | Path, at: Unattached, price: float) -> tuple[str, str]:
    """Predicts what `train` would need of the target of this process, which is not attached.

    Args:
      study: the study.
      workdir: of its results; it need not be there.
      at: the target.
      price: of a chip, an hour; 0: not known.

    Returns:
      The plan in lines for a terminal, and what does not fit; "" where all does.

    Raises:
      InputError: as of `train`.
    """
    directory = ResultDirectory(workdir)
    dataset = load_data(study, directory)
    found, note, layout = _costs(study, dataset, directory)
    said = "".join(f"\n{sentence}" for sentence in dataset.notes)
    return prediction_text(found, at, layout, price) + note + said, misfits(found)


def costs(study: Study, workdir: str | Path, run: bool = True) -> PlanCost:
    """Estimates what is left of a study, and writes nothing to its directory.

    Args:
      study: the study.
      workdir: of its results; it need not be there.
      run: whether programs are timed on the devices of this machine, or only counted.

    Raises:
      InputError: as of `train`.
    """
    directory = ResultDirectory(workdir)
    return _costs(study, load_data(study, directory), directory, run)[0]


def _costs(
    study: Study, dataset: Dataset, directory: ResultDirectory, run: bool = True
) -> tuple[PlanCost, str, Layout]:
    """Returns the costs, what there is to say of a screen, and the layout that they are of."""
    directory.check(study, dataset)
    old = directory.plan()
    planner = Planner(study, dataset, directory, Claims(directory.place.objects("claims")))
    runner = planner.runner
    results = assumed(study, read_results(directory, old))
    named = experiments(study, dataset.fingerprint, results)
    note = ""
    if study.screen.on:
        named, note = screen.stages(study, dataset, directory)
    every = {variant.id: variant for variants in named.values() for variant in variants}
    so_far = old or Plan(dataset.fingerprint)
    plan = extend(so_far, runner.catalog, results, list(every.values()))
    has_features = lambda name: directory.place.has(f"features/{name}.json")  # noqa: E731
    found = estimate(runner.catalog, plan, named, directory.has, has_features, run=run)
    return found, note, runner.layout


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


def time_modes(study: Study) -> str:
    """Times the finetunes of a study in every mode and adds that to the user's table.

    Returns:
      What was measured, in lines for a terminal.

    Raises:
      InputError: as of `train`, or the table cannot be written.
    """
    load_data(study)
    use_compilation_cache()
    entries = measure_modes(study, devices_of(study))
    write_table(user_table(), entries)
    return (
        f"{modes_text(entries)}\n{user_table()}: config.grid.mode='auto' takes "
        f"'{entries[-1].mode}' for this model on {entries[-1].hardware}"
    )
