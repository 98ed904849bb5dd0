"""Losses: what one example contributes."""

import jax
import jax.numpy as jnp
import optax


def example_losses(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Cross-entropy of each example.

    Args:
      logits: [B, C]; C = 1 is a binary target, otherwise classes.
      labels: int32[B], in {0, 1} or 0..C-1.

    Returns:
      float[B].
    """
    if logits.shape[-1] == 1:
        return optax.sigmoid_binary_cross_entropy(logits[:, 0], labels.astype(logits.dtype))
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def weighted_mean(losses: jax.Array, weights: jax.Array) -> jax.Array:
    """Mean loss of a batch under example weights; a batch of zero weights has loss 0."""
    return jnp.sum(losses * weights) / jnp.maximum(jnp.sum(weights), jnp.finfo(losses.dtype).tiny)


def cell_means(losses: jax.Array, cells: jax.Array, count: int) -> jax.Array:
    """Mean loss of each cell's examples in a batch; of a cell that is not in it, 0.

    Args:
      losses: float[B].
      cells: int32[B].
      count: C.

    Returns:
      float[C].
    """
    inside = (cells[None, :] == jnp.arange(count, dtype=cells.dtype)[:, None]).astype(losses.dtype)
    return (inside @ losses) / jnp.maximum(inside.sum(axis=1), 1)
