"""Salience on made-up scores: by hand, by scikit-learn, in closed form, and how often it errs."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from jaxbias.analysis import make_answer
from jaxbias.analysis.salience import ARRANGEMENTS
from tests.analysis.made_up import several

QUADRANTS = {"evaluations": {"natural": {}, "balanced": {"level": 5, "prevalence": "0.5"}}}
# What a network takes up of the target and of the group.
WEIGHTS = {"Loud": (2.0, 0.5), "Even": (1.0, 1.0), "Quiet": (0.3, 2.0)}
REPEATED = [f"Even{i}" for i in range(20)]


def taken_up(arm, repeat, target, group, rng):
    """Where both are one a score is of both; where they disagree, men are positive."""
    task, _, _, curation, _ = arm
    own, other = WEIGHTS[task.rstrip("0123456789")]
    side = group if curation == ARRANGEMENTS[0] else ~group
    return own * target + other * side + rng.normal(0, 1, len(target))


def study_of(tasks, **changes):
    arms = [(task, "Scratch", "scratch", c, 100) for task in tasks for c in ARRANGEMENTS]
    positive = {"Quiet": (0.7, 0.2)}  # The population of equal cells does not depend on it.
    return several(arms, taken_up, positive, **{**QUADRANTS, **changes})


@pytest.fixture(scope="module")
def answered():
    study, dataset, scores = study_of((*WEIGHTS, *REPEATED), count=3600)
    return make_answer(study, dataset, scores), dataset, scores


def closed(own, other):
    """AUC for what is taken up with weight `own` beside an independent one of weight `other`."""
    moved = np.array([own, own, own - other, own + other]) / np.sqrt(2)
    return stats.norm.cdf(moved).mean()


def test_salience_is_near_its_closed_form(answered):
    table = answered[0].salience.set_index("task")
    for task, (own, other) in WEIGHTS.items():
        row = table.loc[task]
        truth = closed(other, own) - closed(own, other) + 0.5
        assert row["salience"] == pytest.approx(truth, abs=0.04)
        assert row["low_family"] < truth < row["high_family"]
    assert table["more_salient"][[*WEIGHTS]].tolist() == ["target", "undecided", "group"]


def test_salience_is_made_of_scikit_learns_aucs(answered):
    answer, dataset, scores = answered
    test = (dataset.table["split"] == "test").to_numpy()
    row = answer.salience.set_index("task").loc["Quiet"]
    target = dataset.binary("Quiet")[test]
    group = (dataset.table["group"] == "a").to_numpy()[test].astype(int)
    cells = 2 * target + group
    weights = (1 / np.bincount(cells))[cells]
    by_hand = []
    for curation in ARRANGEMENTS:
        mine = scores.variants["task"].eq("Quiet") & scores.variants["curation"].eq(curation)
        aucs = [
            [roc_auc_score(label, one, sample_weight=weights) for label in (group, target)]
            for one in scores.test[mine]
        ]
        folded = np.maximum(aucs, 1 - np.array(aucs))
        by_hand.append((folded[:, 0] - folded[:, 1] + 0.5).mean())
    assert row["agreeing"] == pytest.approx(by_hand[0], abs=1e-6)
    assert row["disagreeing"] == pytest.approx(by_hand[1], abs=1e-6)
    assert row["salience"] == pytest.approx(np.mean(by_hand), abs=1e-6)


def test_salience_is_said_in_words(answered):
    (said,) = (one for one in answered[0].sentences if one.startswith("Salience"))
    assert (
        "Salience (Scratch, n = 100, 5 checkpoints). Surely more salient than group: Loud" in said
    )
    assert "surely less: Quiet" in said
    assert "undecided: Even" in said
    assert f"all {len(WEIGHTS) + len(REPEATED)} together" in said


def test_intervals_hold_the_truth_as_often_as_they_say(answered):
    rows = answered[0].salience
    rows = rows[rows["task"].str.startswith("Even")]  # Of these it is 0.5.
    held = int(((rows["low"] < 0.5) & (rows["high"] > 0.5)).sum())
    assert stats.binom.cdf(held, len(rows), 0.95) > 0.001
    assert ((rows["low_family"] < 0.5) & (rows["high_family"] > 0.5)).all()
    assert (rows["more_salient"] == "undecided").all()


def test_one_arrangement_alone_is_no_salience():
    study, dataset, scores = study_of(("Even",))
    only = scores.only((scores.variants["curation"] == ARRANGEMENTS[0]).to_numpy())
    assert make_answer(study, dataset, only).salience.empty


def test_a_study_without_a_population_of_equal_cells_does_not_ask():
    answer = make_answer(*study_of(("Even",), evaluations={"natural": {}}))
    assert answer.salience.empty
    assert not any(one.startswith("Salience") for one in answer.sentences)


def test_a_missing_arrangement_makes_the_family_no_smaller():
    study, dataset, scores = study_of(("Even", "Loud"))
    planned = scores.variants.assign(mode="full")
    missing = (planned["task"] == "Loud") & (planned["curation"] == ARRANGEMENTS[1])
    whole = make_answer(study, dataset, scores, planned=planned).salience.set_index("task")
    part = make_answer(study, dataset, scores.only(~missing.to_numpy()), planned=planned).salience
    assert part["task"].tolist() == ["Even"]
    for name in ("low", "high", "low_family", "high_family"):
        assert part[name].item() == pytest.approx(whole.loc["Even", name])
