"""Heads to convergence: L2-regularised logistic regression by L-BFGS over stored features.

The objective is scikit-learn's, divided by C and by the sum of the sample weights,

    f(w, b) = Σ s_i log(1 + exp(-y_i (x_i·w + b))) / Σ s_i + |w|² / (2 C Σ s_i),

with an intercept that is not penalised; it has converged when no entry of its gradient exceeds the
tolerance, scikit-learn's rule too. Two properties of a linear model make it cheap:

- The penalty does not change under rotation. Features come in the principal axes of the base's
  finetuning pool, where the Hessian is close to diagonal with entries var_j / 4 + 1 / (C Σ s_i);
  its inverse square root as a change of scale leaves L-BFGS an almost round problem.
- Along a direction the loss depends on the n logits alone. The line search costs O(n) instead of
  O(n F), so it is run to near exactness and an iteration is two products with the features.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxbias.models.network import Params
from jaxbias.training.run import Trained, TrainingSet

# Far beyond what converges (tens); a fit that needs more is marked.
_MOST_ITERATIONS = 1000
_MEMORY = 10
# Safeguarded Newton steps of the line search.
_SEARCHES = 5


class Penalty(NamedTuple):
    """Numeric settings of a fit: float32[] each, so they vary between heads of one program."""

    C: jax.Array  # Inverse strength of regularisation, as in scikit-learn.
    tolerance: jax.Array  # Of the largest entry of the gradient.


class _Memory(NamedTuple):
    """The last steps of L-BFGS, a ring; empty places have curvature 0 and count for nothing."""

    steps: jax.Array  # float[m, F + 1]
    changes: jax.Array  # float[m, F + 1], of the gradient.
    curvature: jax.Array  # float[m], 1 / (step · change).


class _Fit(NamedTuple):
    """What one iteration hands to the next; u are the coefficients over their scale."""

    u: jax.Array  # float[F + 1], the intercept last.
    logits: jax.Array  # float[n]
    gradient: jax.Array  # float[F + 1], of f by u.
    memory: "_Memory"
    iteration: jax.Array
    stuck: jax.Array  # bool[], the last step moved nothing: float precision is used up.


def fit_head(
    examples: TrainingSet,
    penalty: Penalty,
    variances: jax.Array,
    features: jax.Array,
    objective: str = "erm",
) -> Trained:
    """Fits one head of one output.

    Args:
      examples: its curated set.
      penalty: its numeric settings.
      variances: float[F], the pool's along the principal axes.
      features: the shared store float[N, F] in these axes.
      objective: "erm", or "dfr": the head is fitted to the balanced part alone.

    Returns:
      The head; `loss` is f, and `diverged_at` is the iteration of a fit that turned non-finite or
      did not converge, else -1. The start is zero, so neither a seed nor a key takes part.
    """
    if objective == "dfr":
        examples = jax.tree.map(lambda leaf: leaf[examples.balanced], examples)
    dtype = features.dtype
    x = features[examples.ids]
    y = examples.labels[:, 0].astype(dtype)
    share = examples.weights.astype(dtype)
    total = jnp.sum(share)
    share = share / total
    tolerance = penalty.tolerance.astype(dtype)
    ridge = 1 / (penalty.C.astype(dtype) * total)
    scale = jax.lax.rsqrt(variances.astype(dtype) / 4 + ridge)
    scale = jnp.append(scale, jnp.asarray(2, dtype))  # The intercept's Hessian is at most 1/4.
    # Of |u|²/2: the penalty on w = scale · u; none on the intercept.
    weight = (ridge * scale**2).at[-1].set(0)

    def logits_of(u: jax.Array) -> jax.Array:
        scaled = u * scale
        return x @ scaled[:-1] + scaled[-1]

    def gradient_of(u: jax.Array, logits: jax.Array) -> jax.Array:
        residual = share * (jax.nn.sigmoid(logits) - y)
        return jnp.append(residual @ x, jnp.sum(residual)) * scale + weight * u

    def length_along(fit: _Fit, step: jax.Array, change: jax.Array) -> jax.Array:
        """Where f is least along a direction, by Newton's method inside a bracket."""
        slope, curve = jnp.sum(weight * fit.u * step), jnp.sum(weight * step**2)

        def newton(state: tuple, _: None) -> tuple[tuple, None]:
            t, low, high = state
            p = jax.nn.sigmoid(fit.logits + t * change)
            first = jnp.sum(share * (p - y) * change) + slope + t * curve
            second = jnp.sum(share * p * (1 - p) * change**2) + curve
            low, high = jnp.where(first > 0, low, t), jnp.where(first > 0, t, high)
            tried = t - first / second
            middle = jnp.where(jnp.isfinite(high), (low + high) / 2, 2 * t)
            return (jnp.where((tried > low) & (tried < high), tried, middle), low, high), None

        start = (jnp.ones((), dtype), jnp.zeros((), dtype), jnp.full((), jnp.inf, dtype))
        (t, _, _), _ = jax.lax.scan(newton, start, None, length=_SEARCHES)
        return t

    def unfinished(fit: _Fit) -> jax.Array:
        steep = jnp.max(jnp.abs(fit.gradient / scale)) > tolerance  # False where it is NaN.
        return steep & ~fit.stuck & (fit.iteration < _MOST_ITERATIONS)

    def iterate(fit: _Fit) -> _Fit:
        step = -_times_inverse_hessian(fit.gradient, fit.memory, fit.iteration)
        change = logits_of(step)
        t = length_along(fit, step, change)
        u, logits = fit.u + t * step, fit.logits + t * change
        gradient = gradient_of(u, logits)
        stuck = jnp.all(u == fit.u)
        memory = _remember(fit.memory, fit.iteration, t * step, gradient - fit.gradient)
        return _Fit(u, logits, gradient, memory, fit.iteration + 1, stuck)

    zero, at_zero = jnp.zeros_like(scale), jnp.zeros_like(y)
    ring = jnp.zeros((_MEMORY, len(scale)), dtype)
    start = _Fit(
        u=zero,
        logits=at_zero,
        gradient=gradient_of(zero, at_zero),
        memory=_Memory(ring, ring, jnp.zeros(_MEMORY, dtype)),
        iteration=jnp.int32(0),
        stuck=jnp.bool(False),
    )
    end = jax.lax.while_loop(unfinished, iterate, start)
    losses = optax.sigmoid_binary_cross_entropy(end.logits, y)
    loss = jnp.sum(share * losses) + jnp.sum(weight * end.u**2) / 2
    converged = jnp.max(jnp.abs(end.gradient / scale)) <= tolerance
    coefficients = end.u * scale
    params: Params = {"head": {"kernel": coefficients[:-1, None], "bias": coefficients[-1:]}}
    return Trained(params, loss, jnp.where(converged, jnp.int32(-1), end.iteration))


def _remember(memory: _Memory, count: jax.Array, step: jax.Array, change: jax.Array) -> _Memory:
    place = count % _MEMORY
    product = jnp.sum(step * change)
    # Positive but for rounding, as f is strictly convex off the intercept.
    curvature = jnp.where(product > 0, 1 / product, 0)
    return _Memory(
        memory.steps.at[place].set(step),
        memory.changes.at[place].set(change),
        memory.curvature.at[place].set(curvature),
    )


def _times_inverse_hessian(gradient: jax.Array, memory: _Memory, count: jax.Array) -> jax.Array:
    """L-BFGS's two loops over the ring (Nocedal & Wright, algorithm 7.4), from the identity.

    Not optax's, which mixes integer types where 64-bit ones are enabled.
    """
    places = [(count - 1 - back) % _MEMORY for back in range(_MEMORY)]
    shares = []
    for place in places:
        share = memory.curvature[place] * jnp.sum(memory.steps[place] * gradient)
        gradient = gradient - share * memory.changes[place]
        shares.append(share)
    for place, share in zip(reversed(places), reversed(shares), strict=True):
        back = memory.curvature[place] * jnp.sum(memory.changes[place] * gradient)
        gradient = gradient + (share - back) * memory.steps[place]
    return gradient
