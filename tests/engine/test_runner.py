"""The runner: packs, order and neighbours change nothing about a variant."""

import json

import jax
import numpy as np
import pytest

from jaxbias.engine.layout import Layout
from jaxbias.engine.runner import Runner
from jaxbias.errors import InputError
from jaxbias.models import Network
from jaxbias.parallel import make_mesh
from jaxbias.plan.variants import expand
from tests.engine.run_all import run_all
from tests.tiny import tiny_dataset, tiny_study


@pytest.fixture(scope="module")
def reference():
    return run_all(width=4)


def test_every_variant_is_scored_on_every_validation_and_test_example(reference):
    rows, _ = reference
    assert len(rows) == 18
    for row in rows.values():
        assert row["status"] == "ok"
        assert row["validation_scores"].shape == (100,)
        assert row["test_scores"].shape == (100,)
        assert np.isfinite(row["test_scores"]).all()
        assert len(row["ids"]) == row["realised_n"] == 20
        counts = json.loads(row["quotas"])
        assert list(counts) == [f"target={t}, {g}" for t in (0, 1) for g in ("a", "b")]
        assert sum(counts.values()) == 20
    assert len({row["test_scores"].tobytes() for row in rows.values()}) == 18


def test_packs_and_order_do_not_change_a_variant(reference):
    """Few float32 steps: any layout agrees closely, and draws agree exactly."""
    other, _ = run_all(width=18, devices=1, shuffle=True)
    for id, row in reference[0].items():
        np.testing.assert_array_equal(row["ids"], other[id]["ids"])
        np.testing.assert_allclose(row["test_scores"], other[id]["test_scores"], atol=1e-5)


def test_the_same_plan_gives_the_same_bits(reference):
    again, _ = run_all(width=4)
    for id, row in reference[0].items():
        np.testing.assert_array_equal(row["test_scores"], again[id]["test_scores"])


def test_one_program_per_signature(reference):
    _, runner = reference
    # Bases (both binary) and finetunes: two signatures, however many packs.
    assert len(runner.executor.programs) == 2


def test_fresh_parameters_are_traced_once_per_network(monkeypatch):
    traced = []
    init = Network.init
    monkeypatch.setattr(Network, "init", lambda self, key: traced.append(self) or init(self, key))
    runner = Runner(tiny_study(), tiny_dataset(), Layout("map", 1), lambda base, _: None)
    network = runner.starts.network(1)
    first, second = (runner.starts.fresh(network, seed)["head"]["kernel"] for seed in (0, 1))
    assert (first != second).any()
    assert len(traced) == 1


def test_pretraining_learns_and_heads_are_renewed():
    """A red patch as target is learnt from scratch; a wrong target would give AUC one half."""
    from sklearn.metrics import roc_auc_score

    study = tiny_study(
        finetune={"n": (48,), "epochs": 40, "batch": 16, "seeds": 1, "learning_rate": 0.05}
    )
    rows, runner = run_all(width=4, study=study)
    labels = runner.curator.cells("target").labels()[runner.curator.test]
    for row in rows.values():
        if row["curation"] == "correlation 5":
            assert roc_auc_score(labels, row["test_scores"]) > 0.8


def test_pools_are_disjoint_and_draws_stay_inside(reference):
    rows, runner = reference
    pools = np.stack(list(runner.curator.pools.values()))
    assert (pools.sum(axis=0) == 1).all()
    for row in rows.values():
        assert runner.curator.pools["finetune"][row["ids"]].all()


def test_reweighted_curations_train_with_their_weights():
    study = tiny_study(curations={"reweight": True})
    rows, _ = run_all(width=18, study=study)
    scores = {(r["base"], r["seed"], r["curation"]): r for r in rows.values()}
    natural, weighted = scores["Scratch", 0, "natural"], scores["Scratch", 0, "reweight"]
    np.testing.assert_array_equal(natural["ids"], weighted["ids"])
    assert not np.array_equal(natural["test_scores"], weighted["test_scores"])


def test_a_curation_beyond_the_data_is_refused_with_numbers():
    study, dataset = tiny_study(finetune={"n": (90,), "epochs": 1, "seeds": 1}), tiny_dataset()
    runner = Runner(study, dataset, Layout("map", 1), lambda base, _: None)
    with pytest.raises(InputError, match=r"needs \d+ examples of \(target=., .\)"):
        runner.catalog.signatures(expand(study, dataset.fingerprint))


def test_more_devices_than_there_are_is_refused():
    with pytest.raises(InputError, match="devices=99, but this process has 8 devices; 0 takes"):
        make_mesh(99)
    assert len(jax.local_devices()) == 8


def test_mitigations_train_on_the_natural_images_and_end_elsewhere():
    chosen = dict.fromkeys(("group_reweight", "class_reweight", "group_dro", "dfr"), True)
    rows, _ = run_all(width=8, study=tiny_study(curations=chosen))
    scratch = {r["curation"]: r for r in rows.values() if (r["base"], r["seed"]) == ("Scratch", 0)}
    natural = scratch.pop("natural")
    assert set(scratch) == set(chosen)
    for kind, row in scratch.items():
        np.testing.assert_array_equal(row["ids"], natural["ids"])
        assert row["status"] == "ok"
        # The 20 images are 10 of each class, so class weights are all 1.
        same = np.array_equal(row["test_scores"], natural["test_scores"])
        assert same == (kind == "class_reweight")
