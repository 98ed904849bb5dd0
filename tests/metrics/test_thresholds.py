"""The base-rate threshold against tables worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.metrics import Examples, evaluate
from jaxbias.metrics.rules import parse_rule
from jaxbias.metrics.thresholds import cut_keys, traced_cuts, two_value_cuts

NO_GROUPS = None


@pytest.mark.parametrize(
    ("scores", "labels", "weights", "threshold", "shortfall"),
    [
        # The paper's rule: P = 2, t = sort(s)[-3].
        ([0.9, 0.7, 0.5, 0.2], [1, 0, 1, 0], None, 0.5, 0),
        # P = 0: nothing is selected.
        ([0.9, 0.7, 0.5, 0.2], [0, 0, 0, 0], None, 0.9, 0),
        # P = N: everything is.
        ([0.9, 0.7, 0.5, 0.2], [1, 1, 1, 1], None, -np.inf, 0),
        # The second and third tie: both stay outside, one of two positives is missed.
        ([0.9, 0.7, 0.7, 0.2], [1, 1, 0, 0], None, 0.7, 0.5),
        # Three tie at the top and only one may be selected.
        ([0.9, 0.9, 0.9, 0.2, 0.1], [1, 0, 0, 0, 0], None, 0.9, 1),
        # Weight 3 is allowed: 2 + 0.5 fit, 1 more does not.
        ([0.9, 0.7, 0.5, 0.2], [1, 0, 1, 0], [2, 0.5, 1, 1], 0.5, 1 / 6),
        # Weight 2 is allowed: the first alone is too heavy.
        ([0.9, 0.7, 0.5, 0.2], [0, 1, 1, 0], [3, 1, 1, 1], 0.9, 1),
        # An example of weight zero is absent: t passes over it.
        ([0.9, 0.7, 0.5, 0.2], [1, 0, 0, 0], [1, 0, 1, 1], 0.5, 0),
        # 0.1 + 0.2 is more than 0.3 in floats; three tenths are allowed and selected.
        ([0.9, 0.7, 0.5, 0.2], [0, 0, 1, 0], [0.1, 0.2, 0.3, 1], 0.5, 0),
    ],
)
def test_hand_worked(scores, labels, weights, threshold, shortfall):
    report = evaluate(np.array([scores]), labels, NO_GROUPS, weights=weights)
    assert report.threshold_from == "test"
    assert report.value("threshold")[0] == np.float32(threshold)
    assert report.shortfall[0] == pytest.approx(shortfall, abs=1e-12)


def test_unweighted_is_the_papers_rule():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(20, 301)).astype(np.float32)
    labels = (rng.random(301) < 0.3).astype(int)
    report = evaluate(scores, labels, NO_GROUPS)
    expected = np.sort(scores, axis=1)[:, -(labels.sum() + 1)]
    np.testing.assert_array_equal(report.value("threshold"), expected)
    np.testing.assert_allclose(report.value("selection_rate"), labels.mean())


def test_validation_gives_the_threshold():
    validation = Examples(np.array([[0.9, 0.7, 0.5, 0.2]]), [1, 0, 1, 0])
    report = evaluate([[0.55, 0.5, 0.45]], [0, 1, 0], ["a", "a", "b"], validation=validation)
    assert report.threshold_from == "validation"
    assert report.value("threshold")[0] == 0.5
    assert report.value("fpr")[0] == 0.5  # 0.55 is above, 0.45 below.
    assert report.value("tpr")[0] == 0  # 0.5 is not above 0.5.
    assert report.value("fpr_gap")[0] == 1


def test_replicates_take_the_threshold_anew():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 100)
    validation = Examples(rng.normal(size=(2, 100)), labels)
    report = evaluate(validation.scores, labels, labels, validation=validation, bootstrap=30)
    assert report.replicates("threshold").std(axis=1).min() > 0
    fixed = evaluate(validation.scores, labels, labels, threshold=0.25, bootstrap=30)
    assert (fixed.replicates("threshold") == 0.25).all()
    assert np.isnan(fixed.shortfall).all()


def test_fixed_thresholds_compare_as_float32():
    scores = np.array([[0.1, 0.5, 0.9], [0.1, 0.5, 0.9]])
    report = evaluate(scores, [0, 1, 1], NO_GROUPS, threshold=0.1)
    assert report.value("selection_rate")[0] == pytest.approx(2 / 3)
    report = evaluate(scores, [0, 1, 1], NO_GROUPS, threshold=np.array([0.0, 0.5]))
    assert report.value("selection_rate").tolist() == pytest.approx([1, 1 / 3])


@pytest.mark.parametrize("n", [7, 8, 255, 256, 257])
def test_sizes_at_the_edges_of_blocks_and_padding(n):
    """One negative in the middle: replicates without it select everything, others never more."""
    rng = np.random.default_rng(n)
    scores = rng.permutation(n)[None].astype(np.float32)
    report = evaluate(scores, np.ones(n), NO_GROUPS)
    assert report.value("threshold")[0] == -np.inf and report.value("tpr")[0] == 1
    labels = (scores[0] != n // 2).astype(int)
    report = evaluate(scores, labels, NO_GROUPS, bootstrap=40)
    everything = np.isinf(report.replicates("threshold")[0])
    assert 5 < everything.sum() < 35
    assert (report.replicates("tpr")[0][everything] == 1).all()
    assert (report.replicates("tpr")[0][~everything] <= 1).all()


# Scores of two values are decisions: cut between them, whatever the base rate.

PAIRS = [
    (0, 1, 0.5),
    (-1, 1, 0),
    (0.2, 0.4, 0.3),
    (-np.inf, np.inf, -np.inf),
    (0, np.inf, 0),
    (1, np.nextafter(np.float32(1), np.float32(2)), 1),
    (0, np.float32(1e-45), 0),
    (1e-41, 3e-41, np.float32(2e-41)),
    (-3e38, 3e38, 0),
]
CUTS = np.array([cut for *_, cut in PAIRS], np.float32)


@pytest.mark.parametrize("rule", ["base_rate", "group_base_rate"])
def test_two_values_are_cut_between_them(rule):
    labels = np.array([1, 0, 0, 0, 0, 0, 1, 0])
    groups = {"g": np.repeat(["a", "b"], 4)}
    ones = np.array([1, 1, 1, 0, 0, 0, 1, 1])  # 5, and 2 are positive.
    decided = [np.where(ones, high, low) for low, high, _ in PAIRS]
    scores = np.array([*decided, np.linspace(0, 1, 8)], np.float32)
    asked = {"threshold": rule, "metrics": ["threshold", "fpr", "tpr", "fpr_gap"]}
    report = evaluate(scores, labels, groups, bootstrap=6, **asked)
    assert report.two_values.tolist() == [True] * len(PAIRS) + [False]
    assert np.isnan(report.shortfall[:-1]).all()
    place = "all" if rule == "base_rate" else "g=a"
    for found in (report.value("threshold", place), *report.replicates("threshold", place).T):
        assert found[:-1].tolist() in (
            CUTS.tolist(),
            [pytest.approx(np.nan, nan_ok=True)] * len(PAIRS),
        )
    assert (report.value("tpr")[:-1] == 1).all() and (report.value("fpr")[:-1] == 0.5).all()
    with jax.enable_x64(True):
        traced = traced_cuts(jnp.asarray(scores), np.ones(8, bool))
    # The middle of denormals is 0 in a program, and so the lower one is the cut.
    expected = np.where(np.isclose(CUTS, 2e-41, atol=0), np.float32(1e-41), CUTS)
    np.testing.assert_array_equal(traced, cut_keys(np.append(expected, np.nan)))


def test_two_values_are_those_of_all_examples_that_count():
    def cuts(*sets):
        sets = [(np.array([scores], np.float32), np.array(counts)) for scores, counts in sets]
        return two_value_cuts(sets)[0]

    every = [True] * 4
    assert cuts(([0, 1, 1, 0.7], [True] * 3 + [False])) == 0.5
    assert np.isnan(cuts(([0, 1, 1, 0.7], every)))
    assert np.isnan(cuts(([1, 1, 1, 1], every)))
    assert np.isnan(cuts(([0, 1, 1, 1], [False] * 4)))
    assert cuts(([1, 1, 1, 1], every), ([0, 0, 0, 0], every)) == 0.5
    assert np.isnan(cuts(([0, 1, 1, 1], every), ([0.7] * 4, every)))
    assert np.isnan(cuts(([0, 1] * 50 + [0.5], [True] * 101)))  # The third comes late.
    assert cuts(([0, -0.0, 1, 1], every)) == 0.5


def test_rules_that_ask_for_no_number_of_positives_cut_where_they_do():
    binary, labels = np.array([[0.0, 1, 1, 1]]), [0, 1, 1, 0]
    validation = Examples(np.array([[0.0, 0, 1, 1]]), labels)
    report = evaluate(binary, labels, validation=validation, threshold=0.3, metrics=["fpr"])
    assert report.two_values.tolist() == [False]
    assert not parse_rule("youden", 1)[0].cuts_two_values
    assert not parse_rule({"fpr": 0.1}, 1)[0].cuts_two_values
