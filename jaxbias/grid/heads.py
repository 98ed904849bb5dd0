"""Heads: the extraction of the features they share."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jax.sharding import Mesh

from jaxbias.parallel import split_variants

# Splits that heads are trained or scored on.
EXTRACTED = ("finetune", "validation", "test")
# Images per block, and blocks per device and call: one program, in bounded memory.
_BLOCK = 64
_BLOCKS = 16


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
