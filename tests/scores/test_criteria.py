"""Criteria: measures as scikit-learn's, and the numbers a search makes small worked by hand."""

import numpy as np
import pytest

from jaxbias.curation import target_cells
from jaxbias.plan.criteria import criterion
from jaxbias.scores.measures import measure
from jaxbias.study import EvaluationSpec
from tests.tiny import tiny_dataset, tiny_study

CURVES = {
    "loss": np.array([[0.6, 0.4, 0.5], [0.7, 0.6, 0.3]]),
    "auc": np.array([[0.7, 0.8, 0.9], [0.8, 0.9, 0.9]]),
    "worst_group": np.array([[0.5, 0.6, 0.4], [0.5, 0.4, 0.4]]),
    "fpr_gap": np.array([[0.01, 0.05, 0.2], [-0.01, -0.02, 0.1]]),
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("val_loss", [0.65, 0.5, 0.4]),
        ("val_auc", [0.25, 0.15, 0.1]),
        ("val_worst_group", [0.5, 0.5, 0.6]),
        # Mean |gap| 0.01, 0.035 and 0.15: gaps of opposite signs do not cancel.
        ("val_gap_constrained", [0.25, 0.15, 1.15]),
    ],
)
def test_repeats_are_averaged_epoch_by_epoch(name, expected):
    np.testing.assert_allclose(criterion(name, CURVES, 0.05), expected)


def test_the_constrained_criterion_takes_the_smallest_gap_where_none_is_inside():
    found = criterion("val_gap_constrained", CURVES, 0.001)
    np.testing.assert_allclose(found, [1.01, 1.035, 1.15])
    assert found.argmin() == 0
    assert criterion("val_gap_constrained", CURVES, 0.05).argmin() == 1
    assert criterion("val_auc", CURVES, 0.05).argmin() == 2


def test_what_is_undefined_loses():
    curves = {name: values.copy() for name, values in CURVES.items()}
    curves["fpr_gap"][0, 1] = np.nan
    curves["auc"][1, 0] = np.nan
    assert np.isinf(criterion("val_gap_constrained", curves, 0.05)).tolist() == [1, 1, 0]
    assert np.isfinite(criterion("val_loss", curves, 0.05)).all()


@pytest.mark.parametrize(
    "population", [EvaluationSpec(), EvaluationSpec(level=5, prevalence="0.5")]
)
def test_measures_are_scikit_learns_under_the_populations_weights(population):
    from sklearn.metrics import log_loss, roc_auc_score

    dataset, study = tiny_dataset(), tiny_study()
    cells = target_cells(dataset, "target", study.group)
    rows = np.flatnonzero(dataset.table["split"] == "validation")
    labels, codes = cells.labels()[rows], cells.codes[rows]
    shares = cells.shares if population.level < 0 else np.full(4, 0.25)
    weights = (shares / np.bincount(codes, minlength=4))[codes]
    rng = np.random.default_rng(0)
    scores = rng.normal(labels, 1.5, (3, len(rows))).astype(np.float32)
    scores[2, 4] = np.nan
    found = measure(scores, cells, rows, population)
    for i in range(2):
        probabilities = 1 / (1 + np.exp(-scores[i].astype(np.float64)))
        loss = log_loss(labels, probabilities, sample_weight=weights)
        auc = roc_auc_score(labels, scores[i], sample_weight=weights)
        assert found["loss"][i] == pytest.approx(loss, rel=1e-9)
        assert found["auc"][i] == pytest.approx(auc, abs=1e-6)
        selected = scores[i] > _base_rate_threshold(scores[i], labels, weights)
        correct = selected == labels
        accuracy = [np.average(correct[codes == c], weights=weights[codes == c]) for c in range(4)]
        assert found["worst_group"][i] == pytest.approx(min(accuracy), abs=1e-6)
        rates = [selected[codes == c].mean() for c in (0, 1)]  # Negatives of either group.
        assert found["fpr_gap"][i] == pytest.approx(rates[0] - rates[1], abs=1e-6)
    assert all(np.isnan(values[2]) for values in found.values())


def _base_rate_threshold(scores, labels, weights):
    """The lowest score above which no more weighs than the positives."""
    order = np.argsort(-scores)
    inside = np.cumsum(weights[order]) <= weights[labels == 1].sum() * (1 + 1e-9)
    return scores[order][inside.sum()]
