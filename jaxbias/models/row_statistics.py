"""Layer normalisation of tokens that are stored narrower than it is computed, as of batches.

Its gradient is written down, and mean and variance are of one pass over the tokens: see
`batch_statistics.py`.
"""

import functools

import jax
import jax.numpy as jnp


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def normalise_rows(epsilon: float, x: jax.Array, scale: jax.Array, bias: jax.Array) -> jax.Array:
    """Normalises every row by its own mean and variance.

    Args:
      epsilon: added to variances.
      x: [..., D] of a dtype narrower than the others'.
      scale: float[D].
      bias: float[D].

    Returns:
      The rows as x.
    """
    return _forward(epsilon, x, scale, bias)[0]


def _forward(
    epsilon: float, x: jax.Array, scale: jax.Array, bias: jax.Array
) -> tuple[jax.Array, tuple]:
    wide = x.astype(scale.dtype)
    mean = wide.mean(axis=-1, keepdims=True)
    var = jnp.square(wide).mean(axis=-1, keepdims=True) - jnp.square(mean)
    inverse = jax.lax.rsqrt(jnp.maximum(var, 0) + epsilon)
    y = (wide - mean) * inverse * _last(scale, x) + _last(bias, x)
    return y.astype(x.dtype), (x, scale, mean, inverse)


def _backward(epsilon: float, kept: tuple, change: jax.Array) -> tuple:
    del epsilon
    x, scale, mean, inverse = kept
    wide, rows = change.astype(scale.dtype), tuple(range(x.ndim - 1))
    standard = (x.astype(scale.dtype) - mean) * inverse
    own = wide * _last(scale, x)
    shift = own.mean(axis=-1, keepdims=True)
    slope = (own * standard).mean(axis=-1, keepdims=True)
    of_x = inverse * (own - shift - standard * slope)
    return of_x.astype(x.dtype), (wide * standard).sum(axis=rows), wide.sum(axis=rows)


normalise_rows.defvjp(_forward, _backward)


def _last(values: jax.Array, x: jax.Array) -> jax.Array:
    return values.reshape(*(1,) * (x.ndim - 1), -1)
