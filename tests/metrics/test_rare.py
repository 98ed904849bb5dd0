"""Rare positives: the same sums as by sweeps, and scikit-learn's metrics."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from jaxbias.metrics import evaluate, rare

METRICS = ("auc", "ap", "normalized_ap", "auc_gap", "ap_gap")
DRAW = np.random.default_rng(0)
LABELS = (DRAW.random(300) < 0.09).astype(int)
GROUPS = DRAW.choice(["f", "m"], 300)
WEIGHTS = {"one": np.ones(300), "whole": DRAW.integers(0, 3, 300) * 1.0, "any": DRAW.random(300)}


def scores(decimals):
    """Rounded ones tie, positives with negatives too."""
    return DRAW.standard_normal((3, 300)).astype(np.float32).round(decimals) + 0 * LABELS


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("decimals", [1, 6])
def test_sums_are_those_of_sweeps(weights, decimals, monkeypatch):
    asked = dict(weights=WEIGHTS[weights], metrics=METRICS, bootstrap=20, common_positives=7.0)
    made = scores(decimals)
    found = evaluate(made, LABELS, GROUPS, **asked)
    monkeypatch.setattr(rare, "applies", lambda asked, split: False)
    expected = evaluate(made, LABELS, GROUPS, **asked)
    for entry in expected.entries():
        for a, b in zip(found.resampled(*entry), expected.resampled(*entry), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_they_are_scikit_learns():
    made, weights = scores(1), WEIGHTS["any"]
    report = evaluate(made, LABELS, GROUPS, weights=weights, metrics=("auc", "ap"))
    for group in ("f", "m"):
        inside = group == GROUPS
        for name, of in (("auc", roc_auc_score), ("ap", average_precision_score)):
            expected = [of(LABELS[inside], row[inside], sample_weight=weights[inside])
                        for row in made]  # fmt: skip
            np.testing.assert_allclose(report.value(name, group), expected)


def test_none_and_many_positives_are_no_trouble():
    made = scores(2)
    assert np.isnan(evaluate(made, np.zeros(300, int), metrics=("auc", "ap")).value("ap")).all()
    unweighed = evaluate(made, LABELS, weights=np.zeros(300), metrics=("auc", "ap"))
    assert np.isnan(unweighed.value("auc")).all()
    half = (np.arange(300) % 2).astype(int)
    value = evaluate(made, half, metrics=("auc",)).value("auc")
    np.testing.assert_allclose(value, [roc_auc_score(half, row) for row in made])
