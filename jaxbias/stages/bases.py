"""The bases of a study that are pretrained step by step."""

import functools
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxbias import words
from jaxbias.engine.members import key_of
from jaxbias.engine.rows import Row, base_row
from jaxbias.engine.runner import Runner
from jaxbias.errors import InputError
from jaxbias.models import Network
from jaxbias.models.registry import Params
from jaxbias.parallel import make_data_mesh
from jaxbias.plan.variants import Base
from jaxbias.study import PretrainSpec, Study
from jaxbias.training import Schedule, batches_of, make_score
from jaxbias.training.feeds import Curated, Source
from jaxbias.training.loop import Tell, fit
from jaxbias.training.saves import Saves
from jaxbias.training.step import Course, Step


def pretrain_base(
    runner: Runner, base: Base, directory: Path, tell: Tell = lambda step, values: None
) -> tuple[Row, Params]:
    """Pretrains a base on all devices, going on from its last checkpoint.

    Args:
      runner: of the study.
      base: it.
      directory: of its checkpoints.
      tell: is given figures at every checkpoint.

    Returns:
      What `Runner.pretrain` gives of each base.

    Raises:
      InputError: the loss turned non-finite, or the checkpoints are of another training.
      Terminated: SIGTERM came.
    """
    study, curator = runner.study, runner.curator
    devices = 0 if jax.process_count() > 1 else runner.plan.devices
    mesh = make_data_mesh(devices)
    drawn = curator.pretrain(base)
    schedule = Schedule(
        len(drawn.ids), study.pretrain.epochs, study.pretrain.batch, study.pretrain.momentum
    )
    # Pieces of a batch are computed in a loop, where XLA:CPU convolutions are slow.
    mapped = "loop" if study.pretrain.accumulate == 1 else "map"
    network = runner.starts.network(curator.outputs(base), mapped)
    step = Step(network, course_of(study, base, schedule.steps))
    key = key_of("pretrain", base.seed)
    fresh = runner.fresh(network, base.seed)
    curated = Curated(drawn.ids, curator.labels(base)[drawn.ids], drawn.weights)
    on_host = runner.plan.store == "host"
    images = curator.dataset.images
    source = Source(
        curated, np.asarray(batches_of(key, schedule)), study.pretrain.accumulate,
        images if on_host else None,
    )  # fmt: skip
    run = {
        "base": base.id,
        "steps": schedule.steps,
        "devices": mesh.size,
        "lift": study.pretrain.lift,
        "state": _shape(jax.eval_shape(lambda: step.begin(fresh, key))),
    }
    saves = Saves(directory, study.pretrain.keep, run)
    began = time.perf_counter()
    try:
        ended = fit(
            base.name,
            step,
            lambda: step.begin(fresh, key),
            source,
            key,
            mesh,
            study.pretrain.lift,
            saves,
            study.pretrain.save_every or max(1, len(drawn.ids) // study.pretrain.batch),
            store=None if on_host else runner.images_on(mesh),
            tell=tell,
        )
    finally:
        saves.close()
    runner.train_steps += ended.steps
    runner.train_seconds += ended.seconds
    runner.run_seconds += time.perf_counter() - began
    runner.trained_images += ended.steps * study.pretrain.batch
    params = jax.tree.map(np.asarray, step.params_of(ended.state, fresh))
    out = {
        "diverged_at": [-1],
        "loss": [ended.loss],
        "seconds": time.perf_counter() - began,
        "scores": [_scores(runner, base, network, params)],
    }
    return base_row(base, curator.cells(base.target).names, drawn, out, 0), params


def _shape(state: Any) -> str:
    """Of a state, in short: what a checkpoint must hold."""
    leaves = jax.tree.leaves(state)
    numbers = words.count(sum(leaf.size for leaf in leaves), "number")
    return f"{words.count(len(leaves), 'array')} of {numbers}"


def course_of(study: Study, base: Base, steps: int) -> Course:
    """Returns how a base is trained."""
    spec = study.pretrain
    objective = "multilabel" if base.also else base.objective
    names = (
        "batch accumulate optimizer schedule learning_rate warmup drop_at weight_decay momentum "
        "temperature projection"
    )
    settings = {name: getattr(spec, name) for name in names.split()}
    return Course(objective=objective, steps=steps, **settings)


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
    """Of the validation examples; empty where nothing was learnt that could be scored."""
    if base.objective == "simclr" or jax.process_count() > 1:
        return np.zeros(0, np.float32)
    chosen = runner.curator.dataset.images[runner.validation]
    ids = np.arange(len(chosen), dtype=np.int32)
    return np.asarray(_scorer(network)(params, ids, chosen))


_scorer = functools.lru_cache(maxsize=8)(lambda network: jax.jit(make_score(network)))
