"""Heads: how wide their packs may be, and the extraction of the features they share."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jax.sharding import Mesh

from jaxbias.grid.variants import Recipe
from jaxbias.parallel import split_variants

# Splits that heads are trained or scored on.
EXTRACTED = ("finetune", "validation", "test")
# Images per block, and blocks per device and call: one program, in bounded memory.
_BLOCK = 64
_BLOCKS = 16
# More heads per pack gain nothing: their product with the features is at full speed.
_MOST_HEADS = 1024


def extract(rows: np.ndarray, mesh: Mesh, features_of: Callable[[Any], np.ndarray]) -> np.ndarray:
    """Extracts features in calls of one shape.

    Args:
      rows: int32[M], of the image store.
      mesh: blocks of images are split over it.
      features_of: maps ids int32[V, B], split over the mesh, to features float[V, B, F].

    Returns:
      float32[M, F].
    """
    blocks = mesh.size * _BLOCKS
    parts = []
    for start in range(0, len(rows), blocks * _BLOCK):
        part = rows[start : start + blocks * _BLOCK]
        ids = np.resize(part, (blocks, _BLOCK)).astype(np.int32)
        values = features_of(split_variants(ids, mesh))
        parts.append(values.reshape(ids.size, -1)[: len(part)].astype(np.float32))
    return np.concatenate(parts)


def widest(budget: int, bytes_each: int) -> int:
    """Returns how many heads a pack may hold within a budget of bytes.

    >>> widest(2**29, 2**16), widest(2**20, 2**19), widest(1, 2)
    (1024, 2, 1)
    """
    return max(1, min(_MOST_HEADS, budget // bytes_each))


def head_bytes(recipe: Recipe, features: int, n: int, scored: int, mode: str) -> int:
    """Returns the memory of one head in a pack, without the features all of them share.

    Args:
      recipe: how it is trained.
      features: F.
      n: curated examples.
      scored: examples that are scored.
      mode: how members are mapped; "vmap" holds every head's examples at once, the others one's.

    Returns:
      Bytes: coefficients, momentum or the solver's memory; ids, labels, weights and cells; scores
      on the device and on the host; the examples' features.
    """
    lbfgs = recipe.solver == "lbfgs"
    vectors = 32 if lbfgs else 6
    gathered = (n if lbfgs else recipe.batch) if mode == "vmap" else 0
    return 4 * ((vectors + gathered) * features + 5 * n + 2 * scored)
