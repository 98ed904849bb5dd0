"""Intervals: coverage by simulation, textbook values, Holm's method against a hand-worked table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from jaxbias.errors import InputError
from jaxbias.metrics import contrast_interval, crossed_interval, equivalence, holm, t_interval


def test_t_interval_is_students():
    values = np.array([[1.0, 2.0, 4.0, 5.0], [0.0, 0.0, 1.0, -1.0]])
    interval = t_interval(values, 0.9)
    expected = stats.ttest_1samp(values, 0, axis=1)
    np.testing.assert_allclose(interval.p_value, expected.pvalue)
    bounds = expected.confidence_interval(0.9)
    np.testing.assert_allclose([interval.low, interval.high], [bounds.low, bounds.high])
    assert interval.df.tolist() == [3, 3]


def test_t_interval_of_five_uses_the_right_critical_value():
    """t₄ = 2.776 and sd/√5 (the paper's code takes 1.96·std/5)."""
    values = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    half = 2.776 * values.std(ddof=1) / np.sqrt(5)
    interval = t_interval(values)
    assert interval.high - interval.estimate == pytest.approx(half, rel=1e-3)


def test_one_repeat():
    assert np.isnan(t_interval(np.array([0.3])).low)
    contrast = contrast_interval(np.array([0.3]), np.float64(0.01))
    assert np.isinf(contrast.df) and "repeats=1" in contrast.note
    assert contrast.low == pytest.approx(0.3 - 1.959964 * 0.1)
    assert contrast_interval(np.array([0.3, 0.1]), np.float64(0.01)).note == ""
    with pytest.raises(InputError, match="at least one repeat"):
        contrast_interval(np.zeros(0), np.float64(0.01))


def test_degrees_of_freedom():
    repeats = np.array([0.0, 1.0, 2.0])  # s²/R = 1/3.
    assert contrast_interval(repeats, np.float64(1 / 3)).df == pytest.approx(2 * 4)
    assert contrast_interval(repeats, np.float64(0)).df == pytest.approx(2)
    assert contrast_interval(np.ones(3), np.float64(0.1)).df == 1e6


def test_no_spread_and_nan():
    flat = contrast_interval(np.array([[0.2, 0.2], [0.0, 0.0], [np.nan, 1.0]]), np.zeros(3))
    assert flat.p_value[:2].tolist() == [0, 1]
    assert np.isnan([flat.low[2], flat.high[2], flat.p_value[2]]).all()


@pytest.mark.parametrize("repeats", [3, 5])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9], ids="examples {}".format)
def test_coverage(repeats, share):
    """Studies of known truth: effects of repeat, of shared examples, and their interaction."""
    rng = np.random.default_rng(repeats)
    studies, truth = 2000, 0.1
    example, repeat, interaction = share, (1 - share) * 0.8, (1 - share) * 0.2
    contrast = (
        truth
        + rng.normal(0, np.sqrt(repeat), (studies, repeats))
        + rng.normal(0, np.sqrt(interaction), (studies, repeats))
        + rng.normal(0, np.sqrt(example), (studies, 1))
    )
    # 200 bootstrap replicates estimate the variance over examples with 199 degrees of freedom.
    variance = (example + interaction / repeats) * rng.chisquare(199, studies) / 199
    interval = contrast_interval(contrast, variance)
    coverage = ((interval.low < truth) & (truth < interval.high)).mean()
    assert 0.93 <= coverage <= 0.995
    # The test and the interval say the same.
    shifted = contrast_interval(contrast - truth, variance)
    np.testing.assert_array_equal(
        shifted.p_value > 0.05, (interval.low < truth) & (truth < interval.high)
    )


def test_holm_by_hand():
    """Sorted .01 .02 .03 .04 times 4 3 2 1 is .04 .06 .06 .04, never falling: .04 .06 .06 .06."""
    adjusted = holm(np.array([0.03, 0.01, 0.04, 0.02]))
    np.testing.assert_allclose(adjusted, [0.06, 0.04, 0.06, 0.06])
    np.testing.assert_allclose(holm(np.array([0.5, 0.6])), [1, 1])
    np.testing.assert_allclose(holm(np.array([0.01, np.nan, 0.02])), [0.02, np.nan, 0.02])
    assert holm(np.zeros(0)).shape == (0,)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_as_the_step_down_does(p_values):
    p_values = np.array(p_values)
    adjusted = holm(p_values)
    assert (adjusted >= p_values).all() and (adjusted <= 1).all()
    alpha, order, rejected = 0.05, np.argsort(p_values), np.zeros(len(p_values), bool)
    for k, i in enumerate(order):
        if p_values[i] * (len(order) - k) > alpha:
            break
        rejected[i] = True
    np.testing.assert_array_equal(adjusted <= alpha, rejected)


@pytest.mark.parametrize(("bases", "draws"), [(3, 3), (5, 4)])
@pytest.mark.parametrize("share", [0.1, 0.6], ids="bases {}".format)
def test_crossed_coverage(bases, draws, share):
    """Grids of known truth: effects of base, of draw, their interaction, and shared examples."""
    rng = np.random.default_rng(bases)
    studies, truth = 2000, 0.1
    base, draw, rest, example = share, 0.8 - share, 0.1, 0.02
    values = (
        truth
        + rng.normal(0, np.sqrt(base), (studies, bases, 1))
        + rng.normal(0, np.sqrt(draw), (studies, 1, draws))
        + rng.normal(0, np.sqrt(rest), (studies, bases, draws))
        + rng.normal(0, np.sqrt(example), (studies, 1, 1))
    )
    interval = crossed_interval(values, np.full(studies, example))
    coverage = ((interval.low < truth) & (truth < interval.high)).mean()
    assert 0.92 <= coverage <= 0.995


def test_crossed_without_an_effect_of_draws_is_students_t_over_bases():
    means = np.array([0.1, 0.3, 0.2])
    interval = crossed_interval(np.repeat(means[:, None], 4, axis=1), np.float64(0.0))
    expected = t_interval(means)
    np.testing.assert_allclose(
        [interval.low, interval.high, interval.df], [expected.low, expected.high, 2]
    )
    with pytest.raises(InputError, match="at least two each"):
        crossed_interval(np.zeros((1, 5)), np.float64(0.0))


def test_equivalence_says_what_the_interval_says():
    rng = np.random.default_rng(1)
    contrast = contrast_interval(rng.normal(0, 0.05, (500, 5)), np.full(500, 1e-4), 0.9)
    inside = (contrast.low > -0.05) & (contrast.high < 0.05)
    np.testing.assert_array_equal(equivalence(contrast, 0.05) < 0.05, inside)
    assert 0 < inside.sum() < 500
    with pytest.raises(InputError, match="bound=0 must be positive"):
        equivalence(contrast, 0)
