"""Bases side by side, on scores whose order is planted."""

import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from jaxbias.analysis import comparison, make_answer
from jaxbias.study import AnswerSpec
from tests.analysis.made_up import several

ROLES = {
    "Moco": "studied", "Places": "studied", "ImageNet": "studied", "Twin": "studied",
    "Scratch": "scratch",
}  # fmt: skip
# What of the group is taken up, on natural draws; nothing remains at level 5.
PULL = {"Moco": 0.5, "Places": -0.9, "ImageNet": 4.0, "Twin": -0.5, "Scratch": 0.0}
LEARNT = {"Moco": 2.2, "Places": 1.4, "ImageNet": 3.6, "Twin": 1.4, "Scratch": 0.0}
CURATIONS = ("natural", "correlation 2", "correlation 5")


def score(arm, repeat, target, first, rng):
    _, base, _, curation, _ = arm
    left = {"natural": 1.0, "correlation 2": 0.6, "correlation 5": 0.0}[curation]
    common = np.random.default_rng(0).normal(0, 1, len(target))
    pull = (PULL[base] + rng.normal(0, 0.02)) * left
    return LEARNT[base] * target + pull * first + common + rng.normal(0, 0.2, len(target))


def study_of(roles=None, seeds=5, sizes=(100,)):
    parts = itertools.product((roles or ROLES).items(), CURATIONS, sizes)
    arms = [("target", base, role, curation, n) for (base, role), curation, n in parts]
    return several(arms, score, {"target": (0.5, 0.4)}, count=3900, seeds=seeds)


@pytest.fixture(scope="module")
def studied():
    return study_of()


@pytest.fixture(scope="module")
def answered(studied):
    return make_answer(*studied)


def ranked(answer, curation, metric):
    rows = answer.comparison
    rows = rows[(rows["curation"] == curation) & (rows["metric"] == metric)]
    return {
        row.base: (row.rank_low, row.rank_high) for row in rows.itertuples() if not row.left_out
    }


def truths(curation, count=100_000):
    """Gap and AUC of every base on many examples, by scikit-learn."""
    rng = np.random.default_rng(9)
    first = rng.random(count) < 0.5
    target = rng.random(count) < np.where(first, 0.5, 0.4)
    found = {}
    for base in ROLES:
        one = score(("target", base, "", curation, 0), 0, target, first, rng)
        picked = one >= np.sort(one)[-target.sum()]
        gap = picked[first & ~target].mean() - picked[~first & ~target].mean()
        found[base] = {"fpr_gap": abs(gap), "auc": -roc_auc_score(target, one)}
    return found


def test_the_planted_order_is_recovered(answered):
    gap, auc = (ranked(answered, "natural", metric) for metric in ("fpr_gap", "auc"))
    assert gap == {"Moco": (1, 2), "Twin": (1, 2), "Places": (3, 3), "ImageNet": (4, 4)}
    assert auc == {"Moco": (1, 1), "ImageNet": (2, 2), "Twin": (3, 3), "Places": (4, 4)}
    assert set(ranked(answered, "correlation 5", "fpr_gap").values()) == {(1, 4)}


@pytest.mark.parametrize("curation", CURATIONS[:2])
def test_ranks_hold_those_of_the_truth(answered, curation):
    truth = truths(curation)
    for metric in ("fpr_gap", "auc"):
        found = ranked(answered, curation, metric)
        order = sorted(found, key=lambda base: truth[base][metric])
        for i, base in enumerate(order, 1):
            assert found[base][0] <= i <= found[base][1], (metric, base)


def test_a_base_at_chance_is_not_ranked(answered):
    rows = answered.comparison[answered.comparison["base"] == "Scratch"]
    assert rows["left_out"].str.contains("degenerate").all()
    assert rows[["rank_low", "rank_high", "value"]].isna().all(axis=None)
    assert (answered.comparison["bases"] == 4).all()


def test_values_are_those_of_the_curves_and_differences_theirs(answered):
    curves = answered.curves[answered.curves["group"] == "all"]
    values = curves.set_index(["curation", "metric", "base"])["value"]
    for row in answered.comparison[answered.comparison["left_out"] == ""].itertuples():
        assert row.value == pytest.approx(values[row.curation, row.metric, row.base])
    size = {"fpr_gap": abs, "auc": float}
    pairs = answered.comparison_pairs
    assert len(pairs) == 6 * len(CURATIONS) * 2
    for row in pairs.itertuples():
        own, other = (
            size[row.metric](values[row.curation, row.metric, base])
            for base in (row.base, row.against)
        )
        assert row.difference == pytest.approx(own - other)
        assert row.difference_low < row.difference < row.difference_high


def test_it_is_said_in_words(answered):
    (said,) = (one for one in answered.sentences if one.startswith("Bases"))
    assert said.startswith("Bases (target, natural draws of n = 100, 4 bases; 95% intervals")
    assert "Smallest FPR gap: undecided between Moco (" in said
    assert "); surely not Places, ImageNet." in said
    assert "Largest AUC: surely Moco (0.9" in said
    assert "Not ranked: Scratch (5 of 5 checkpoints degenerate" in said
    fixes = answered.smallest_fix.set_index("base")
    assert fixes.loc["ImageNet", "curation"] == "correlation 5"
    assert "ImageNet (correlation 5, " in said.split("Smallest fix")[1]
    assert said.split("Smallest fix")[1].count("(undecided)") == 3


def test_what_is_not_trained_yet_may_come_anywhere(studied):
    study, dataset, scores = studied
    planned = scores.variants.assign(mode="full")
    missing = (planned["base"] == "Twin") & (planned["curation"] == "natural")
    answer = make_answer(study, dataset, scores.only(~missing.to_numpy()), planned=planned)
    assert ranked(answer, "natural", "fpr_gap") == {
        "Moco": (1, 2), "Places": (2, 3), "ImageNet": (3, 4)
    }  # fmt: skip
    (said,) = (one for one in answer.sentences if one.startswith("Bases"))
    assert "undecided between Moco (+0." in said
    assert ", 1 base not trained yet; surely not Places, ImageNet." in said


def test_one_studied_base_is_no_comparison():
    answer = make_answer(*study_of({"Moco": "studied", "Places": "control"}, seeds=2))
    assert answer.comparison.empty and answer.comparison_pairs.empty
    assert not any(one.startswith("Bases") for one in answer.sentences)


def test_sizes_are_counted_together():
    rows = pd.DataFrame(
        [("a", "A", "studied", 1), ("a", "B", "imported", 1), ("a", "A", "studied", 2),
         ("a", "B", "control", 2), ("b", "A", "studied", 2), ("b", "C", "studied", 2),
         ("pair", "A", "studied", 1), ("pair", "C", "studied", 1)],
        columns=["task", "base", "role", "n"],
    )  # fmt: skip
    assert comparison.rankings(rows, ("a", "b")) == 2


def test_the_best_by_hand():
    rows = pd.DataFrame(
        [("A", 0.02, 1, 1), ("B", -0.12, 2, 3), ("C", 0.15, 2, 3)],
        columns=["base", "value", "rank_low", "rank_high"],
    ).assign(task="t", n=64, population="natural", kind="natural", bases=3, left_out="")
    auc = rows.assign(value=[0.8, 0.9, 0.7], rank_low=[1, 1, 3], rank_high=[2, 2, 3])
    whole = pd.concat([rows.assign(metric="fpr_gap"), auc.assign(metric="auc")])
    (said,) = comparison.sentences(whole, pd.DataFrame(), AnswerSpec())
    assert said == (
        "Bases (t, natural draws of n = 64, 3 bases; 95% intervals for all pairs together). "
        "Smallest FPR gap: surely A (+0.020). Largest AUC: undecided between A (0.800), B (0.900); "
        "surely not C."
    )
    fixes = pd.DataFrame(
        [("A", "confirmed", "correlation 5", 1200.0), ("B", "none", "", np.nan),
         ("C", "confirmed", "correlation 4", 40.0)],
        columns=["base", "verdict", "curation", "images_changed"],
    ).assign(task="t", n=64)  # fmt: skip
    (priced,) = comparison.sentences(whole, fixes, AnswerSpec())
    assert priced == said + (
        " Smallest fix, cheapest first: C (correlation 4, 40 images changed), A (correlation 5, "
        "1,200 images changed), B (none)."
    )
