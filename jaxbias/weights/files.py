"""Reading checkpoints of other frameworks as named arrays, without running what is in them."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np

from jaxbias.errors import InputError
from jaxbias.weights.kinds import NUMPY, PYTORCH, SAFETENSORS, refuse_other
from jaxbias.weights.limits import damaged, refuse_name
from jaxbias.weights.numpy_files import read_npz
from jaxbias.weights.pytorch_files import read_pytorch

_KINDS = {
    ".safetensors": SAFETENSORS,
    ".npz": NUMPY,
    **dict.fromkeys((".pt", ".pth", ".tar", ".bin", ".ckpt"), PYTORCH),
}
_SAFE_DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}


@dataclasses.dataclass(frozen=True)
class Tensors:
    """The content of a checkpoint.

    Attributes:
      arrays: by name.
      beside: what else the file held, such as the optimiser's state.
    """

    arrays: dict[str, np.ndarray]
    beside: tuple[str, ...] = ()


def read_tensors(path: Path) -> Tensors:
    """Reads a checkpoint by its suffix: .safetensors, .npz, or PyTorch's .pt, .pth, .pth.tar, .bin.

    Raises:
      InputError: there is no such file, it is of another kind than its suffix says, damaged, larger
        than `limits.MOST_BYTES`, or would run code.
    """
    kind = kind_of(path)
    refuse_other(path, kind)
    try:
        arrays, beside = _READERS[kind](path)
    except MemoryError as error:
        raise InputError(
            f"{path} asks for more memory than there is; save the network's tensors alone"
        ) from error
    if not arrays:
        raise InputError(f"{path} holds no tensors; fetch it again")
    return Tensors(arrays, beside)


def is_there(path: Path, kind: Callable[[Path], bool] = Path.exists) -> bool:
    """Whether a path is there, as a kind of thing; a name too long for any file never is."""
    try:
        return kind(path)
    except OSError:
        return False


def kind_of(path: Path) -> str:
    """Returns which kind of checkpoint the suffix of a file says.

    Raises:
      InputError: there is no such file, or no such kind.
    """
    if not is_there(path, Path.is_file):
        dangling = is_there(path, Path.is_symlink)
        what = (
            f"{path} links to a file that is not there" if dangling else f"there is no file {path}"
        )
        raise InputError(f"--file: {what}")
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise InputError(
            f"{path}: '{path.suffix}' is no kind of checkpoint; known are {', '.join(_KINDS)}"
        )
    return kind


def _safetensors(path: Path) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    import safetensors

    arrays = {}
    try:
        for name, tensor in safetensors.deserialize(path.read_bytes()):
            refuse_name(path, name)
            dtype = tensor["dtype"]
            if dtype not in _SAFE_DTYPES:
                raise InputError(
                    f"{path}: {name} is of dtype {dtype}, which is not read; save it in float32"
                )
            flat = np.frombuffer(tensor["data"], _SAFE_DTYPES[dtype])
            arrays[name] = flat.reshape(tensor["shape"])
    except (InputError, MemoryError):
        raise
    except Exception as error:  # Whatever its library and NumPy find in a damaged header.
        raise damaged(path, error) from error
    return arrays, ()


_READERS = {SAFETENSORS: _safetensors, NUMPY: read_npz, PYTORCH: read_pytorch}
