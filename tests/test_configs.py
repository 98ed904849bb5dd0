"""Every config is a valid study, whole and as a smoke form; a pair study end to end."""

import importlib
from pathlib import Path

import numpy as np
import pytest

import jaxbias
from jaxbias import data, make_study
from jaxbias.engine.curator import Curator, curate
from jaxbias.engine.limits import check_limits
from jaxbias.workdir.results import ResultDirectory
from tests.tiny import tiny_config, tiny_dataset

NAMES = (
    "quickstart",
    "celeba",
    "fairface_age",
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


@pytest.mark.parametrize("name", ["quickstart", "searched", "initialisations", "programme"])
def test_the_faces_fill_every_study_of_them(name):
    """Every set of the smoke studies, without rendering a face."""

    class EnoughError(Exception):
        pass

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
@pytest.mark.parametrize("name", ["fairface_age", "fairface_pair"])
def test_fairface_curations_fit_the_real_counts(name, monkeypatch):
    """Every quota of the real studies, without decoding an image."""
    from jaxbias.data import splits
    from jaxbias.data.dataset import Dataset
    from jaxbias.data.readers import fairface
    from jaxbias.data.table import add_derived

    config = importlib.import_module(f"configs.{name}").get_config()
    config.data.path = str(FAIRFACE)
    study = make_study(config)
    source = fairface.read(study.data)
    table = add_derived(source.table, study.data.derived, {}).assign(stratum="")
    table["split"] = splits.assign(table, study.data.splits, study.data.seed)
    dataset = Dataset("fairface", np.zeros((0, 1, 1, 3), np.uint8), table, "f")
    sets = curate(study, dataset)
    assert (sets.groupby("curated_set").size() == study.finetune.n[0]).all()
    curator = Curator(study, dataset)
    for task in (*study.targets, *study.pairs):
        curator.check_evaluation(task)
    # Known cells: 3,000 test images, all of known age and gender.
    assert curator.pools["test"].sum() == 3000


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
