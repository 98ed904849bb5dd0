"""A directory is tied to no devices: begun in one layout, a study goes on in another."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxbias import data
from jaxbias.costs import packing
from jaxbias.files import pack_files, sealed
from jaxbias.plan.variants import Base
from jaxbias.stages import outlook, train
from jaxbias.study import make_study
from jaxbias.workdir.results import ResultDirectory
from tests.stages.pretrained import study as looped
from tests.tiny import tiny_config, tiny_dataset

pytestmark = pytest.mark.usefixtures("in_memory")

# Devices and mode.
FOUR, TWO, ONE, VMAPPED = (4, "map"), (2, "map"), (1, "map"), (2, "vmap")


def study(layout, **changes):
    devices, mode = layout
    grid = {"pack_width": 4, "devices": devices, "mode": mode}
    return make_study(tiny_config(grid=grid, **changes))


@pytest.fixture
def whole(once):
    """Returns `whole(layout)`, the directory of the study as it is trained in one layout alone."""

    def made(layout):
        name = "layout-{}-{}".format(*layout)
        return once(name, lambda path: train.train(study(layout), path))

    return made


def rows_of(workdir):
    """Every variant: its layouts, draws and scores."""
    scores = ResultDirectory(workdir).scores()
    table = scores.variants
    columns = (table["variant"], table["layouts"], table["ids"], scores.test)
    return {v: (json.loads(told), ids, test) for v, told, ids, test in zip(*columns, strict=True)}


def begun(layout, workdir):
    """A study whose bases and first two packs are done in a layout; returns their members."""
    for stage, packs in (("pretrain", ""), ("finetune", "0-1")):
        train.train(study(layout), workdir, stage, packs)
    return {member.id for pack in ResultDirectory(workdir).plan().finetunes[:2]
            for member in pack.members}  # fmt: skip


@pytest.mark.parametrize(
    ("first", "then"), [(FOUR, ONE), (FOUR, TWO), (ONE, FOUR), (FOUR, VMAPPED)]
)
def test_begun_in_one_layout_it_goes_on_in_another(first, then, whole, tmp_path):
    workdir = tmp_path / "run"
    before = begun(first, workdir)
    bases = {path: path.stat().st_mtime_ns for path in (workdir / "bases").rglob("*")}
    train.train(study(then), workdir)
    assert bases == {path: path.stat().st_mtime_ns for path in (workdir / "bases").rglob("*")}

    plan = ResultDirectory(workdir).plan()
    assert plan == ResultDirectory(whole(first)).plan() == ResultDirectory(whole(then)).plan()
    found = rows_of(workdir)
    expected = {layout: rows_of(whole(layout)) for layout in (first, then)}
    scratch = {v.id for v in plan.variants if v.base.role == "scratch"}
    for id, (layouts, ids, test) in found.items():
        (layout,) = layouts
        ran = layout["devices"], layout["mode"]
        assert ran == (first if id in before else then)
        assert layout["platform"] == layout["device"] == "cpu"
        assert (layout["width"], layout["jax"]) == (4, jax.__version__)
        for other in expected.values():  # A few float32 steps: all layouts agree closely.
            np.testing.assert_array_equal(ids, other[id][1])
            np.testing.assert_allclose(test, other[id][2], atol=1e-5)
        if id in before or id in scratch:  # The others start from bases of another layout.
            np.testing.assert_array_equal(test, expected[ran][id][2])


def test_the_report_says_where_layouts_were_mixed_and_only_there(whole, tmp_path):
    mixed = Path(shutil.copytree(whole(FOUR), tmp_path / "mixed"))
    directory = ResultDirectory(mixed)
    *_, last = directory.plan().finetunes
    directory.pack_path(last).unlink()
    train.train(study(ONE), mixed)
    answer, page = train.write_report(mixed)
    by = f"by 'map' (JAX {jax.__version__})"
    count = len(last.members)
    sentence = (
        f"Layouts were mixed: {18 - count} finetunings on 4 × cpu {by}, "
        f"{count} finetunings on 1 × cpu {by}; trained numbers are equal bit for bit within one"
    )
    assert sentence in answer.methods
    assert "Layouts were mixed" in page.read_text()
    alone, _ = train.write_report(shutil.copytree(whole(FOUR), tmp_path / "one"))
    assert "Layouts" not in alone.methods


def test_a_plan_is_the_same_wherever_it_is_made(tmp_path):
    plans = []
    for i, grid in enumerate(
        ({"devices": 4}, {"devices": 1, "mode": "vmap", "store": "host", "memory_mib": 64})
    ):
        workdir = tmp_path / str(i)
        given = make_study(tiny_config(grid={"pack_width": 4, **grid}))
        train.train(given, workdir, "plan")
        plans.append((workdir / "plan.json").read_bytes())
        train.train(given, workdir, "pretrain", "1")
        directory = ResultDirectory(workdir)
        done = [directory.has(pack) for pack in directory.plan().bases]
        assert done == [False, True, *[False] * (len(done) - 2)]
    assert plans[0] == plans[1]


def test_bases_are_pretrained_side_by_side_with_the_bits_of_one_alone(whole, tmp_path):
    workdir = tmp_path / "run"
    for place in range(4):
        train.train(study(FOUR), workdir, "pretrain", str(place))
    alone, together = ResultDirectory(workdir), ResultDirectory(whole(FOUR))
    assert [len(pack.members) for pack in alone.plan().bases] == [1] * 4
    assert alone.parameters() == together.parameters()
    told = [json.loads(line) for path in (whole(FOUR) / "events").glob("*.jsonl")
            for line in path.read_text().splitlines()]  # fmt: skip
    leader, *beside = [pack.id for pack in together.plan().bases]
    (end,) = [e for e in told if e["event"] == "pack finished" and e["stage"] == "pretrain"]
    assert (end["pack"], end["beside"], end["members"]) == (leader, beside, 4)


def test_a_directory_whose_plan_fixed_devices_goes_on(tmp_path, monkeypatch):
    """As an earlier version left it: bases in pairs, for two devices, and nothing of layouts."""
    workdir = tmp_path / "old"
    with monkeypatch.context() as patch:
        pairs = lambda study, member: 2 if isinstance(member, Base) else 4  # noqa: E731
        patch.setattr(packing, "most_members", pairs)
        train.train(study(TWO), workdir, "plan")
    train.train(study(TWO), workdir, "pretrain", "0")  # All that the first two packs start from.
    train.train(study(TWO), workdir, "finetune", "0-1")
    directory = ResultDirectory(workdir)
    old = directory.plan()
    assert [len(pack.members) for pack in old.bases] == [2, 2]
    for pack in (old.bases[0], *old.finetunes[:2]):
        table = directory.read_pack(pack).drop_columns(["layouts"])
        pack_files.write(directory.pack_path(pack), table.to_pandas().to_dict("records"))
    fixed = {"format": 2, "mode": "map", "devices": 2, "store": "device"}
    sealed.write(workdir / "plan.json", {**old.content, **fixed})
    before = directory.scores()

    grown = {"n": (10, 20), "epochs": 1, "batch": 16, "seeds": 2}
    train.train(study(ONE, finetune=grown), workdir)
    plan = directory.plan()
    assert plan.bases == old.bases
    assert plan.finetunes[: len(old.finetunes)] == old.finetunes
    assert json.loads((workdir / "plan.json").read_text())["format"] == 3
    after = directory.scores()
    assert len(after.variants) == 36
    kept = after.only(after.variants["variant"].isin(before.variants["variant"]).to_numpy())
    np.testing.assert_array_equal(kept.test, before.test)
    answer, _ = train.write_report(workdir)
    earlier = "in a layout that an earlier version did not record"
    assert f"mixed: 2 bases {earlier}, 2 bases on 1 × cpu" in answer.methods
    assert f"8 finetunings {earlier}, 28 finetunings on 1 × cpu" in answer.methods


def test_a_dry_run_counts_the_same_packs_on_any_devices(whole, tmp_path):
    workdir = Path(shutil.copytree(whole(FOUR), tmp_path / "run"))
    directory = ResultDirectory(workdir)
    directory.pack_path(directory.plan().finetunes[0]).unlink()
    lines = []
    for layout in (FOUR, ONE):
        text = outlook.dry_run(study(layout), workdir)
        lines.append(text.splitlines()[1].split()[:5])  # Variants, done, packs, programs.
        assert f"{layout[0]} × cpu" in text
    assert lines[0] == lines[1] == ["tiny", "18", "14", "5", "1"]


def test_a_base_pretrained_step_by_step_goes_on_with_other_devices(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "load", lambda spec, check=None: tiny_dataset())
    whole, workdir = tmp_path / "whole", tmp_path / "run"
    train.train(looped(), whole, "pretrain")
    shutil.copytree(whole, workdir)
    for kind in ("bases", "packs"):
        shutil.rmtree(workdir / kind)
    for path in (workdir / "pretraining").glob("*/15"):
        shutil.rmtree(path)
    train.train(looped(grid={"devices": 1}), workdir, "pretrain")
    ours, theirs = ResultDirectory(workdir), ResultDirectory(whole)
    rows = ours.base_rows(ours.plan())
    for told in map(json.loads, rows["layouts"]):
        assert [layout["devices"] for layout in told] == [2, 1]
    np.testing.assert_allclose(rows["loss"], theirs.base_rows(theirs.plan())["loss"], atol=1e-4)
