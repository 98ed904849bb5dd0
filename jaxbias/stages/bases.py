"""The bases of a study that are pretrained step by step."""

import dataclasses
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxbias import words
from jaxbias.engine.looped import fitted, looped_of, mapped
from jaxbias.engine.members import hyper_of, key_of
from jaxbias.engine.rows import DIVERGED, Row, base_row
from jaxbias.engine.runner import Runner
from jaxbias.errors import InputError
from jaxbias.models import Network
from jaxbias.models.network import Params
from jaxbias.parallel import make_data_mesh
from jaxbias.plan.packs import Plan
from jaxbias.plan.variants import Base, Recipe
from jaxbias.study import PretrainSpec
from jaxbias.training import batches_of, make_score, stored
from jaxbias.training.feeds import Batches, Curated
from jaxbias.training.loop import Tell, fit
from jaxbias.training.saves import Saves
from jaxbias.workdir.results import ResultDirectory

_SCORED = 4096  # Images that are on a device at once.


def pretrain_base(
    runner: Runner,
    base: Base,
    directory: Path,
    tell: Tell = lambda step, values: None,
    is_lost: Callable[[], bool] = lambda: False,
) -> tuple[Row, Params]:
    """Pretrains a base on all devices, going on from its last checkpoint.

    Args:
      runner: of the study.
      base: it.
      directory: of its checkpoints.
      tell: is given figures at every checkpoint.
      is_lost: whether another process is to train it now.

    Returns:
      What `Runner.pretrain` gives of each base.

    Raises:
      InputError: the checkpoints are of another training.
      Terminated: SIGTERM came.
      Lost: another process is to train it now.
    """
    study, curator = runner.study, runner.curator
    mesh = make_data_mesh(runner.layout.devices)
    drawn = curator.pretrain(base)
    recipe = Recipe.of_base(study.pretrain, base)
    labels = curator.base_labels(base)[drawn.ids]
    starts, asked = runner.starts, study.pretrain.accumulate
    began = time.perf_counter()
    looped = fitted(base.name, looped_of(starts, base, mesh), asked, runner.executor.room)
    step, network, schedule = looped.step, looped.model, looped.step.schedule
    key = key_of("pretrain", base.seed)
    fresh = starts.begin(network, base)
    store, places = starts.store_on(network, base, mesh)
    curated = Curated(places(drawn.ids), labels, drawn.weights)
    images = curator.dataset.images
    batches = Batches(
        curated, np.asarray(batches_of(key, schedule)), looped.pieces,
        images if store is None else None,
    )  # fmt: skip
    run = {
        "base": base.id,
        "steps": schedule.steps,
        "lift": study.pretrain.lift,
        "state": _shape(jax.eval_shape(lambda: step.begin(fresh, key))),
    }
    layout = dataclasses.replace(runner.layout, mode=study.pretrain.lift, devices=mesh.size)
    cut = {} if looped.pieces == asked else {"pieces": looped.pieces}
    saves = Saves(directory, study.pretrain.keep, run, {**layout.record(1), **cut})
    try:
        ended = fit(
            base.name,
            step,
            lambda: step.begin(fresh, key),
            batches,
            hyper_of(recipe),
            key,
            mesh,
            study.pretrain.lift,
            saves,
            study.pretrain.save_every or max(1, len(drawn.ids) // study.pretrain.batch),
            store=store,
            tell=tell,
            is_lost=is_lost,
        )
    finally:
        saves.close()
    runner.train_steps += ended.steps
    runner.train_seconds += ended.seconds
    runner.run_seconds += time.perf_counter() - began
    runner.trained_images += ended.steps * study.pretrain.batch
    params = starts.whole(network, base, ended.state.params)
    scored = starts.network_of(base, mapped(looped.pieces))
    out = {
        "diverged_at": [ended.state.diverged_at],
        "failure": DIVERGED,
        "loss": [ended.loss],
        "seconds": time.perf_counter() - began,
        "scores": [_scores(runner, base, scored, params)],
        "layouts": saves.layouts,
    }
    return base_row(base, drawn, out, 0, curator.validation_labels(base)), params


def _shape(state: Any) -> str:
    """Of a state, in short: what a checkpoint must hold."""
    leaves = jax.tree.leaves(state)
    numbers = words.count(sum(leaf.size for leaf in leaves), "number")
    return f"{words.count(len(leaves), 'array')} of {numbers}"


def refuse_diverged(directory: ResultDirectory, plan: Plan) -> None:
    """Refuses to finetune where every finetune starts from a base that has diverged.

    Raises:
      InputError: naming the first.
    """
    rows = directory.base_rows(plan)
    failed = rows[rows["status"] != "ok"] if len(rows) else rows
    needed = {variant.base.id for variant in plan.variants}
    if needed and len(failed) and needed <= set(failed["id"]):
        first = failed.iloc[0]
        raise InputError(
            f"everything starts from bases that diverged (the first, '{first['base']}' seed "
            f"{first['seed']}: {first['status']}); lower config.pretrain.learning_rate or raise "
            "config.pretrain.warmup, in a new workdir"
        )


def check_batch(spec: PretrainSpec, devices: int) -> None:
    """Refuses a batch that cannot be shared out evenly.

    Raises:
      InputError: with the numbers, and the nearest batches that can.

    >>> check_batch(PretrainSpec(batch=64), 8)
    """
    unit = devices * spec.accumulate
    if spec.batch % unit:
        below, above = spec.batch // unit * unit, -(-spec.batch // unit) * unit
        fitting = f"{below} or {above}" if below else str(above)
        pieces = f" in {spec.accumulate} pieces" if spec.accumulate > 1 else ""
        raise InputError(
            f"config.pretrain.batch={spec.batch} cannot be shared out evenly over {devices} "
            f"devices{pieces}; {fitting} can"
        )


def _scores(runner: Runner, base: Base, network: Network, params: Params) -> np.ndarray:
    """[M, C] of the validation examples; of none where nothing was learnt that could be scored."""
    if base.objective == "simclr":
        return np.zeros((0, 1), np.float32)
    images, rows = runner.curator.dataset.images, runner.curator.validation
    size = min(_SCORED, len(rows))
    score = functools.partial(_scorer(network), params, np.arange(size, dtype=np.int32))
    starts = range(0, len(rows), size)
    chunks = (stored(images[np.resize(rows[i : i + size], size)]) for i in starts)
    parts = [np.asarray(score(chunk)) for chunk in chunks]
    return np.concatenate(parts)[: len(rows)]


_scorer = functools.lru_cache(maxsize=8)(lambda network: jax.jit(make_score(network)))
