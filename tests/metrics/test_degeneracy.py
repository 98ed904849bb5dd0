"""Marks of degenerate models: by hand, against SciPy, and never on a sound model."""

import numpy as np
import pytest
from scipy import stats

from jaxbias.metrics import Examples, degenerate, evaluate

N = 400
LABELS = np.arange(N) % 4 == 0  # 100 positives.
GROUPS = np.where(np.arange(N) % 3 == 0, "a", "b")


def sound(seed=0):
    return np.random.default_rng(seed).normal(size=N) + 1.5 * LABELS


def marks(*scores, labels=LABELS, groups=GROUPS, **arguments):
    return degenerate(evaluate(np.stack(scores), labels.astype(int), groups, **arguments)).tolist()


@pytest.mark.parametrize("bootstrap", [0, 50])
def test_many_models_at_once(bootstrap):
    found = marks(
        sound(),
        np.full(N, 0.3),
        sound()[::-1] * 0 + np.arange(N) % 5,
        -sound(),
        bootstrap=bootstrap,
    )
    assert found[0] == ""
    assert found[1].startswith(
        "predicts nothing; ties leave 100 examples (100.0% of the base rate) to chance; AUC 0.500"
    )
    # 80 have the highest of five scores: 20 of 100 would be drawn by lot, and AUC is a chance one.
    assert found[2].startswith("ties leave 20 examples (20.0% of the base rate) to chance; AUC 0.5")
    assert found[3].startswith("AUC 0.1") and "not surely better than chance" in found[3]


def test_more_ones_than_positives_predict_nothing():
    """Scores of two values whose base-rate threshold is the upper one (before they are cut)."""
    ones = LABELS | (np.arange(N) % 4 == 1)
    scores = np.where(ones, 0.9, 0.1) + 1e-9  # No sound order within.
    validation = Examples(scores[None], LABELS.astype(int), GROUPS)
    (found,) = marks(scores, validation=validation, threshold=float(np.float32(scores.max())))
    assert found == "predicts nothing"
    (found,) = marks(scores, threshold=-1.0)
    assert found == "predicts all"


@pytest.mark.parametrize(
    ("tied", "left", "positives"), [(1, 0, 100), (2, 1, 100), (3, 2, 100), (4, 3, 100), (3, 2, 99)]
)
def test_two_percent_and_two_examples(tied, left, positives):
    """`left` of `tied` examples fit: more than two of a hundred are marked, two are not."""
    labels = np.arange(N) < positives
    scores = -np.arange(N, dtype=float)
    scores[positives - left : positives - left + tied] = -(positives - left)
    (found,) = marks(scores, labels=labels)
    expected = left >= 2 and left > 0.02 * positives
    assert found == (
        f"ties leave {left} examples ({left / positives:.1%} of the base rate) to chance"
        if expected
        else ""
    )
    report = evaluate(scores[None], labels.astype(int), weights=np.full(N, 0.1))
    assert report.left_to_chance == pytest.approx(left)


def test_few_positives_may_tie_by_one():
    """1 of 10 is more than 2 %, but fewer than two examples."""
    labels = np.arange(N) < 10
    scores = -np.arange(N, dtype=float)
    scores[9:11] = -9
    report = evaluate(scores[None], labels.astype(int))
    assert report.shortfall == pytest.approx(0.1) and report.left_to_chance == pytest.approx(1)
    assert degenerate(report).tolist() == [""]


def test_a_heavy_example_is_no_tie():
    labels = np.arange(N) < 100
    weights = np.where(np.arange(N) == 60, 80.0, 1.0)  # Too heavy once 60 are selected? It fits.
    weights[100] = 500.0  # A negative that fits nowhere.
    scores = -np.arange(N, dtype=float)
    scores[50] = -100.5
    report = evaluate(scores[None], labels.astype(int), weights=weights)
    assert report.shortfall > 0 and report.left_to_chance == 0
    assert "ties" not in degenerate(report)[0]


def test_thresholds_from_validation_are_looked_at_there():
    tied = Examples(np.round(sound(1))[None], LABELS.astype(int), GROUPS)
    report = evaluate(sound()[None], LABELS.astype(int), GROUPS, validation=tied)
    threshold = report.value("threshold")[0]
    at = (tied.scores[0] == threshold).sum()
    above = (tied.scores[0] > threshold).sum()
    assert at > 100 - above > 2
    assert report.left_to_chance[0] == pytest.approx(100 - above)
    assert degenerate(report)[0].startswith(f"ties leave {100 - above} examples")


def test_chance_is_decided_one_sidedly_at_95_percent():
    """Without a bootstrap it is the Mann–Whitney test of SciPy, without its continuity."""
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(60, N)) + np.linspace(0, 0.5, 60)[:, None] * LABELS
    found = np.array(marks(*scores)) != ""
    p = [
        stats.mannwhitneyu(
            row[LABELS], row[~LABELS], alternative="greater", use_continuity=False
        ).pvalue
        for row in scores
    ]
    np.testing.assert_array_equal(found, np.array(p) >= 0.05)
    assert 5 < found.sum() < 55
    # By replicates it is nearly the same.
    again = np.array(marks(*scores, bootstrap=200)) != ""
    assert (found != again).sum() <= 3


def test_what_was_not_asked_for_marks_nothing():
    flat = np.zeros((1, N))
    assert degenerate(evaluate(flat, LABELS.astype(int), metrics=["ap"])).tolist() == [""]
    (found,) = degenerate(evaluate(flat, LABELS.astype(int), metrics=["auc"]))
    assert found.startswith("AUC 0.500, at least 0.4")
    assert degenerate(evaluate(np.zeros((0, N)), LABELS.astype(int))).tolist() == []


@pytest.mark.parametrize("bootstrap", [0, 20])
def test_without_a_class_or_without_examples(bootstrap):
    labels = np.zeros(N)
    (found,) = degenerate(evaluate(sound()[None], labels, GROUPS, bootstrap=bootstrap))
    assert found == "predicts nothing; AUC undefined: no positive example"
    (found,) = degenerate(evaluate(np.zeros((1, 0)), [], bootstrap=bootstrap))
    assert found == "AUC undefined: no example"


def test_two_examples_have_a_bound():
    (found,) = degenerate(evaluate([[0.1, 0.9]], [0, 1], bootstrap=2))
    assert found.startswith("AUC 1.000, at least 0.") and "nan" not in found
