"""Multiplicities are Poisson(1), belong to their example and replicate, and repeat."""

import numpy as np
from scipy import stats

from jaxbias.metrics.bootstrap import draw_multiplicities, percentile_interval


def test_poisson():
    m = draw_multiplicities(0, 0, 2000, 100).ravel()
    counts = np.bincount(m.astype(int), minlength=6)
    observed = np.append(counts[:5], counts[5:].sum())
    chances = stats.poisson(1).pmf(np.arange(5))
    expected = len(m) * np.append(chances, 1 - chances.sum())
    assert stats.chisquare(observed, expected).pvalue > 1e-3


def test_replicates_are_independent():
    m = draw_multiplicities(0, 0, 2000, 20)
    other = draw_multiplicities(0, 1, 2000, 20)
    correlations = np.corrcoef(np.concatenate([m, other], axis=1).T) - np.eye(40)
    assert np.abs(correlations).max() < 0.12


def test_draws_do_not_depend_on_sizes():
    many = draw_multiplicities(5, 0, 700, 9)
    few = draw_multiplicities(5, 0, 300, 4)
    np.testing.assert_array_equal(many[:300, :4], few)


def test_percentiles_pass_over_undefined_replicates():
    rng = np.random.default_rng(0)
    replicates = rng.normal(size=(30, 41))
    replicates[rng.random(replicates.shape) < 0.4] = np.nan
    replicates[0] = np.nan
    replicates[1, 1:] = np.nan
    low, high = percentile_interval(replicates, 0.9)
    assert np.isnan([low[:2], high[:2]]).all()
    expected = np.nanquantile(replicates[2:], [0.05, 0.95], axis=1)
    np.testing.assert_allclose([low[2:], high[2:]], expected)
    assert np.isnan(percentile_interval(np.zeros((3, 0)), 0.9)[0]).all()
