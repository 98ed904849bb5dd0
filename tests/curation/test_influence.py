"""Influence of examples on the gap, against heads of scikit-learn refitted without each of them."""

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression

from jaxbias.curation import Sample, harms
from jaxbias.curation.influence import fit, gap_of

C = 0.3


def sample(count, seed, poisoned=0):
    """Two features show the target, one the group; women of the poisoned wrongly labelled 1."""
    rng = np.random.default_rng(seed)
    groups, labels = rng.integers(0, 2, count), rng.integers(0, 2, count)
    labels[:poisoned], groups[:poisoned] = 0, 0
    features = rng.normal(size=(count, 4))
    features[:, 0] += 1.2 * labels
    features[:, 1] += 0.8 * labels
    features[:, 2] += 1.5 * (groups == 0)
    labels[:poisoned] = 1  # As they are labelled.
    return Sample(features, labels, groups)


def refitted(training, weights):
    head = LogisticRegression(C=C, tol=1e-10, max_iter=10_000)
    head.fit(training.features, training.labels, sample_weight=weights)
    return np.array([*head.coef_[0], *head.intercept_])


TRAINING, VALIDATION = sample(160, 0, poisoned=16), sample(600, 1)
WEIGHTS = np.random.default_rng(2).uniform(0.5, 1.5, 160)


@pytest.fixture(scope="module")
def harm():
    return harms(TRAINING, WEIGHTS, VALIDATION, C)


def test_the_head_is_that_of_scikit_learn():
    x = np.column_stack([TRAINING.features, np.ones(160)])
    theta = fit(x, TRAINING.labels, WEIGHTS, C).theta
    np.testing.assert_allclose(theta, refitted(TRAINING, WEIGHTS), atol=1e-6)


def test_harm_is_what_leaving_an_example_out_does_to_the_gap(harm):
    whole = gap_of(refitted(TRAINING, WEIGHTS), VALIDATION)
    assert whole > 0.05
    changes = np.array(
        [
            whole
            - gap_of(refitted(TRAINING, np.where(np.arange(160) == i, 0, WEIGHTS)), VALIDATION)
            for i in range(160)
        ]
    )
    assert stats.spearmanr(harm, changes).statistic > 0.99
    np.testing.assert_allclose(harm, changes, atol=0.05 * np.abs(changes).max())


def test_the_gap_is_a_mean_of_probabilities_by_hand():
    theta = np.array([1.0, 0.0])
    two = Sample(np.array([[0.0], [np.log(3)], [np.log(3)], [9.0]]), np.array([0, 0, 0, 1]),
                 np.array([0, 0, 1, 1]))  # fmt: skip
    assert gap_of(theta, two) == pytest.approx((0.5 + 0.75) / 2 - 0.75)


def test_dropping_the_worst_closes_the_gap_and_dropping_at_random_does_not(harm):
    order = np.argsort(-harm)
    assert (order[:16] < 16).sum() >= 4  # Poisoned; at random it would be 1.6.

    def without(dropped):
        kept = np.where(np.isin(np.arange(160), dropped), 0, WEIGHTS)
        return gap_of(refitted(TRAINING, kept), VALIDATION)

    rng = np.random.default_rng(0)
    before = without([])
    for k in (2, 4, 6, 8):
        after = without(order[:k])
        assert 0 < after < before  # Dose by dose.
        at_random = [without(rng.choice(160, k, replace=False)) for _ in range(20)]
        assert after < min(at_random)
        before = after
    assert before < 0.3 * without([])
    # Alike as they are, they do more together than their scores add up to.
    assert without([]) - harm[order[:8]].sum() > before


def test_a_gap_of_the_other_sign_turns_the_scores():
    swapped = [each._replace(groups=1 - each.groups) for each in (TRAINING, VALIDATION)]
    np.testing.assert_allclose(
        harms(swapped[0], WEIGHTS, swapped[1], C), harms(TRAINING, WEIGHTS, VALIDATION, C)
    )
