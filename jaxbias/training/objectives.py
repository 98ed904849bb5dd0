"""Losses: what one example contributes."""

from collections.abc import Callable

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


# Objective that learns one label -> the loss of each example, of its logits and label.
LOSSES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "erm": example_losses,
    "group_dro": example_losses,
    "dfr": example_losses,
}


def multilabel_losses(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Mean binary cross-entropy of each example over the labels it has.

    Args:
      logits: [B, K].
      labels: int32[B, K], 0, 1 or -1 for unknown.

    Returns:
      float[B]; 0 for an example of which nothing is known.
    """
    known = (labels >= 0).astype(logits.dtype)
    losses = optax.sigmoid_binary_cross_entropy(logits, jnp.maximum(labels, 0).astype(logits.dtype))
    return jnp.sum(losses * known, axis=1) / jnp.maximum(known.sum(axis=1), 1)


def cell_sums(values: jax.Array, cells: jax.Array, count: int) -> jax.Array:
    """Adds values up by cell.

    Args:
      values: float[B], of examples.
      cells: int32[B].
      count: C.

    Returns:
      float[C].
    """
    rows = jnp.arange(count, dtype=cells.dtype)[:, None]
    return (cells[None, :] == rows).astype(values.dtype) @ values
