"""The configs of the paper: its grids, the form on built-in faces, and every row in seconds."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jaxbias import data, make_study
from jaxbias.engine.limits import check_limits
from jaxbias.errors import InputError
from jaxbias.plan.variants import expand
from jaxbias.report import figures
from jaxbias.stages import train
from jaxbias.study import paper
from jaxbias.study.config_file import load
from jaxbias.workdir.results import ResultDirectory
from tests.data.readers import celeba_files, coco_files, fairface_files, geography_files

PLACE = Path(__file__).parents[1] / "configs" / "paper"
# Row -> which files its real data are, and how many finetunes the paper has of it.
ROWS = {
    "s1": ("celeba", 140),
    "s3": ("celeba", 440),
    "s5": ("celeba", 1100),
    "s6": ("celeba", 2200),
    "s7": ("celeba", 900),
    "s8": ("coco", 2200),
    "u1": ("celeba", 10),
    "u2": ("attributed", 90),
    "u3": ("attributed", 1320),
    "u4": ("geography", 15),
    "u5": ("geography", 110),
}


def config_of(row, form):
    return load(f"{PLACE / row}.py:{form}")


def of_coco(root):
    root.mkdir()
    coco_files.many(root, paper.OBJECTS)


def of_attributed(root):
    """CelebA, FairFace, and what a model made of the latter."""
    celeba_files.many(root / "celeba")
    rng, drawn = np.random.default_rng(0), [("3-9", "Female", "White"), ("20-29", "Male", "Black")]
    fairface_files.write(root / "fairface", {"train": drawn * 150, "val": drawn})
    ids = [f"fairface/train/{i}.jpg" for i in range(1, 301)]
    scores = {f"FairFace_{name}": rng.random(len(ids)) for name in paper.SHARES}
    pd.DataFrame({"id": ids, **scores}).to_csv(root / "scores.csv", index=False)


MAKE = {"celeba": celeba_files.many, "coco": of_coco, "geography": geography_files.write}
MAKE["attributed"] = of_attributed


def test_every_row_is_tested():
    assert {path.stem for path in PLACE.glob("*.py")} == set(ROWS)


@pytest.mark.parametrize("row", ROWS)
def test_the_real_grid_is_the_papers_and_what_it_is_compared_with(row):
    """Natural draws beside every dose, and of S7 the full size beside every reduced set."""
    study = make_study(config_of(row, ""))
    weights = {name: name for name in study.bases}
    tried = expand(study, "data", weights)
    beside = {"s6": "natural", "s7": "", "s8": "natural", "u3": "natural", "u5": "natural"}
    if row == "s3":
        tried = [v for v in tried if v.base.name != "Scratch"]
    if row == "s7":
        reached = {(2, "Wearing_Earrings"), (2, "Blond_Hair"), (8, "Brown_Hair")}
        reached |= {(8, "Bags_Under_Eyes")}
        starts = [v for v in tried if v.curation.kind == "correlation"]
        starts = [v for v in starts if (v.curation.level, v.task) in reached]
        tried = starts + [v for v in tried if v.curation.kind == "reduce_only"]
    if beside.get(row):
        tried = [v for v in tried if v.curation.name != beside[row]]
    assert len(tried) == ROWS[row][1]
    assert study.model.name == "resnet50"
    assert study.data.image_size == 224
    if study.finetune.mode == "full":  # U4's heads have neither.
        assert len(study.search.learning_rates) * len(study.search.weight_decays) == 20


@pytest.mark.parametrize("row", ROWS)
def test_the_faces_fill_every_set(row):
    """Of the form that is run in minutes, without rendering a face."""
    study = make_study(config_of(row, "faces"))

    class EnoughError(Exception):
        pass

    def check(labelled):
        check_limits(study, labelled)
        raise EnoughError

    with pytest.raises(EnoughError):
        data.load(study.data, check)


@pytest.mark.parametrize("row", ROWS)
def test_the_smoke_form_runs_on_files_as_published(row, tmp_path, once, monkeypatch):
    """From the real reader to the tables of the report, as narrow as it gets."""
    monkeypatch.setattr(figures, "draw", lambda answer, directory: {})  # Half of the time.
    files = ROWS[row][0]
    config = config_of(row, "smoke")
    place = once(f"many-{files}", MAKE[files])
    config.data.path = "" if config.data.sources else str(place)
    if config.data.scores:
        config.data.scores = str(place / "scores.csv")
    for name, source in config.data.sources.items():
        source.path = str(place / name)
    config.data.image_size, config.model.widths = 8, (4,)
    if config.search.learning_rates:  # Heads of U2 and U4 are not searched.
        config.search.update(learning_rates=(0.01,), weight_decays=(), repeats=1, max_epochs=1)
    config.pretrain.epochs, config.answer.replicates = 1, 20
    config.grid.update(devices=1, pack_width=16, mode="map")
    frame = train.run(config, tmp_path)
    variants = ResultDirectory(tmp_path).scores().variants
    assert set(variants["base"]) == set(config.bases)
    assert (variants["status"] == "ok").all()
    assert set(frame["variant"]) == set(variants["variant"])
    assert (tmp_path / "report" / "report.html").exists()


def test_what_is_no_form_is_refused():
    with pytest.raises(InputError, match="valid: faces, smoke"):
        config_of("s1", "fases")
