"""Ranks: by hand, by brute force, and how often they err on simulated studies."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from jaxbias.analysis import ranks
from jaxbias.analysis.panels import Panel
from jaxbias.analysis.uncertainty import Interval

NUMBER = st.floats(-1, 1).map(lambda x: round(x, 3))


@st.composite
def interval(draw):
    low, value, high = sorted(draw(NUMBER) for _ in range(3))
    return Interval(value, low, high)


@given(interval(), interval())
def test_the_interval_of_a_difference_in_size_is_all_it_can_be(minus, plus):
    found = ranks.smaller_size(minus, plus)
    # a and b at every corner, where either is 0, and between.
    grid = [sorted({*np.linspace(i.low, i.high, 41), *np.clip([0.0], i.low, i.high)})
            for i in (minus, plus)]  # fmt: skip
    sizes = [abs((p + m) / 2) - abs((p - m) / 2) for m, p in itertools.product(*grid)]
    assert found.low <= min(sizes) + 1e-9 and max(sizes) - 1e-9 <= found.high
    assert found.low == pytest.approx(min(sizes), abs=0.051)
    assert found.high == pytest.approx(max(sizes), abs=0.051)
    value = abs((plus.value + minus.value) / 2) - abs((plus.value - minus.value) / 2)
    assert found.value == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(
    ("minus", "plus", "expected"),
    [
        # a = .3, b = .1: a − b = .2, a + b = .4.
        ((0.2, 0.1, 0.3), (0.4, 0.3, 0.5), (0.2, 0.1, 0.3)),
        # a = .3, b = −.1: a − b = .4, a + b = .2.
        ((0.4, 0.3, 0.5), (0.2, 0.1, 0.3), (0.2, 0.1, 0.3)),
        # a = −.3, b = .1.
        ((-0.4, -0.5, -0.3), (-0.2, -0.3, -0.1), (0.2, 0.1, 0.3)),
        # a = .1, b = −.3.
        ((0.4, 0.3, 0.5), (-0.2, -0.3, -0.1), (-0.2, -0.3, -0.1)),
        # a = .02, b = −.02: of the same size, with opposite signs.
        ((0.04, 0.02, 0.06), (0.0, -0.02, 0.02), (0.0, -0.02, 0.02)),
        # The difference is surely there, but which is larger is not.
        ((0.2, 0.1, 0.3), (0.05, -0.1, 0.2), (0.05, -0.1, 0.2)),
    ],
)
def test_differences_in_size_by_hand(minus, plus, expected):
    found = ranks.smaller_size(Interval(*minus), Interval(*plus))
    assert (found.value, found.low, found.high) == pytest.approx(expected)


def test_an_unknown_bound_leaves_all_open():
    found = ranks.smaller_size(Interval(0.2, float("nan"), 0.3), Interval(0.4, 0.3, 0.5))
    assert np.isnan([found.low, found.high]).all() and found.value == 0.2


def test_bounds_of_ranks_by_hand():
    # A surely below B and C; B surely below C; D of no sure difference to anybody.
    sure, open_ = Interval(-0.2, -0.3, -0.1), Interval(0.0, -0.1, 0.1)
    compared = {pair: open_ for pair in itertools.combinations("ABCD", 2)}
    compared |= {("A", "B"): sure, ("A", "C"): sure, ("B", "C"): sure}
    found = ranks.bounds("ABCD", compared, 4, smallest=True)
    assert found == {"A": (1, 2), "B": (2, 3), "C": (3, 4), "D": (1, 4)}
    turned = ranks.bounds("ABCD", compared, 4, smallest=False)
    assert turned == {"A": (3, 4), "B": (2, 3), "C": (1, 2), "D": (1, 4)}
    # One more, not trained yet, may come anywhere.
    later = ranks.bounds("ABCD", compared, 5, smallest=True)
    assert later == {"A": (1, 3), "B": (2, 4), "C": (3, 5), "D": (1, 5)}


def test_a_base_alone_has_no_pair():
    panel = Panel(np.arange(3), np.arange(3), np.zeros(3), np.zeros((3, 4)))
    assert ranks.differences({"A": panel}, 0.05, sizes=True, planned=1) == {}
    assert ranks.bounds(["A"], {}, 1, smallest=True) == {"A": (1, 1)}


def drawn(rng, truth, units, spread, examples):
    """Panels of bases: checkpoints differ by `spread`, all by what the examples do to a base."""
    own, shared = rng.normal(0, spread, (len(truth), units)), rng.normal(0, spread, units)
    error = rng.normal(0, examples, len(truth))
    values = np.array(truth)[:, None] + own + shared + error[:, None]
    moved = rng.normal(0, examples, (len(truth), 100))
    labels = np.arange(units)
    return {
        f"base {i}": Panel(labels, labels, row, row[:, None] + moved[i])
        for i, row in enumerate(values)
    }


def errs(truth, ranked, smallest):
    """Whether any bound leaves a true rank out; of ties every order is true."""
    size = np.abs(truth) if smallest else -np.array(truth)
    for i, (low, high) in enumerate(ranked.values()):
        if low > 1 + (size < size[i]).sum() or high < (size <= size[i]).sum():
            return True
    return False


STUDIES = 120


@pytest.mark.parametrize(
    ("truth", "units", "smallest"),
    [
        ([0.1, -0.1, 0.1, -0.1, 0.1], 5, True),  # Of one size, with either sign.
        ([0.0, 0.0, 0.0, 0.0, 0.0], 5, True),
        ([0.02, -0.02, 0.3, -0.3], 3, True),  # Bonferroni's.
        ([0.8, 0.8, 0.8, 0.7, 0.7], 5, False),
    ],
)
def test_ranks_err_as_seldom_as_they_say(truth, units, smallest):
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(STUDIES):
        panels = drawn(rng, truth, units, 0.02, 0.01)
        found = ranks.differences(panels, 0.05, sizes=smallest, planned=len(truth))
        wrong += errs(truth, ranks.bounds(list(panels), found, len(truth), smallest=smallest),
                      smallest)  # fmt: skip
    assert stats.binom.sf(wrong - 1, STUDIES, 0.05) > 0.001, wrong


def test_an_order_that_is_there_is_found():
    rng, truth = np.random.default_rng(1), [0.05, -0.15, 0.25, -0.35, 0.45]
    panels = drawn(rng, truth, 5, 0.01, 0.005)
    found = ranks.differences(panels, 0.05, sizes=True, planned=5)
    ranked = ranks.bounds(list(panels), found, 5, smallest=True)
    assert list(ranked.values()) == [(i, i) for i in range(1, 6)]
    for (a, b), one in found.items():
        size = abs(truth[int(a[-1])]) - abs(truth[int(b[-1])])
        assert one.low < size < one.high
