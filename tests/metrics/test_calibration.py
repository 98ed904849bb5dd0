"""Brier score and log loss against scikit-learn; calibration errors against a plain loop."""

import math

import numpy as np
import pytest
from hypothesis import given
from scipy.special import expit
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as scikit_log_loss

from jaxbias.errors import InputError
from jaxbias.metrics import evaluate
from jaxbias.metrics.bootstrap import draw_multiplicities
from tests.metrics.strategies import (
    CALIBRATION,
    CASES,
    assert_values,
    evaluated,
    examples,
    members,
    probabilities,
)

BINS = 15


def calibration_error(bins, values, labels, weights):
    """Σ_b (n_b/n)·|mean label − mean probability|."""
    total = 0.0
    for b in set(bins):
        inside = np.array([one == b for one in bins])
        held = weights[inside].sum()
        apart = np.average(labels[inside] - values[inside], weights=weights[inside])
        total += held / weights.sum() * abs(apart)
    return total


def equal_width_bins(values):
    """The b of (b/15, (b + 1)/15]; 0 is in the first."""
    edges = np.arange(1, BINS + 1) / BINS
    return [int(np.flatnonzero(value <= edges)[0]) for value in values]


def equal_mass_bins(values, weights):
    """By the share of the weight that lies strictly above, so that ties stay together."""
    above = [weights[values > value].sum() / weights.sum() for value in values]
    return [math.floor(BINS * share + 1e-9) for share in above]


@CASES
@given(probabilities())
def test_brier_and_log_loss_equal_scikit_learn(drawn):
    scores, labels, groups, weights = drawn
    # scikit-learn keeps float32 this far from 0 and 1, and then takes logarithms in float32.
    edge = float(np.finfo(np.float32).eps)
    kept = np.clip(scores.astype(np.float64), edge, 1 - edge)
    for used in (weights, None):
        report = evaluate(scores, labels, groups, weights=used, metrics=CALIBRATION)
        w = np.ones(len(labels)) if used is None else used
        for group, inside in members(report, groups, w):
            arguments = {} if used is None else {"sample_weight": w[inside]}
            y = labels[inside]
            expected = [brier_score_loss(y, row[inside], **arguments) for row in scores]
            assert_values(report, "brier", group, expected)
            expected = [scikit_log_loss(y, row[inside], labels=[0, 1], **arguments) for row in kept]
            assert_values(report, "log_loss", group, expected)


@CASES
@given(examples(variants=8, infinite=False))
def test_logits_through_a_sigmoid_equal_scikit_learn(drawn):
    scores, labels, groups, weights = drawn
    report = evaluated(drawn, metrics=CALIBRATION, link="sigmoid")
    for group, inside in members(report, groups, weights):
        y, w = labels[inside], weights[inside]
        values = expit(scores[:, inside].astype(np.float64))
        for metric, peer in (("brier", brier_score_loss), ("log_loss", scikit_log_loss)):
            expected = [peer(y, row, sample_weight=w, labels=[0, 1]) for row in values]
            assert_values(report, metric, group, expected)
        expected = [calibration_error(equal_width_bins(row), row, y, w) for row in values]
        assert_values(report, "ece", group, expected)


def test_log_loss_of_logits_is_exact_far_out():
    """−log σ(−200) is 200; a probability of float64 would be 0 there."""
    report = evaluate([[200.0, -200.0]], [0, 1], metrics=CALIBRATION, link="sigmoid")
    assert report.value("log_loss")[0] == pytest.approx(200)


@CASES
@given(probabilities())
def test_calibration_errors_equal_a_plain_loop(drawn):
    scores, labels, groups, weights = drawn
    report = evaluated(drawn, metrics=CALIBRATION)
    for group, inside in members(report, groups, weights):
        y, w = labels[inside], weights[inside]
        values = scores[:, inside].astype(np.float64)
        expected = [calibration_error(equal_width_bins(row), row, y, w) for row in values]
        assert_values(report, "ece", group, expected)
        expected = [calibration_error(equal_mass_bins(row, w), row, y, w) for row in values]
        assert_values(report, "ece_equal_mass", group, expected)


def test_hand_worked():
    """Two bins of width 1/15: 0.5 and 0.52 share one, 0.95 has its own."""
    report = evaluate([[0.5, 0.52, 0.95]], [0, 1, 1], metrics=CALIBRATION)
    expected = 2 / 3 * abs(0.5 - 0.51) + 1 / 3 * 0.05
    assert report.value("ece")[0] == pytest.approx(expected, abs=1e-6)
    # Of three examples each is a bin of equal mass.
    expected = (0.5 + 0.48 + 0.05) / 3
    assert report.value("ece_equal_mass")[0] == pytest.approx(expected, abs=1e-6)


def test_right_edges_belong_to_their_bin():
    """1/3 as float32 lies above 5/15, so it opens the next; 1 is in the last, 0 in the first."""
    third = float(np.float32(1 / 3))
    report = evaluate([[0.0, 0.01, third, 0.34, 1.0]], [1, 0, 1, 0, 1], metrics=CALIBRATION)
    expected = (abs(1 - 0.01) + abs(1 - third - 0.34) + 0) / 5
    assert report.value("ece")[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("metric", CALIBRATION)
@pytest.mark.parametrize("outside", [-0.1, 1.1, np.inf, -np.inf])
def test_scores_that_are_no_probabilities_are_refused(metric, outside):
    with pytest.raises(InputError, match=rf"variant 'b' at row 1 is .*{metric} needs prob"):
        evaluate([[0.1, 0.5], [0.3, outside]], [0, 1], metrics=["auc", metric], names=["a", "b"])


def test_certain_and_wrong_is_kept_finite():
    report = evaluate([[0.0, 1.0]], [1, 0], metrics=CALIBRATION)
    assert report.value("log_loss")[0] == pytest.approx(-np.log(2.0**-23))
    assert report.value("brier")[0] == 1 and report.value("ece")[0] == 1


def test_bins_of_equal_mass_are_the_samples_in_every_replicate():
    rng = np.random.default_rng(0)
    s, y = rng.random(40).astype(np.float32), rng.integers(0, 2, 40)
    report = evaluate([s], y, metrics=CALIBRATION, bootstrap=5)
    bins = np.array(equal_mass_bins(s, np.ones(40)))
    for r, m in enumerate(draw_multiplicities(0, 0, 40, 5).T):
        excess = m * (y - s.astype(np.float64))
        expected = sum(abs(excess[bins == b].sum()) for b in range(BINS)) / m.sum()
        assert report.replicates("ece_equal_mass")[0, r] == pytest.approx(expected, abs=1e-6)
