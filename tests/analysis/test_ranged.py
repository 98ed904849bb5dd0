"""Ranges over groups in arms: by brute force, by hand, and how often they err."""

import itertools

import numpy as np
import pytest
from scipy import special, stats

from jaxbias.analysis.estimates import difference, estimate
from jaxbias.analysis.panels import Panel
from jaxbias.analysis.ranged import Rates, range_change
from jaxbias.analysis.uncertainty import critical
from jaxbias.metrics.ranges import tukey
from jaxbias.metrics.resampling import Share

REPLICATES = 100


def drawn(rng, rates, size, units=4, between=0.02, like=0.7):
    """Rates of groups with that many examples, whose models answer them alike."""
    examples = [rng.standard_normal(size) for _ in rates]
    times = [rng.poisson(1, (size, REPLICATES)) for _ in rates]
    return lambda rates: [
        _panel(rng, rate, z, own, units, between, like)
        for rate, z, own in zip(rates, examples, times, strict=True)
    ]


def _panel(rng, rate, examples, times, units, between, like):
    own = np.clip(rate + rng.normal(0, between, units), 0.001, 0.999)
    noise = rng.standard_normal((units, len(examples)))
    hits = np.sqrt(like) * examples + np.sqrt(1 - like) * noise > -special.ndtri(own)[:, None]
    places = np.arange(units)
    return Panel(places, places, hits.mean(axis=1), (hits @ times) / times.sum(axis=0))


def share(groups, size):
    return Share(np.full((groups, 1), float(size)), counted=True)


def test_values_errors_and_pairs_are_those_of_the_estimates():
    rng = np.random.default_rng(0)
    rates = (0.1, 0.2, 0.4)
    panels = drawn(rng, rates, 4000)(rates)
    found = Rates.of([panels], share(3, 4000))
    each = [estimate(panel) for panel in panels]
    np.testing.assert_allclose(found.values[:, 0], [one.value for one in each])
    np.testing.assert_allclose(found.error[:, 0], [one.error for one in each])
    # Of many examples and rates off 0 and 1 Wilson's bounds are the estimate's own.
    low, high = found.bounds(0.05)
    for g, one in enumerate(each):
        reach = critical(0.025, one.share, one.df) * one.error
        assert (high - low)[g, 0] == pytest.approx(2 * reach, rel=0.1)
    low, high = found.differences(0.05)
    paired = difference(panels[0], panels[2])
    reach = critical(0.025, paired.share, paired.df) * paired.error
    assert (high - low)[0, 2, 0] == pytest.approx(2 * reach, rel=0.4)
    np.testing.assert_allclose(low[0, 2, 0], -high[2, 0, 0])


def test_a_range_is_bounded_by_its_pairs():
    rng = np.random.default_rng(1)
    rates = (0.1, 0.2, 0.4, 0.15)
    found = Rates.of([drawn(rng, rates, 500)(rates)], share(4, 500))
    (one,) = found.ranges(0.05)
    together = found.differences(2 * special.ndtr(-tukey(0.05, 4)))[0]
    alone = found.differences(0.05)[1]
    pairs = list(itertools.permutations(range(4), 2))
    assert one.value == pytest.approx(np.ptp(found.values))
    assert one.low == pytest.approx(max(together[g, h, 0] for g, h in pairs))
    assert one.high == pytest.approx(max(alone[g, h, 0] for g, h in pairs))
    assert one.low < 0.3 < one.high


def test_the_change_of_a_range_is_bounded_by_both():
    rng = np.random.default_rng(2)
    rates = (0.1, 0.2, 0.3)
    draw = drawn(rng, rates, 400)
    before, after = draw(rates), draw((0.4, 0.2, 0.3))
    found = range_change(before, after, share(3, 400), 0.05)
    first, second = Rates.of([before, after], share(3, 400)).ranges(0.05)
    assert found.value == pytest.approx(second.value - first.value)
    below = (second.value - second.low, first.high - first.value)
    above = (second.high - second.value, first.value - first.low)
    # The widest gap was of the third group over the first, and is of the first over the second.
    assert np.hypot(*below) <= found.value - found.low <= sum(below)
    assert np.hypot(*above) <= found.high - found.value <= sum(above)


def test_a_gap_that_was_reversed_errs_against_itself():
    rng = np.random.default_rng(6)
    draw = drawn(rng, (0.2, 0.3), 300, between=0.0, like=0.95)
    before, after = draw((0.2, 0.3)), draw((0.3, 0.2))
    found = range_change(before, after, share(2, 300), 0.05)
    first, second = Rates.of([before, after], share(2, 300)).ranges(0.05)
    apart = (second.value - second.low, first.high - first.value)
    assert found.value - found.low > 1.2 * np.hypot(*apart)


def test_a_single_model_has_no_bounds_and_is_no_verdict():
    panels = [
        panel.of(np.array([0]))
        for panel in drawn(np.random.default_rng(3), (0.1, 0.3), 90)((0.1, 0.3))
    ]
    (one,) = Rates.of([panels], share(2, 90)).ranges(0.05)
    assert np.isfinite(one.value) and np.isnan([one.low, one.high]).all()
    assert np.isnan(range_change(panels, panels, share(2, 90), 0.05).low)


def test_groups_of_nothing_but_zeros_are_not_sure_to_be_equal():
    rng = np.random.default_rng(4)
    panels = drawn(rng, (0.0, 0.0), 30, between=0)((0.0, 0.0))
    zeros = [Panel(p.units, p.draws, 0 * p.values, 0 * p.replicates) for p in panels]
    (one,) = Rates.of([zeros], share(2, 30)).ranges(0.05)
    assert (one.value, one.low) == (0, 0)
    assert 0.05 < one.high < 0.15  # Of none among 30 Wilson's bound is 0.11.


@pytest.mark.parametrize(("groups", "size", "units"), [(14, 60, 4), (3, 200, 2)])
def test_equal_groups_are_seldom_apart_and_no_change_is_seldom_one(groups, size, units):
    rng, reps = np.random.default_rng(groups), 60
    rates = (0.15,) * groups
    apart = changed = 0
    for _ in range(reps):
        draw = drawn(rng, rates, size, units)
        before, after = draw(rates), draw(rates)
        (one,) = Rates.of([before], share(groups, size)).ranges(0.05)
        change = range_change(before, after, share(groups, size), 0.05)
        apart += one.low > 0
        changed += change.low > 0 or change.high < 0
    for errors in (apart, changed):
        assert stats.binom.sf(errors - 1, reps, 0.05) > 0.01
    chance = Rates.of([before], share(groups, size)).by_chance()
    assert 0.3 < chance[0] / one.value < 3  # The range there is, is one of chance.


def test_one_group_of_fourteen_is_found_and_so_is_a_new_gap():
    rng, reps, truth = np.random.default_rng(5), 20, 0.3
    equal = (0.1,) * 14
    one_apart = (0.1 + truth, *equal[1:])
    found = surely = larger = covered = 0
    for _ in range(reps):
        draw = drawn(rng, equal, 200)
        before, after = draw(equal), draw(one_apart)
        (one,) = Rates.of([after], share(14, 200)).ranges(0.05)
        found += one.low > 0
        surely += one.low > 0.05
        covered += one.low < truth < one.high
        larger += range_change(before, after, share(14, 200), 0.05).low > 0
    assert found == reps
    assert min(surely, larger) > 0.8 * reps
    assert stats.binom.cdf(covered, reps, 0.95) > 0.01
