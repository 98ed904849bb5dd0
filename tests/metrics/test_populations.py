"""Evaluation populations: the cells' shares by their definition, and exact repetition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbias.errors import InputError
from jaxbias.metrics import Examples, evaluate, population_weights
from tests.metrics.strategies import CASES, FEW, assert_same, assert_values, evaluated, examples

ASKED = ("auc", "fpr", "tpr", "selection_rate", "ppv", "accuracy", "fpr_gap", "tpr_gap")


def cell_factors(labels, groups, weights, level, prevalence):
    """What each example's weight is multiplied by.

    At level k of 10, k tenths of the negatives and 10 − k tenths of the positives are of the first
    group: at 0 an example is positive if and only if it is of the first, at 10 if of the second.
    """
    inside = np.isin(groups, ["first", "second"]) & (weights > 0)
    held = np.where(inside, weights, 0.0)
    positives = held @ labels / held.sum() if prevalence is None else prevalence
    factors = np.zeros(len(labels))
    for label, share in ((0, 1 - positives), (1, positives)):
        of_class = inside & (labels == label)
        for group in ("first", "second"):
            cell = of_class & (groups == group)
            natural = held[cell].sum() / held[of_class].sum()
            within = natural
            if level is not None:
                within = (level if (label == 0) == (group == "first") else 10 - level) / 10
            factors[cell] = share * within * held.sum() / held[cell].sum()
    return factors


@CASES
@given(
    examples(variants=8),
    st.sampled_from([None, *range(11)]),
    st.sampled_from([None, 0.1, 0.5, 0.73]),
)
def test_cells_have_their_shares(drawn, level, prevalence):
    scores, labels, groups, weights = drawn
    population = {"level": level, "prevalence": prevalence}
    report = evaluated(drawn, population=population, metrics=ASKED, threshold=0.1)
    again = weights * cell_factors(labels, groups, weights, level, prevalence)
    expected = evaluate(scores, labels, groups, weights=again, metrics=ASKED, threshold=0.1)
    assert_same(report, expected, 1e-9)


def test_level_ties_label_and_group():
    """Everyone is predicted right, so the selection rate of a group is its share of positives."""
    labels, groups = np.tile([0, 1], 20), np.repeat(["first", "second"], 20)
    for level in range(11):
        report = evaluate(
            [labels.astype(float)],
            labels,
            groups,
            threshold=0.5,
            metrics=ASKED,
            population={"level": level, "prevalence": 0.5},
        )
        assert report.value("selection_rate")[0] == pytest.approx(0.5, abs=1e-9)
        assert report.value("selection_rate", "first")[0] == pytest.approx(1 - level / 10, abs=1e-9)
        assert report.value("selection_rate", "second")[0] == pytest.approx(level / 10, abs=1e-9)


@FEW
@given(st.integers(0, 2**31), st.sampled_from(["base_rate", 0.1]))
def test_equals_repetition(seed, rule):
    """20 examples a cell; at level 3 and prevalence ½ the cells' shares are 3 7 7 3 of 20."""
    rng = np.random.default_rng(seed)
    labels, groups = np.repeat([0, 0, 1, 1], 10), np.tile(np.repeat(["first", "second"], 10), 2)
    scores = rng.normal(size=(8, 40)).round(1).astype(np.float32)
    repeated = np.repeat(np.arange(40), np.repeat([3, 7, 7, 3], 10))
    report = evaluate(
        scores,
        labels,
        groups,
        threshold=rule,
        metrics=ASKED,
        population={"level": 3, "prevalence": 0.5},
    )
    expected = evaluate(
        scores[:, repeated], labels[repeated], groups[repeated], threshold=rule, metrics=ASKED
    )
    assert_same(report, expected, 1e-6)


@CASES
@given(examples(variants=8), st.integers(0, 2**31), st.sampled_from([0, 2, 5, 10]))
def test_missing_labels_and_groups_are_no_part_of_it(drawn, seed, level):
    scores, labels, groups, weights = drawn
    rng = np.random.default_rng(seed)
    known, placed = rng.random((2, len(labels))) > 0.2
    known[:4] = placed[:4] = True  # Every cell keeps an example.
    population = {"level": level, "prevalence": 0.4}
    gappy = np.where(known, labels, np.nan)
    sides = np.where(placed, groups, None)
    arguments = {"population": population, "metrics": ASKED, "threshold": 0.1}
    report = evaluate(scores, gappy, sides, weights=weights, **arguments)
    kept = known & placed
    left = (scores[:, kept], labels[kept], groups[kept], weights[kept])
    assert_same(report, evaluated(left, **arguments))


@FEW
@given(examples(variants=8), examples(variants=8))
def test_thresholds_are_taken_on_that_population_of_the_validation(test, validation):
    population = {"level": 5, "prevalence": 0.5}
    scores, labels, groups, weights = validation
    again = weights * cell_factors(labels, groups, weights, 5, 0.5)
    alone = evaluate(scores, labels, groups, weights=again, metrics=("threshold",))
    report = evaluated(test, validation=Examples(*validation), population=population, metrics=ASKED)
    # Scores of two values are cut between them, which the test's tell as well.
    same = np.equal(two_valued(validation), two_valued(validation, test))
    assert_values(report, "threshold", "all", alone.value("threshold"), rows=same)


def two_valued(*sets):
    """Which variants score the examples that count with two values."""
    rows = np.concatenate([scores[:, weights > 0] for scores, _, _, weights in sets], axis=1)
    return [len(np.unique(row)) == 2 for row in rows]


SOUND = {"labels": [0, 1, 0, 1], "groups": ["a", "a", "b", "b"], "population": {"level": 2}}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"population": {"levels": 2}}, "no field 'levels'; did you mean 'level'"),
        ({"population": {"level": 11}}, r"level=11 must be a number in 0..10"),
        ({"population": {"level": -1}}, r"level=-1 must be a number in 0..10"),
        ({"population": {"prevalence": 0}}, "prevalence=0 must lie between 0 and 1"),
        ({"population": {"prevalence": 1.0}}, "prevalence=1.0 must lie between 0 and 1"),
        ({"groups": ["a", "b", "c", "c"]}, "population needs two groups of one column"),
        ({"groups": None}, "population needs two groups of one column"),
        ({"groups": {"g": [0, 0, 1, 1], "h": [0, 1, 0, 1]}}, "population needs two groups"),
        ({"groups": ["a", "b", "b", "b"]}, r"no example of \(label 1, a\)|\(label 1, a\)"),
    ],
)
def test_wrong_populations_are_named(wrong, message):
    arguments = SOUND | wrong
    if arguments["groups"] == ["a", "b", "b", "b"]:
        arguments["labels"] = [0, 0, 1, 1]
    with pytest.raises(InputError, match=message):
        evaluate([[0.1, 0.2, 0.3, 0.4]], **arguments)


@given(
    codes=st.lists(st.integers(-1, 3), min_size=8, max_size=60),
    shares=st.lists(st.floats(0.01, 1), min_size=4, max_size=4),
)
@settings(max_examples=100)
def test_population_weights_give_cells_their_shares(codes, shares):
    codes, shares = np.array([*codes, 0, 1, 2, 3]), np.array(shares) / sum(shares)
    weights = population_weights(codes, shares, ("a", "b", "c", "d"))
    inside = codes >= 0
    assert weights[inside].mean() == pytest.approx(1)
    assert (weights[~inside] == 0).all()
    got = np.bincount(codes[inside], weights=weights[inside]) / weights.sum()
    np.testing.assert_allclose(got, shares)


def test_an_empty_cell_cannot_be_weighted():
    with pytest.raises(InputError, match=r"the test split has no example of \(b\)"):
        population_weights(
            np.array([0, 0]), np.array([0.5, 0.5]), ("a", "b"), where="the test split"
        )
