"""Walking the flow: from a config to trained, scored variants and their answer."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import pandas as pd
from ml_collections import ConfigDict

from jaxbias import checkpoint, data, report
from jaxbias.analysis import Answer, make_answer
from jaxbias.grid import Base, Plan, Recipe, Runner, expand, extend_plan, features
from jaxbias.grid.features import Features
from jaxbias.models import Network
from jaxbias.models.registry import Params
from jaxbias.progress import progress
from jaxbias.results import ResultDirectory
from jaxbias.study import Study, make_study


class Clock:
    """Seconds spent per section of a run."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def section(self, name: str) -> Iterator[None]:
        """Adds the time inside the block to a section."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began


def train(study: Study, workdir: str | Path) -> dict[str, float]:
    """Does whatever training of the study is not done yet.

    Args:
      study: the study.
      workdir: the result directory; finished packs in it are kept.

    Returns:
      Where the time went: seconds by section (compiling is part of the two training sections),
      and rates.

    Raises:
      InputError: the settings, the data and the directory do not fit together; nothing is
        written then.
    """
    clock = Clock()
    directory = ResultDirectory(workdir)
    directory.check_writable()
    with clock.section("data"):
        dataset = data.load(study.data)
    use_compilation_cache()
    with clock.section("plan"):
        old = directory.plan()
        layout = old or Plan(dataset.fingerprint, study.grid.mode, _devices(study))
        runner = Runner(
            study, dataset, layout, _base_loader(directory), _features_loader(directory)
        )
        for task in (*study.targets, *study.pairs):
            runner.curator.check_evaluation(task)
        variants = expand(study, dataset.fingerprint)
        widths = study.grid.pack_width, runner.heads_width(Recipe.of(study.finetune))
        plan = extend_plan(layout, variants, runner.signatures(variants), *widths)
        directory.claim(study, dataset)
        directory.write_plan(plan)

    with clock.section("pretrain"):
        todo = [pack for pack in plan.bases if not directory.pack_path(pack).exists()]
        count = sum(len(pack.members) for pack in todo)
        with progress(count, "pretraining", "bases") as advance:
            for pack in todo:
                rows, params = runner.pretrain(pack)
                for base, leaves in zip(pack.members, params, strict=True):
                    checkpoint.save(directory.base_path(base.id), leaves)
                directory.write_pack(pack, rows)
                advance(len(pack.members))

    unextracted = _unextracted(directory, plan)
    if unextracted:
        with (
            clock.section("features"),
            progress(len(unextracted), "extracting features", "bases") as advance,
        ):
            for base, solver in unextracted:
                runner.features(base, solver)
                advance()

    with clock.section("finetune"):
        todo = [pack for pack in plan.finetunes if not directory.pack_path(pack).exists()]
        count = sum(len(pack.members) for pack in todo)
        with progress(count, "finetuning", "variants") as advance:
            for pack in todo:
                directory.write_pack(pack, runner.finetune(pack))
                advance(len(pack.members))

    timings = _accounting(clock, runner, len(dataset.table) if dataset.built else 0, count)
    if count:  # A run that only found everything done has no times worth keeping.
        directory.write_timings(timings)
    return timings


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
    answer = make_answer(
        make_study(stored["settings"]),
        directory.dataset(),
        scores,
        bases=directory.base_rows(plan) if plan else None,
        timings=directory.timings(),
        first_rule=stored["first_answer"],
    )
    manifest = directory.write_manifest(scores)
    return answer, report.write(answer, directory.path / "report", manifest)


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


def use_compilation_cache() -> None:
    """Keeps compiled programs in the user's directory, unless a cache is set already."""
    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(data.home() / "compilation"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _devices(study: Study) -> int:
    return study.grid.devices or len(jax.local_devices())


def _base_loader(directory: ResultDirectory) -> Callable[[Base, Network], Params]:
    return lambda base, network: checkpoint.load(directory.base_path(base.id), network)


def _features_loader(
    directory: ResultDirectory,
) -> Callable[[str, Callable[[], Features]], Features]:
    place = directory.features_path

    def load(name: str, make: Callable[[], Features]) -> Features:
        return features.read(place, name) or features.write(place, name, make())

    return load


def _unextracted(directory: ResultDirectory, plan: Plan) -> list[tuple[Base, str]]:
    """The bases, each with a solver, whose features untrained heads need; whole files are kept."""
    wanted = {
        (variant.base.id, variant.recipe.solver): (variant.base, variant.recipe.solver)
        for pack in plan.finetunes
        if not directory.pack_path(pack).exists()
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
        "images": images,
        "variants": variants,
        **rates,
    }


def accounting_text(timings: Mapping[str, float]) -> str:
    """Returns where the time of a run went, in lines for a terminal."""
    seconds = {k.removesuffix("_seconds"): v for k, v in timings.items() if k.endswith("_seconds")}
    compiling = seconds.pop("compile")
    spent = ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items())
    spent += f"; {compiling:.1f} s of it compiling"
    rates = ["images were ready"]
    if "images_per_second" in timings:
        rates = [f"{timings['images_per_second']:,.0f} images/s rendered or read, and decoded"]
    if "training_steps_per_second" in timings:
        rates.append(f"{timings['training_steps_per_second']:,.0f} training steps/s")
    if "variants_per_second" in timings:
        rates.append(f"{timings['variants_per_second']:.2f} variants/s")
    return f"Time: {spent}\nRates: {', '.join(rates)}"
