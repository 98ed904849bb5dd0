"""Trunks of imported weights: bases that go on from them, and what is stored of them."""

import jax
import numpy as np
import pytest
from flax import traverse_util

from jaxbias.costs.extraction import extraction_flops, to_extract
from jaxbias.engine.layout import Layout
from jaxbias.engine.runner import Runner
from jaxbias.models import tail_of
from jaxbias.plan.packs import Plan, extend_plan
from jaxbias.plan.variants import expand
from jaxbias.stages.bases import pretrain_base
from jaxbias.weights import describe_imported, identities, import_weights, load
from tests.models.architectures import tiny_architectures  # noqa: F401
from tests.tiny import tiny_dataset, tiny_study
from tests.weights.seeded import seeded_arrays

SIDE = 16  # Of what the weights take; the tests' images have half of it.
STORED, AFRESH = Layout("map", 1, trunks=True), Layout("map", 1)
TRUNK = (2, 1 + (SIDE // 4) ** 2, 8)  # Tokens, of an image and of its mirror image.


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    place = tmp_path_factory.mktemp("weights")
    np.savez(place / "w.npz", **seeded_arrays("vit_tiny", "big_vision", 3, SIDE))
    import_weights("vit_tiny", "big_vision", place / "w.npz", place / "out")
    return place / "out"


def study_of(weights, mode="last_block", trained="last_block"):
    going_on = {"weights": str(weights), "trained": trained}
    return tiny_study(
        bases={
            "Imported": {"role": "imported", "weights": str(weights)},
            "OnGroup": {"target": "group", "curation": "class_balanced", **going_on},
        },
        pretrain={"n": 40, "epochs": 8, "batch": 10, "learning_rate": 0.3},
        finetune={
            "n": (20,), "epochs": 8, "batch": 10, "learning_rate": 0.3, "seeds": 1, "mode": mode,
        },
        curations={},
    )  # fmt: skip


class Trained:
    """A study whose bases are pretrained and whose finetunes are planned."""

    def __init__(self, study, layout):
        dataset = tiny_dataset()
        self.params, self.features = {}, {}
        self.runner = Runner(study, dataset, layout, lambda base, _: self.params[base.id], self)
        variants = expand(study, dataset.fingerprint, identities(study))
        signatures = self.runner.catalog.signatures(variants)
        self.plan = extend_plan(Plan("d"), variants, signatures, lambda member: 4)
        (self.base,) = (base for pack in self.plan.bases for base in pack.members)
        (self.row,), (self.params[self.base.id],) = self.runner.pretrain(self.plan.bases[0])

    def __call__(self, of, name, make):
        """Keeps features in memory."""
        if (of, name) not in self.features:
            self.features[of, name] = make()
        return self.features[of, name]

    def finetuned(self):
        rows = [row for pack in self.plan.finetunes for row in self.runner.finetune(pack)]
        assert [row["status"] for row in rows] == ["ok"] * 2
        return {row["base"]: row["test_scores"] for row in rows}


@pytest.fixture(scope="module")
def stored(weights):
    return Trained(study_of(weights), STORED)


def same(got, want):
    """Up to rounding, and there is something to see beyond it."""
    assert np.ptp(want) > 1e-4
    np.testing.assert_allclose(got, want, atol=1e-3 * np.ptp(want))


def close(got, want):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), got, want)


def leaves(params):
    return traverse_util.flatten_dict(params)


def test_stored_activations_train_what_the_images_do(weights, stored):
    afresh = Trained(study_of(weights), AFRESH)
    close(stored.params[stored.base.id], afresh.params[afresh.base.id])
    assert stored.row["quotas"] == afresh.row["quotas"]
    got, want = stored.finetuned(), afresh.finetuned()
    for name in want:
        same(got[name], want[name])
    # Both bases have one trunk, asked once, of all images: one goes on from those for pretraining.
    (values,) = (each.values for each in stored.features.values())
    assert values.shape == (400, *TRUNK) and not afresh.features
    learnt = np.arange(400) % 4 < 2
    assert np.isfinite(values[:, 0]).all() and np.isfinite(values[learnt, 1]).all()
    assert np.isnan(values[~learnt, 1]).all()


def test_the_last_block_alone_goes_on_from_the_weights(weights, stored):
    before = leaves(load(describe_imported(weights)))
    after = leaves(stored.params[stored.base.id])
    assert before.keys() == after.keys()
    network = tail_of(stored.runner.starts.network_of(stored.base))
    inside = leaves(network.part(stored.params[stored.base.id])).keys()
    assert {path[0] for path in inside} == {"blocks", "norm", "head"}
    changed = {path for path in before if not np.array_equal(before[path], after[path])}
    assert changed == inside


def test_step_by_step_and_in_packs_they_go_on_alike(stored, tmp_path):
    row, params = pretrain_base(stored.runner, stored.base, tmp_path / "saves")
    assert row["status"] == "ok" and row["quotas"] == stored.row["quotas"]
    close(params, stored.params[stored.base.id])


def test_features_are_those_of_the_images(stored):
    starts = stored.runner.starts
    images = stored.runner.curator.dataset.images[starts.rows]
    network = starts.network_of(stored.base)
    found = starts.features(stored.base, "sgd").values
    same(found, network.features(stored.params[stored.base.id], images))


def test_the_trunk_is_counted_once_and_tails_beside_it(stored):
    starts, plan = stored.runner.starts, stored.plan
    seen = {(base, "sgd") for base in plan.every_base}
    found = to_extract(starts, plan, seen, lambda name: False)
    # All images, and the mirror images of those that something is trained on.
    assert sorted((count, each.trunk) for each, count in found.items()) == [
        (600, False),
        (600, True),
    ]
    (tail,) = (each for each in found if not each.trunk)
    assert tail.store == (64, *TRUNK) and 0 < extraction_flops(tail) < 1e5
    assert not to_extract(starts, plan, seen, lambda name: True)


def test_all_of_a_base_that_goes_on_may_be_trained(weights):
    all_ = Trained(study_of(weights, trained="full"), STORED)
    before = leaves(load(describe_imported(weights)))
    after = leaves(all_.params[all_.base.id])
    assert not [path for path in before if np.array_equal(before[path], after[path])]
    ids = {base.trunk for base in all_.plan.every_base}
    assert ids == {"", describe_id(all_)}  # Its trunk is its own from then on.


def describe_id(trained):
    return next(base.id for base in trained.plan.every_base if base.role == "imported")


def test_ids_follow_the_weights_and_what_is_trained(weights, tmp_path):
    arrays = seeded_arrays("vit_tiny", "big_vision", 3, SIDE)
    arrays["cls"] = arrays["cls"] + 1
    np.savez(tmp_path / "w.npz", **arrays)
    import_weights("vit_tiny", "big_vision", tmp_path / "w.npz", tmp_path / "out")
    studies = [study_of(weights), study_of(tmp_path / "out"), study_of(weights, trained="full")]
    bases = [expand(study, "d", identities(study))[1].base for study in studies]
    assert {base.name for base in bases} == {"OnGroup"} and len({base.id for base in bases}) == 3
    assert bases[0].trunk and bases[0].trunk != bases[1].trunk and not bases[2].trunk
