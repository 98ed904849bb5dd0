"""Multiplicities are Poisson(1), belong to their example and replicate, and repeat."""

import numpy as np
from scipy import stats

from jaxbias.metrics.bootstrap import draw_multiplicities


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
