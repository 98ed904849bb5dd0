"""Streams: random numbers that depend on a text alone."""

import hashlib

import numpy as np


def stream(count: int, key: str) -> np.ndarray:
    """Returns uint64[count], the beginning of the stream of a key.

    Raw Philox output is fixed by its specification, so draws outlive NumPy's versions.
    """
    digest = hashlib.sha256(key.encode()).digest()
    return np.random.Philox(key=int.from_bytes(digest[:16], "little")).random_raw(count)
