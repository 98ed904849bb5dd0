"""Features: what a frozen base, or a frozen trunk, makes of every image, extracted once and kept.

WORKDIR/features/ID.npy holds float32[M, F], a row per finetuning, validation and test example,
without flips; ID.json its checksum and how it was made. The record is written last: it exists only
beside a whole array. ID is made of the data, the network, the base and the axes.

Of a trunk of imported weights it holds float32[M, 2, ...], what the last block sees of each image
and of its mirror image: NaN of mirror images that nothing is trained on. Where a base goes on from
the weights, the images for pretraining are among them.

Heads trained by SGD see the features as they are: the head of the network itself, with everything
below it frozen. For heads fitted to convergence they are stored in the principal axes of the base's
finetuning pool: centred there and divided by ONE number, the root mean square deviation over the
pool, so that C means the same for every base; then rotated, which changes neither penalty nor fit.
They are not scaled one by one, which would blow up what a base hardly encodes: how salient a
feature is to a base is part of the question.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jax.sharding import Mesh

from jaxbias.engine.feed import prefetched
from jaxbias.engine.programs import BLOCK
from jaxbias.errors import InputError
from jaxbias.files import arrays, sealed
from jaxbias.files.atomic import make_directory
from jaxbias.files.content import content_id
from jaxbias.models import Network
from jaxbias.plan.variants import Base
from jaxbias.progress import progress

_FORMAT = 1
# Splits that finetunes are trained or scored on, and those that anything is trained on.
EXTRACTED = ("finetune", "validation", "test")
LEARNT = ("pretrain", "finetune")
# Blocks of images per device and call: one program, in bounded memory.
_BLOCKS = 16


@dataclasses.dataclass(frozen=True, eq=False)
class Features:
    """The features of one base, or what one trunk makes of images and their mirror images.

    Attributes:
      values: float32[M, F], or of a trunk float32[M, 2, ...]; memory-mapped where they come from a
        file.
      variances: float32[F], of the pool along each principal axis; None for plain features.
      mean: float32[F], of the pool before rotation; None for plain features.
      scale: what the centred features were divided by.
    """

    values: np.ndarray
    variances: np.ndarray | None = None
    mean: np.ndarray | None = None
    scale: float = 1.0


def features_id(base: Base, network: Network, data: str, principal: bool) -> str:
    """Returns the name of a base's features: a hash of all that they depend on."""
    return content_id(
        {
            "format": _FORMAT,
            "base": base.id,
            "data": data,
            "model": network.spec.content,
            "image_size": network.image_size,
            "principal": principal,
        }
    )


def trunk_id(base: Base, network: Network, data: str, splits: Sequence[str]) -> str:
    """Returns the name of what a base's trunk makes of the images of some splits, likewise."""
    return content_id(
        {
            "format": _FORMAT,
            "trunk": base.trunk,
            "data": data,
            "model": network.spec.content,
            "image_size": network.image_size,
            "splits": list(splits),
        }
    )


def extract(
    rows: np.ndarray,
    mirrored: np.ndarray,
    mesh: Mesh,
    load: Callable[[np.ndarray, np.ndarray], Any],
    features_of: Callable[[Any], np.ndarray],
    what: str,
) -> np.ndarray:
    """Extracts features in calls of one shape.

    Args:
      rows: int32[M], of the image store.
      mirrored: bool[M], whether of the mirror image.
      mesh: blocks of images are split over it.
      load: puts what `features_of` takes of ids int32[V, B] and bool[V, B] on the devices; it runs
        ahead.
      features_of: maps it to features float[V, B, ...].
      what: is extracted, for the progress line.

    Returns:
      float32[M, ...].
    """
    shape = (mesh.size * _BLOCKS, BLOCK)
    step = shape[0] * shape[1]
    cut = [slice(start, start + step) for start in range(0, len(rows), step)]
    jobs = (
        functools.partial(
            load, np.resize(rows[part], shape).astype(np.int32), np.resize(mirrored[part], shape)
        )
        for part in cut
    )
    made: np.ndarray | None = None
    with progress(len(rows), f"extracting {what}", "images") as advance:
        for part, each in zip(cut, prefetched(jobs), strict=True):
            found = features_of(each)
            found = found.reshape(step, *found.shape[2:])[: len(rows[part])]
            if made is None:
                made = np.empty((len(rows), *found.shape[1:]), np.float32)
            made[part] = found
            advance(len(found))
    assert made is not None
    return made


def principal_axes(values: np.ndarray, pool: np.ndarray) -> Features:
    """Centres and scales features on a pool and turns them into its principal axes.

    Args:
      values: float32[M, F].
      pool: bool[M], the examples that may be trained on.

    Returns:
      The features, from the axis of largest variance to that of the smallest.
    """
    inside = values[pool].astype(np.float64)
    mean = inside.mean(axis=0)
    inside -= mean
    covariance = inside.T @ inside / len(inside)
    # Features that are all constant have no scale; they stay zeros.
    scale = float(np.sqrt(np.trace(covariance) / len(covariance))) or 1.0
    variances, axes = np.linalg.eigh(covariance / scale**2)
    variances, axes = np.maximum(variances[::-1], 0), axes[:, ::-1] / scale
    rotated = (values - mean.astype(np.float32)) @ axes.astype(np.float32)
    return Features(rotated, variances.astype(np.float32), mean.astype(np.float32), scale)


def write(directory: Path, name: str, features: Features, parameters: str = "") -> Features:
    """Writes features in one piece each and returns them memory-mapped.

    Args:
      directory: of all features.
      name: of these.
      features: them.
      parameters: hash of those of the base, where the study has trained it.

    Raises:
      InputError: they cannot be written, or read back.
    """
    make_directory(directory)
    values = np.ascontiguousarray(features.values, np.float32)
    path = directory / f"{name}.npy"
    record = {
        "name": name,
        "parameters": parameters,
        **arrays.write(path, values),
        "scale": features.scale,
        "mean": _listed(features.mean),
        "variances": _listed(features.variances),
    }
    sealed.write(directory / f"{name}.json", record)
    stored = read(directory, name, parameters)
    if stored is None:
        raise InputError(f"the features {path} cannot be read back: check the disk")
    return stored


def read(directory: Path, name: str, parameters: str = "") -> Features | None:
    """Returns stored features; None where there are none, or they are damaged or of another base.

    They are made again then, which costs a pass over the images and no training.
    """
    try:
        record = sealed.read(directory / f"{name}.json")
        if (record["name"], record["parameters"]) != (name, parameters):
            return None
        values = arrays.read(directory / f"{name}.npy", record, np.float32)
        mean, variances = _array(record["mean"]), _array(record["variances"])
        return Features(values, variances, mean, record["scale"])
    except Exception:  # A damaged file may raise anything.
        return None


def _listed(values: np.ndarray | None) -> list[float] | None:
    return None if values is None else values.tolist()


def _array(values: list[float] | None) -> np.ndarray | None:
    return None if values is None else np.asarray(values, np.float32)
