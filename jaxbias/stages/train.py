"""Training a study and answering it, stage by stage: the flow from a config to its report."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import pandas as pd
from ml_collections import ConfigDict

from jaxbias import report
from jaxbias.analysis import Answer, make_answer
from jaxbias.engine.compilation import use_compilation_cache
from jaxbias.engine.memory import peak_memory
from jaxbias.engine.rows import variant_settings
from jaxbias.engine.trials import Trials
from jaxbias.errors import InputError
from jaxbias.files.atomic import check_directory, remove_leftovers
from jaxbias.files.claims import Claims
from jaxbias.peers import first_says, is_first
from jaxbias.plan.packs import Plan
from jaxbias.plan.selection import select
from jaxbias.scores.scores import Scores
from jaxbias.stages import gang
from jaxbias.stages.accounting import accounting
from jaxbias.stages.bases import refuse_diverged
from jaxbias.stages.finetune import FinetuneStage
from jaxbias.stages.planning import Planner, load_data
from jaxbias.stages.pretrain import PretrainStage
from jaxbias.stages.search import SearchStage, check_finished, read_tables
from jaxbias.study import Study, make_study
from jaxbias.workdir import manifest
from jaxbias.workdir.crew import Bases, Crew
from jaxbias.workdir.results import ResultDirectory
from jaxbias.workdir.telemetry import Clock, Telemetry

# Settings that are asked of scores, and change nothing that is trained.
_OF_SCORES = ("groupings", "evaluations", "answer")


def train(study: Study, workdir: str | Path, stage: str = "", packs: str = "") -> dict[str, float]:
    """Does whatever training of the study is not done yet, together with other processes.

    Processes that share a directory take different packs; each returns when all are done. Those of
    a gang do every pack together.

    Args:
      study: the study.
      workdir: the result directory, or its URL; finished packs in it are kept.
      stage: "plan", "pretrain", "search" or "finetune": that alone; empty: all.
      packs: of this stage, as `selection.select` reads it; empty: all.

    Returns:
      Where the time went: seconds by section (compiling is part of the training sections),
      and rates. Empty where the packs asked for were done already.

    Raises:
      InputError: the settings, the data and the directory do not fit together; nothing is
        written then. Or a result cannot be written: what is finished is kept.
    """
    directory = ResultDirectory(workdir)
    with directory.place.named():
        return _train(study, directory, stage, packs)


def _train(study: Study, directory: ResultDirectory, stage: str, packs: str) -> dict[str, float]:
    clock = Clock()
    if packs and _is_done(directory, study, stage, packs):
        return {}
    check_directory(directory.path)
    remove_leftovers(directory.path)
    claims = Claims(directory.place.objects("claims"))

    with clock.section("data"):
        dataset = load_data(study, directory)
    use_compilation_cache()
    planner = Planner(study, dataset, directory, claims)
    runner = planner.runner
    telemetry = Telemetry(
        directory.path / "events",
        runner.counters,
        peak_memory,
        directory.place.send,
        runner.layout.devices_told,
    )
    crew = Crew(directory, claims, telemetry, clock, gang.lead if jax.process_count() > 1 else None)

    # What there is to do, agreed upon with the processes that share the directory.
    with clock.section("plan"):
        plan = _agreed(planner)
        if not stage:  # The report will read them all; what is damaged is better known before.
            directory.check_packs((*plan.bases, *plan.rungs, *plan.finetunes))
    pretraining = PretrainStage(crew, runner)
    bases = Bases(crew, pretraining.work(plan.bases), elsewhere=bool(stage))
    search = SearchStage(crew, Trials(runner), bases, planner.agree)
    finetuning = FinetuneStage(crew, runner, bases, planner.agree)
    if not is_first():
        does = {"pretrain": pretraining.do, "search": search.do, "finetune": finetuning.do}
        gang.follow(does, directory)
        return {}

    # Bases.
    if stage in ("", "pretrain"):
        with clock.section("pretrain"):
            wanted = pretraining.work(select(plan.bases, packs, "pretrain"))
            # Bases others are pretraining are waited for where there is nothing else to do.
            crew.share(wanted, wait=stage == "pretrain")

    # Hyperparameters.
    tried = 0
    if study.search.on and stage in ("", "search"):
        with clock.section("search"):
            plan, tried = search.walk(plan, packs)

    # Variants.
    trained = 0
    if stage in ("", "finetune"):
        check_finished(directory, study, plan)
        refuse_diverged(directory, plan)
        trained = finetuning.walk(plan, packs)

    gang.dismiss()
    images = len(dataset.table) if dataset.built else 0
    timings = accounting(clock, runner, images, trained)
    if trained or tried:  # A run that only found everything done has no times worth keeping.
        directory.write_timings(timings)
    return timings


def _agreed(planner: Planner) -> Plan:
    """Returns the plan; of a gang the first agrees upon it with other processes."""
    if is_first():
        plan = planner.agree()
        first_says()
        return plan
    first_says()
    directory = planner.directory
    gang.wait_until(lambda: directory.plan() is not None, f"{directory.place} shows no plan.json")
    return directory.plan()


def _is_done(directory: ResultDirectory, study: Study, stage: str, packs: str) -> bool:
    """Whether the packs asked for have results, told from the directory without the data."""
    if not is_first():
        return bool(first_says())
    done = _are_done(directory, study, stage, packs)
    first_says("done" if done else "")
    return done


def _are_done(directory: ResultDirectory, study: Study, stage: str, packs: str) -> bool:
    plan = directory.plan()
    if plan is None:
        return False
    directory.check(study)
    try:
        wanted = select(plan.packs(stage), packs, stage)
    except InputError:
        if not (study.search.on or study.screen.on):
            raise
        return False  # The plan may be about to grow.
    if not all(map(directory.has, wanted)):
        return False
    directory.check_packs(wanted)
    return True


def write_report(workdir: str | Path, asked: Study | None = None) -> tuple[Answer, Path | str]:
    """Answers the study of a directory from its stored scores, and draws the report.

    Args:
      workdir: the result directory.
      asked: its groupings, evaluations and rules of the answer stand for those that the directory
        recorded; nothing is recorded of it.

    Returns:
      The answer, and where the report's page is.

    Raises:
      InputError: the directory holds no study, or no finished variant, or not those of `asked`.
    """
    directory = ResultDirectory(workdir)
    with directory.place.named():
        return _write_report(directory, asked)


def _write_report(directory: ResultDirectory, asked: Study | None) -> tuple[Answer, Path | str]:
    study = directory.stored_study()["study"]
    if asked is not None:
        directory.check(asked)
        study = dataclasses.replace(study, **{name: getattr(asked, name) for name in _OF_SCORES})
    scores = directory.scores()
    answer = answered(directory, study, scores)
    listed = manifest.write(directory.path / "manifest.parquet", scores)
    page = report.write(answer, directory.path / "report", listed)
    for name in ("manifest.parquet", "report"):
        directory.place.send(name)
    return answer, directory.place.known_as(page)


def answered(directory: ResultDirectory, study: Study, scores: Scores) -> Answer:
    """Answers a study from the scores of its directory.

    Args:
      directory: holds the plan, the labels and what became of the run.
      study: of the directory, with rules of its own where they are to be others.
      scores: of the directory.
    """
    plan = directory.plan()
    return make_answer(
        study,
        directory.dataset(),
        scores,
        planned=_planned(plan) if plan else None,
        bases=directory.base_rows(plan) if plan else None,
        timings=directory.timings(),
        first_rule=directory.stored_study()["first_answer"],
        search=read_tables(directory, study, plan) if plan and study.search.on else None,
        quarantined=directory.failures.sentence(),
    )


def _planned(plan: Plan) -> pd.DataFrame:
    """The settings of every variant of a plan, trained or not."""
    return pd.DataFrame([variant_settings(variant) for variant in plan.variants])


def run(config: Mapping[str, Any] | ConfigDict | Study, workdir: str | Path) -> pd.DataFrame:
    """Runs a study: trains what is missing, answers, and writes the report.

    Args:
      config: the settings, as from `jaxbias.default_config()`, or a study.
      workdir: the result directory.

    Returns:
      The tidy metrics of every variant: variant, task, population, base, curation, n, seed,
      metric, group, value, low, high.

    Raises:
      InputError: wrong settings, data or directory.
    """
    study = config if isinstance(config, Study) else make_study(config)
    train(study, workdir)
    answer, _ = write_report(workdir)
    return answer.metrics
