"""Limits: what the data cannot fill is one line with all of it, before an image is decoded."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from jaxbias import InputError, data, make_study
from jaxbias.data.faces import builder
from jaxbias.engine.curator import Curator
from jaxbias.engine.limits import check_limits, curated_sets, realised_sizes, shrunk_text
from jaxbias.plan.variants import expand
from jaxbias.stages import outlook, planning, train
from tests.tiny import tiny_config, tiny_dataset, tiny_study

LEVELS = {"correlation": {"levels": (0, 2, 5, 9)}}


def refused(dataset=None, **changes):
    with pytest.raises(InputError) as raised:
        check_limits(tiny_study(**changes), dataset or tiny_dataset())
    return str(raised.value)


def without(split, group, target):
    """The tiny data without one cell in one split."""
    dataset = tiny_dataset()
    table = dataset.table.copy()
    gone = (table["split"] == split) & (table["group"] == group) & (table["target"] == target)
    table.loc[gone, "split"] = ""
    return dataclasses.replace(dataset, table=table)


def test_the_sets_of_a_study_are_those_its_variants_draw():
    points = [{"curation": "correlation 3", "n": 8}, {"base": "Scratch", "seed": 0}]
    for study in (
        tiny_study(curations=LEVELS | {"dfr": True}, finetune={"n": (8, 20), "seeds": 2}),
        tiny_study(experiments={"E": points}),
    ):
        drawn = {(v.task, v.curation, v.n) for v in expand(study, "d")}
        assert set(curated_sets(study)) == drawn


def test_all_shortages_are_one_line_and_its_n_satisfies_them_all():
    shape = {"epochs": 1, "batch": 4, "seeds": 1}
    text = refused(curations=LEVELS, finetune={"n": (20, 90, 300), **shape}, pretrain={"n": 400})
    assert text.count("\n") == 0
    assert "of 15 curated sets cannot be drawn: " in text
    assert "at n=300 needs" in text
    assert "Also: 2 of 2 curated sets cannot be drawn: base 'Control': curation" in text
    assert "base 'Grouped': curation 'class_balanced' at n=400 needs 200 examples" in text
    n = int(text.partition("Lower config.finetune.n to ")[2].partition(",")[0])
    pretrain = int(text.partition("Lower config.pretrain.n to ")[2].partition(",")[0])
    assert 20 < n < 90
    fitting = tiny_study(
        curations=LEVELS, finetune={"n": (20, n), **shape}, pretrain={"n": pretrain, "batch": 4}
    )
    check_limits(fitting, tiny_dataset())
    in_points = refused(experiments={"E": [{"n": 300}]})
    assert "Lower n of config.experiments to" in in_points


def test_every_task_that_cannot_be_evaluated_is_told():
    dataset = without("finetune", "b", True)
    text = refused(dataset, targets=("target", "other"), curations=LEVELS)
    assert "the finetune split has no example of (target=1, b)" in text
    assert "ower config.finetune.n" not in text
    check_limits(tiny_study(curations=LEVELS), without("test", "b", True), trained=False)


def test_a_batch_beyond_the_whole_training_is_refused():
    shape = {"n": (8, 20), "seeds": 1}
    text = refused(finetune={"epochs": 2, "batch": 17, **shape})
    assert text == (
        "config.finetune.batch=17 is more than the 16 images that 2 epochs of 'natural' of target "
        "(n=8) have; lower it, or raise config.finetune.epochs or n"
    )
    check_limits(tiny_study(finetune={"epochs": 2, "batch": 16, **shape}), tiny_dataset())
    fitted = {"mode": "head", "solver": "lbfgs", "batch": 99}
    check_limits(tiny_study(finetune={**shape, **fitted}), tiny_dataset())
    text = refused(pretrain={"n": 40, "epochs": 1, "batch": 41})
    assert "config.pretrain.batch=41 is more than the 40 images that 1 epoch of a base" in text
    searched = {"learning_rates": (0.1,), "first_epochs": 1, "max_epochs": 8}
    assert "1 epoch of" in refused(search=searched, finetune={"epochs": 9, "batch": 17, **shape})


def test_a_set_of_one_class_is_drawn_again_or_refused_in_one_line():
    dataset = tiny_dataset()
    rare = dataset.table["target"].to_numpy(bool) & (np.arange(len(dataset.table)) % 40 < 4)
    dataset = dataclasses.replace(
        dataset, table=dataset.table.assign(target=pd.array(rare, "boolean"))
    )
    shape = {"epochs": 8, "batch": 4, "seeds": 1}
    check_limits(tiny_study(finetune={"n": (8,), **shape}, curations={}), dataset)
    text = refused(dataset, finetune={"n": (1,), **shape}, curations={})
    assert "curation 'natural' at n=1 has 1 image and none of (target=1, a or target=1, b)" in text
    assert "\n" not in text


def test_a_column_that_is_no_source_is_told_before_training():
    text = refused(curations={"source_mix": {"levels": (3,)}})
    assert text.startswith("curation 'source_mix': tiny has no label column 'source'; ")


def test_what_removal_leaves_is_not_called_shrunk():
    removal = {"reduce_only": {"levels": (5,)}, "on_shortage": "shrink"}
    study = tiny_study(curations=removal)
    assert shrunk_text(study, tiny_dataset()) == ""
    short = tiny_study(curations=removal, finetune={"n": (90,), "epochs": 1, "batch": 4})
    assert "of 90 for target, reduce_only 5 from 2" in shrunk_text(short, tiny_dataset())


def test_what_shrinks_is_told_with_its_sizes():
    changes = {"curations": LEVELS | {"on_shortage": "shrink"}, "finetune": {"n": (90,), "seeds": 1,
               "epochs": 1, "batch": 4}}  # fmt: skip
    study, dataset = tiny_study(**changes), tiny_dataset()
    check_limits(study, dataset)
    sizes = realised_sizes(study, dataset)
    assert sizes.columns.tolist() == ["task", "curation", "n", "realised_n", "quotas"]
    curator = Curator(study, dataset)
    for variant in expand(study, "d"):
        (row,) = sizes[sizes["curation"] == variant.curation.name].itertuples()
        drawn = curator.finetune(variant)
        assert row.realised_n == len(drawn.ids)
        assert list(json.loads(row.quotas).values()) == drawn.counts.tolist()
    small = sizes[sizes["realised_n"] < 90]
    text = shrunk_text(study, dataset)
    assert f"too small for {len(small)} of 5 curated sets" in text
    for row in small.itertuples():
        assert f"{row.realised_n} of 90 for target, {row.curation}" in text
    assert len(small) >= 3
    assert shrunk_text(tiny_study(), dataset) == ""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder whose images are none: reading one is refused."""
    monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path / "home"))
    dataset = tiny_dataset()
    labels = dataset.table.assign(file=[f"{i}.png" for i in range(len(dataset.table))])
    labels.drop(columns=["id", "stratum"]).to_csv(tmp_path / "labels.csv", index=False)
    for name in labels["file"]:
        (tmp_path / name).write_bytes(b"no image")
    return {"name": "folder", "path": str(tmp_path), "split_column": "split", "image_size": 8}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"finetune": {"n": (300,), "epochs": 1, "batch": 16}}, "Lower config.finetune.n to"),
        ({"pretrain": {"n": 300, "batch": 16}}, "Lower config.pretrain.n to"),
        ({"finetune": {"n": (8,), "epochs": 1, "batch": 16}}, "finetune.batch=16 is more than"),
        ({"model": {"name": "convnett"}}, "did you mean 'convnet'"),
        ({"model": {"name": "vit_s_16"}}, "is no multiple of that"),
        ({"model": {"widths": (65536,) * 3}}, "GiB of memory, and"),
        ({"grid": {"devices": 4096}}, "config.grid.devices=4096, but this process has 8"),
        ({"pretrain": {"n": 40, "batch": 7, "engine": "loop"}}, "batch=7 cannot be shared out"),
        ({"bases": {"I": {"role": "imported", "weights": "nowhere"}}}, "nowhere"),
    ],
)
def test_nothing_is_decoded_for_what_is_refused(folder, tmp_path, changes, message):
    study = make_study(tiny_config(data=folder, **changes))
    for attempt in (
        lambda: train.train(study, tmp_path / "out"),
        lambda: outlook.dry_run(study, tmp_path / "out"),
    ):
        with pytest.raises(InputError) as raised:
            attempt()
        assert message in str(raised.value)
    assert not (tmp_path / "home").exists()
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match=r"image '0\.png' cannot be decoded"):
        train.train(make_study(tiny_config(data=folder)), tmp_path / "out")


def test_images_that_are_skipped_are_counted_after_all(folder, tmp_path):
    from PIL import Image

    good = np.flatnonzero(np.arange(400) % 10 == 1)  # All of the finetuning split.
    for i in good:
        Image.new("RGB", (8, 8)).save(tmp_path / f"{i}.png")
    study = make_study(tiny_config(data=folder | {"on_bad_image": "skip"}))
    with pytest.raises(InputError, match=r"cannot be drawn|has no example of"):
        train.train(study, tmp_path / "out")
    assert len(pd.read_csv(tmp_path / "labels.csv")) == 400


def test_nothing_is_rendered_for_what_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(builder, "build", lambda *_: pytest.fail("rendered"))
    faces = {"population": {"pretrain": 50, "finetune": 50, "validation": 50, "test": 50},
             "cell_minimum": {}}  # fmt: skip
    study = make_study(
        {
            "data": {"image_size": 16, "faces": faces},
            "targets": ("Smiling",),
            "bases": {"Scratch": {"role": "scratch"}},
        }
    )
    with pytest.raises(InputError, match=r"Lower config\.finetune\.n to"):
        train.train(study, tmp_path / "out")
    assert not (tmp_path / "home").exists()


def test_the_store_of_a_disk_that_is_too_small_is_refused_with_its_size(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path))
    from jaxbias.data.source import Source
    from jaxbias.data.store import open_store

    ids = pd.DataFrame({"id": [f"{i}" for i in range(10**6)], "split": "test"})
    source = Source("many", "key", ids, read=lambda row: pytest.fail("decoded"))
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 2**31}))
    with pytest.raises(
        InputError,
        match=r"1,000,000 decoded images of 1024 × 1024: 2,929\.7 GiB in .*, and 2\.0 GiB are free",
    ):
        open_store(source, 1024, "error")
    assert list(tmp_path.iterdir()) == []


def test_the_check_costs_little_on_a_large_grid():
    points = [
        {"curation": f"correlation {level}", "n": n, "seed": seed}
        for level in range(11)
        for n in range(8, 20)
        for seed in range(50)
    ]
    shape = {"epochs": 2, "batch": 8}
    study = tiny_study(experiments={"E": points}, finetune=shape)
    assert len(curated_sets(study)) == 11 * 12
    check_limits(study, tiny_dataset())


def test_data_load_takes_a_check(folder):
    seen = []
    with pytest.raises(InputError, match="enough"):

        def stop(labelled):
            seen.append(labelled)
            raise InputError("enough")

        data.load(make_study(tiny_config(data=folder)).data, stop)
    assert seen[0].images.shape == (0, 8, 8, 3)
    assert len(seen[0].table) == 400


def test_the_data_of_a_study_say_what_shrank(monkeypatch):
    monkeypatch.setattr(
        data, "load", lambda spec, check: (check(tiny_dataset()), tiny_dataset())[1]
    )
    changes = {"curations": LEVELS | {"on_shortage": "shrink"}, "finetune": {"n": (90,), "seeds": 1,
               "epochs": 1, "batch": 4}}  # fmt: skip
    study = tiny_study(**changes)
    assert shrunk_text(study, tiny_dataset()) in planning.load_data(study).notes
    with pytest.raises(InputError, match=r"Lower config\.finetune\.n to"):
        planning.load_data(tiny_study(**(changes | {"curations": LEVELS})))


def test_groupings_that_the_data_lack_are_in_that_line():
    text = refused(groupings={"x": {"column": "othr"}}, finetune={"n": (3000,), "seeds": 1})
    assert "config.groupings.x: tiny has no label column 'othr'; did you mean 'other'?" in text
    assert text.index("config.groupings") < text.index("at n=3000 needs")
    table = tiny_dataset().table
    gone = (table["split"] == "test") & table["other"] & table["target"]
    dataset = dataclasses.replace(tiny_dataset(), table=table[~gone].reset_index(drop=True))
    named = {"x": {"column": "other", "values": ("0", "1")}}
    assert "config.groupings.x: group 'other=1' has 0 positive and" in refused(
        dataset, groupings=named
    )
    check_limits(tiny_study(groupings={"x": {"column": "other"}}), dataset)
