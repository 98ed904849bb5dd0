"""Tasks of classes and of labels, from a config to the report."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

import jaxbias
from jaxbias import data
from jaxbias.stages import outlook, train
from jaxbias.study import make_study
from jaxbias.workdir.results import ResultDirectory
from tests.several import KINDS, several_config, several_dataset

SEARCHED = "learning_rate"


def whole_study():
    """A target beside both, searched."""
    search = {"learning_rates": (0.2, 0.02), "first_epochs": 1, "max_epochs": 2, "eta": 2}
    return several_config(targets=("target",), search=search)


@pytest.fixture
def in_memory(monkeypatch):
    monkeypatch.setattr(data, "load", lambda spec, check=None: several_dataset(seed=spec.seed))


@pytest.fixture(scope="module")
def finished(once):
    """The whole study with its report."""

    def make(workdir):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(data, "load", lambda spec, check=None: several_dataset(seed=spec.seed))
            jaxbias.run(whole_study(), workdir)

    return once("several", make)


def test_scores_are_of_every_output_and_read_back(finished):
    scores = ResultDirectory(finished).scores()
    for task, outputs in (("target", 1), ("kind", 3), ("looks", 3)):
        chosen = (scores.variants["task"] == task).to_numpy()
        assert chosen.sum() == 8
        assert scores.matrix("test", chosen).shape == (8, 100 * outputs)
        assert np.isfinite(scores.matrix("validation", chosen)).all()


def test_macro_metrics_are_scikit_learns_on_the_stored_scores(finished):
    metrics = pd.read_parquet(finished / "report" / "metrics.parquet")
    scores, table = ResultDirectory(finished).scores(), several_dataset().table
    test = (table["split"] == "test").to_numpy()
    groups = table["group"].to_numpy()[test]
    labels = np.stack([table["mark"], table["round"], table["other"]], axis=1)[test]
    true = {
        "kind": np.stack([table["kind"].to_numpy()[test] == kind for kind in KINDS], axis=1),
        "looks": labels,
    }
    for task, own in true.items():
        chosen = (scores.variants["task"] == task).to_numpy()
        found = scores.matrix("test", chosen).reshape(8, 100, 3)
        for variant, each in zip(scores.variants["variant"][chosen], found, strict=True):
            rows = metrics[metrics["variant"] == variant].set_index(["metric", "group"])["value"]
            for group in ("all", "a", "b"):
                inside = np.full(100, True) if group == "all" else groups == group
                for name, of in (("auc", roc_auc_score), ("ap", average_precision_score)):
                    values = []
                    for t in range(3):
                        known = inside & ~pd.isna(own[:, t])
                        values.append(of(own[known, t].astype(bool), each[known, t]))
                    assert rows[f"macro_{name}", group] == pytest.approx(np.mean(values), abs=1e-6)
            hit = own[np.arange(100), each.argmax(axis=1)]
            if task == "kind":
                assert rows["top_1_hit_rate", "all"] == pytest.approx(hit.mean())


def test_the_report_has_their_tables_and_says_that_there_is_no_verdict(finished):
    report = finished / "report"
    page, macro = (report / "report.html").read_text(), pd.read_csv(report / "macro.csv")
    assert "Tasks of many classes and labels" in page and "Other metrics of kind" in page
    assert "1 target · 2 tasks of several outputs" in page and "Chosen configurations" in page
    assert (report / "several.png").stat().st_size > 0
    said = (report / "summary.txt").read_text()
    assert "kind is a task of classes: the rules of the answer, of binary tasks, give no" in said
    assert "looks is a task of labels" in said
    assert set(macro["task"]) == {"kind", "looks"}
    row = macro[
        (macro["task"] == "kind")
        & (macro["base"] == "Scratch")
        & (macro["curation"] == "natural")
        & (macro["metric"] == "worst_group_macro_auc")
    ]
    assert len(row) == 1 and 0 < row["value"].item() < 1
    outputs = pd.read_csv(report / "outputs.csv")
    assert set(outputs.loc[outputs["task"] == "kind", "output"]) == set(KINDS)
    assert set(outputs.loc[outputs["task"] == "looks", "output"]) == {"mark", "round", "other"}
    verdicts = pd.read_csv(report / "inherited_verdicts.csv")
    assert set(verdicts["task"]) == {"target"}


def test_interrupted_it_goes_on_bit_for_bit(finished, in_memory, tmp_path):
    workdir = Path(shutil.copytree(finished, tmp_path / "copy"))
    directory = ResultDirectory(workdir)
    before = directory.scores()
    for pack in directory.plan().finetunes[::2]:
        directory.pack_path(pack).unlink()
    train.train(make_study(whole_study()), workdir)
    after = ResultDirectory(workdir).scores()
    assert before.variants["variant"].tolist() == after.variants["variant"].tolist()
    for old, new in zip(before.test, after.test, strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("kind", ["classes", "labels"])
def test_a_study_of_such_tasks_alone_is_answered(kind, in_memory, tmp_path):
    other = {"classes": {"labels": {}}, "labels": {"classes": ()}}[kind]
    config = several_config(finetune={"n": (20,), "epochs": 1, "batch": 16, "seeds": 1}, **other)
    study = make_study(config)
    assert "scores" in outlook.dry_run(study, tmp_path / "run")
    train.train(study, tmp_path / "run")
    answer, page = train.write_report(tmp_path / "run")
    assert len(answer.macro) and answer.inherited_verdicts.empty
    text = page.read_text()
    assert "no verdict" in text and "0 targets" not in text and "Inheritance is claimed" not in text
    loss = {"classes": "softmax cross-entropy", "labels": "the mean binary cross-entropy"}[kind]
    assert loss in text


def test_the_choice_of_a_search_is_where_scikit_learns_loss_is_lowest(finished):
    """A finetune at the searched curation is the chosen trial at its chosen epoch."""
    trials = pd.read_parquet(finished / "search.parquet")
    scores, table = ResultDirectory(finished).scores(), several_dataset().table
    held, v = (table["split"] == "validation").to_numpy(), scores.variants
    choices = pd.read_csv(finished / "report" / "choices.csv").set_index(["task", "base"])
    assert len(trials) == 3 * 2 * 2 * 2
    for (task, base), own in trials[trials["task"] != "target"].groupby(["task", "base"]):
        assert set(own["curation"]) == {"natural"}
        choice = choices.loc[(task, base)]
        means = {rate: np.stack(part["loss"]).mean(0) for rate, part in own.groupby(SEARCHED)}
        best = min(means, key=lambda rate: means[rate].min())
        assert (choice[SEARCHED], choice["epochs"]) == (best, 1 + means[best].argmin())
        arm = (v["task"] == task) & (v["base"] == base)
        assert set(v.loc[arm, SEARCHED]) == {best}
        for trial in own[own["status"] == "chosen"].itertuples():
            same = arm & (v["curation"] == "natural") & (v["seed"] == trial.repeat)
            (found,) = scores.matrix("validation", same.to_numpy()).astype(np.float64)
            loss = _loss(task, found.reshape(100, 3), table[held])
            assert trial.loss[choice["epochs"] - 1] == pytest.approx(loss, rel=1e-5)


def _loss(task, logits, table):
    """The mean over examples: of classes, or of the labels that an example has known."""
    if task == "kind":
        odds = np.exp(logits)
        return log_loss(table["kind"].cat.codes, odds / odds.sum(axis=1, keepdims=True))
    true = table[["mark", "round", "other"]].astype("float").to_numpy()
    known = ~np.isnan(true)
    weights = known / known.sum(axis=1, keepdims=True)
    p = 1 / (1 + np.exp(-logits[known]))
    return log_loss(true[known].astype(int), p, sample_weight=weights[known])
