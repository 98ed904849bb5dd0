"""End to end in memory-size studies: resume, extend, refuse; one stage, some packs."""

import dataclasses
import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import jaxbias
from jaxbias import data
from jaxbias.analysis.recipe import of_one_recipe
from jaxbias.engine.runner import Runner
from jaxbias.engine.starts import Starts
from jaxbias.errors import InputError
from jaxbias.plan.variants import expand
from jaxbias.stages import outlook, planning, train
from jaxbias.stages.accounting import accounting_text
from jaxbias.study import make_study, sweep
from jaxbias.workdir.results import ResultDirectory
from tests.tiny import tiny_config, tiny_dataset

pytestmark = pytest.mark.usefixtures("in_memory")


def scores_of(workdir):
    scores = ResultDirectory(workdir).scores()
    return dict(zip(scores.variants["variant"], scores.test, strict=True))


def head_config(solver="sgd", **changes):
    finetune = {"n": (20,), "epochs": 1, "batch": 16, "seeds": 2, "mode": "head", "solver": solver}
    return tiny_config(finetune=finetune, **changes)


@pytest.fixture(scope="module", params=["sgd", "lbfgs"])
def headed(request, tmp_path_factory):
    """The same study in mode "head", run once."""
    workdir = tmp_path_factory.mktemp("headed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda spec, check=None: tiny_dataset(seed=spec.seed))
        train.train(make_study(head_config(request.param)), workdir)
    return workdir, request.param


@pytest.fixture
def copy(finished, tmp_path):
    return Path(shutil.copytree(finished[0], tmp_path / "copy"))


def test_run_returns_tidy_metrics_and_writes_the_report(finished):
    workdir, frame = finished
    assert {"variant", "task", "base", "curation", "n", "seed", "metric", "group", "value", "low",
            "high"} <= set(frame.columns)  # fmt: skip
    assert frame["variant"].nunique() == 18
    report = workdir / "report"
    page = (report / "report.html").read_text()
    assert "manifest.parquet" in page
    for name in ("metrics.parquet", "metrics.csv", "summary.txt", "dose_response.png"):
        assert (report / name).stat().st_size > 0
    pd.testing.assert_frame_equal(
        pd.read_parquet(report / "metrics.parquet"), frame, check_dtype=False
    )


def test_per_variant_metrics_equal_scikit_learn_on_the_stored_scores(finished):
    from sklearn.metrics import roc_auc_score

    workdir, frame = finished
    dataset = tiny_dataset()
    test = dataset.table["split"] == "test"
    labels = dataset.binary("target")[test]
    for variant, scores in scores_of(workdir).items():
        rows = frame[(frame["variant"] == variant) & (frame["metric"] == "auc")]
        value = rows.loc[rows["group"] == "all", "value"].item()
        weights = _natural_weights(dataset, test.to_numpy())
        assert value == pytest.approx(
            roc_auc_score(labels, scores, sample_weight=weights), abs=1e-6
        )


def _natural_weights(dataset, test):
    cells = 2 * dataset.binary("target") + dataset.codes("group", ("a", "b"))
    finetune = (dataset.table["split"] == "finetune").to_numpy()
    share = np.bincount(cells[finetune], minlength=4) / finetune.sum()
    return (share / np.bincount(cells[test], minlength=4))[cells[test]]


def test_running_again_trains_nothing(copy, monkeypatch):
    monkeypatch.setattr(Runner, "finetune", None)
    monkeypatch.setattr(Runner, "pretrain", None)
    before = {p.name: p.stat().st_mtime_ns for p in (copy / "packs").iterdir()}
    train.train(make_study(tiny_config()), copy)
    assert before == {p.name: p.stat().st_mtime_ns for p in (copy / "packs").iterdir()}


def test_a_deleted_pack_is_redone_with_the_same_bits(copy, finished):
    plan = ResultDirectory(copy).plan()
    for pack in (plan.finetunes[0], plan.finetunes[-1]):
        (copy / "packs" / f"{pack.id}.parquet").unlink()
    train.train(make_study(tiny_config()), copy)
    expected = scores_of(finished[0])
    for variant, scores in scores_of(copy).items():
        np.testing.assert_array_equal(scores, expected[variant])


def test_more_n_levels_and_seeds_extend_the_plan(copy, finished):
    config = tiny_config(
        finetune={"n": (20, 30), "epochs": 1, "batch": 16, "seeds": 3},
        curations={"correlation": {"levels": (2, 5, 8)}},
    )
    old = ResultDirectory(copy).plan()
    train.train(make_study(config), copy)
    new = ResultDirectory(copy).plan()
    assert new.finetunes[: len(old.finetunes)] == old.finetunes
    assert len(new.variants) == 3 * 4 * 2 * 3
    expected = scores_of(finished[0])
    got = scores_of(copy)
    assert len(got) == 72
    for variant, scores in expected.items():
        np.testing.assert_array_equal(scores, got[variant])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": ("other",)}, r"a study with targets=\['target'\], but the config says"),
        (
            {"data": {"name": "tiny", "image_size": 8, "seed": 1}},
            r"a study with data\.seed=0, but the config says 1",
        ),
        ({"model": {"widths": (8,)}}, r"model\.widths=\[4\]"),
        ({"finetune": {"n": (20,), "epochs": 2, "batch": 16}}, r"finetune\.epochs=1, but .* 2"),
    ],
)
def test_a_directory_of_another_study_is_refused_and_kept(copy, changes, message):
    before = {p: p.stat().st_mtime_ns for p in copy.rglob("*") if p.is_file()}
    with pytest.raises(InputError, match=message):
        train.train(make_study(tiny_config(**changes)), copy)
    assert before == {p: p.stat().st_mtime_ns for p in copy.rglob("*") if p.is_file()}


def test_a_directory_of_other_data_is_refused_where_settings_are_the_same(copy, monkeypatch):
    monkeypatch.setattr(data, "load", lambda spec, check=None: tiny_dataset(seed=1))
    with pytest.raises(InputError, match=r"belongs to a study of other data \(tiny, finger"):
        train.train(make_study(tiny_config()), copy)


def test_a_damaged_pack_is_named(copy):
    path = next(iter(sorted((copy / "packs").glob("*.parquet"))))
    path.write_bytes(path.read_bytes()[:100])
    message = (
        rf"{path.name} is damaged .* delete it and run again: only this pack, of \d \w+, is redone"
    )
    with pytest.raises(InputError, match=message):
        train.write_report(copy)


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_damaged_record_is_named(copy, text):
    (copy / "study.json").write_text(text)
    message = r"study\.json is damaged .*; delete it and run again: .* nothing is trained"
    with pytest.raises(InputError, match=message):
        train.write_report(copy)
    with pytest.raises(InputError, match=message):
        train.train(make_study(tiny_config()), copy)


def test_a_directory_of_an_earlier_version_is_reported_from_scores_alone_and_goes_on(
    copy, monkeypatch
):
    path = copy / "study.json"
    record = json.loads(path.read_text())
    record["settings"]["grid"] |= {"heads_mib": 512, "data_devices": 1}
    del record["settings"]["search"], record["settings"]["model"]["stem"]
    del record["checksum"], record["examples"]
    path.write_text(json.dumps(record))
    for folder in ("report", "bases"):
        shutil.rmtree(copy / folder)
    with monkeypatch.context() as patch:
        patch.setattr(data, "load", None)
        _, page = train.write_report(copy)
    assert page.exists()
    assert train.train(make_study(tiny_config()), copy)["variants"] == 0
    assert "heads_mib" not in path.read_text()


def test_too_large_n_writes_nothing(tmp_path):
    config = tiny_config(finetune={"n": (5000,), "epochs": 1})
    with pytest.raises(InputError, match=r"Lower config\.finetune\.n to \d+"):
        train.train(make_study(config), tmp_path / "new")
    assert not list((tmp_path / "new").rglob("*.json"))


def test_a_workdir_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write .*file/below .*; delete what is in its"):
        train.train(make_study(tiny_config()), tmp_path / "file" / "below")


def test_a_group_without_test_examples_is_named(monkeypatch):
    def without(spec, check=None):
        dataset = tiny_dataset()
        table = dataset.table.copy()
        gone = (table["split"] == "test") & (table["group"] == "b") & table["target"]
        table.loc[gone, "split"] = ""
        return dataclasses.replace(dataset, table=table)

    monkeypatch.setattr(data, "load", without)
    with pytest.raises(InputError, match=r"test split has no example of \(target=1, b\)"):
        train.train(make_study(tiny_config()), "unused")
    assert not Path("unused").exists()


def test_the_accounting_names_every_section_and_compiling_once():
    timings = {
        "data_seconds": 2.0, "write_seconds": 0.2, "finetune_seconds": 6.0,
        "compile_seconds": 1.5, "train_and_score_seconds": 4.0,
    }  # fmt: skip
    rates = {"images_per_second": 1200.0, "variants_per_second": 4.0}
    text = accounting_text({**timings, "report_seconds": 3.0, **rates})
    assert text.splitlines() == [
        "Time: data 2.0 s, finetune 6.0 s, report 3.0 s; "
        "of it compile 1.5 s, train and score 4.0 s, write 0.2 s",
        "Rates: 1,200 images/s rendered or read, and decoded, 4.00 variants/s",
    ]


def test_the_manifest_lists_every_variants_examples(finished):
    manifest = pq.read_table(finished[0] / "manifest.parquet").to_pandas()
    scores = ResultDirectory(finished[0]).scores()
    ids = tiny_dataset().table["id"].to_numpy()
    for row, chosen in zip(manifest.itertuples(), scores.variants["ids"], strict=True):
        assert list(row.examples) == ids[chosen].tolist()


def test_an_unfinished_study_is_reported_as_such(finished, tmp_path):
    copy = Path(shutil.copytree(finished[0], tmp_path / "copy"))
    pack = ResultDirectory(copy).plan().finetunes[0]
    (copy / "packs" / f"{pack.id}.parquet").unlink()
    answer, page = train.write_report(copy)
    whole = len(ResultDirectory(copy).plan().variants)
    told = f"{whole - len(pack.members)} of {whole} planned models are trained"
    assert answer.unfinished.startswith(told)
    assert told in page.read_text()


def test_features_are_extracted_once_per_base(headed, monkeypatch):
    workdir, solver = headed
    files = sorted((workdir / "features").iterdir())
    assert len(files) == 2 * 6  # Three bases × two seeds: an array and its record each.
    assert all(np.load(f).shape == (300, 64) for f in files if f.suffix == ".npy")
    stamps = [f.stat().st_mtime_ns for f in files]
    monkeypatch.setattr(Starts, "features", None)
    train.train(make_study(head_config(solver)), workdir)
    assert stamps == [f.stat().st_mtime_ns for f in files]


def test_heads_are_resumed_with_the_same_bits(headed, tmp_path):
    """A pack, one base's features and half of another's are gone; the rest is kept."""
    copy = Path(shutil.copytree(headed[0], tmp_path / "copy"))
    for pack in ResultDirectory(copy).plan().finetunes:
        (copy / "packs" / f"{pack.id}.parquet").unlink()
    first, second, third = sorted((copy / "features").glob("*.npy"))[:3]
    whole, kept = first.read_bytes(), third.stat().st_mtime_ns
    first.unlink()
    first.with_suffix(".json").unlink()
    second.write_bytes(second.read_bytes()[:-9])
    train.train(make_study(head_config(headed[1])), copy)
    assert first.read_bytes() == whole
    assert third.stat().st_mtime_ns == kept
    expected, got = scores_of(headed[0]), scores_of(copy)
    assert expected.keys() == got.keys()
    for variant, scores in expected.items():
        np.testing.assert_array_equal(scores, got[variant])


def test_heads_extend_and_are_answered(headed, tmp_path):
    copy = Path(shutil.copytree(headed[0], tmp_path / "copy"))
    config = head_config(headed[1], curations={"correlation": {"levels": (2, 5, 8)}})
    train.train(make_study(config), copy)
    got = scores_of(copy)
    assert len(got) == 24
    for variant, scores in scores_of(headed[0]).items():
        np.testing.assert_array_equal(scores, got[variant])
    page = train.write_report(copy)[1].read_text()
    assert "extracted once without flips" in page
    assert "the last layer alone, on a frozen base, instead of all layers" in page


def test_a_pack_that_something_else_has_written_is_refused(copy):
    """A table read and written again has lost its checksum: it may have been edited."""
    path = next(iter(sorted((copy / "packs").glob("*.parquet"))))
    pd.read_parquet(path).to_parquet(path)
    with pytest.raises(InputError, match=rf"{path.name} is damaged \(pack: none recorded"):
        train.write_report(copy)


def test_stages_and_packs_one_at_a_time_make_the_whole(finished, tmp_path, monkeypatch):
    study, workdir = make_study(tiny_config()), tmp_path / "staged"
    directory = ResultDirectory(workdir)
    train.train(study, workdir, "plan")
    plan = directory.plan()
    assert plan == ResultDirectory(finished[0]).plan()
    assert not any(map(directory.has, (*plan.bases, *plan.finetunes)))

    with pytest.raises(InputError, match=r"not pretrained \(.*Grouped.* --stage=pretrain"):
        train.train(study, workdir, "finetune", "0-1")
    train.train(study, workdir, "pretrain", "0")
    assert [directory.has(pack) for pack in plan.bases] == [True, *[False] * len(plan.bases[1:])]
    train.train(study, workdir, "pretrain")
    assert all(map(directory.has, plan.bases))
    ids = f"2,{plan.finetunes[0].id}"
    train.train(study, workdir, "finetune", ids)
    assert [i for i, pack in enumerate(plan.finetunes) if directory.has(pack)] == [0, 2]

    with monkeypatch.context() as patch:
        patch.setattr(data, "load", None)  # What is done is not even looked into.
        assert train.train(study, workdir, "finetune", ids) == {}
        with pytest.raises(InputError, match=r"finetune\.epochs=1, but"):
            changed = {"n": (20,), "epochs": 2, "batch": 16}
            train.train(make_study(tiny_config(finetune=changed)), workdir, "finetune", ids)
        with pytest.raises(InputError, match="there is no pack 99; stage finetune of the plan has"):
            train.train(study, workdir, "finetune", "0,99")
    train.train(study, workdir, "finetune")
    expected = scores_of(finished[0])
    for variant, scores in scores_of(workdir).items():
        np.testing.assert_array_equal(scores, expected.pop(variant))
    assert not expected


def test_what_each_pack_took_is_told(finished):
    (path,) = (finished[0] / "events").glob("*.jsonl")
    events = [json.loads(line) for line in path.read_text().splitlines()]
    plan = ResultDirectory(finished[0]).plan()
    packs = (*plan.bases, *plan.finetunes)
    done = [event for event in events if event["event"] == "pack finished"]
    # Of two devices each trains a base.
    first, second, third, fourth, *rest = [pack.id for pack in packs]
    assert [event["pack"] for event in done] == [first, third, *rest]
    assert [event.get("beside") for event in done[:3]] == [[second], [fourth], None]
    members = {pack.id: len(pack.members) for pack in packs}
    for event in done:
        together = (event["pack"], *event.get("beside", ()))
        assert event["members"] == sum(members[pack] for pack in together)
        assert event["seconds"] >= event["train_and_score_seconds"] + event["compile_seconds"] > 0
        assert event["process_peak_bytes"] > 1e8
    # One epoch of 20 images in batches of 16 is one whole batch.
    finetunes = [event for event in done if event["stage"] == "finetune"]
    assert sum(event["trained_images"] for event in finetunes) == 18 * 16
    assert sum(event["scored_images"] for event in finetunes) == 18 * 200
    claims = [json.loads(path.read_text()) for path in (finished[0] / "claims").iterdir()]
    assert len(claims) == len(packs) + 1 and not any(claim["held"] for claim in claims)


def test_scalars_are_what_tensorboard_reads(finished):
    """Read back record by record, as TFRecord has them; the numbers are those of the events."""
    from tensorboardX.proto.event_pb2 import Event

    (path,) = (finished[0] / "events").glob("*/events.out.tfevents.*")
    content, records = path.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        records.append(Event.FromString(content[12 : 12 + length]))
        content = content[16 + length :]
    assert records[0].file_version == "brain.Event:2"
    got = {(r.step, r.summary.value[0].tag): r.summary.value[0].simple_value for r in records[1:]}
    (log,) = (finished[0] / "events").glob("*.jsonl")
    events = map(json.loads, log.read_text().splitlines())
    done = [event for event in events if event["event"] == "pack finished"]
    for step, event in enumerate(done, 1):
        for name in ("seconds", "trained_images_per_second", "process_peak_bytes"):
            assert got[step, f"{event['stage']}/{name}"] == pytest.approx(event[name], rel=1e-6)


def test_a_dry_run_counts_what_is_done_and_touches_nothing(copy):
    def state():
        return {path: path.stat().st_mtime_ns for path in copy.rglob("*")}

    before = state()
    finetune = {"n": (10, 20), "epochs": 1, "batch": 16, "seeds": 2}
    text = outlook.dry_run(make_study(tiny_config(finetune=finetune)), copy)
    assert text.splitlines()[1].split()[:3] == ["tiny", "36", "18"]
    assert state() == before
    with pytest.raises(InputError, match="use a new workdir"):
        outlook.dry_run(make_study(tiny_config(group={"column": "target"})), copy)


def test_experiments_grow_in_a_directory_and_share_what_is_trained(copy):
    before = scores_of(copy)
    experiments = {"A": sweep.product(curation="natural", seed=0)}
    train.train(make_study(tiny_config(experiments=experiments)), copy)
    assert scores_of(copy).keys() == before.keys()  # The grid held them all.
    experiments["B"] = sweep.product(base="Scratch", curation="correlation 8", n=(10, 20))
    study = make_study(tiny_config(experiments=experiments))
    train.train(study, copy)
    after = scores_of(copy)
    assert len(after) == len(before) + 4
    for id, scores in before.items():
        np.testing.assert_array_equal(scores, after[id])
    assert make_study(ResultDirectory(copy).stored_study()["settings"]) == study


def test_models_of_another_recipe_are_no_repeats(tmp_path):
    def config(*rates):
        points = sweep.product(learning_rate=rates, curation=("natural", *sweep.levels((2, 5))))
        return tiny_config(experiments={"E": points})

    frame = jaxbias.run(config(0.02, 0.1), tmp_path)
    plan = ResultDirectory(tmp_path).plan()
    alone = expand(make_study(config(0.02)), plan.data)
    assert set(frame["variant"]) == {variant.id for variant in alone}
    assert len(scores_of(tmp_path)) == 36
    summary = (tmp_path / "report" / "summary.txt").read_text()
    assert "18 variants of other recipes" in " ".join(summary.split())
    # One recipe, whichever, needs no choice; several without config.finetune's are refused.
    scores = ResultDirectory(tmp_path).scores()
    rates = scores.variants["learning_rate"]
    other = scores.only((rates == 0.1).to_numpy())
    assert of_one_recipe(make_study(config(0.1)), other) == (other, [])
    neither = dataclasses.replace(
        scores, variants=scores.variants.assign(learning_rate=rates.replace(0.02, 0.3))
    )
    with pytest.raises(InputError, match=r"recipe \(learning_rate=0\.02\), and no finished"):
        of_one_recipe(make_study(config(0.1, 0.3)), neither)


def test_a_store_beyond_the_memory_is_fed_from_the_host_with_the_same_bits(finished, tmp_path):
    workdir = tmp_path / "fed"
    config = tiny_config(grid={"pack_width": 4, "devices": 2, "store": "host"})
    train.train(make_study(config), workdir)
    told = ResultDirectory(workdir).scores().variants["layouts"]
    assert {json.loads(layouts)[0]["store"] for layouts in told} == {"host"}
    expected, found = scores_of(finished[0]), scores_of(workdir)
    assert expected.keys() == found.keys()
    for id, scores in expected.items():
        np.testing.assert_array_equal(scores, found[id])
    small = make_study(tiny_config(grid={"memory_mib": 1, "devices": 2}))
    big = dataclasses.replace(tiny_dataset(), images=np.zeros((1, 512, 512, 3), np.uint8))
    assert planning.layout_of(small, tiny_dataset()).store == "device"
    assert planning.layout_of(small, big).store == "host"
