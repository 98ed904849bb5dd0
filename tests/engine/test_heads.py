"""Packs of heads: one base and seed each, wide, and nothing about a head depends on its pack."""

import itertools

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from jaxbias.engine.features import principal_axes
from jaxbias.engine.layout import Layout
from jaxbias.engine.runner import Runner
from jaxbias.errors import InputError
from jaxbias.plan.packs import Plan, extend_plan
from jaxbias.plan.variants import expand
from tests.engine.run_all import run_all
from tests.tiny import tiny_dataset, tiny_study


def head_study(solver="sgd", curations=None, **settings):
    finetune = {"n": (20,), "epochs": 1, "batch": 16, "seeds": 2, "mode": "head"}
    curations = curations or {"correlation": {"levels": (2, 5)}}
    return tiny_study(finetune={**finetune, "solver": solver, **settings}, curations=curations)


@pytest.fixture(scope="module", params=["sgd", "lbfgs"])
def reference(request):
    study = head_study(request.param)
    return study, *run_all(width=100, study=study)


def test_a_pack_is_of_one_base_and_seed(reference):
    study, rows, runner = reference
    variants = expand(study, tiny_dataset().fingerprint)
    plan = extend_plan(Plan("d"), variants, runner.catalog.signatures(variants), lambda _: 1024)
    assert len(plan.finetunes) == 6
    for pack in plan.finetunes:
        assert len(pack.members) == 3
        assert len({(v.base.id, v.seed) for v in pack.members}) == 1
    assert len(rows) == 18


def test_rows_have_the_columns_of_any_variant(reference):
    _, rows, _ = reference
    full, _ = run_all(width=18, study=tiny_study(bases={"Scratch": {"role": "scratch"}}))
    columns = [list(row) for row in (*rows.values(), *full.values())]
    assert all(listed == columns[0] for listed in columns)
    assert {row["status"] for row in rows.values()} == {"ok"}
    assert len({row["test_scores"].tobytes() for row in rows.values()}) == 18
    assert all(row["test_scores"].shape == (100,) for row in rows.values())
    assert rows.keys().isdisjoint(full)


def test_packs_devices_and_order_do_not_change_a_head(reference):
    study, rows, _ = reference
    devices = 4 if study.finetune.solver == "sgd" else 1
    other, _ = run_all(width=1, study=study, shuffle=True, devices=devices)
    for id, row in rows.items():
        np.testing.assert_array_equal(row["ids"], other[id]["ids"])
        np.testing.assert_allclose(row["test_scores"], other[id]["test_scores"], atol=1e-4)


def test_the_same_plan_gives_the_same_bits(reference):
    study, rows, _ = reference
    again, _ = run_all(width=100, study=study)
    for id, row in rows.items():
        np.testing.assert_array_equal(row["test_scores"], again[id]["test_scores"])


def test_one_program_for_all_heads(reference):
    _, _, runner = reference
    assert len(runner.executor.programs) == 3  # Bases, features, heads.


def test_fitted_scores_equal_scikit_learn():
    """Through the runner: standardised by the pool, C and weights as given."""
    study = head_study("lbfgs", curations={"reweight": True}, C=0.3, tolerance=1e-6)
    rows, runner = run_all(width=100, study=study)
    inside = runner.curator.pools["finetune"][runner.starts.rows]
    for variant in expand(study, tiny_dataset().fingerprint):
        network, params = runner.starts.frozen(variant.base)
        values = runner.starts.features(variant.base, "sgd").values
        np.testing.assert_allclose(
            values, network.features(params, tiny_dataset().images[runner.starts.rows]), atol=1e-5
        )
        scaled = values.astype(np.float64) / principal_axes(values, inside).scale
        draw = runner.curator.finetune(variant)
        model = LogisticRegression(C=0.3, tol=1e-8, max_iter=10_000).fit(
            scaled[np.searchsorted(runner.starts.rows, draw.ids)],
            runner.curator.cells("target").labels()[draw.ids],
            sample_weight=draw.weights,
        )
        expected = model.decision_function(scaled[runner.starts.places(runner.curator.test)])
        np.testing.assert_allclose(rows[variant.id]["test_scores"], expected, atol=2e-3)


def test_every_mitigation_is_trained():
    mitigations = {"reweight": True, "group_reweight": True, "group_dro": True, "dfr": True}
    study = head_study(curations=mitigations, epochs=4)
    rows, _ = run_all(width=100, study=study)
    scratch = [r for r in rows.values() if (r["base"], r["seed"]) == ("Scratch", 0)]
    assert len({r["test_scores"].tobytes() for r in scratch}) == 5
    assert {r["status"] for r in scratch} == {"ok"}


def test_how_heads_are_solved_is_part_of_their_ids_alone():
    def ids(**settings):
        finetune = {"n": (20,), "seeds": 1, **settings}
        return {v.id for v in expand(tiny_study(finetune=finetune), "data")}

    assert ids(mode="full", C=0.1) == ids(mode="full")
    fitted = [ids(mode="head", solver="lbfgs", C=C) for C in (0.1, 1.0)]
    assert fitted[0].isdisjoint(fitted[1])
    assert ids(mode="head").isdisjoint(fitted[1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "full"}, r"solver='lbfgs' fits heads alone, but config.finetune.mode='full'"),
        ({"solver": "newton"}, r"finetune\.solver='newton' is unknown"),
        ({"C": 0.0}, r"finetune\.C=0\.0 must be in"),
        ({"tolerance": float("nan")}, r"finetune\.tolerance=nan must be in"),
    ],
)
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        head_study(**{"solver": "lbfgs", **changes})


def test_group_dro_cannot_be_fitted():
    with pytest.raises(InputError, match=r"group_dro .* cannot be fitted"):
        head_study("lbfgs", curations={"group_dro": True})


def test_packs_come_base_by_base():
    """Whatever the order of the grid, so that a base's features are put on the devices once."""
    finetune = {"n": (20, 30), "seeds": 2, "mode": "head"}
    study, dataset = tiny_study(finetune=finetune), tiny_dataset()
    runner = Runner(study, dataset, Layout("map", 1), lambda *_: None)
    variants = expand(study, dataset.fingerprint)
    plan = extend_plan(Plan("d"), variants, runner.catalog.signatures(variants), lambda _: 2)
    bases = [pack.members[0].base.id for pack in plan.finetunes]
    changes = sum(a != b for a, b in itertools.pairwise(bases))
    assert len(bases) == 24  # Two packs per base, seed and n.
    assert changes == 5
