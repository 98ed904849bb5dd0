"""Reading .npz: every array is checked against what its header declares before it is made."""

import math
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np

from jaxbias.errors import InputError
from jaxbias.weights.limits import damaged, refuse_large, refuse_name

_NUMBERS = "fiubc"  # Kinds of dtypes.
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_npz(path: Path) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Returns the arrays of an archive by name, and the names of what else it holds.

    Raises:
      InputError: an array is damaged, of no numbers, or larger than `limits.MOST_BYTES`.
    """
    arrays: dict[str, np.ndarray] = {}
    beside = []
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            refuse_name(path, name)
            if name == member.filename:
                beside.append(name)
                continue
            if name in arrays:
                raise InputError(f"{path} holds two arrays called {name}; save it again")
            try:
                arrays[name] = _array(path, name, archive, member)
            except (InputError, MemoryError):
                raise
            except Exception as error:  # Whatever zlib, lzma, zipfile or NumPy's parser find.
                raise damaged(path, error, name) from error
    return arrays, tuple(beside)


def _array(path: Path, name: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in _HEADERS:
            raise ValueError(f"version {version[0]}.{version[1]} of the format")
        shape, by_column, dtype = _HEADERS[version](stream)
        if dtype.hasobject:
            raise InputError(
                f"{path}: {name} holds pickled objects, which may run anything when read; refused. "
                "Save plain arrays with numpy.savez"
            )
        if dtype == np.dtype("V2"):  # So NumPy writes bfloat16, big_vision's among them.
            dtype = np.dtype(ml_dtypes.bfloat16)
        elif dtype.kind not in _NUMBERS:
            raise InputError(
                f"{path}: {name} is of dtype {str(dtype)[:40]}, not numbers; save the network's "
                "arrays alone with numpy.savez"
            )
        if min(shape, default=0) < 0:
            raise ValueError(f"shape {shape}")
        size = math.prod(shape) * dtype.itemsize
        refuse_large(path, name, size)
        held = member.file_size - stream.tell()
        if size != held:
            raise ValueError(f"shape {shape} of {dtype} is {size:,} bytes, but {held:,} are there")
        # Read to its end, so that its checksum is compared.
        flat = np.frombuffer(stream.read(), dtype)
    return flat.reshape(shape, order="F" if by_column else "C")
