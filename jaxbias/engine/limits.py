"""Limits: whether the data can fill a study, told from its labels before an image is decoded."""

import functools
import json
from collections.abc import Iterable
from typing import Any, NamedTuple

import pandas as pd

from jaxbias.curation import Wanted, shortage, with_both_classes
from jaxbias.data.dataset import Dataset
from jaxbias.data.groupings import groupings_of, refuse_empty
from jaxbias.engine.curator import Curator
from jaxbias.errors import InputError
from jaxbias.plan.variants import Base
from jaxbias.study import Curation, Point, Study, curations_of, parse_curation, searched_curation
from jaxbias.words import count

# Sets that a sentence names.
_NAMED = 12


class CuratedSet(NamedTuple):
    """What a finetuning set is made of, its seed excepted."""

    task: str
    curation: Curation
    n: int


def curated_sets(study: Study) -> dict[CuratedSet, set[tuple[int, int]]]:
    """Returns every finetuning set of a study, with the (epochs, batch) it is trained by.

    Those that only a search draws are among them; a fit to convergence has neither.
    """
    tasks = tuple(study.tasks)
    tried = {task: curations_of(study, task) for task in tasks}
    parsed = functools.cache(lambda name: [parse_curation(name, "config.experiments")])
    found: dict[CuratedSet, set[tuple[int, int]]] = {}
    for point in _points(study):
        training = _training(study, point)
        for task in _of(point, "task", tasks):
            curations = parsed(point["curation"]) if "curation" in point else tried[task]
            if study.search.on:
                curations = [*curations, searched_curation(study, task)]
            for n in _of(point, "n", study.finetune.n):
                for curation in curations:
                    found.setdefault(CuratedSet(task, curation, n), set()).update(training)
    return found


def check_limits(study: Study, dataset: Dataset, trained: bool = True) -> None:
    """Refuses a study that its data cannot fill.

    Args:
      study: the study.
      dataset: its labels; images are not looked at.
      trained: whether bases and scores are wanted too, and not the finetuning sets alone.

    Raises:
      InputError: one line with everything that is lacking, and the n that satisfies all sets.
    """
    curator = Curator(study, dataset)
    sets = curated_sets(study)
    problems, whole = [], set()
    for task in dict.fromkeys(each.task for each in sets):
        try:
            if trained:
                curator.check_evaluation(task)
            whole.add(task)
        except InputError as error:
            problems.append(str(error))
    binary = whole & {*study.targets, *study.pairs}
    try:
        labels = {task: curator.cells(task).labels() for task in sorted(binary)}
        refuse_empty(groupings_of(dataset, study), labels, curator.pools["test"])
    except InputError as error:
        problems.append(str(error))
    wanted = [
        Wanted(
            each.curation,
            curator.cells(each.task).along(each.curation.column),
            curator.available(each.task, "finetune", each.curation.column),
            each.n,
        )
        for each in sets
        if each.task in whole
    ]
    in_points = any("n" in point for point in _points(study))
    setting = "n of config.experiments" if in_points else "config.finetune.n"
    shrink = study.curations.on_shortage == "shrink"
    problems.append(shortage(wanted, "finetune", setting, shrink))
    bases = _bases(study) if trained else []
    problems.append(shortage([curator.wanted(base) for base in bases], "pretrain"))
    if any(problems):
        raise InputError(". Also: ".join(filter(None, problems)))
    for each in wanted:
        counts = curator.counts(each.cells.task, each.curation, each.n)
        with_both_classes(*each[:4], counts, "any")
        curator.harm(each.cells.task, each.curation.table, each.curation.digest)
    for base in bases:
        curator.pretrain_size(base)
        curator.base_labels(base)
    if trained:
        _check_batches(study, curator, sets, bool(bases))


def realised_sizes(study: Study, dataset: Dataset) -> pd.DataFrame:
    """Returns what every finetuning set of a study holds.

    Returns:
      One row per set: task, curation, n, realised_n, quotas; the last two as the rows of variants
      have them, see `jaxbias.workdir.results.Scores`, but of what drops images by scores the
      quotas before that.

    Raises:
      InputError: as of `check_limits`.
    """
    curator = Curator(study, dataset)
    rows = []
    for task, curation, n in curated_sets(study):
        counts = curator.counts(task, curation, n)
        names = curator.cells(task).along(curation.column).names
        rows.append(
            {
                "task": task,
                "curation": curation.name,
                "n": n,
                "realised_n": curator.size(task, curation, n),
                "quotas": json.dumps(dict(zip(names, counts.tolist(), strict=True))),
            }
        )
    return pd.DataFrame(rows)


def shrunk_text(study: Study, dataset: Dataset) -> str:
    """Returns which sets are smaller than was asked, as a sentence; "" if none is."""
    if study.curations.on_shortage != "shrink":
        return ""
    sizes = realised_sizes(study, dataset)
    asked = [curation.size(n) for _, curation, n in curated_sets(study)]
    small = sizes[sizes["realised_n"] < asked]
    if small.empty:
        return ""
    named = [
        f"{row.realised_n:,} of {row.n:,} for {row.task}, {row.curation}"
        for row in small.head(_NAMED).itertuples()
    ]
    more = f" and {len(small) - _NAMED:,} more" if len(small) > _NAMED else ""
    return (
        f"The finetuning split is too small for {len(small):,} of "
        f"{count(len(sizes), 'curated set')}, which are smaller than n "
        f"(config.curations.on_shortage='shrink'): {'; '.join(named)}{more}. Where levels differ "
        "in size too, differences between them are differences of both."
    )


def _points(study: Study) -> Iterable[Point]:
    return [p for points in study.experiments.values() for p in points] or [{}]


def _of(point: Point, axis: str, values: Iterable[Any]) -> Iterable[Any]:
    return (point[axis],) if axis in point else values


def _training(study: Study, point: Point) -> set[tuple[int, int]]:
    fine = study.finetune
    mode, solver, epochs, batch = (
        point.get(axis, getattr(fine, axis)) for axis in ("mode", "solver", "epochs", "batch")
    )
    if study.search.on:
        epochs = study.search.first_epochs
    by_steps = mode != "head" or solver != "lbfgs"
    return {(epochs, batch)} if by_steps else set()


def _bases(study: Study) -> list[Base]:
    """The kinds of base that are pretrained here and that any variant starts from."""
    names = {name for point in _points(study) for name in _of(point, "base", study.bases)}
    return [
        Base.of(name, spec, 0)
        for name, spec in study.bases.items()
        if spec.target and name in names
    ]


def _check_batches(
    study: Study, curator: Curator, sets: dict[CuratedSet, set[tuple[int, int]]], bases: bool
) -> None:
    """Refuses a batch that is larger than a whole training, which would then be a longer one."""
    for each, trainings in sets.items():
        n = curator.size(*each)
        for epochs, batch in trainings:
            _check_batch("finetune", epochs, batch, n, f"'{each.curation.name}' of {each.task}")
    pretrain = study.pretrain
    if bases:
        _check_batch("pretrain", pretrain.epochs, pretrain.batch, pretrain.n, "a base")


def _check_batch(stage: str, epochs: int, batch: int, n: int, what: str) -> None:
    if batch > epochs * n:
        raise InputError(
            f"config.{stage}.batch={batch} is more than the {count(epochs * n, 'image')} that "
            f"{count(epochs, 'epoch')} of {what} (n={n}) have; lower it, or raise "
            f"config.{stage}.epochs or n"
        )
