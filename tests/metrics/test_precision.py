"""Average precision against scikit-learn; normalised against its definition and by hand."""

import numpy as np
import pytest
from hypothesis import given
from sklearn.metrics import average_precision_score

from jaxbias.metrics import evaluate
from tests.metrics.strategies import (
    CASES,
    PRECISION,
    assert_values,
    evaluated,
    examples,
    members,
    ranks,
)


def normalized_by_definition(scores, labels, weights, common):
    """Σ ΔR·P with P = R·N/(R·N + FP), at every distinct score from the highest down."""
    total, recall_before = 0.0, 0.0
    for threshold in np.unique(scores)[::-1]:
        selected = weights * (scores >= threshold)
        recall = selected @ labels / (weights @ labels)
        false_positives = selected @ (1 - labels)
        if recall > recall_before:
            precision = recall * common / (recall * common + false_positives)
            total += (recall - recall_before) * precision
        recall_before = recall
    return total


@CASES
@given(examples(variants=8))
def test_ap_equals_scikit_learn(drawn):
    scores, labels, groups, weights = drawn
    for used in (weights, None):
        report = evaluate(scores, labels, groups, weights=used, metrics=PRECISION)
        w = np.ones(len(labels)) if used is None else used
        for group, inside in members(report, groups, w):
            arguments = {} if used is None else {"sample_weight": w[inside]}
            expected = [
                average_precision_score(labels[inside], ranks(row)[inside], **arguments)
                for row in scores
            ]
            assert_values(report, "ap", group, expected)


@CASES
@given(examples(variants=8))
def test_normalized_ap_equals_its_definition(drawn):
    scores, labels, groups, weights = drawn
    for common in (0.5, 3.0, 40.0):
        report = evaluated(drawn, metrics=PRECISION, common_positives=common)
        for group, inside in members(report, groups, weights):
            expected = [
                normalized_by_definition(row[inside], labels[inside], weights[inside], common)
                for row in scores
            ]
            assert_values(report, "normalized_ap", group, expected)


@CASES
@given(examples(variants=8))
def test_with_its_own_positives_nothing_is_normalized(drawn):
    report = evaluated(drawn, metrics=PRECISION)
    for group in report.groups:
        assert_values(report, "normalized_ap", group, report.value("ap", group))


@pytest.mark.parametrize(
    ("scores", "labels", "weights", "common", "expected"),
    [
        # R = ½, FP = 0: 1. R = 1, FP = 1: 4/(4 + 1). Each adds half of a recall.
        ([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0], None, 4, (1 + 4 / 5) / 2),
        # With N = 1 instead: 1 and 1/2.
        ([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0], None, 1, 3 / 4),
        # All tie: R = 1, FP = 3, N = 2.
        ([0.5, 0.5, 0.5, 0.5], [1, 0, 0, 0], None, 2, 2 / 5),
        # One tie of a positive and a negative of weight 3: R = ¼, FP = 3, then R = 1, FP = 3.
        ([0.9, 0.9, 0.2], [1, 0, 1], [1, 3, 3], 6, (1.5 / 4.5) / 4 + (6 / 9) * 3 / 4),
        # Nothing is wrong: 1 whatever N is.
        ([0.9, 0.8, 0.1], [1, 1, 0], None, 100, 1),
    ],
)
def test_hand_worked(scores, labels, weights, common, expected):
    report = evaluate([scores], labels, weights=weights, metrics=PRECISION, common_positives=common)
    assert report.value("normalized_ap")[0] == pytest.approx(expected, abs=1e-12)


def test_common_number_is_the_mean_over_targets_in_each_channel():
    rng = np.random.default_rng(0)
    n, targets = 60, 3
    scores = rng.normal(size=(8, n, targets)).round(1).astype(np.float32)
    labels = (rng.random((n, targets)) < [0.2, 0.5, 0.8]).astype(int)
    labels[:4] = [[0] * 3, [0] * 3, [1] * 3, [1] * 3]
    groups, weights = np.tile(["first", "second"], n // 2), rng.random(n) + 0.1
    report = evaluate(scores, labels, groups, weights=weights, metrics=PRECISION)
    for group, inside in members(report["0"], groups, weights):
        common = (weights[inside] @ labels[inside]).mean()
        for t in range(targets):
            expected = [
                normalized_by_definition(row[inside, t], labels[inside, t], weights[inside], common)
                for row in scores
            ]
            assert_values(report[str(t)], "normalized_ap", group, expected)


def test_no_positive_example_has_no_precision():
    report = evaluate([[0.1, 0.2, 0.3]], [0, 0, 1], ["a", "a", "b"], metrics=PRECISION)
    for metric in PRECISION:
        assert np.isnan(report.value(metric, "a"))
        assert report.undefined(metric, "a") == "no positive example in group a"
        assert report.value(metric, "b") == 1
