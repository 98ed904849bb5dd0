"""Work directories to attack: whole in all their files, trained by stand-ins that compile nothing.

A stand-in's results are numbers made of the id of what is trained and of the parameters, features
or state it started from, so whatever is taken from a wrong file shows in the scores.
"""

import hashlib

import jax
import numpy as np
import pytest

from jaxbias import data
from jaxbias.costs import packing
from jaxbias.engine import starts
from jaxbias.engine.rows import base_row, variant_row
from jaxbias.engine.runner import Runner
from jaxbias.engine.trials import Trials
from jaxbias.plan.criteria import MEASURES
from jaxbias.plan.variants import Base
from jaxbias.stages import pretrain as pretrain_stage
from jaxbias.study import make_study
from jaxbias.training.saves import Saves
from jaxbias.weights import content_hash
from tests.tiny import tiny_config, tiny_dataset

COUNT = 160  # Examples.
LONG = {
    "pretrain": {"n": 8, "epochs": 1, "batch": 4, "engine": "loop"},
    "search": {"learning_rates": (0.1, 0.2), "first_epochs": 1, "max_epochs": 2, "repeats": 1},
}


def study_of(mode="full", **changes):
    return make_study(
        tiny_config(
            bases={
                "Grouped": {"role": "studied", "target": "group", "curation": "class_balanced"},
                "Control": {"role": "control", "target": "other"},
                "Scratch": {"role": "scratch"},
            },
            finetune={"n": (8,), "epochs": 1, "batch": 4, "seeds": 1, "mode": mode},
            curations={"correlation": {"levels": (5,)}},
            grid={"pack_width": 2, "devices": 1},
            **({"pretrain": {"n": 8, "epochs": 1, "batch": 4}} | changes),
        )
    )


def numbers(shape, *of: object) -> np.ndarray:
    """float32 numbers made of some texts."""
    digest = hashlib.sha256("/".join(map(str, of)).encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    return rng.standard_normal(shape).astype(np.float32)


def outcome(scores, count):
    return {
        "scores": scores,
        "diverged_at": [-1] * count,
        "loss": [0.5] * count,
        "seconds": 0.1,
        "layouts": [],
        "failure": "",
    }


def made_up(network, *of):
    """Parameters of a network."""
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    leaves, tree = jax.tree.flatten(shapes)
    made = [numbers(leaf.shape, i, *of) for i, leaf in enumerate(leaves)]
    return jax.tree.unflatten(tree, made)


def pretrain_one(runner, base):
    draw = runner.curator.pretrain(base)
    out = outcome(numbers((1, len(runner.curator.validation), 1), base.id), 1)
    row = base_row(base, draw, out, 0, runner.curator.validation_labels(base))
    return row, made_up(runner.starts.network_of(base), base.id)


def pretrain(runner, pack):
    done = [pretrain_one(runner, base) for base in pack.members]
    return [row for row, _ in done], [params for _, params in done]


def pretrain_base(runner, base, directory, tell, is_lost):
    """As the loop goes on from its checkpoints: what it finds is part of what comes out."""
    row, params = pretrain_one(runner, base)
    saves = Saves(directory, 2, {"base": base.id, "steps": 2}, {})
    try:
        for step in (1, 2):
            state = {"w": numbers((3,), base.id, step)}
            found = saves.restore(state)
            if found is None or found[0] < step:
                saves.save(step, state, 1.0 / step)
                saves.wait()
            else:
                at, stored, _ = found
                np.testing.assert_array_equal(stored["w"], numbers((3,), base.id, at))
    finally:
        saves.close()
    return row, params


def finetune(runner, pack):
    rows, count = [], len(runner.curator.validation) + len(runner.curator.test)
    for variant in pack.members:
        base, mode = variant.base, variant.recipe.mode
        if mode == "head":
            start = np.asarray(runner.starts.features(base, variant.recipe.solver).values).tobytes()
        else:
            start = content_hash(runner.starts.frozen(base)[1])
        scores = numbers((1, count, 1), variant.id, hashlib.sha256(repr(start).encode()).digest())
        draw = runner.curator.finetune(variant)
        rows.append(
            variant_row(variant, draw, outcome(scores, 1), 0, len(runner.curator.validation))
        )
    return rows


def begin(trials, variant):
    return (np.zeros(3, np.float32),)


def train(trials, pack, first, stopped, keep):
    rows, ends = [], []
    for trial, (state,) in zip(pack.members, stopped, strict=True):
        before = trials.shorter(trial, first).id if first else ""
        expected = numbers((3,), before) if first else np.zeros(3, np.float32)
        np.testing.assert_array_equal(state, expected)
        curves = {name: np.abs(numbers((keep,), trial.id, name)) for name in MEASURES}
        curves = {name: curve.astype(np.float64) for name, curve in curves.items()}
        rows.append({"variant": trial.id, "status": "ok", **curves})
        ends.append((numbers((3,), trial.id),))
    return rows, ends


def stand_in(patch: pytest.MonkeyPatch, seed: int = 0) -> None:
    """Puts the stand-ins in the place of whatever trains."""
    patch.setattr(data, "load", lambda spec, *_: tiny_dataset(COUNT, seed=seed))
    patch.setattr(Runner, "pretrain", pretrain)
    patch.setattr(Runner, "finetune", finetune)
    patch.setattr(pretrain_stage, "pretrain_base", pretrain_base)
    patch.setattr(Trials, "begin", begin)
    patch.setattr(Trials, "train", train)
    patch.setattr(
        starts.Starts,
        "_fresh",
        lambda self, network, seed: made_up(network, "fresh", seed),
    )
    most = lambda study, member: 1 if isinstance(member, Base) else 2  # noqa: E731
    patch.setattr(packing, "most_members", most)
    patch.setattr(starts, "extract", extract)


def extract(rows, mirrored, mesh, load, run, what):
    return numbers((len(rows), 4), id_of(run))


def id_of(run) -> str:
    """Of the parameters that features are extracted with."""
    return content_hash(jax.tree.map(np.asarray, run.keywords["shared"][0]))
