"""A search in its directory: walked in one go, cut anywhere, shared by engines; refused growth."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jaxbias import data
from jaxbias.cli.command import main
from jaxbias.engine.trials import Trials
from jaxbias.errors import InputError
from jaxbias.plan.search import Searched
from jaxbias.stages import outlook, train
from jaxbias.study import make_study, to_dict
from jaxbias.workdir.results import ResultDirectory
from tests.processes import assert_same_bits, events, finished, kill, start, wait_for
from tests.tiny import tiny_config, tiny_dataset

pytestmark = pytest.mark.usefixtures("in_memory")

SEARCH = {
    "learning_rates": (0.2, 0.02),
    "weight_decays": (0.0, 1e-3),
    "eta": 2,
    "keep": 0.5,
    "first_epochs": 1,
    "max_epochs": 4,
    "criterion": "val_auc",
}


def study_of(mode="full", **changes):
    finetune = {"n": (20,), "batch": 16, "seeds": 2, "mode": mode}
    bases = {
        "Grouped": {"role": "studied", "target": "group", "curation": "class_balanced"},
        "Scratch": {"role": "scratch"},
    }
    changes = {"search": SEARCH, "finetune": finetune, "bases": bases} | changes
    return make_study(tiny_config(**changes))


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """The study in one go."""
    workdir = tmp_path_factory.mktemp("searched") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda spec, check=None: tiny_dataset(seed=spec.seed))
        train.run(study_of(), workdir)
    return workdir


def trials_of(workdir):
    return pd.read_parquet(workdir / "search.parquet")


def test_the_record_the_finetunes_and_the_report_agree(searched):
    trials = trials_of(searched)
    assert len(trials) == 2 * 4 * 2
    assert trials["loss"].map(len).tolist() == trials["epochs"].tolist()
    choices = pd.read_csv(searched / "report" / "choices.csv").set_index("base")
    variants = ResultDirectory(searched).scores().variants
    assert len(variants) == 2 * 3 * 2
    for base, arm in variants.groupby("base"):
        own = choices.loc[base]
        for field in ("learning_rate", "weight_decay", "epochs"):
            assert set(arm[field]) == {own[field]}
        # The choice is the best mean of the repeats after any epoch, among trials of any length.
        curves = trials[trials["base"] == base].groupby(["learning_rate", "weight_decay"])["auc"]
        means = {key: 1 - np.stack(repeats.to_list()).mean(axis=0) for key, repeats in curves}
        best = min(means, key=lambda key: means[key].min())
        assert (own["learning_rate"], own["weight_decay"]) == best
        assert own["epochs"] == 1 + means[best].argmin()
    page = (searched / "report" / "report.html").read_text()
    assert "Hyperparameters" in page and "Searched at" in page
    assert "searched once per base, task and n at correlation 2" in page
    assert not (searched / "rungs").exists()


def test_interrupted_and_run_again_gives_the_same_bits(searched, tmp_path, monkeypatch):
    """In the middle of the second rung, which goes on from stored states; the first has 4 packs."""
    workdir, count = tmp_path / "run", 5
    trials, calls = Trials.train, []

    def stopping(self, *args, **kwargs):
        if len(calls) == count:
            raise KeyboardInterrupt
        calls.append(0)
        return trials(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Trials, "train", stopping)
        with pytest.raises(KeyboardInterrupt):
            train.train(study_of(), workdir)
    assert len(list((workdir / "rungs").iterdir())) == count
    train.train(study_of(), workdir)
    assert_same_bits(workdir, searched)
    assert trials_of(workdir).equals(trials_of(searched))


def test_a_trial_whose_state_is_gone_is_trained_from_its_first_step(searched, tmp_path):
    workdir = Path(shutil.copytree(searched, tmp_path / "run"))
    last = ResultDirectory(workdir).plan().rungs[-1]
    (workdir / "packs" / f"{last.id}.parquet").unlink()
    (workdir / "search.parquet").unlink()
    (workdir / "rungs").mkdir()
    for pack in ResultDirectory(workdir).plan().rungs:
        (workdir / "rungs" / f"{pack.id}.npz").write_bytes(b"damaged")
    train.train(study_of(), workdir)
    assert trials_of(workdir).equals(trials_of(searched))


def test_stage_by_stage_as_an_engine_does(searched, tmp_path):
    workdir, study = tmp_path / "run", study_of()
    train.train(study, workdir, "plan")
    with pytest.raises(InputError, match=r"not chosen yet: 16 trials of 16 .*--stage=search"):
        train.train(study, workdir, "finetune")
    with pytest.raises(InputError, match="run --stage=pretrain first"):
        train.train(study, workdir, "search")
    train.train(study, workdir, "pretrain")
    first = ResultDirectory(workdir).plan().rungs
    train.train(study, workdir, "search", f"0-{len(first) - 1}")
    assert ResultDirectory(workdir).plan().rungs == first  # Some packs alone: nothing follows.
    train.train(study, workdir, "plan")
    assert len(ResultDirectory(workdir).plan().rungs) > len(first)
    train.train(study, workdir, "search")
    train.train(study, workdir, "finetune", "0")
    train.train(study, workdir, "finetune")
    assert_same_bits(workdir, searched)


_CHILD = """
import sys
import jax; jax.config.update("jax_num_cpu_devices", 2)
from jaxbias import data
from jaxbias.stages import train
from jaxbias.study import make_study
from tests.tiny import tiny_dataset
data.load = lambda spec, check=None: tiny_dataset()
train.train(make_study({study}), sys.argv[1])
"""


def test_processes_share_a_search_and_one_may_be_killed(searched, tmp_path):
    """End to end: bases, rungs of one plan that both extend, finetunes; the other takes over."""
    workdir = tmp_path / "run"
    code = _CHILD.format(study=to_dict(study_of()))
    one, other = (start(code, workdir) for _ in range(2))
    packs = workdir / "packs"
    # Two packs of bases, and the search has begun.
    wait_for(lambda: len(list(packs.glob("*.parquet"))) > 3, one)
    kill(one)
    assert other.wait(timeout=300) == 0
    assert_same_bits(workdir, searched)
    assert trials_of(workdir).equals(trials_of(searched))
    done = [pack for told in events(workdir).values() for pack in finished(told)]
    assert {*done} <= {path.stem for path in packs.iterdir()}
    assert len(done) == len({*done})


def test_a_study_grows_by_arms_and_its_choices_stay(searched, tmp_path):
    workdir = Path(shutil.copytree(searched, tmp_path / "run"))
    before = ResultDirectory(workdir).plan()
    more = study_of(finetune={"n": (20, 12), "batch": 16, "seeds": 3})
    train.train(more, workdir, "plan")
    plan = ResultDirectory(workdir).plan()
    assert plan.finetunes == before.finetunes  # Until the new search has its choice.
    assert plan.rungs[: len(before.rungs)] == before.rungs
    new = [trial for pack in plan.rungs[len(before.rungs) :] for trial in pack.members]
    assert {Searched.of(trial).n for trial in new} == {12}
    assert {(trial.recipe.epochs, trial.seed) for trial in new} == {(1, 0), (1, 1)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"search": {}}, r"search\.learning_rates"),
        ({"search": SEARCH | {"eta": 3}}, r"search\.eta=2\.0, but the config says 3\.0"),
        (
            {"curations": {"correlation": {"levels": (2, 5, 8)}}},
            r"searched curation of target=correlation 2, but .* correlation 5; keep it",
        ),
        ({"evaluations": {"natural": {"level": 5}}}, "evaluation population"),
    ],
)
def test_what_choices_rest_on_cannot_change(searched, changes, message):
    with pytest.raises(InputError, match=message):
        train.train(study_of(**changes), searched)


def test_levels_may_grow_where_the_searched_curation_is_kept(searched, tmp_path):
    search = SEARCH | {"curation": "correlation 2"}
    grown = study_of(search=search, curations={"correlation": {"levels": (2, 5, 8)}})
    ResultDirectory(searched).check(grown)


@pytest.mark.parametrize("mode", ["head", "last_block"])
def test_other_modes_are_searched_too(mode, tmp_path):
    search = {"learning_rates": (0.2, 0.02), "first_epochs": 1, "max_epochs": 2}
    study = study_of(mode, bases={"Scratch": {"role": "scratch"}}, search=search)
    train.train(study, tmp_path)
    trials = trials_of(tmp_path)
    assert set(trials["mode"]) == {mode}
    assert trials["epochs"].value_counts().to_dict() == {2: 4}  # Of two, 70 % rounded up are two.
    chosen = trials[trials["status"] == "chosen"]
    variants = ResultDirectory(tmp_path).scores().variants
    assert set(variants["learning_rate"]) == set(chosen["learning_rate"])


def test_a_dry_run_counts_the_trials(searched):
    lines = outlook.dry_run(study_of(), searched).splitlines()
    row = next(line for line in lines if line.startswith("search"))
    assert row.split()[1:3] == ["28", "28"]  # 16, 8 and 4 trials, all done.


def test_the_command_refuses_a_search_of_nothing(tmp_path, capsys):
    config = tmp_path / "c.py"
    config.write_text(
        "from jaxbias import default_config\n"
        "def get_config():\n"
        "    config = default_config()\n"
        "    config.targets = ('Smiling',)\n"
        "    config.bases.Scratch = {'role': 'scratch'}\n"
        "    return config\n"
    )
    with pytest.raises(SystemExit):
        main(["jaxbias", "run", f"--config={config}", f"--workdir={tmp_path}", "--stage=search"])
    assert "config.search has nothing to try" in capsys.readouterr().err


def test_old_plans_are_read(searched, tmp_path):
    workdir = Path(shutil.copytree(searched, tmp_path / "run"))
    content = json.loads((workdir / "plan.json").read_text())
    del content["rungs"], content["checksum"]
    (workdir / "plan.json").write_text(json.dumps(content))
    assert ResultDirectory(workdir).plan().rungs == ()
