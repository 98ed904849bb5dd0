"""Threshold rules against scikit-learn's curve and a search over every candidate."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from jaxbias.errors import InputError
from jaxbias.metrics import Examples, Groups, evaluate
from jaxbias.metrics.bootstrap import draw_multiplicities
from jaxbias.metrics.thresholds import two_value_cuts
from tests.metrics.strategies import CASES, FEW, assert_values, evaluated, every_value, examples

RATES = ("tpr", "fpr", "threshold")


def every_cut(row, labels, weights):
    """(TPR, FPR, predicted positive) of every candidate threshold, from the lowest up."""
    for threshold in (-np.inf, *np.unique(row[weights > 0])):
        above = row > threshold
        tpr = weights @ (above * labels) / (weights @ labels)
        yield tpr, weights @ (above * (1 - labels)) / (weights @ (1 - labels)), above


def base_rate_cut(row, labels, weights):
    """The lowest candidate above which no more weight lies than is positive."""
    allowed = weights @ labels * (1 + 1e-9)
    candidates = (-np.inf, *np.unique(row[weights > 0]))
    return next(cut for cut in candidates if weights @ (row > cut) <= allowed)


@CASES
@given(examples(variants=8))
def test_youden_equals_scikit_learn(drawn):
    scores, labels, _, weights = drawn
    report = evaluated(drawn, metrics=RATES, threshold="youden")
    for v, row in enumerate(scores):
        _, places = np.unique(row, return_inverse=True)
        fpr, tpr, cuts = roc_curve(labels, places, sample_weight=weights, drop_intermediate=False)
        best = (tpr - fpr).max()
        index = report.value("tpr")[v] - report.value("fpr")[v]
        assert index == pytest.approx(best, abs=1e-6)
        # Of several the highest; weights' last bits may tell apart what is the same.
        highest = np.flatnonzero(tpr - fpr >= best - 1e-9)[0]
        selected = (weights > 0) & (row > report.value("threshold")[v])
        # At −inf nothing is left to be a threshold below it.
        if not np.isneginf(row[places >= cuts[highest]]).any():
            np.testing.assert_array_equal(selected, (weights > 0) & (places >= cuts[highest]))


@CASES
@given(examples(variants=8), st.sampled_from([0.0, 0.3, 1.0]))
def test_given_fpr_is_the_largest_within(drawn, rate):
    scores, labels, _, weights = drawn
    report = evaluated(drawn, metrics=RATES, threshold={"fpr": rate})
    for v, row in enumerate(scores):
        cuts = [cut for cut in every_cut(row, labels, weights) if cut[1] <= rate + 1e-9]
        tpr, fpr, above = cuts[0]
        assert report.value("fpr")[v] == pytest.approx(fpr, abs=1e-6)
        assert report.value("tpr")[v] == pytest.approx(tpr, abs=1e-6)
        selected = row > report.value("threshold")[v]
        np.testing.assert_array_equal((selected & (weights > 0)), above & (weights > 0))


@CASES
@given(examples(variants=8, infinite=False), st.sampled_from([0.0, 0.7, 1.0]))
def test_given_tpr_is_the_smallest_that_reaches(drawn, rate):
    scores, labels, _, weights = drawn
    report = evaluated(drawn, metrics=RATES, threshold={"tpr": rate})
    for v, row in enumerate(scores):
        cuts = [cut for cut in every_cut(row, labels, weights) if cut[0] >= rate - 1e-9]
        tpr, fpr, _ = cuts[-1]
        assert report.value("tpr")[v] == pytest.approx(tpr, abs=1e-6)
        assert report.value("fpr")[v] == pytest.approx(fpr, abs=1e-6)


@CASES
@given(examples(variants=8, groups=3))
def test_group_base_rate_is_each_groups_own(drawn):
    scores, labels, groups, weights = drawn
    report = evaluated(drawn, metrics=RATES, threshold="group_base_rate")
    alone = {"tpr": [], "fpr": []}
    cuts = two_value_cuts([(scores, weights > 0)])
    np.testing.assert_array_equal(report.two_values, ~np.isnan(cuts))
    for group in sorted(set(groups)):
        inside = groups == group
        own_cuts = [base_rate_cut(row[inside], labels[inside], weights[inside]) for row in scores]
        # Compiled, a denormal threshold that is given is 0; one that is found is kept.
        assume(all(cut == 0 or abs(cut) > 1e-37 for cut in own_cuts))
        own = evaluate(
            scores[:, inside],
            labels[inside],
            groups[inside],
            weights=weights[inside],
            metrics=RATES,
            threshold=np.where(np.isnan(cuts), own_cuts, cuts),
        )
        for metric in RATES:
            assert_values(report, metric, group, own.value(metric))
        for metric, label in (("tpr", 1), ("fpr", 0)):
            alone[metric].append(own.value(metric) * (weights[inside] @ (labels[inside] == label)))
    # Together they are predicted as each group is.
    for metric, label in (("tpr", 1), ("fpr", 0)):
        expected = np.sum(alone[metric], axis=0) / (weights @ (labels == label))
        assert_values(report, metric, "all", expected)
    assert np.isnan(report.value("threshold")).all()
    assert report.undefined("threshold") == "every group has its own"


@pytest.mark.parametrize("rule", ["youden", "group_base_rate", {"fpr": 0.3}, {"tpr": 0.7}], ids=str)
def test_replicates_take_every_rule_anew(rule):
    """The k-th replicate is the sample with its weights times the k-th multiplicities."""
    asked = {"metrics": ("tpr", "fpr"), "threshold": rule}

    @FEW
    @given(examples(variants=8), st.integers(0, 2**31 - 1))
    def check(drawn, seed):
        scores, labels, groups, weights = drawn
        # Groups by name: a replicate may lack one altogether.
        groups = Groups(("first", "second"), [groups == g for g in ("first", "second")])
        report = evaluate(scores, labels, groups, weights=weights, bootstrap=4, seed=seed, **asked)
        m = draw_multiplicities(seed, 0, len(labels), 4)
        for r in range(4):
            again = evaluate(scores, labels, groups, weights=weights * m[:, r], **asked)
            # Two values are left by chance where there are more: a replicate is not cut there.
            alike = again.two_values == report.two_values
            for entry, value in every_value(again).items():
                found = report.replicates(*entry)[alike, r]
                np.testing.assert_allclose(found, value[alike], atol=1e-6, err_msg=str(entry))

    check()


@pytest.mark.parametrize(
    ("rule", "threshold"),
    [
        # TPR − FPR from the top: ⅓, −1/6, 1/6, ½, 0.
        ("youden", 0.1),
        # One of two negatives is allowed: all down to the second, which stays outside.
        ({"fpr": 0.5}, 0.1),
        ({"fpr": 0.0}, 0.8),
        ({"fpr": 1.0}, -np.inf),
        # Two of three positives are needed: down to the second, which is inside.
        ({"tpr": 0.5}, np.nextafter(np.float32(0.6), np.float32(0))),
        ({"tpr": 1.0}, np.nextafter(np.float32(0.4), np.float32(0))),
        ({"tpr": 0.0}, 0.9),
    ],
    ids=str,
)
def test_hand_worked(rule, threshold):
    scores = [[0.9, 0.8, 0.6, 0.4, 0.1]]
    report = evaluate(scores, [1, 0, 1, 1, 0], threshold=rule, metrics=RATES)
    assert report.value("threshold")[0] == np.float32(threshold)


def test_validation_gives_every_rules_threshold():
    validation = Examples([[0.9, 0.8, 0.6, 0.4, 0.1]], [1, 0, 1, 1, 0], ["a"] * 5)
    for rule in ("youden", "group_base_rate"):
        report = evaluate([[0.5, 0.2]], [0, 1], ["a", "a"], threshold=rule, validation=validation)
        place = "a" if rule == "group_base_rate" else "all"
        assert report.threshold_from == "validation"
        alone = evaluate(
            *map(np.asarray, (validation.scores, validation.labels)), ["a"] * 5, threshold=rule
        )
        assert report.value("threshold", place) == alone.value("threshold", place)
        above = np.float32([0.5, 0.2]) > alone.value("threshold", place)
        assert report.value("fpr") == above[0] and report.value("tpr") == above[1]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"fpr": 1.5}, r"threshold=\{'fpr': 1.5\} must have a rate in 0..1"),
        ({"tpr": "high"}, r"threshold=\{'tpr': 'high'\} must have a rate"),
        ({"ppv": 0.5}, r"threshold=\{'ppv': 0.5\} must be"),
        ({"fpr": 0.1, "tpr": 0.5}, "must be"),
        ("yuden", "did you mean 'youden'"),
        ([0.1, 0.2], "a number or one of 1 numbers"),
    ],
)
def test_wrong_rules_are_named(rule, message):
    with pytest.raises(InputError, match=message):
        evaluate([[0.1, 0.2]], [0, 1], threshold=rule)


@pytest.mark.parametrize(
    "groups",
    [None, {"g": ["a", "b"], "h": ["a", "b"]}, ["a", None], Groups(("a", "b"), [[1, 1], [0, 1]])],
    ids=["none", "two columns", "missing", "overlapping"],
)
def test_group_base_rate_needs_a_partition(groups):
    with pytest.raises(InputError, match="needs every example in exactly one group of one column"):
        evaluate([[0.1, 0.2]], [0, 1], groups, threshold="group_base_rate")
