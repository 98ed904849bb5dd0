"""Arrays in .npy files: each vouched for by a record beside it, memory-mapped when it is read."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from jaxbias.files.atomic import replacing


def write(path: Path, values: np.ndarray) -> dict[str, Any]:
    """Writes an array in one piece and returns what its record must say: shape and sha256.

    Raises:
      InputError: the file cannot be written.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, values)
    return {"shape": list(values.shape), "sha256": hashlib.sha256(values).hexdigest()}


def read(
    path: Path, record: Mapping[str, Any], dtype: DTypeLike, checked: int | None = None
) -> np.ndarray:
    """Returns a read-only memory map of an array.

    Args:
      path: of the file.
      record: what `write` returned, among other things.
      dtype: it must have.
      checked: the most bytes that are read through for their hash; None: whatever there are.

    Raises:
      OSError, ValueError, KeyError: it is not the array of the record.
    """
    values = np.load(path, mmap_mode="r", allow_pickle=False)
    if list(values.shape) != record["shape"] or values.dtype != dtype:
        raise ValueError(f"{values.dtype}{list(values.shape)} is not what its record says")
    hashed = checked is None or values.nbytes <= checked
    if hashed and hashlib.sha256(values).hexdigest() != record["sha256"]:
        raise ValueError("its hash is of other content")
    return values
