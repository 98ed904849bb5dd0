"""What must not change a metric, as properties: order, repetition, scale, the groups' names."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jaxbias.metrics import METRICS, Groups, evaluate
from tests.metrics.strategies import (
    CASES,
    assert_same,
    assert_values,
    evaluated,
    examples,
    probabilities,
    ranks,
)

# Sums of the same in another order may lie apart by this.
NEAR = 1e-9
EVERYTHING = {
    "metrics": tuple(METRICS),
    "train_shares": {"first": (0.1, 0.2), "second": (0.3, 0.4)},
    "common_positives": 7.0,
}
# Of two groups the first minus the second.
SIGNED = [name for name in METRICS if name.endswith("_gap")] + ["average_odds_difference"]


def both(groups):
    return Groups(("first", "second"), [groups == g for g in ("first", "second")])


@CASES
@given(probabilities(both_classes=False), st.randoms(use_true_random=False))
def test_order_of_examples(drawn, random):
    scores, labels, groups, weights = drawn
    order = list(range(len(labels)))
    random.shuffle(order)
    moved = (scores[:, order], labels[order], both(groups[order]), weights[order])
    one = evaluated((scores, labels, both(groups), weights), **EVERYTHING)
    assert_same(one, evaluated(moved, **EVERYTHING), NEAR)


@CASES
@given(probabilities(), st.data())
def test_twice_equals_weight_two(drawn, data):
    scores, labels, groups, weights = drawn
    i = data.draw(st.integers(0, len(labels) - 1))
    twice, doubled = np.append(np.arange(len(labels)), i), weights.copy()
    doubled[i] *= 2
    repeated = (scores[:, twice], labels[twice], groups[twice], weights[twice])
    one = evaluated(repeated, **EVERYTHING)
    assert_same(one, evaluated((scores, labels, groups, doubled), **EVERYTHING), NEAR)


@CASES
@given(probabilities())
def test_weight_zero_equals_absent(drawn):
    scores, labels, groups, weights = drawn
    kept = weights > 0
    left = (scores[:, kept], labels[kept], groups[kept], weights[kept])
    assert_same(evaluated(drawn, **EVERYTHING), evaluated(left, **EVERYTHING), NEAR)


@CASES
@given(probabilities(), st.sampled_from([0.125, 3.0, 1000.0]))
def test_scale_of_weights(drawn, scale):
    scores, labels, groups, weights = drawn
    # A normalised precision has weights on one side and a number on the other.
    asked = EVERYTHING | {"common_positives": None}
    scaled = (scores, labels, groups, weights * scale)
    assert_same(evaluated(drawn, **asked), evaluated(scaled, **asked), NEAR)


@CASES
@given(probabilities())
def test_swapping_groups(drawn):
    scores, labels, groups, weights = drawn
    other = np.where(groups == "first", "second", "first")
    shares = EVERYTHING["train_shares"]
    swapped = dict(zip(shares, reversed(shares.values()), strict=True))
    one = evaluated(drawn, **EVERYTHING)
    two = evaluated((scores, labels, other, weights), **(EVERYTHING | {"train_shares": swapped}))
    for metric, place in one.entries():
        sign = -1 if metric in SIGNED else 1
        swap = {"first": "second", "second": "first"}.get(place, place)
        assert_values(two, metric, swap, sign * one.value(metric, place))


@CASES
@given(examples(variants=8), st.sampled_from(["base_rate", "youden"]))
def test_monotone_transforms_leave_ranks_alone(drawn, rule):
    scores, labels, groups, weights = drawn
    asked = {"metrics": ("auc", "ap", "normalized_ap", "fpr", "tpr", "ppv"), "threshold": rule}
    finite = ranks(scores).reshape(scores.shape).astype(np.float32)
    one = evaluate(finite, labels, groups, weights=weights, **asked)
    for transformed in (finite**3 / 7 - 5, np.exp(finite / 50), finite * np.float32(1e-40)):
        other = evaluate(transformed, labels, groups, weights=weights, **asked)
        assert_same(one, other, NEAR)


@CASES
@given(probabilities())
def test_splitting_an_example_in_two(drawn):
    """Each half with half the weight, for every example."""
    scores, labels, groups, weights = drawn
    halves = (np.tile(scores, 2), np.tile(labels, 2), np.tile(groups, 2), np.tile(weights / 2, 2))
    assert_same(evaluated(drawn, **EVERYTHING), evaluated(halves, **EVERYTHING), NEAR)
