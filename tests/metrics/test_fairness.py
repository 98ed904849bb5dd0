"""Fairness metrics against fairlearn and SciPy, their formulas, and tables worked by hand."""

import warnings

import fairlearn.metrics as fairness
import numpy as np
import pytest
from hypothesis import given
from scipy.stats import wasserstein_distance
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from jaxbias.metrics import evaluate
from tests.metrics.strategies import CASES, FEW, assert_values, evaluated, examples

CUT = np.float32(0.2)
DISTANCE = ("score_distance",)


def smaller(ratios):
    """The smaller ratio; undefined when either is 0/0, which fairlearn decides by order."""
    return np.nan if np.isnan(ratios).any() else ratios.min()


@pytest.mark.parametrize("groups", [2, 5])
def test_parities_equal_fairlearn(groups):
    @FEW
    @given(examples(variants=2, groups=groups))
    def check(drawn):
        scores, labels, names, weights = drawn
        report = evaluated(drawn, threshold=float(CUT))
        for v, row in enumerate(scores):
            predicted = (row > CUT).astype(int)
            sides = {"sensitive_features": names, "sample_weight": weights}
            arguments = (labels, predicted)
            odds = fairness.MetricFrame(
                metrics={"fpr": fairness.false_positive_rate, "tpr": fairness.true_positive_rate},
                y_true=labels,
                y_pred=predicted,
                sensitive_features=names,
                sample_params={name: {"sample_weight": weights} for name in ("fpr", "tpr")},
            )
            expected = {
                "equalized_odds_difference": fairness.equalized_odds_difference(
                    *arguments, **sides
                ),
                "equalized_odds_mean_difference": fairness.equalized_odds_difference(
                    *arguments, **sides, agg="mean"
                ),
                "equalized_odds_ratio": smaller(odds.ratio().to_numpy()),
                "demographic_parity_difference": fairness.demographic_parity_difference(
                    *arguments, **sides
                ),
                "demographic_parity_ratio": fairness.demographic_parity_ratio(*arguments, **sides),
            }
            for metric, value in expected.items():
                assert report.value(metric)[v] == pytest.approx(value, abs=1e-6, nan_ok=True), (
                    metric
                )
            if not np.isnan(expected["equalized_odds_ratio"]):
                ratio = fairness.equalized_odds_ratio(*arguments, **sides)
                assert report.value("equalized_odds_ratio")[v] == pytest.approx(ratio)

    with warnings.catch_warnings():  # fairlearn divides 0 by 0 aloud.
        warnings.simplefilter("ignore", RuntimeWarning)
        check()


@FEW
@given(examples(variants=4, groups=5))
def test_each_group_equals_fairlearn(drawn):
    scores, labels, names, weights = drawn
    report = evaluated(drawn, threshold=float(CUT))
    peers = {
        "accuracy": accuracy_score,
        "balanced_error": lambda *a, **k: 1 - balanced_accuracy_score(*a, **k),
        "fnr": fairness.false_negative_rate,
        "tnr": fairness.true_negative_rate,
    }
    for v, row in enumerate(scores):
        frame = fairness.MetricFrame(
            metrics=peers,
            y_true=labels,
            y_pred=(row > CUT).astype(int),
            sensitive_features=names,
            sample_params={name: {"sample_weight": weights} for name in peers},
        )
        for metric in peers:
            for group, value in frame.by_group[metric].items():
                assert report.value(metric, group)[v] == pytest.approx(value), metric
            assert report.value(f"{metric}_gap")[v] == pytest.approx(frame.difference()[metric])


@pytest.mark.parametrize("groups", [2, 5])
def test_formulas(groups):
    @CASES
    @given(examples(variants=8, groups=groups))
    def check(drawn):
        scores, labels, names, weights = drawn
        report = evaluated(drawn, threshold=float(CUT))
        each = sorted(set(names))

        def average(values, name, label=None):
            inside = (names == name) & (True if label is None else labels == label)
            return np.average(values[..., inside], axis=-1, weights=weights[inside])

        above = scores > CUT
        odds = np.stack([[average(above, name, y) for name in each] for y in (0, 1)])
        spread = odds[:, 0] - odds[:, 1] if groups == 2 else np.ptp(odds, axis=1)
        assert_values(report, "average_odds_difference", "all", spread.mean(axis=0))
        ranges = np.ptp(odds, axis=1)
        assert_values(report, "equalized_odds_difference", "all", ranges.max(axis=0))
        assert_values(report, "equalized_odds_mean_difference", "all", ranges.mean(axis=0))
        selected = np.stack([average(above, name) for name in each])
        assert_values(report, "demographic_parity_difference", "all", np.ptp(selected, axis=0))
        # Wang and Russakovsky (2021), A → T with one target: ±[P(T̂|A) − P(T|A)].
        base = np.array([average(labels.astype(float), name) for name in each])
        sign = np.where(base > np.average(labels, weights=weights), 1, -1)
        amplified = (sign[:, None] * (selected - base[:, None])).mean(axis=0)
        assert_values(report, "bias_amplification", "all", amplified)

    check()


def test_bias_amplification_by_hand():
    """Women: P(T|A) 1/4, predicted 0; men: 3/4, predicted 1. Overall P(T) 1/2.

    A quarter is taken from those who had less and given to those who had more: ¼ on average.
    """
    groups = ["female"] * 4 + ["male"] * 4
    labels = [1, 0, 0, 0, 1, 1, 1, 0]
    more, less = [0.1] * 4 + [0.9] * 4, [0.9, 0.9, 0.1, 0.1] * 2
    report = evaluate([more, less], labels, groups, threshold=0.5)
    assert report.value("bias_amplification").tolist() == [0.25, -0.25]
    # Where nobody has more than their share the sign is −, as in the paper.
    report = evaluate([more], [1, 1, 0, 0] * 2, groups, threshold=0.5)
    assert report.value("bias_amplification").tolist() == [0]


def test_train_weighted_accuracy_by_hand():
    """Cells (negative, positive): a ½ and 1, b 1 and 0; trained on shares 1 : 2 and 3 : 4."""
    report = evaluate(
        [[0.1, 0.9, 0.8, 0.2, 0.3]],
        [0, 0, 1, 0, 1],
        ["a", "a", "a", "b", "b"],
        threshold=0.5,
        metrics=["train_weighted_accuracy", "mean_group_accuracy", "worst_group_accuracy"],
        train_shares={"a": (1, 2), "b": (3, 4)},
    )
    value = report.value("train_weighted_accuracy")[0]
    assert value == pytest.approx((1 * 0.5 + 2 * 1 + 3 * 1 + 4 * 0) / 10)
    assert report.value("mean_group_accuracy")[0] == pytest.approx(2.5 / 4)
    assert report.value("worst_group_accuracy")[0] == 0


@pytest.mark.parametrize("groups", [2, 5])
def test_score_distance_equals_scipy(groups):
    @CASES
    @given(examples(variants=8, groups=groups, infinite=False))
    def check(drawn):
        scores, _, names, weights = drawn
        report = evaluated(drawn, metrics=DISTANCE)
        sides = [(names == name) & (weights > 0) for name in sorted(set(names))]
        expected = [
            max(
                wasserstein_distance(row[a], row[b], weights[a], weights[b])
                for i, a in enumerate(sides)
                for b in sides[i + 1 :]
            )
            for row in scores.astype(np.float64)
        ]
        assert_values(report, "score_distance", "all", expected)

    check()


def test_score_distance_by_hand():
    """A half of b lies 0.4 higher and a half as high as a: 0.2."""
    scores = [[0.1, 0.3, 0.5, 0.3]]
    report = evaluate(scores, [0, 1, 0, 1], ["a", "a", "b", "b"], metrics=DISTANCE)
    assert report.value("score_distance")[0] == pytest.approx(0.2)


def test_a_ratio_of_zeros_is_undefined():
    """No false positive anywhere: equal, but 0/0 has no value."""
    report = evaluate([[0.9, 0.1, 0.8, 0.2]], [1, 0, 1, 0], ["a", "a", "b", "b"], threshold=0.5)
    assert np.isnan(report.value("equalized_odds_ratio"))
    assert report.undefined("equalized_odds_ratio") == "a rate is 0 in every group"
    assert report.value("demographic_parity_ratio") == 1
    nothing = evaluate([[0.1] * 4], [1, 0, 1, 0], ["a", "a", "b", "b"], threshold=0.5)
    assert np.isnan(nothing.value("demographic_parity_ratio"))
    assert nothing.undefined("demographic_parity_ratio") == "a rate is 0 in every group"
