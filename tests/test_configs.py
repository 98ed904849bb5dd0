"""Every config is a valid study, and trains as a smoke form; a pair study end to end."""

import dataclasses
import importlib
from pathlib import Path

import numpy as np
import pytest

import jaxbias
from jaxbias import data, make_study
from jaxbias.data.readers import fairface
from jaxbias.engine.curator import Curator, curate
from jaxbias.engine.limits import check_limits
from jaxbias.stages import train
from jaxbias.weights import import_weights
from jaxbias.workdir.results import ResultDirectory
from tests.data.readers import celeba_files, fairface_files
from tests.models.architectures import tiny_architectures  # noqa: F401
from tests.tiny import tiny_config, tiny_dataset
from tests.weights.seeded import seeded_arrays

NAMES = (
    "quickstart",
    "celeba",
    "fairface_age",
    "fairface_imagenet",
    "fairface_pair",
    "folder",
    "initialisations",
    "pretrain_faces",
    "programme",
    "searched",
)
FAIRFACE = Path(__file__).parents[2] / "shared" / "data" / "fairface"


@pytest.mark.parametrize("arg", ["", "smoke"])
@pytest.mark.parametrize("name", NAMES)
def test_configs_are_valid_studies(name, arg):
    config = importlib.import_module(f"configs.{name}").get_config(arg)
    study = make_study(config)
    assert study.name.startswith(name)
    assert any(base.role == "scratch" for base in study.bases.values())


def of_fairface(root):
    """A thousand of its images, their labels drawn at random."""
    rng = np.random.default_rng(0)
    ages = ["0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70"]
    kinds = (ages, ("Female", "Male"), ("Black", "White", "East Asian", "Indian"))
    drawn = np.stack([rng.choice(kind, 1000) for kind in kinds], axis=1)
    fairface_files.write(root, {"train": drawn[:800], "val": drawn[800:]})


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A tiny vision transformer of random weights, for images of 8²."""
    place = tmp_path_factory.mktemp("weights")
    np.savez(place / "w.npz", **seeded_arrays("vit_tiny", "big_vision", 3, 8))
    import_weights("vit_tiny", "big_vision", place / "w.npz", place / "out")
    return place / "out"


class EnoughError(Exception):
    """The labels are there; pictures are not needed."""


def undrawn(spec, check=None, load=data.load):
    """Built-in faces with noise in place of pictures."""
    found = []

    def keep(labelled):
        check(labelled)
        found.append(labelled)
        raise EnoughError

    with pytest.raises(EnoughError):
        load(spec, keep)
    shape = (len(found[0].table), spec.image_size, spec.image_size, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return dataclasses.replace(found[0], images=images, fingerprint="undrawn")


# The quickstart and one's own folder are run by tests/cli.
FILES = {
    "celeba": celeba_files.many,
    "fairface_age": of_fairface,
    "fairface_imagenet": of_fairface,
    "fairface_pair": of_fairface,
}
DRAWN = ("initialisations", "pretrain_faces", "programme", "searched")


@pytest.mark.parametrize("name", [*FILES, *DRAWN])
def test_smoke_forms_train_all_that_they_ask_for(name, tmp_path, monkeypatch, weights):
    """Every stage, as narrow as it gets, on files in the published format or on noise."""
    config = importlib.import_module(f"configs.{name}").get_config(_arg(name, "smoke", weights))
    if name == "fairface_imagenet":  # Of a thousand images, a few are too few.
        config.data.splits = importlib.import_module(f"configs.{name}").get_config().data.splits
    if name in FILES:
        FILES[name](tmp_path / "files")
        config.data.path = str(tmp_path / "files")
    else:
        monkeypatch.setattr(data, "load", undrawn)
    if name == "celeba":
        config.targets = config.targets[:1]
    config.data.image_size, config.model.widths = 8, (4,)
    config.pretrain.epochs, config.answer.replicates = 1, 20
    config.grid.update(devices=1, pack_width=16, mode="map")  # Programs are shared.
    for levels in (config.curations.correlation, config.curations.pair_mix):
        levels.levels = levels.levels[:1]
    train.train(make_study(config), tmp_path)
    variants = ResultDirectory(tmp_path).scores().variants
    assert set(variants["base"]) == set(config.bases)
    assert (variants["status"] == "ok").all()


@pytest.mark.parametrize("name", ["quickstart", "searched", "initialisations", "programme"])
def test_the_faces_fill_every_study_of_them(name):
    """Every set of the smoke studies, without rendering a face."""
    study = make_study(importlib.import_module(f"configs.{name}").get_config("smoke"))

    def check(labelled):
        check_limits(study, labelled)
        raise EnoughError

    with pytest.raises(EnoughError):
        data.load(study.data, check)


def test_every_config_is_tested():
    found = {path.stem for path in (Path(__file__).parents[1] / "configs").glob("*.py")}
    assert found == set(NAMES)


@pytest.mark.skipif(not FAIRFACE.is_dir(), reason=f"the photographs are not at {FAIRFACE}")
@pytest.mark.parametrize(
    ("name", "arg"),
    [
        ("fairface_age", ""),
        ("fairface_pair", ""),
        *(("fairface_imagenet", arg) for arg in ("", "pair", "full", "smoke", "smoke,pair")),
    ],
)
def test_fairface_curations_fit_the_real_counts(name, arg, weights):
    """Every quota of the real studies, without decoding an image."""
    from jaxbias.data import splits
    from jaxbias.data.dataset import Dataset
    from jaxbias.data.table import add_derived

    config = importlib.import_module(f"configs.{name}").get_config(_arg(name, arg, weights))
    config.data.path = str(FAIRFACE)
    study = make_study(config)
    source = fairface.read(study.data)
    table = add_derived(source.table, study.data.derived, {}).assign(stratum="")
    table["split"] = splits.assign(table, study.data.splits, study.data.seed)
    dataset = Dataset("fairface", np.zeros((0, 1, 1, 3), np.uint8), table, "f")
    sets = curate(study, dataset)
    assert (sets.groupby("curated_set").size() == study.finetune.n[0]).all()
    check_limits(study, dataset)
    # Known cells: 3,000 test images, all of known age and gender.
    assert Curator(study, dataset).pools["test"].sum() == (300 if "smoke" in arg else 3000)


def _arg(name, arg, weights):
    return f"{arg},weights={weights}" if name == "fairface_imagenet" else arg


def test_a_pair_study_end_to_end(tmp_path, monkeypatch):
    def with_pair(spec, check=None):
        dataset = tiny_dataset(count=800)
        rng = np.random.default_rng(3)
        kind = rng.choice(3, 800, p=[0.5, 0.25, 0.25])
        dataset.table["a"] = np.where(kind == 1, True, False)
        dataset.table["b"] = np.where(kind == 2, True, False)
        for name in ("a", "b"):
            dataset.table[name] = dataset.table[name].astype("boolean")
        return dataset

    monkeypatch.setattr(data, "load", with_pair)
    config = tiny_config(
        targets=(),
        pairs=("a|b",),
        bases={
            "A": {"role": "studied", "target": "a"},
            "B": {"role": "studied", "target": "b"},
            "Scratch": {"role": "scratch"},
        },
        curations={"pair_mix": {"levels": (1, 5, 9)}},
    )
    frame = jaxbias.run(config, tmp_path)
    groups = frame.loc[frame["metric"] == "auc", "group"]
    assert set(groups) == {"all", "a", "b"}
    quotas = ResultDirectory(tmp_path).scores().variants.set_index("curation")["quotas"]
    assert '"a only": 9, "b only": 1' in quotas.loc["pair_mix 1"].iloc[0]
    report = tmp_path / "report"
    assert (report / "underrepresentation.png").exists()
    words = (report / "summary.txt").read_text()
    assert "with 10 % b among the positives, the A base" in words
