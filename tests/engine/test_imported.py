"""Imported bases in a study: their own network, size and ids, in every mode."""

import dataclasses

import numpy as np
import pytest

from jaxbias import data
from jaxbias.engine.layout import Layout
from jaxbias.engine.runner import Runner
from jaxbias.errors import InputError
from jaxbias.plan.packs import Plan, extend_plan
from jaxbias.plan.variants import expand
from jaxbias.stages import train
from jaxbias.weights import identities, import_weights
from jaxbias.workdir.results import ResultDirectory
from tests.models.architectures import tiny_architectures  # noqa: F401
from tests.tiny import tiny_dataset, tiny_study
from tests.weights.seeded import seeded_arrays


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A tiny vision transformer for images of 12², twice the size the tests' studies have."""
    place = tmp_path_factory.mktemp("weights")
    np.savez(place / "w.npz", **seeded_arrays("vit_block", "big_vision", 3, 12))
    import_weights("vit_block", "big_vision", place / "w.npz", place / "out")
    return place / "out"


def study_of(weights, mode="head", **changes):
    bases = {
        "Imported": {"role": "imported", "weights": str(weights)},
        "Scratch": {"role": "scratch"},
    }
    finetune = {"n": (20,), "epochs": 2, "batch": 10, "seeds": 2, "mode": mode}
    return tiny_study(bases=bases, finetune=finetune, **changes)


def expanded(study, data):
    return expand(study, data, identities(study))


def test_a_study_of_an_imported_base_end_to_end(weights, tmp_path, monkeypatch):
    dataset = tiny_dataset()
    monkeypatch.setattr(data, "load", lambda spec, check=None: dataset)
    study = study_of(weights)
    train.train(study, tmp_path / "run")
    directory = ResultDirectory(tmp_path / "run")
    variants = directory.scores().variants
    assert sorted(set(variants["role"])) == ["imported", "scratch"]
    assert (variants["status"] == "ok").all()
    # Features of one checkpoint, and of two random initialisations.
    assert len(list(directory.features_path.glob("*.npy"))) == 3
    shapes = {np.load(f).shape[1] for f in directory.features_path.glob("*.npy")}
    assert shapes == {8, 64}
    notes = directory.stored_study()["notes"]
    assert "Base Imported" in notes[-1] and "images of 8² pixels are resized to 12²" in notes[-1]
    answer, page = train.write_report(tmp_path / "run")
    assert "Imported" in page.read_text()
    assert set(answer.smallest_fix["base"]) <= {"Imported"}
    # The weights may move; what they are may not change.
    moved = weights.rename(weights.with_name("moved"))
    try:
        again = study_of(moved)
        assert {v.id for v in expanded(again, dataset.fingerprint)} == set(variants["variant"])
        directory.check(again, dataset)
    finally:
        moved.rename(weights)


@pytest.mark.parametrize("mode", ["last_block", "full"])
def test_imported_networks_are_finetuned_in_packs_of_their_own(weights, mode):
    study, dataset = study_of(weights, mode), tiny_dataset()
    runner = Runner(study, dataset, Layout("map", 1), lambda base, _: None)
    variants = expanded(study, dataset.fingerprint)
    chosen = [v for v in variants if v.seed == 0 and v.curation.kind == "natural"]
    plan = extend_plan(Plan("d"), chosen, runner.catalog.signatures(chosen), lambda _: 4)
    assert plan.bases == ()
    assert [{v.base.name for v in pack.members} for pack in plan.finetunes] == [
        {"Imported"},
        {"Scratch"},
    ]
    rows = runner.finetune(plan.finetunes[0])
    assert rows[0]["status"] == "ok"
    assert np.isfinite(rows[0]["test_scores"]).all()


def test_ids_are_of_the_content(weights, tmp_path):
    arrays = seeded_arrays("vit_block", "big_vision", 3, 12)
    arrays["cls"] = arrays["cls"] + 1
    np.savez(tmp_path / "w.npz", **arrays)
    import_weights("vit_block", "big_vision", tmp_path / "w.npz", tmp_path / "out")
    bases = [expanded(study_of(place), "d")[0].base for place in (weights, tmp_path / "out")]
    assert bases[0].id != bases[1].id
    plain = [dataclasses.replace(base, id="", weights="") for base in bases]
    assert plain[0] == plain[1]
    before, after = (expanded(study_of(place), "d") for place in (weights, tmp_path / "out"))
    signatures = {v.id: 0 for v in (*before, *after)}
    plan = extend_plan(Plan("d"), before, signatures, lambda _: 4)
    assert extend_plan(plan, before, signatures, lambda _: 4) == plan
    with pytest.raises(InputError, match=r"config\.bases\.Imported: its weights are not those"):
        extend_plan(plan, after, signatures, lambda _: 4)


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ({"role": "imported"}, "role=imported needs weights"),
        ({"role": "scratch", "weights": "w"}, "a scratch base has no weights"),
        ({"target": "group", "trained": "last_block"}, "B.trained='last_block' is of pretraining"),
        ({"role": "imported", "weights": "w", "trained": "last_block"}, "give it weights and a"),
        (
            {"target": "group", "weights": "w", "trained": "last_block", "objective": "simclr"},
            "objective='simclr' contrasts views",
        ),
        ({"target": "group", "weights": "w", "trained": "head"}, "B.trained"),
        ({"role": "imported", "weights": "w", "target": "group"}, "an imported one neither"),
    ],
)
def test_bases_that_contradict_themselves_are_refused(base, message):
    with pytest.raises(InputError, match=message):
        tiny_study(bases={"B": base})


def test_a_directory_without_weights_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no imported weights"):
        expanded(study_of(tmp_path), "d")
