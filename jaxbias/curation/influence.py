"""Influence: how much each finetuning example adds to the gap of a head on frozen features.

The influence function of Koh & Liang (ICML 2017) with the exact Hessian, which a logistic head has
in closed form, of a smooth gap in error rates, as in the fair infinitesimal jackknife of Sattigeri
et al. (NeurIPS 2022). With f the loss of `fit`, θ its minimum and H = ∇²f(θ), leaving example i out
moves θ by a Newton step

    Δθ_i ≈ H⁻¹ C s_i ∇ℓ_i(θ) / (1 − h_i),    h_i = C s_i p_i (1 − p_i) x_iᵀ H⁻¹ x_i,

where the leverage h_i is what its own part of H does (Pregibon, 1981); and the gap g(θ), the mean
σ(x·θ) over the negatives of the first group less that of the second, by ∇g·Δθ_i. Where that makes
|g| smaller, the example does harm: harm_i = −sign(g) ∇g·Δθ_i.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_MOST_STEPS = 100
_PRECISE = 1e-10  # Of a Newton step, by the largest coefficient.


class Sample(NamedTuple):
    """Examples as a head sees them.

    Attributes:
      features: float[N, F].
      labels: int[N], 0 or 1.
      groups: int[N], 0 for the first group, 1 for the second.
    """

    features: np.ndarray
    labels: np.ndarray
    groups: np.ndarray


class Fit(NamedTuple):
    """A head at the minimum of its loss.

    Attributes:
      theta: float64[F + 1], its coefficients and then its intercept.
      hessian: float64[F + 1, F + 1], of the loss there.
    """

    theta: Floats
    hessian: Floats


def harms(training: Sample, weights: np.ndarray, validation: Sample, C: float) -> Floats:
    """Returns float64[N], by how much |gap| on validation falls without each training example.

    Args:
      training: what the head is fitted to; its groups are not looked at.
      weights: float[N], of the training examples in the loss.
      validation: what the gap is measured on; both groups have negatives.
      C: inverse strength of the L2 penalty, as in scikit-learn.
    """
    x = _with_ones(training.features)
    head = fit(x, training.labels, weights, C)
    p = _sigmoid(x @ head.theta)
    gap, slope = _gap(head.theta, validation)
    inverse = np.linalg.inv(head.hessian)
    moved = C * weights * (p - training.labels) * (x @ (inverse @ slope))
    leverage = C * weights * p * (1 - p) * ((x @ inverse) * x).sum(axis=1)
    return -np.sign(gap) * moved / (1 - leverage)


def fit(x: Floats, labels: np.ndarray, weights: np.ndarray, C: float) -> Fit:
    """Fits a head by Newton's method: f(θ) = ½|w|² + C Σ s_i ℓ_i, the intercept not penalised.

    Args:
      x: float64[N, F + 1], the last column of ones.
      labels: int[N], 0 or 1, both of them.
      weights: float[N], s.
      C: inverse strength of the penalty.
    """
    penalty = np.ones(x.shape[1])
    penalty[-1] = 0.0
    theta = np.zeros(x.shape[1])

    def loss(theta: Floats) -> float:
        logits = x @ theta
        losses = np.logaddexp(0, logits) - labels * logits
        return float(penalty @ theta**2 / 2 + C * weights @ losses)

    def hessian(theta: Floats) -> Floats:
        p = _sigmoid(x @ theta)
        return (x.T * (C * weights * p * (1 - p))) @ x + np.diag(penalty)

    for _ in range(_MOST_STEPS):
        slope = penalty * theta + C * x.T @ (weights * (_sigmoid(x @ theta) - labels))
        step = np.linalg.solve(hessian(theta), slope)
        length, now = 1.0, loss(theta)
        while length > 1e-6 and loss(theta - length * step) > now:
            length /= 2
        theta = theta - length * step
        if np.abs(step).max() <= _PRECISE * max(1.0, np.abs(theta).max()):
            break
    return Fit(theta, hessian(theta))


def gap_of(theta: Floats, sample: Sample) -> float:
    """Returns the smooth gap g of a head: first group minus second."""
    return _gap(theta, sample)[0]


def _gap(theta: Floats, sample: Sample) -> tuple[float, Floats]:
    """The smooth gap and its gradient."""
    value, slope = 0.0, np.zeros_like(theta)
    for group, sign in ((0, 1.0), (1, -1.0)):
        x = _with_ones(sample.features[(sample.labels == 0) & (sample.groups == group)])
        p = _sigmoid(x @ theta)
        value += sign * float(p.mean())
        slope += sign * (p * (1 - p)) @ x / len(x)
    return value, slope


def _with_ones(features: np.ndarray) -> Floats:
    x = np.ones((len(features), features.shape[1] + 1))
    x[:, :-1] = features
    return x


def _sigmoid(logits: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(logits, -500, 500)))
