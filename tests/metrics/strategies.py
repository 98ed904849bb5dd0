"""Drawn examples and plain comparisons that the tests of metrics share."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from jaxbias.metrics import evaluate

CASES = settings(max_examples=24)
FEW = settings(max_examples=8)

# One set of metrics for all that hold for every sum, so that they share a compiled program.
CALIBRATION = ("brier", "log_loss", "ece", "ece_equal_mass")
PRECISION = ("ap", "normalized_ap")


@st.composite
def examples(draw, variants=3, groups=2, both_classes=True, infinite=True):
    """Scores with ties and infinities, labels, groups, weights some of which are zero."""
    n = draw(st.integers(max(8, 2 * groups), 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    scores = rng.normal(size=(variants, n)).astype(np.float32)
    kinds = ["spread", "ties", "huge ties", *(["infinite"] if infinite else []), "tiny"]
    kind = draw(st.sampled_from(kinds))
    if kind == "ties":
        scores = scores.round(1)
    elif kind == "huge ties":
        scores = np.sign(scores) * (np.abs(scores) > 0.7)
    elif kind == "infinite":
        scores[rng.random(scores.shape) < 0.1] = np.inf
        scores[rng.random(scores.shape) < 0.1] = -np.inf
    elif kind == "tiny":
        scores = scores * np.float32(1e-41)
    labels, codes, weights = _sides(draw, rng, n, groups, both_classes)
    names = np.array(["first", "second"] if groups == 2 else [f"g{g}" for g in range(groups)])
    return scores.astype(np.float32), labels, names[codes], weights


@st.composite
def probabilities(draw, variants=8, groups=2, both_classes=True):
    """The same with scores in 0..1, 0 and 1 among them."""
    scores, *rest = draw(examples(variants, groups, both_classes))
    scores = 1 / (1 + np.exp(-2 * np.clip(scores, -8, 8).astype(np.float64)))
    kind = draw(st.sampled_from(["as they are", "rounded", "tiny"]))
    if kind == "rounded":
        scores = (scores * 1.2 - 0.1).clip(0, 1).round(2)
    elif kind == "tiny":
        scores = scores * 1e-40
    return scores.astype(np.float32), *rest


def _sides(draw, rng, n, groups, both_classes):
    labels, codes = rng.integers(0, 2, n), rng.integers(0, groups, n)
    sure = 2 * groups
    if both_classes:
        labels[:sure], codes[:sure] = np.repeat([0, 1], groups), np.tile(np.arange(groups), 2)
    weights = rng.random(n) * 2 + 0.01
    if draw(st.booleans()):
        weights = np.ones(n)
    elif draw(st.booleans()):
        weights[sure:][rng.random(n - sure) < 0.3] = 0
    return labels, codes, weights


def every_value(report):
    """All values of all metrics and groups, by (metric, group)."""
    return {entry: report.value(*entry) for entry in report.entries()}


def assert_same(one, other, tolerance=1e-9):
    """Two reports have the same entries and the same values."""
    one, other = every_value(one), every_value(other)
    assert one.keys() == other.keys()
    for key, value in one.items():
        np.testing.assert_allclose(value, other[key], atol=tolerance, err_msg=str(key))


def assert_values(report, metric, group, expected, rows=slice(None)):
    """A metric of every variant, or of some, equals an independent source within 1e-6."""
    found, expected = report.value(metric, group)[rows], np.asarray(expected)[rows]
    assert found == pytest.approx(expected, abs=1e-6, nan_ok=True), (metric, group)


def members(report, groups, weights):
    """(group, bool[N]) of "all" and of every group, without the examples of weight zero."""
    for group in report.groups:
        yield group, (weights > 0) & ((group == "all") | (groups == group))


def ranks(scores):
    """Finite stand-ins that keep order and ties, for peers that refuse infinite scores."""
    return np.unique(scores, return_inverse=True)[1]


def evaluated(drawn, **arguments):
    """Evaluates drawn examples."""
    scores, labels, groups, weights = drawn
    return evaluate(scores, labels, groups, weights=weights, **arguments)
