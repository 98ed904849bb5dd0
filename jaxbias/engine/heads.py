"""Heads: the extraction of the features they share."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from jax.sharding import Mesh

from jaxbias.engine.feed import prefetched

# Splits that heads are trained or scored on.
EXTRACTED = ("finetune", "validation", "test")
# Images per block, and blocks per device and call: one program, in bounded memory.
_BLOCK = 64
_BLOCKS = 16


def extract(
    rows: np.ndarray,
    mesh: Mesh,
    load: Callable[[np.ndarray], Any],
    features_of: Callable[[Any], np.ndarray],
) -> np.ndarray:
    """Extracts features in calls of one shape.

    Args:
      rows: int32[M], of the image store.
      mesh: blocks of images are split over it.
      load: puts what `features_of` takes of ids int32[V, B] on the devices; it runs ahead.
      features_of: maps it to features float[V, B, F].

    Returns:
      float32[M, F].
    """
    blocks = mesh.size * _BLOCKS
    cut = [rows[start : start + blocks * _BLOCK] for start in range(0, len(rows), blocks * _BLOCK)]
    ids = [np.resize(part, (blocks, _BLOCK)).astype(np.int32) for part in cut]
    loaded = prefetched(functools.partial(load, each) for each in ids)
    parts = [
        features_of(each).reshape(blocks * _BLOCK, -1)[: len(part)].astype(np.float32)
        for each, part in zip(loaded, cut, strict=True)
    ]
    return np.concatenate(parts)
