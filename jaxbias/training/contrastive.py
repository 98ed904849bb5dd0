"""SimCLR's objective: a view must find the other view of its image among all of a batch."""

import jax
import jax.numpy as jnp
import optax

from jaxbias.parallel import join_parts, part_index


def nt_xent(first: jax.Array, second: jax.Array, temperature: float, parts: int = 1) -> jax.Array:
    """Normalised temperature-scaled cross-entropy (Chen et al., 2020, equation 1).

    Args:
      first: float[M, D], embeddings of one view of each image of this device's part of the batch.
      second: float[M, D], of the other.
      temperature: of the similarities.
      parts: devices of the mesh axis "data"; negatives are the views on all of them.

    Returns:
      float[]: the sum over this device's 2·M views, divided by all 2·M·parts; parts add up to the
      mean.
    """
    count = first.shape[0]
    first, second = _normalised(first), _normalised(second)
    own = jnp.concatenate([first, second])
    everyone = jnp.concatenate([join_parts(first, parts), join_parts(second, parts)])
    similarity = own @ everyone.T / temperature
    whole = count * parts
    here = part_index(parts) * count + jnp.arange(count, dtype=jnp.int32)
    itself = jnp.concatenate([here, here + whole])
    other = jnp.concatenate([here + whole, here])
    columns = jnp.arange(2 * whole, dtype=jnp.int32)
    similarity = jnp.where(itself[:, None] == columns[None, :], -jnp.inf, similarity)
    losses = optax.softmax_cross_entropy_with_integer_labels(similarity, other)
    return losses.sum() / (2 * whole)


def _normalised(x: jax.Array) -> jax.Array:
    return x * jax.lax.rsqrt(jnp.sum(x * x, axis=-1, keepdims=True) + 1e-12)
