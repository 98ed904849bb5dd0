"""The rule of screening on tables made by hand, and on any table whose gap falls along the dose."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxbias.analysis.candidates import axes
from jaxbias.analysis.screening import Standing, centre, to_confirm
from jaxbias.study import Curation

EPSILON = 0.05


def table(gaps, fixes=(), costs=None):
    """Standings of an axis "0", "1", ... ; the cost falls along the dose unless it is given."""
    costs = costs or [100 - i for i in range(len(gaps))]
    return {
        str(i): Standing(cost, gap, i in fixes)
        for i, (gap, cost) in enumerate(zip(gaps, costs, strict=True))
    }


def rounds(screened, truth):
    """Windows, round by round, as if what each asks for were finetuned."""
    axis, confirmed, seen = list(truth), {}, []
    while True:
        window = to_confirm(axis, screened, confirmed, EPSILON)
        if seen and window == seen[-1]:
            return seen
        seen.append(window)
        confirmed = {name: truth[name] for name in window}


@pytest.mark.parametrize(
    ("heads", "truth", "expected"),
    [
        # The heads are right: the fix and both neighbours.
        (table([0.3, 0.2, 0.1, 0.0, -0.1], {3}), table([0.2, 0.15, 0.08, 0.01, -0.07], {3}), "234"),
        # No fix anywhere: the smallest gap lies between confirmed ones.
        (table([0.4, 0.3, 0.2, 0.06, -0.2]), table([0.3, 0.2, 0.1, 0.06, -0.1]), "234"),
        # The first level, and the last.
        (table([0.0, -0.1, -0.2, -0.3], {0}), table([0.0, -0.1, -0.2, -0.3], {0}), "01"),
        (table([0.3, 0.2, 0.1, 0.0], {3}), table([0.3, 0.2, 0.1, 0.0], {3}), "23"),
        # All confirmed fail on one side: on to a change of sign, or to the end.
        (table([0.1, 0.0, -0.1, -0.2, -0.3]), table([0.4, 0.3, 0.2, 0.1, -0.08]), "01234"),
        (table([0.0, -0.1, -0.2, -0.3, -0.4]), table([0.5, 0.4, 0.3, 0.2, 0.1]), "01234"),
        # All confirmed pass: on until one that changes fewer images fails.
        (table([0.1, 0.0, -0.1, -0.2], {1}), table([0, 0, 0, -0.2], {0, 1, 2}), "0123"),
        # Next to a gap that is small but not sure there may be a fix that changes fewer images ...
        (table([0.1, 0.0, -0.1, -0.2]), table([0.06, 0.0, -0.02, -0.04], {1, 3}), "0123"),
        # ... but none beyond an end that changes more than a known fix.
        (table([0.1, 0.06, 0.0, -0.1]), table([0.03, 0.02, 0.01, -0.1], {2}), "123"),
        # One that has no dose is always tried.
        (table([0.9]), table([0.0], {0}), "0"),
    ],
)  # fmt: skip
def test_windows_by_hand(heads, truth, expected):
    assert "".join(rounds(heads, truth)[-1]) == expected


def test_a_window_waits_until_all_of_it_is_confirmed():
    heads, truth = table([0.1, 0.0, -0.1, -0.2]), table([0.4, 0.3, 0.2, 0.1])
    axis = list(truth)
    assert to_confirm(axis, heads, {}, EPSILON) == ["0", "1", "2"]
    partly = {name: truth[name] for name in ("1", "2", "3")}  # More than asked, but not "0".
    assert to_confirm(axis, heads, partly, EPSILON) == ["0", "1", "2"]
    assert to_confirm(axis, heads, truth, EPSILON) == axis


def test_without_a_screened_gap_all_is_confirmed_and_the_diverged_end_a_window():
    axis = list("0123")
    assert to_confirm(axis, {}, {}, EPSILON) == axis
    heads = table([0.2, 0.0, -0.2, -0.3])
    assert to_confirm(axis, heads, dict.fromkeys(axis), EPSILON) == ["0", "1", "2"]
    known = {**table([0.04, 0.0, -0.2, -0.3]), "0": None}
    assert to_confirm(axis, heads, known, EPSILON) == ["0", "1", "2"]


def test_axes_are_kinds_in_order_of_their_dose():
    curations = [Curation("natural"), Curation("add_minority", k=40), Curation("dfr")]
    curations += [Curation("correlation", level, 0.5) for level in (10, 2)]
    curations += [Curation("correlation", 3, None), Curation("add_minority", k=9)]
    curations += [Curation("reduce_only", k, 0.5, start=s) for s, k in ((2, 4), (8, 4), (2, 3))]
    curations += [Curation("source_mix", k, column="source") for k in (3, 0)]
    curations += [Curation("mixture", 5, 0.5, share=share) for share in (0.2, 0.9, 0.5)]
    curations += [Curation("drop", k=k, table=t) for k, t in ((9, "a"), (3, "b"), (3, "a"))]
    assert axes(curations) == [
        ["add_minority 9", "add_minority 40"],
        ["dfr"],
        ["correlation 2", "correlation 10"],
        ["correlation 3 at natural"],
        ["reduce_only 3 from 2", "reduce_only 4 from 2"],
        ["reduce_only 4 from 8"],
        ["source_mix 0", "source_mix 3"],
        ["mixture 5 0.9", "mixture 5 0.5", "mixture 5 0.2"],
        ["drop 3 by a", "drop 9 by a"],
        ["drop 3 by b"],
    ]


@st.composite
def axis_of_levels(draw):
    """A gap that falls along the dose, a cost that falls and then rises, fixes where it may be."""
    size = draw(st.integers(1, 11))
    steps = draw(st.lists(st.integers(1, 9), min_size=size, max_size=size))
    start = draw(st.integers(-20, 80))
    gaps = [(start - sum(steps[:i])) / 100 for i in range(size)]
    cheapest = draw(st.floats(0, size))
    costs = [abs(i - cheapest) * (3 if i < cheapest else 5) for i in range(size)]
    near = [i for i, gap in enumerate(gaps) if abs(gap) < EPSILON]
    fixes = draw(st.sets(st.sampled_from(near))) if near else set()
    return table(gaps, fixes, costs)


@given(axis_of_levels(), st.data())
def test_the_confirmed_part_has_the_centre_of_the_whole(truth, data):
    """Wherever the heads begin; and its neighbours, and everything in between."""
    first = data.draw(st.sampled_from(list(truth)))
    heads = {name: Standing(1.0, 0.1 if name == first else 0.5, False) for name in truth}
    windows = rounds(heads, truth)
    axis, last = list(truth), windows[-1]
    assert first in windows[0]
    assert all(set(one) < set(other) for one, other in itertools.pairwise(windows))
    best = centre(truth)
    place = axis.index(best)
    assert set(axis[max(place - 1, 0) : place + 2]) <= set(last)
    assert centre({name: truth[name] for name in last}) == best
