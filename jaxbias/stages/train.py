"""Walking the flow: from a config to trained, scored variants and their answer."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from ml_collections import ConfigDict

from jaxbias import report
from jaxbias.analysis import Answer, make_answer
from jaxbias.engine.compilation import use_compilation_cache
from jaxbias.engine.memory import peak_memory
from jaxbias.engine.rows import Row, variant_settings
from jaxbias.engine.runner import Runner
from jaxbias.engine.trials import Trials
from jaxbias.errors import InputError
from jaxbias.files.atomic import remove_leftovers
from jaxbias.models.registry import Params
from jaxbias.plan.packs import Pack, Plan
from jaxbias.plan.variants import Base
from jaxbias.progress import progress
from jaxbias.stages.bases import pretrain_base
from jaxbias.stages.planning import agree_on_plan, load_data
from jaxbias.stages.search import SearchStage, check_finished, read_tables
from jaxbias.study import Study, by_loop, make_study
from jaxbias.weights import checkpoint, content_hash
from jaxbias.workdir import manifest
from jaxbias.workdir.crew import Bases, Crew, Work, select
from jaxbias.workdir.leases import Leases
from jaxbias.workdir.results import PARAMETERS, ResultDirectory
from jaxbias.workdir.telemetry import Clock, Telemetry

STAGES = ("plan", "pretrain", "search", "finetune", "report")
# Sections inside those of the training stages. Training and scoring are one program.
_PARTS = ("compile", "train_and_score", "write", "wait")


def train(study: Study, workdir: str | Path, stage: str = "", packs: str = "") -> dict[str, float]:
    """Does whatever training of the study is not done yet, together with other processes.

    Processes that share a directory take different packs; each returns when all are done.

    Args:
      study: the study.
      workdir: the result directory; finished packs in it are kept.
      stage: "plan", "pretrain", "search" or "finetune": that alone; empty: all.
      packs: of this stage, as `packs.select` reads it; empty: all.

    Returns:
      Where the time went: seconds by section (compiling is part of the training sections),
      and rates. Empty where the packs asked for were done already.

    Raises:
      InputError: the settings, the data and the directory do not fit together; nothing is
        written then. Or a result cannot be written: what is finished is kept.
    """
    clock = Clock()
    directory = ResultDirectory(workdir)
    if packs and _is_done(directory, study, stage, packs):
        return {}
    directory.check_writable()
    remove_leftovers(directory.path)
    leases = Leases(directory.path / "leases")
    with clock.section("data"):
        dataset = load_data(study, directory)
    use_compilation_cache()
    with clock.section("plan"):
        plan, runner = agree_on_plan(study, dataset, directory, leases)
        if not stage:  # The report will read them all; what is damaged is better known before.
            directory.check_packs((*plan.bases, *plan.rungs, *plan.finetunes))
    crew = Crew(
        directory, leases, Telemetry(directory.path / "events", runner.counters, peak_memory), clock
    )

    def pretrain(pack: Pack) -> None:
        if any(by_loop(study, base) for base in pack.members):
            rows, params = step_by_step(pack)
        else:
            rows, params = runner.pretrain(pack)
        with clock.section("write"):
            for base, leaves in zip(pack.members, params, strict=True):
                checkpoint.save(directory.base_path(base.id), leaves)
            hashes = map(content_hash, params)
            hashed = [{**row, PARAMETERS: of} for row, of in zip(rows, hashes, strict=True)]
            directory.write_pack(pack, hashed)

    def step_by_step(pack: Pack) -> tuple[list[Row], list[Params]]:
        done = []
        for base in pack.members:
            tell = functools.partial(crew.telemetry.trained, base.name, base.id)
            done.append(pretrain_base(runner, base, directory.training_path(base.id), tell))
        return [row for row, _ in done], [params for _, params in done]

    def finetune(pack: Pack) -> None:
        rows = runner.finetune(pack)
        with clock.section("write"):
            directory.write_pack(pack, rows)

    count = tried = 0
    bases = Work("pretrain", "pretraining", "bases", plan.bases, pretrain)
    if stage in ("", "pretrain"):
        with clock.section("pretrain"):
            chosen = dataclasses.replace(bases, packs=select(plan.bases, packs, "pretrain"))
            # Bases others are pretraining are waited for where there is nothing else to do.
            crew.share(chosen, wait=stage == "pretrain")

    def meanwhile(work: Work) -> None:
        if stage:
            needed.check_under_way(work.packs)
        else:  # Whoever was pretraining a base may have died.
            crew.share(bases, wait=False)

    needed = Bases(plan, directory, leases)
    if study.search.on and stage in ("", "search"):
        with clock.section("search"):
            search = SearchStage(
                study,
                crew,
                Trials(runner),
                lambda: agree_on_plan(study, dataset, directory, leases, runner)[0],
            )
            plan, tried = search.walk(plan, packs, needed, meanwhile)

    def finetune_all(plan: Plan) -> int:
        wanted = select(plan.finetunes, packs, "finetune")
        # Of bases that others are still pretraining, features are extracted with the first pack.
        unextracted = _unextracted(directory, list(filter(needed.are_there, wanted)))
        if unextracted:
            with (
                clock.section("features"),
                progress(len(unextracted), "extracting features", "bases") as advance,
            ):
                for base, solver in unextracted:
                    runner.features(base, solver)
                    advance()
        with clock.section("finetune"):
            work = Work("finetune", "finetuning", "variants", wanted, finetune, needed.are_there)
            return crew.share(work, meanwhile=lambda: meanwhile(work))

    if stage in ("", "finetune"):
        check_finished(directory, study, plan)
        count = finetune_all(plan)
        while study.screen.on and not packs:  # What is done may ask for more.
            with clock.section("plan"):
                longer, _ = agree_on_plan(study, dataset, directory, leases, runner)
            if longer == plan:
                break
            plan = longer
            count += finetune_all(plan)

    timings = _accounting(clock, runner, len(dataset.table) if dataset.built else 0, count)
    if count or tried:  # A run that only found everything done has no times worth keeping.
        directory.write_timings(timings)
    return timings


def _is_done(directory: ResultDirectory, study: Study, stage: str, packs: str) -> bool:
    """Whether the packs asked for have results, told from the directory without the data."""
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


def write_report(workdir: str | Path) -> tuple[Answer, Path]:
    """Answers the study of a directory from its stored scores, and draws the report.

    Returns:
      The answer, and the report's page.

    Raises:
      InputError: the directory holds no study, or no finished variant.
    """
    directory = ResultDirectory(workdir)
    stored = directory.stored_study()
    plan = directory.plan()
    scores = directory.scores()
    study = stored["study"]
    answer = make_answer(
        study,
        directory.dataset(),
        scores,
        planned=_planned(plan) if plan else None,
        bases=directory.base_rows(plan) if plan else None,
        timings=directory.timings(),
        first_rule=stored["first_answer"],
        search=read_tables(directory, study, plan) if plan and study.search.on else None,
    )
    listed = manifest.write(directory.path / "manifest.parquet", scores)
    return answer, report.write(answer, directory.path / "report", listed)


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


def _unextracted(directory: ResultDirectory, packs: Sequence[Pack]) -> list[tuple[Base, str]]:
    """The bases, each with a solver, whose features untrained heads need; whole files are kept."""
    wanted = {
        (variant.base.id, variant.recipe.solver): (variant.base, variant.recipe.solver)
        for pack in packs
        if not directory.has(pack)
        for variant in pack.members
        if variant.recipe.mode == "head"
    }
    return list(wanted.values())


def _accounting(clock: Clock, runner: Runner, images: int, variants: int) -> dict[str, float]:
    seconds = clock.seconds
    rates = {"images_per_second": images / max(seconds["data"], 1e-9)} if images else {}
    if runner.train_seconds:
        rates["training_steps_per_second"] = runner.train_steps / runner.train_seconds
    if variants:
        rates["variants_per_second"] = variants / seconds["finetune"]
    named = {f"{name}_seconds": value for name, value in seconds.items()}
    return {
        **named,
        "compile_seconds": runner.compile_seconds,
        "train_and_score_seconds": runner.run_seconds,
        "images": images,
        "variants": variants,
        **rates,
    }


def accounting_text(timings: Mapping[str, float]) -> str:
    """Returns where the time of a run went, in lines for a terminal."""
    seconds = {k.removesuffix("_seconds"): v for k, v in timings.items() if k.endswith("_seconds")}
    parts = {name: seconds.pop(name) for name in _PARTS if name in seconds}

    def listed(seconds: Mapping[str, float]) -> str:
        return ", ".join(f"{k.replace('_', ' ')} {v:.1f} s" for k, v in seconds.items())

    spent = listed(seconds) + (f"; of it {listed(parts)}" if parts else "")
    rates = ["images were ready"]
    if "images_per_second" in timings:
        rates = [f"{timings['images_per_second']:,.0f} images/s rendered or read, and decoded"]
    if "training_steps_per_second" in timings:
        rates.append(f"{timings['training_steps_per_second']:,.0f} training steps/s")
    if "variants_per_second" in timings:
        rates.append(f"{timings['variants_per_second']:.2f} variants/s")
    return f"Time: {spent}\nRates: {', '.join(rates)}"
