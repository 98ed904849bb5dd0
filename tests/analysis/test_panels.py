"""Units, draws and what pairs: against hand-worked tables, SciPy and the crossed design."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from jaxbias.analysis.estimates import covariances, difference, estimate
from jaxbias.analysis.panels import Panel, paired
from jaxbias.analysis.uncertainty import (
    chosen_level,
    critical,
    interval,
    p_value,
    simultaneous_level,
    tail,
)
from jaxbias.metrics import crossed_interval


def panel(units, draws, values, replicates=None):
    values = np.asarray(values, np.float64)
    replicates = np.zeros((len(values), 10)) if replicates is None else np.asarray(replicates)
    return Panel(np.asarray(units), np.asarray(draws), values, replicates)


def test_five_finetunes_of_one_checkpoint_are_one_unit():
    one = estimate(panel([7] * 5, range(5), [0.1, 0.2, 0.3, 0.4, 0.5]))
    assert (one.units, one.draws, one.scope) == (1, 5, "checkpoint")
    assert one.unit_variance == pytest.approx(0.025 / 5)  # Over its draws.
    five = estimate(panel(range(5), range(5), [0.1, 0.2, 0.3, 0.4, 0.5]))
    assert (five.units, five.scope) == (5, "kind")


def test_models_of_a_checkpoint_are_averaged_first():
    """Two units of means 0.2 and 0.6, whatever the number of finetunes of each."""
    found = estimate(panel([0, 0, 0, 1], [0, 1, 2, 3], [0.1, 0.2, 0.3, 0.6]))
    assert found.value == pytest.approx(0.4)
    assert found.unit_variance == pytest.approx(0.2**2)  # s² = 0.08, over 2.
    assert found.df == 1


def test_checkpoints_that_share_draws_are_a_crossed_design():
    rng = np.random.default_rng(3)
    grid = rng.normal(0, 0.02, (5, 1)) + rng.normal(0, 0.05, 5) + rng.normal(0, 0.01, (5, 5))
    units, draws = np.divmod(np.arange(25), 5)
    one = estimate(panel(units, draws, grid.ravel()))
    expected = crossed_interval(grid, np.float64(0.0))
    assert one.error == pytest.approx(float(expected.error))
    assert one.df == pytest.approx(float(expected.df))


def test_what_examples_do_to_each_alone_is_counted_once():
    """Half of the bootstrap variance is shared; the rest is in the spread of the units already."""
    rng = np.random.default_rng(0)
    common, own = rng.normal(size=4000), rng.normal(size=(4, 4000))
    found = estimate(panel(range(4), range(4), [0.0, 1.0, 2.0, 3.0], common + own))
    assert found.example_variance == pytest.approx(1.0, abs=0.06)
    assert found.unit_variance == pytest.approx(np.var([0, 1, 2, 3], ddof=1) / 4)


def test_the_same_unit_and_draw_pair_and_else_it_is_welchs():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=4), rng.normal(size=6)
    mine, theirs = panel(range(4), range(4), a), panel(range(10, 16), range(10, 16), b)
    assert paired(mine, theirs) is None
    found = difference(mine, theirs)
    expected = stats.ttest_ind(a, b, equal_var=False)
    assert found.df == pytest.approx(expected.df)
    assert p_value(found) == pytest.approx(expected.pvalue)
    same = difference(panel(range(4), range(4), a), panel(range(6), range(6), b))
    assert p_value(same) == pytest.approx(stats.ttest_rel(a, b[:4]).pvalue)
    assert same.scope == "kind"


def test_one_checkpoint_pairs_by_draw_with_what_has_many():
    """An imported checkpoint: said of it over its draws, the controls' in the spread."""
    mine = panel([0] * 4, range(4), [0.5, 0.6, 0.7, 0.8])
    theirs = panel(range(4), range(4), [0.1, 0.3, 0.2, 0.4])
    found = difference(mine, theirs)
    assert (found.scope, found.units, found.draws) == ("checkpoint", 4, 4)
    assert found.value == pytest.approx(0.4)
    assert found.unit_variance == pytest.approx(np.var([0.4, 0.3, 0.5, 0.4], ddof=1) / 4)


def test_one_model_has_no_interval():
    found = estimate(panel([0], [0], [0.3]))
    assert found.value == pytest.approx(0.3)
    assert np.isnan(interval(found, 0.05).low)
    assert p_value(found) == 1.0


@pytest.mark.parametrize(("value", "p"), [(0.25, 0.0), (-0.25, 0.0), (0.0, 1.0)])
def test_a_mean_without_error_is_zero_or_it_is_not(value, p):
    found = estimate(panel(range(4), range(4), [value] * 4))
    assert found.error == 0
    assert p_value(found) == p


@given(st.floats(0, 1), st.integers(1, 30), st.floats(1e-5, 0.3))
def test_a_quantile_is_the_inverse_of_its_tail(share, df, p):
    t = critical(p, np.array(share), np.array(float(df)))
    assert tail(t, np.array(share), np.array(float(df))) == pytest.approx(p, rel=1e-5)


def test_tails_are_students_without_examples_and_normal_without_units():
    for df in (1.0, 4.0):
        assert critical(0.025, np.array(1.0), np.array(df)) == pytest.approx(stats.t.isf(0.025, df))
        normal = critical(0.025, np.array(0.0), np.array(df))
        assert normal == pytest.approx(stats.norm.isf(0.025), abs=1e-4)


def family(common, own, units=6, count=8, seed=0):
    """Estimates that move together by `common` and by themselves by `own`."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(0, common, units)
    examples = rng.normal(0, 0.1 * common, 200)
    return [
        estimate(
            panel(
                range(units),
                range(units),
                shared + rng.normal(0, own, units),
                np.tile(examples + rng.normal(0, 0.1 * own, 200), (units, 1)),
            )
        )
        for _ in range(count)
    ]


def test_levels_of_families():
    alike, apart = family(1.0, 0.05), family(0.05, 1.0)
    # Those that move together cost little more than one; never less than Bonferroni's.
    assert 0.05 / 8 <= simultaneous_level(apart, 0.05, 8) < simultaneous_level(alike, 0.05, 8)
    assert simultaneous_level(alike, 0.05, 8) > 0.015
    assert simultaneous_level(alike[:1], 0.05, 4) == pytest.approx(0.0125)
    # Fewer than five units, or other units: Bonferroni's.
    few = family(1.0, 0.05, units=4)
    assert simultaneous_level(few, 0.05, 8) == pytest.approx(0.05 / 8)
    assert covariances([alike[0], few[0]]) is None
    # Planned and not there yet: they take their share.
    assert simultaneous_level(alike, 0.05, 16) < simultaneous_level(alike, 0.05, 8)


def test_what_was_chosen_is_tested_at_a_level_that_answers_for_the_choice():
    alike, other = family(1.0, 0.05), family(1.0, 0.05, seed=1)
    apart, beside = family(0.05, 1.0), family(0.05, 1.0, seed=1)
    assert chosen_level(alike[:1], other[:1], 0.05, 1) == 0.05  # Nothing was chosen.
    # The other split's units are others' here: a choice tells nothing, so it costs little.
    assert chosen_level(apart, beside, 0.05, 8) > 0.02
    # The same units on both splits: what looks best by luck does so again.
    assert 0.05 / 8 <= chosen_level(apart, apart, 0.05, 8) < 0.02
    assert chosen_level(apart, apart, 0.05, 20) <= simultaneous_level(apart, 0.1, 20) / 2
