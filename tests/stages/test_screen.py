"""Screened studies end to end: heads, then rounds of finetunes, cut and resumed and shared."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import jaxbias
from jaxbias import data
from jaxbias.analysis import smallest_fix
from jaxbias.analysis.recipe import apart
from jaxbias.analysis.screening import Standing
from jaxbias.engine.runner import Runner
from jaxbias.errors import InputError
from jaxbias.plan.variants import expand
from jaxbias.stages import outlook, screen
from jaxbias.stages import train as train_stage
from jaxbias.study import in_head_mode, make_study, sweep
from jaxbias.workdir.results import ResultDirectory
from tests.processes import assert_same_bits
from tests.tiny import tiny_config, tiny_dataset, tiny_study

pytestmark = pytest.mark.usefixtures("in_memory")

LEVELS = tuple(range(2, 9))


def screened_config(**changes):
    return tiny_config(
        **{"screen": {"on": True}, "curations": {"correlation": {"levels": LEVELS}}, **changes}
    )


def far_apart(validation, base, n, rule):
    """Heads put the fix at level 3, finetuned models the smallest gap at 6: several rounds."""
    assert (base, n) == ("Grouped", 20)
    rows = validation.variants[validation.variants["kind"] == "correlation"]
    by_heads = (rows["mode"] == "head").all()
    assert by_heads or (rows["mode"] == "full").all()
    levels, centre = rows["level"].unique(), 3 if by_heads else 6.1
    return {
        f"correlation {k:.0f}": Standing(9 - k, (k - centre) / 9, bool(by_heads and k == 3))
        for k in levels
    }


@pytest.fixture(scope="module")
def screened(tmp_path_factory):
    """A screened study, its metrics, and among how many each choice was said to be made."""
    workdir, families = tmp_path_factory.mktemp("screened"), []
    find = smallest_fix.smallest_fix

    def told(validation, test, design, rule):
        families.append(design.family("Grouped", 20))
        return find(validation, test, design, rule)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda spec, check=None: tiny_dataset(seed=spec.seed))
        patch.setattr(screen, "standings", far_apart)
        patch.setattr(smallest_fix, "smallest_fix", told)
        frame = jaxbias.run(screened_config(), workdir)
    return workdir, frame, families


def confirmed_of(plan):
    """Pack by pack, the levels of the studied base that are finetuned; None: the natural draw."""
    return [
        {v.curation.level for v in pack.members if v.base.name == "Grouped"}
        for pack in plan.finetunes
        if pack.members[0].recipe.mode == "full"
    ]


def test_ids_are_those_of_studies_without_a_screen():
    ids = [variant.id for variant in expand(tiny_study(), "d")]
    assert hashlib.sha256("".join(ids).encode()).hexdigest()[:16] == "89ffbce79c7f4fe4"
    on = make_study(tiny_config(screen={"on": True, "solver": "lbfgs", "C": 0.1}))
    assert [variant.id for variant in expand(on, "d")] == ids
    fine = {"n": (20,), "epochs": 1, "batch": 16, "seeds": 2}
    fine |= {"mode": "head", "solver": "lbfgs", "C": 0.1}
    heads = expand(make_study(tiny_config(finetune=fine)), "d")
    assert [v.id for v in expand(in_head_mode(on), "d")] == [v.id for v in heads]


def test_the_whole_grid_is_screened_and_a_window_confirmed_round_by_round(screened):
    plan = ResultDirectory(screened[0]).plan()
    heads = [v for v in plan.variants if v.recipe.mode == "head"]
    assert len(heads) == len(expand(tiny_study(curations=screened_config()["curations"]), "d"))
    full = [v for v in plan.variants if v.recipe.mode == "full"]
    others = [v for v in full if v.base.name != "Grouped"]
    assert {v.curation.name for v in others} == {"natural"}
    assert len(others) == 2 * 2  # Control and Scratch, two repeats.
    levels = [v.curation.level for v in full if v.base.name == "Grouped"]
    # Level 8, which changes the fewest images, is left: at 7, |gap| is no longer below epsilon.
    assert sorted(levels, key=str) == sorted([None, *range(2, 8)] * 2, key=str)
    *_, a, b, c = confirmed_of(plan)
    assert (a, b, c) == ({5}, {6}, {7})  # One step a round, after 2, 3 and 4.


def test_the_answer_is_of_the_confirmed_and_shows_the_screen(screened):
    workdir, frame, _ = screened
    plan = ResultDirectory(workdir).plan()
    full = {v.id for v in plan.variants if v.recipe.mode == "full"}
    assert set(frame["variant"]) == full
    report = workdir / "report"
    assert set(pd.read_csv(report / "variants.csv")["variant"]) == full
    table = pd.read_csv(report / "screen.csv").set_index("curation")
    assert len(table) == 1 + len(LEVELS)
    assert set(table.index[table["confirmed"]]) == {"natural"} | {
        f"correlation {k}" for k in range(2, 8)
    }
    assert np.isnan(table.loc["correlation 8", "gap_confirmed"])
    answered = pd.read_csv(report / "overwritten.csv").query("base == 'Grouped'")
    for row in answered.itertuples():
        assert table.loc[row.curation, "gap_confirmed"] == row.gap
    verdict = pd.read_csv(report / "screen_verdicts.csv").iloc[0]
    assert (verdict["confirmed"], verdict["screened"]) == (6, 7)
    summary = (report / "summary.txt").read_text()
    assert "48 variants were trained as heads on frozen bases; 18 of them were confirmed" in summary
    assert "Screen (target, Grouped, n=20): on validation heads have" in summary
    page = (report / "report.html").read_text()
    assert 'id="figure-screen"' in page
    assert "The whole grid was first screened" in page


def test_the_family_is_all_that_was_screened(screened):
    """Six are confirmed, but each choice between them answers for the whole grid."""
    assert screened[2] == [len(LEVELS)]


def begin_after_bases(whole, workdir):
    """Copies bases and features: what these tests are about comes after them."""
    for name in ("bases", "features"):
        shutil.copytree(whole / name, workdir / name)
    (workdir / "packs").mkdir()
    for pack in ResultDirectory(whole).plan().bases:
        shutil.copy(whole / "packs" / f"{pack.id}.parquet", workdir / "packs")


@pytest.mark.parametrize("after", [7, 10])
def test_cut_anywhere_and_run_again_ends_the_same(screened, tmp_path, monkeypatch, after):
    """In the first round of finetunes, and between rounds: same plan, same bits."""
    monkeypatch.setattr(screen, "standings", far_apart)
    finetune, done = Runner.finetune, []

    def cut(self, pack):
        if len(done) == after:
            raise KeyboardInterrupt
        done.append(pack.id)
        return finetune(self, pack)

    begin_after_bases(screened[0], tmp_path)
    study = make_study(screened_config())
    with monkeypatch.context() as patch:
        patch.setattr(Runner, "finetune", cut)
        with pytest.raises(KeyboardInterrupt):
            train_stage.train(study, tmp_path)
    train_stage.train(study, tmp_path)
    assert_same_bits(tmp_path, screened[0])


def test_stages_extend_the_plan_by_a_round(screened, tmp_path, monkeypatch):
    monkeypatch.setattr(screen, "standings", far_apart)
    whole = ResultDirectory(screened[0]).plan()
    copy = Path(shutil.copytree(screened[0], tmp_path / "copy"))
    directory = ResultDirectory(copy)
    heads = [p for p in whole.finetunes if p.members[0].recipe.mode == "head"]
    for pack in whole.finetunes[len(heads) :]:
        (copy / "packs" / f"{pack.id}.parquet").unlink()
    (copy / "plan.json").unlink()
    study = make_study(screened_config())
    train_stage.train(study, copy, "plan")
    sizes = [0, len(directory.plan().finetunes)]
    assert sizes[-1] == len(heads)
    while sizes[-1] > sizes[-2]:
        train_stage.train(study, copy, "finetune", f"{sizes[-2]}-{sizes[-1] - 1}")
        train_stage.train(study, copy, "plan")
        sizes.append(len(directory.plan().finetunes))
    assert len(sizes) == 1 + 1 + 4 + 1  # Nothing, heads, four rounds, and no more.
    assert_same_bits(copy, screened[0])


def test_a_screen_turned_off_trains_the_rest_and_answers_without_heads(screened, tmp_path):
    copy = Path(shutil.copytree(screened[0], tmp_path / "copy"))
    off = make_study(screened_config(screen={"on": False}))
    more = screened_config(screen={"on": False}, curations={"correlation": {"levels": (8,)}})
    train_stage.train(make_study(more), copy)
    scores = ResultDirectory(copy).scores()
    heads, answering = apart(off, scores)
    assert heads.variants.empty
    assert len(answering.variants) == 18 + 6
    assert set(answering.variants["mode"]) == {"full"}


def test_a_report_before_anything_is_confirmed_says_so(screened, tmp_path):
    copy = Path(shutil.copytree(screened[0], tmp_path / "copy"))
    for pack in ResultDirectory(copy).plan().finetunes:
        if pack.members[0].recipe.mode == "full":
            (copy / "packs" / f"{pack.id}.parquet").unlink()
    with pytest.raises(InputError, match="48 finished variants are heads of a screen and none is"):
        train_stage.write_report(copy)


def test_a_dry_run_estimates_the_heads_and_bounds_of_the_rest(screened, tmp_path, monkeypatch):
    monkeypatch.setattr(screen, "standings", far_apart)
    monkeypatch.setattr(
        outlook, "estimate", lambda runner, plan, experiments, *_, **_run: experiments
    )
    monkeypatch.setattr(outlook, "estimate_text", lambda rows: told.append(rows) or "")
    told = []
    study = make_study(screened_config())
    for workdir in (tmp_path / "new", screened[0]):
        outlook.dry_run(study, workdir)
    sizes = [{name: len(variants) for name, variants in rows.items()} for rows in told]
    assert sizes == [
        {"screen": 48, "confirmed, at least": 10, "confirmed, at most": 20},
        {"screen": 48, "confirmed, asked for by now": 18, "confirmed, at most": 20},
    ]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"finetune": {"mode": "head"}}, r"config\.screen\.on confirms in another mode"),
        ({"screen": {"on": True, "solver": "newton"}}, r"config\.screen\.solver='newton' is"),
        (
            {"screen": {"on": True, "solver": "lbfgs"}, "curations": {"group_dro": True}},
            r"cannot be fitted with config\.screen\.solver='lbfgs'",
        ),
        (
            {"experiments": {"S": sweep.product(learning_rate=(0.1, 0.2))}},
            r"experiments\.S\[0\]: learning_rate makes several recipes",
        ),
    ],
)
def test_settings_that_contradict_a_screen_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        make_study(screened_config(**changes))
