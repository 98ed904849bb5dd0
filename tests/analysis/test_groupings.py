"""Further groupings of made-up scores: by hand, by fairlearn, and a fix that harms a race."""

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import MetricFrame, false_positive_rate, true_positive_rate
from sklearn.metrics import accuracy_score, roc_auc_score

from jaxbias.analysis import make_answer
from jaxbias.errors import InputError
from tests.analysis.made_up import several

FIX, N, RACES = "correlation 5", 100, 7
HARMED, FEW = "r3", "r6"  # The fix raises the scores of one; of the other there are 8 examples.
GROUPINGS = {"race": {"column": "race"}, "group x race": {"crossed": ("group", "race")}}
BASES = {"Gendered": "studied", "Control": "control"}


def races(count):
    found = np.random.default_rng(9).integers(0, RACES - 1, count)
    found[np.flatnonzero(np.arange(count) % 3 == 2)[:8]] = RACES - 1
    return found


def score(arm, repeat, target, first, rng):
    """The studied base's bias is against the first group; the fix moves it to a race."""
    _, base, _, curation, _ = arm
    common = np.random.default_rng(0).normal(0, 1, len(target))
    own = 2.0 * target + common + rng.normal(0, 0.2, len(target))
    if base == "Control":
        return own
    if curation == FIX:
        return own + 1.2 * (races(len(target)) == 3)
    return own + 1.2 * first


@pytest.fixture(scope="module")
def made():
    arms = [("target", b, r, c, N) for b, r in BASES.items() for c in ("natural", FIX)]
    study, dataset, scores = several(
        arms, score, {"target": (0.5, 0.3)}, count=4500, seeds=4, groupings=GROUPINGS
    )
    dataset.table["race"] = pd.Categorical([f"r{i}" for i in races(4500)])
    return study, dataset, scores


@pytest.fixture(scope="module")
def answered(made):
    return make_answer(*made)


def test_rates_are_fairlearns_and_scikit_learns(made, answered):
    _, dataset, scores = made
    mine = (scores.variants["base"] == "Gendered") & (scores.variants["curation"] == FIX)
    table = dataset.table[dataset.table["split"] == "test"]
    weights = natural_weights(dataset)
    labels = dataset.binary("target")
    split = dataset.table["split"].to_numpy()
    test, validation = (split == name for name in ("test", "validation"))
    found = []
    for of_test, of_validation in zip(scores.test[mine], scores.validation[mine], strict=True):
        threshold = base_rate(of_validation, labels[validation], weights[validation])
        sensitive = {"sensitive_features": table["race"].astype(str)}
        sample = {"sample_weight": weights[test]}
        metrics = {
            "fpr": false_positive_rate, "tpr": true_positive_rate, "accuracy": accuracy_score,
        }  # fmt: skip
        frame = MetricFrame(
            metrics=metrics, y_true=labels[test], y_pred=of_test > threshold,
            sample_params=dict.fromkeys(metrics, sample), **sensitive,
        ).by_group  # fmt: skip
        frame["auc"] = [
            roc_auc_score(labels[test][own], of_test[own], sample_weight=weights[test][own])
            for own in ((table["race"] == race).to_numpy() for race in frame.index)
        ]
        found.append(frame)
    expected = sum(found) / len(found)
    rates = answered.grouping_rates
    rates = rates[
        (rates["grouping"] == "race") & (rates["base"] == "Gendered") & (rates["curation"] == FIX)
    ]
    for row in rates[rates["group"] != FEW].itertuples():
        assert row.value == pytest.approx(expected.loc[row.group, row.metric], abs=1e-9)
        assert row.low < row.value < row.high
    gaps = answered.grouping_gaps
    gaps = gaps[
        (gaps["grouping"] == "race") & (gaps["base"] == "Gendered") & (gaps["curation"] == FIX)
    ]
    assert len(gaps) == 4 * 15  # Four metrics, every pair of six groups.
    for row in gaps.itertuples():
        by_hand = expected.loc[row.first, row.metric] - expected.loc[row.second, row.metric]
        assert row.gap == pytest.approx(by_hand, abs=1e-9)
        assert row.low_all <= row.low <= row.gap <= row.high <= row.high_all
    ranges = answered.grouping_ranges
    ranges = ranges[
        (ranges["grouping"] == "race")
        & (ranges["base"] == "Gendered")
        & (ranges["curation"] == FIX)
    ].set_index("metric")
    large = expected.drop(index=FEW)
    for metric in ("fpr", "tpr", "auc", "accuracy"):
        row = ranges.loc[metric]
        assert row["range"] == pytest.approx(np.ptp(large[metric]), abs=1e-9)
        assert (row["highest"], row["lowest"]) == (large[metric].idxmax(), large[metric].idxmin())


def natural_weights(dataset):
    """Of cells to their shares of the finetuning split, with mean 1 in each split."""
    cells = 2 * dataset.binary("target") + (dataset.table["group"] == "b").to_numpy()
    split = dataset.table["split"].to_numpy()
    shares = np.bincount(cells[split == "finetune"]) / (split == "finetune").sum()
    weights = np.zeros(len(cells))
    for name in ("validation", "test"):
        own = split == name
        weights[own] = (shares * own.sum() / np.bincount(cells[own]))[cells[own]]
    return weights


def base_rate(scores, labels, weights):
    """The threshold above which there is at most the weight of the positives."""
    order = np.argsort(-scores, kind="stable")
    above = np.cumsum(weights[order])
    return scores[order][int((above <= weights @ labels + 1e-9).sum())]


def test_a_fix_for_the_group_that_harms_a_race_is_told(answered):
    assert answered.smallest_fix["curation"].tolist() == [FIX]
    fixes = answered.grouping_fixes
    row = fixes[fixes["metric"] == "fpr"].set_index("grouping").loc["race"]
    assert row["verdict"] == "larger"
    assert (row["highest_after"], row["confirmed"]) == (HARMED, True)
    assert row["change"] == pytest.approx(row["after"] - row["before"])
    assert 0 < row["low_family"] < row["low"] < row["change"] < row["high"]
    changes = answered.grouping_changes
    changes = changes[(changes["grouping"] == "race") & (changes["metric"] == "fpr")]
    surely = changes[changes["low_family"] > 0]
    assert surely["group"].tolist() == [HARMED]
    (said,) = (one for one in answered.sentences if one.startswith("Grouping race"))
    assert "surely larger: target from Gendered, n = 100, correlation 5" in said
    assert f"highest {HARMED}" in said
    assert f"The FPR surely rises of {HARMED} (target from Gendered" in said


def test_what_natural_draws_have_is_told_and_nothing_of_equal_races(answered):
    ranges = answered.grouping_ranges
    ranges = ranges[(ranges["metric"] == "fpr") & (ranges["curation"] == "natural")]
    ranges = ranges.set_index(["grouping", "base"])
    assert ranges.loc[("group x race", "Gendered"), "verdict"] == "range"
    assert ranges.loc[("race", "Gendered"), "low"] == 0  # Of 15 pairs none is surely apart.
    assert ranges.loc[("race", "Control"), "low"] == 0
    assert (ranges["range"] > 0).all()
    assert (ranges["low_family"] <= ranges["low"]).all()


def test_groups_too_small_are_left_out_and_named(answered):
    rates = answered.grouping_rates
    few = rates[(rates["grouping"] == "race") & (rates["group"] == FEW)]
    assert few["value"].isna().all()
    counts = few.iloc[0]
    assert counts["positives"] + counts["negatives"] == 8
    assert few["left_out"].str.startswith("too few: ").all()
    assert not rates.loc[rates["left_out"] == "", ["value", "low", "high"]].isna().any().any()
    assert FEW not in set(answered.grouping_gaps["first"]) | set(answered.grouping_gaps["second"])
    (said,) = (one for one in answered.sentences if one.startswith("Grouping race"))
    assert f"Left out: {FEW} (target: too few: " in said


def test_groupings_change_nothing_else(made, answered):
    study, dataset, scores = made
    bare = make_answer(type(study)(**{**vars(study), "groupings": {}}), dataset, scores)
    for name in ("curves", "overwritten", "smallest_fix", "metrics"):
        pd.testing.assert_frame_equal(getattr(bare, name), getattr(answered, name))
    assert bare.grouping_rates.empty
    assert [s for s in answered.sentences if not s.startswith("Grouping")] == bare.sentences


def test_a_column_that_is_not_there_is_named(made):
    study, dataset, scores = made
    wrong = type(study)(**{**vars(study), "groupings": {"x": study.groupings["race"]}})
    without = type(dataset)(
        **{**vars(dataset), "table": dataset.table.rename(columns={"race": "races"})}
    )
    with pytest.raises(InputError, match=r"config\.groupings\.x: .*did you mean 'races'"):
        make_answer(wrong, without, scores)
