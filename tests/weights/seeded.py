"""Checkpoints of random weights that depend on the names of their tensors alone."""

import hashlib
import json
import zlib

import numpy as np

from jaxbias.models import make_network
from jaxbias.study import ModelSpec
from jaxbias.weights.conversion import entries_of

CLASSES = {"torchvision": 1000}  # Of the sources that release heads of one number.


def seeded_tensor(name, shape):
    """Values of a size that keeps activations near 1 through a hundred layers.

    Scales of norms are below 1, as trained ones are: with a branch as large as the shortcut it is
    added to in every block, rounding alone would grow to 1e-3 on the way.
    """
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    values = rng.standard_normal(shape, np.float32)
    if name.endswith("running_var"):
        return np.float32(0.5) + rng.random(shape, np.float32)
    if len(shape) > 1 and shape[0] != 1:
        return values / np.float32(np.sqrt(np.prod(shape[1:])))
    small = np.float32(0.1) * values
    is_scale = name.endswith("weight") and len(shape) == 1
    return small + np.float32(0.4) if is_scale else small


def seeded_arrays(arch, source, classes, size):
    """A checkpoint as `source` would save it, made without its framework."""
    network = make_network(ModelSpec(name=arch), size, max(classes, 1))
    entries = entries_of(network, source)
    return {
        name: seeded_tensor(name, entry.shape)
        for path, entry in entries.items()
        if classes or path[0] != "head"
        for name in entry.names
    }


def names_of(shapes: dict[str, tuple[int, ...]]) -> str:
    """A hash of names and shapes: the file that is made without PyTorch has the same."""
    listed = sorted((name, list(shape)) for name, shape in shapes.items())
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()[:16]


def noise(size, count=32):
    """Images for norms to see: batches of few or smooth ones make their rounding large."""
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)
