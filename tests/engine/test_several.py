"""Tasks of classes and labels: the same in every layout, and heads as a plain loop trains them."""

import jax
import numpy as np
import pytest

from jaxbias.engine.members import key_of, schedule_of
from jaxbias.errors import InputError
from jaxbias.plan.variants import expand
from jaxbias.training import batches_of
from tests.engine.run_all import run_all
from tests.several import KINDS, several_dataset, several_study

SCRATCH = {"Scratch": {"role": "scratch"}}
ONCE = {"n": (20,), "epochs": 1, "batch": 16, "seeds": 1}


def study(**changes):
    return several_study(**{"bases": SCRATCH, "finetune": ONCE, **changes})


@pytest.fixture(scope="module")
def reference():
    return run_all(width=4, study=study(), dataset=several_dataset())


def test_tasks_of_one_kind_and_size_share_a_program(reference):
    rows, runner = reference
    assert {row["status"] for row in rows.values()} == {"ok"}
    assert {row["test_scores"].shape for row in rows.values()} == {(300,)}
    assert len(runner.executor.programs) == 2  # Classes and labels have other losses.


@pytest.mark.parametrize(
    ("mode", "devices", "store"),
    [("vmap", 1, "device"), ("unroll", 2, "device"), ("map", 4, "device"), ("map", 1, "host")],
)
def test_scores_are_the_same_in_every_layout(reference, mode, devices, store):
    rows, _ = reference
    other, _ = run_all(4, study(), devices, True, mode, several_dataset(), store=store)
    assert rows.keys() == other.keys()
    for id, row in rows.items():
        np.testing.assert_array_equal(row["ids"], other[id]["ids"])
        np.testing.assert_allclose(row["test_scores"], other[id]["test_scores"], atol=1e-4)


@pytest.mark.parametrize("task", ["kind", "looks"])
def test_heads_equal_a_plain_loop(task):
    asked = study(finetune={**ONCE, "mode": "head", "epochs": 5, "learning_rate": 0.1})
    dataset = several_dataset()
    rows, runner = run_all(width=64, study=asked, dataset=dataset)
    variants = [v for v in expand(asked, dataset.fingerprint) if v.task == task]
    assert len(variants) == 2
    for variant in variants:
        recipe, draw = variant.recipe, runner.curator.finetune(variant)
        x = np.asarray(runner.starts.features(variant.base, "sgd").values, np.float64)
        network = runner.starts.finetuned(variant.base, 3)
        head = runner.starts.fresh(network, variant.seed)["head"]
        w = np.concatenate([head["kernel"], head["bias"][None]]).astype(np.float64)
        x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
        table = dataset.table
        if task == "kind":
            codes = table["kind"].cat.codes.to_numpy()
            true, known = np.eye(3)[codes], np.ones((len(codes), 3))
        else:
            each = [table[name].astype("Float64").to_numpy(float, na_value=-1) for name in
                    ("mark", "round", "other")]  # fmt: skip
            true = np.stack(each, axis=1)
            known = true >= 0
            true = np.maximum(true, 0)
        key = jax.random.wrap_key_data(key_of("finetune", variant.seed))
        schedule = schedule_of(recipe, "erm", 20, 2)
        speed, order = np.zeros_like(w), np.asarray(batches_of(key, schedule))
        for step, batch in enumerate(order):
            ids = draw.ids[batch]
            inputs, y, have = x[runner.starts.places(ids)], true[ids], known[ids]
            z = inputs @ w
            if task == "kind":
                p = np.exp(z - z.max(axis=1, keepdims=True))
                error = p / p.sum(axis=1, keepdims=True) - y
            else:
                error = (1 / (1 + np.exp(-z)) - y) * have
                error /= np.maximum(have.sum(axis=1, keepdims=True), 1)
            speed = recipe.momentum * speed + inputs.T @ error / 16 + recipe.weight_decay * w
            late = step >= recipe.drop_at * len(order)
            w -= recipe.learning_rate * (0.1 if late else 1) * speed
        expected = x[runner.starts.places(runner.curator.test)] @ w
        found = rows[variant.id]["test_scores"].reshape(-1, 3)
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_what_cannot_be_learnt_is_named():
    dataset = several_dataset()
    runner = run_all(width=4, study=study(), dataset=dataset)[1]
    curator = runner.curator
    inside = dataset.table["split"] == "finetune"
    dataset.table.loc[inside, "other"] = True
    dataset.table.loc[inside & (dataset.table["kind"] == KINDS[1]), "kind"] = KINDS[0]
    curator.cells.cache_clear()
    curator.task_labels.cache_clear()
    with pytest.raises(InputError, match="the finetune split has no example of 'kind=square'"):
        curator.check_evaluation("kind")
    with pytest.raises(InputError, match="the finetune split has no example of 'other=0'"):
        curator.check_evaluation("looks")
