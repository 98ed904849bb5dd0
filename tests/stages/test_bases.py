"""Bases of many classes, several labels, probabilities, and without some: both engines, resumed."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from jaxbias import data
from jaxbias.engine.curator import Curator
from jaxbias.errors import InputError
from jaxbias.plan.variants import expand
from jaxbias.stages import train
from jaxbias.weights import checkpoint
from jaxbias.workdir.results import ResultDirectory
from tests.stages.pretrained import LONG
from tests.tiny import tiny_dataset, tiny_study

BASES = {
    "Classes": {"target": "kind", "curation": "natural"},
    "Several": {"role": "control", "target": "target", "also": ("other", "worn")},
    "Soft": {"role": "control", "target": "scored", "also": ("guessed", "even"), "soft": True},
    "Others": {"target": "target", "curation": "natural", "without": ("worn=1",)},
    "Scratch": {"role": "scratch"},
}


def rich(changed=lambda images, table: images):
    """The tiny data with a column of three classes, one partly unknown, and two of scores."""
    tiny = tiny_dataset()
    table, chance = tiny.table.copy(), np.random.default_rng(5)
    target, other = (table[name].to_numpy(bool) for name in ("target", "other"))
    table["kind"] = pd.Categorical(np.where(target, np.where(other, "both", "one"), "none"))
    worn = pd.array(chance.random(len(table)) < 0.2, dtype="boolean")
    worn[chance.random(len(table)) < 0.2] = pd.NA
    table["worn"] = worn
    sure = np.clip(chance.normal(np.where(target, 0.8, 0.2), 0.1), 0, 1).astype(np.float32)
    vague = np.where(chance.random(len(table)) < 0.5, np.nan, 0.5 + 0.3 * other).astype(np.float32)
    soft = pd.DataFrame({"scored": sure, "guessed": vague, "even": np.float32(0.5)})
    table["scored"] = pd.array(sure >= 0.5, dtype="boolean")
    table["guessed"] = pd.array(vague >= 0.5, dtype="boolean")
    table.loc[np.isnan(vague), "guessed"] = pd.NA
    return dataclasses.replace(tiny, images=changed(tiny.images, table), table=table, soft=soft)


def study(bases=BASES, **changes):
    pretrain = {**LONG, **changes.pop("pretrain", {})}
    finetune = {"n": (20,), "epochs": 1, "batch": 16, "seeds": 1}
    return tiny_study(bases=bases, pretrain=pretrain, finetune=finetune, **changes)


@pytest.fixture(autouse=True)
def read(monkeypatch):
    monkeypatch.setattr(data, "load", lambda spec, check=None: rich())


@pytest.fixture(scope="module")
def looped(tmp_path_factory):
    """All of them, pretrained step by step without interruption."""
    workdir = tmp_path_factory.mktemp("looped") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda spec, check=None: rich())
        train.train(study(), workdir, "pretrain")
    return workdir


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """The same bases from packs."""
    workdir = tmp_path_factory.mktemp("packed") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda spec, check=None: rich())
        train.train(study(pretrain={"engine": "auto"}), workdir, "pretrain")
    return workdir


def rows(workdir):
    directory = ResultDirectory(workdir)
    return directory.base_rows(directory.plan()).set_index("base")


def params(workdir):
    return {
        name: checkpoint.load_any(workdir / "bases" / row["id"])
        for name, row in rows(workdir).iterrows()
    }


def test_heads_have_an_output_for_every_class_or_label(looped):
    heads = {name: leaves["head"]["kernel"].shape[1] for name, leaves in params(looped).items()}
    assert heads == {"Classes": 3, "Several": 3, "Soft": 3, "Others": 1}
    assert (rows(looped)["status"] == "ok").all()


def test_resumed_is_uninterrupted(looped, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(looped, workdir)
    for kind in ("bases", "packs"):
        shutil.rmtree(workdir / kind)
        (workdir / kind).mkdir()
    for base in (workdir / "pretraining").iterdir():
        shutil.rmtree(base / "15")
    train.train(study(), workdir, "pretrain")
    got = params(workdir)
    for name, expected in params(looped).items():
        jax.tree.map(np.testing.assert_array_equal, got[name], expected)
    assert rows(workdir)["learnt"].to_dict() == rows(looped)["learnt"].to_dict()


def test_packs_train_them_as_the_loop_does(looped, packed):
    ours, theirs = params(packed), params(looped)
    assert rows(packed)["id"].to_dict() == rows(looped)["id"].to_dict()
    assert not (packed / "pretraining").exists()
    for name, leaves in ours.items():
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), leaves, theirs[name])


def test_how_well_they_learnt_is_told_of_labels_that_are_known(packed):
    learnt = {name: json.loads(text) for name, text in rows(packed)["learnt"].items()}
    table = rich().table.query("split == 'validation'")
    assert learnt["Classes"]["examples"] == learnt["Several"]["examples"] == 100
    assert learnt["Others"]["examples"] == (table["worn"] == False).sum()  # noqa: E712
    assert all(0 < each["accuracy"] < 1 and each["loss"] > 0 for each in learnt.values())


def test_who_is_left_out_is_never_drawn_and_changes_no_bit(packed, tmp_path, monkeypatch):
    wanted = study()
    curator = Curator(wanted, rich())
    worn = rich().table["worn"]
    for seed in range(20):
        base = next(v.base for v in expand(wanted, "d") if v.base.name == "Others")
        drawn = curator.pretrain(dataclasses.replace(base, seed=seed))
        assert len(set(drawn.ids)) == 40
        # Nobody who wears it, and nobody of whom it is unknown.
        assert worn.iloc[drawn.ids].eq(False).all()

    def noise(images, table):
        return np.where(
            (table["worn"] == False).to_numpy(bool, na_value=False)[:, None, None, None],  # noqa: E712
            images,
            np.uint8(255) - images,
        )

    monkeypatch.setattr(data, "load", lambda spec, check=None: rich(noise))
    bases = {name: BASES[name] for name in ("Others", "Classes", "Scratch")}
    train.train(study(bases, pretrain={"engine": "auto"}), tmp_path / "run", "pretrain")
    got, expected = params(tmp_path / "run"), params(packed)
    jax.tree.map(np.testing.assert_array_equal, got["Others"], expected["Others"])
    kernels = [x["Classes"]["head"]["kernel"] for x in (got, expected)]
    assert not np.array_equal(*kernels)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": "kind", "also": ("other",)}, "'kind' of tiny has the values 'both', 'none'"),
        ({"target": "kind", "curation": "correlation 2"}, "needs a binary target and two groups"),
        ({"target": "target", "soft": True}, "no probabilities of 'target', which config"),
        ({"target": "target", "without": ("worn=2",)}, "'worn' of tiny has no value '2'; it has"),
        (
            {"target": "target", "also": ("worn",), "without": ("group=a", "worn=0")},
            "curation 'group_balanced' at n=40 needs",
        ),
    ],
)
def test_what_the_data_cannot_give_is_refused_in_a_line(tmp_path, change, message):
    with pytest.raises(InputError, match=message) as told:
        train.train(study({**BASES, "Classes": change}), tmp_path / "run")
    assert "\n" not in str(told.value) and "Classes" in str(told.value)


def test_a_base_of_probabilities_beats_a_random_network_in_a_probe(tmp_path):
    """Both have the same head fitted on the same few images of the true label."""
    bases = {"Soft": {**BASES["Soft"], "curation": "natural"}, "Scratch": BASES["Scratch"]}
    probed = tiny_study(
        bases=bases,
        pretrain={"n": 60, "epochs": 20, "batch": 32},
        finetune={"n": (8,), "mode": "head", "solver": "lbfgs", "seeds": 2},
        curations={},
    )
    train.train(probed, tmp_path / "run")
    scores = ResultDirectory(tmp_path / "run").scores()
    truth = scores.examples.query("split == 'test'")["target"].to_numpy(bool)
    auc = pd.Series([roc_auc_score(truth, row) for row in scores.test])
    of = scores.variants["base"].to_numpy()
    assert auc[of == "Soft"].mean() > auc[of == "Scratch"].mean() + 0.05


def test_a_thousand_classes_are_learnt_and_kept_small(tmp_path, monkeypatch):
    """Each class is a colour; as of photographs of objects, nobody there is of a group."""
    count, chance = 2000, np.random.default_rng(0)
    names = np.arange(count) % 1000
    tiny = tiny_dataset(4 * count)
    images = np.zeros((4 * count, 8, 8, 3), np.uint8)
    kind = np.tile(names, 4)
    for channel, digit in enumerate((kind // 100, kind // 10 % 10, kind % 10)):
        images[..., channel] = (25 * digit + 10)[:, None, None]
    images += chance.integers(0, 6, images.shape, np.uint8)
    table = tiny.table.copy()
    table["split"] = np.repeat(["pretrain", "finetune", "validation", "test"], count)
    table["kind"] = pd.Categorical([f"c{i:03d}" for i in kind])
    table.loc[table["split"] == "pretrain", "group"] = None
    many = dataclasses.replace(tiny, images=images, table=table)
    monkeypatch.setattr(data, "load", lambda spec, check=None: many)
    wanted = tiny_study(
        bases={"Many": {"target": "kind", "curation": "natural"}, "Scratch": {"role": "scratch"}},
        model={"widths": (16,)},
        pretrain={"n": count, "epochs": 6, "batch": 100, "optimizer": "adamw",
                  "learning_rate": 0.02, "engine": "loop"},
        finetune={"n": (20,), "epochs": 1, "batch": 16, "seeds": 1},
    )  # fmt: skip
    train.train(wanted, tmp_path / "run", "pretrain")
    (row,) = rows(tmp_path / "run").itertuples()
    assert row.status == "ok"
    learnt = json.loads(row.learnt)
    assert learnt["examples"] == count
    assert learnt["loss"] < np.log(1000) - 0.5
    assert learnt["accuracy"] > 10 / 1000
    assert params(tmp_path / "run")["Many"]["head"]["kernel"].shape[1] == 1000
    assert list(json.loads(row.quotas).values()) == [2] * 1000
    (pack,) = ResultDirectory(tmp_path / "run").plan().bases
    assert ResultDirectory(tmp_path / "run").pack_path(pack).stat().st_size < 300_000
