"""Quotas against hand-worked tables, the protocol's counts, and properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbias.curation import quotas
from jaxbias.curation.quotas import RULES, WEIGHTS, largest_n, largest_remainder, sample_weights
from jaxbias.errors import InputError
from jaxbias.study import Curation
from jaxbias.study.rule import KINDS
from tests.curation.made_up import CELLS, four_cells, pair


def test_every_kind_of_the_study_has_a_rule():
    assert set(RULES) == set(KINDS)
    assert set(WEIGHTS) <= set(KINDS)


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        # (negative f, negative m, positive f, positive m) of 100
        (0, [0, 50, 50, 0]),
        (2, [10, 40, 40, 10]),
        (5, [25, 25, 25, 25]),
        (8, [40, 10, 10, 40]),
        (10, [50, 0, 0, 50]),
    ],
)
def test_correlation_levels_by_hand(level, expected):
    assert quotas(Curation("correlation", level, 0.5), CELLS, 100).tolist() == expected


def test_correlation_keeps_natural_prevalence():
    # 22 of 100 are positive: 22 split 7:3 and 78 split 3:7, largest remainders up.
    got = quotas(Curation("correlation", 3, None), CELLS, 100)
    assert got.tolist() == [23, 55, 15, 7]


@pytest.mark.parametrize(
    ("curation", "expected"),
    [
        (Curation("natural"), [40, 38, 17, 5]),
        (Curation("reweight"), [40, 38, 17, 5]),
        (Curation("group_balanced"), [25, 25, 25, 25]),
        (Curation("class_balanced"), [26, 24, 39, 11]),
        (Curation("add_minority", k=10), [40, 38, 17, 15]),
        (Curation("replace_minority", k=10), [40, 38, 7, 15]),
    ],
)
def test_other_rules_by_hand(curation, expected):
    assert quotas(curation, CELLS, 100).tolist() == expected


def test_pair_mix_by_hand():
    assert quotas(Curation("pair_mix", 1, 0.5), pair(), 100).tolist() == [50, 45, 5]
    assert quotas(Curation("pair_mix", 10, 0.5), pair(), 100).tolist() == [50, 0, 50]


def test_a_mixture_is_a_natural_draw_and_a_level():
    # Of 100, 40 natural: 16, 15.2, 6.8, 2; 60 at level 2: 6, 24, 24, 6.
    mixture = Curation("mixture", 2, 0.5, share=0.4)
    assert quotas(mixture, CELLS, 100).tolist() == [22, 39, 31, 8]


@given(level=st.integers(0, 10), share=st.floats(0.01, 0.99), n=st.integers(1, 3000))
@settings(max_examples=150)
def test_a_mixture_lies_between_both(level, share, n):
    got = quotas(Curation("mixture", level, 0.5, share=share), CELLS, n)
    natural = quotas(Curation("natural"), CELLS, n)
    at_level = quotas(Curation("correlation", level, 0.5), CELLS, n)
    assert got.sum() == n
    assert np.abs(got - share * natural - (1 - share) * at_level).max() < 4


def test_group_and_class_weights_even_out():
    counts = quotas(Curation("natural"), CELLS, 100)
    by_cell = counts * sample_weights(Curation("group_reweight"), CELLS, counts)
    np.testing.assert_allclose(by_cell, 25)
    by_class = counts * sample_weights(Curation("class_reweight"), CELLS, counts)
    np.testing.assert_allclose([by_class[:2].sum(), by_class[2:].sum()], 50)
    assert sample_weights(Curation("group_dro"), CELLS, counts).tolist() == [1, 1, 1, 1]


def test_reweighting_makes_target_and_group_independent():
    counts = np.array([40, 38, 17, 5])
    weighted = counts * sample_weights(Curation("reweight"), CELLS, counts)
    # w = n_y·n_a / (n·n_ya), by hand: 78·57/(100·40), 78·43/(100·38), 22·57/(100·17), 22·43/500.
    np.testing.assert_allclose(weighted, [44.46, 33.54, 12.54, 9.46])


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("Wearing_Earrings", (29303, 65206, 1059, 67202)),
        ("Brown_Hair", (22803, 71706, 10389, 57872)),
        ("Blond_Hair", (22880, 71629, 1387, 66874)),
        ("Bags_Under_Eyes", (9546, 84963, 23734, 44527)),
    ],
)
def test_largest_n_on_celeba_counts(name, counts):
    """Per level the maximum is min over cells of available / share (paper protocol)."""
    female_positive, female_negative, male_positive, male_negative = counts
    available = np.array([female_negative, male_negative, female_positive, male_positive])
    cells = four_cells(1, 1, 1, 1)
    for level in range(11):
        k = level / 10
        shares = np.array([k, 1 - k, 1 - k, k]) / 2
        with np.errstate(divide="ignore"):
            bound = (available / shares).min()
        largest = largest_n(Curation("correlation", level, 0.5), cells, available, 10**6)
        assert abs(largest - bound) <= 20, (name, level)  # Rounding moves it by a few images.
        if level in (0, 10):  # Whole halves: exact but for one image of an odd n.
            assert largest - 2 * int(bound // 2) in (0, 1)


def test_rules_refuse_tasks_they_do_not_fit():
    with pytest.raises(InputError, match="needs a pair"):
        quotas(Curation("pair_mix", 1, 0.5), CELLS, 10)
    with pytest.raises(InputError, match="binary target and two groups"):
        quotas(Curation("correlation", 1, 0.5), pair(), 10)
    with pytest.raises(InputError, match="replaces 30"):
        quotas(Curation("replace_minority", k=30), CELLS, 100)


@given(
    total=st.integers(0, 5000),
    shares=st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=8).filter(
        lambda s: sum(s) > 1e-3
    ),
)
@settings(max_examples=200)
def test_largest_remainder_adds_up_and_stays_within_one(total, shares):
    got = largest_remainder(total, shares)
    exact = total * np.array(shares) / sum(shares)
    assert got.sum() == total
    assert (np.abs(got - exact) < 1 + 1e-6).all()


@given(level=st.integers(0, 10), n=st.integers(1, 4000), prevalence=st.floats(0.05, 0.95))
@settings(max_examples=200)
def test_correlation_mirrors_and_keeps_n(level, n, prevalence):
    got = quotas(Curation("correlation", level, prevalence), CELLS, n)
    assert got.sum() == n
    assert (got >= 0).all()
    positives = got[2:].sum()
    assert abs(positives - n * prevalence) < 1 + 1e-6
    assert abs(got[2] - positives * (10 - level) / 10) < 1 + 1e-6
    assert abs(got[0] - (n - positives) * level / 10) < 1 + 1e-6


@given(
    available=st.lists(st.integers(0, 300), min_size=4, max_size=4),
    level=st.integers(0, 10),
    n=st.integers(1, 600),
)
@settings(max_examples=150)
def test_largest_n_fits_and_is_largest_in_practice(available, level, n):
    curation, available = Curation("correlation", level, 0.5), np.array(available)
    most = largest_n(curation, CELLS, available, n)
    assert 0 <= most <= n
    assert (quotas(curation, CELLS, most) <= available).all()
    # Rounding makes feasibility not quite monotone; nothing clearly larger may fit.
    for larger in range(most + 20, n + 1, 7):
        assert (quotas(curation, CELLS, larger) > available).any()
