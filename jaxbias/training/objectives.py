"""Losses: what one example contributes."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax


def label_type(labels: int, outputs: int) -> type[np.generic]:
    """Returns the dtype of labels [n, K]: probabilities of K outputs, or one of several classes.

    >>> label_type(3, 3).__name__, label_type(1, 1000).__name__
    ('float32', 'int32')
    """
    return np.float32 if labels == outputs else np.int32


def example_losses(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Cross-entropy of each example: the mean over the labels it has.

    Args:
      logits: [B, C].
      labels: [B, K]; as many as outputs (K = C) are probabilities, 0 and 1 where they are certain,
        by a sigmoid each; one for several outputs is a class in 0..C-1, by their softmax. Below 0:
        unknown.

    Returns:
      float[B]; 0 for an example of which nothing is known.
    """
    known = (labels >= 0).astype(logits.dtype)
    sure = jnp.maximum(labels, 0)
    if labels.shape[1] == logits.shape[1]:
        losses = optax.sigmoid_binary_cross_entropy(logits, sure.astype(logits.dtype))
    else:
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, sure[:, 0])[:, None]
    return jnp.sum(losses * known, axis=1) / jnp.maximum(known.sum(axis=1), 1)


# Objective that learns labels -> the loss of each example, of its logits and labels.
LOSSES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "erm": example_losses,
    "group_dro": example_losses,
    "dfr": example_losses,
}


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
