"""Reading checkpoints of other frameworks as named arrays, without running what is in them."""

import dataclasses
import pickle
import zipfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from jaxbias.errors import InputError

_NUMPY = (".npz",)
_SAFE = (".safetensors",)
_TORCH = (".pt", ".pth", ".tar", ".bin", ".ckpt")
_SAFE_DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
# Where checkpoints of training scripts keep the network.
_NETWORKS = ("state_dict", "model_state_dict", "model", "net")


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
      InputError: there is no such file, it is of no known kind, damaged, or would run code.
    """
    if not path.is_file():
        raise InputError(f"--file: there is no file {path}")
    if path.suffix in _SAFE:
        return Tensors(_safetensors(path))
    if path.suffix in _NUMPY:
        return Tensors(_npz(path))
    if path.suffix in _TORCH:
        return _torch(path)
    known = ", ".join((*_SAFE, *_NUMPY, *_TORCH))
    raise InputError(f"{path}: '{path.suffix}' is no kind of checkpoint; known are {known}")


def _safetensors(path: Path) -> dict[str, np.ndarray]:
    import safetensors

    try:
        found = safetensors.deserialize(path.read_bytes())
    except safetensors.SafetensorError as error:
        raise _damaged(path, error) from error
    arrays = {}
    for name, tensor in found:
        if tensor["dtype"] not in _SAFE_DTYPES:
            raise InputError(f"{path}: {name} is of dtype {tensor['dtype']}, which is not read")
        flat = np.frombuffer(tensor["data"], _SAFE_DTYPES[tensor["dtype"]])
        arrays[name] = flat.reshape(tensor["shape"])
    return arrays


def _npz(path: Path) -> dict[str, np.ndarray]:
    try:
        # Of a damaged file NumPy would leave its own handle open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, KeyError) as error:
        if "allow_pickle" in str(error):
            raise InputError(
                f"{path} holds pickled objects, which may run anything when read; refused. Save "
                "plain arrays with numpy.savez"
            ) from error
        raise _damaged(path, error) from error


def _torch(path: Path) -> Tensors:
    try:
        import torch
    except ModuleNotFoundError as error:
        raise InputError(
            f"{path} needs PyTorch to be read: pip install 'jaxbias[weights]'; or save it where "
            "there is one with safetensors.torch.save_file, and give that file"
        ) from error
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error)
        if "Unsupported" not in reason and "GLOBAL" not in reason:
            raise _damaged(path, error) from error
        raise InputError(
            f"{path} holds more than tensors ({_culprit(reason)}) and may run anything when read; "
            "refused. Save the network's state_dict() alone"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise _damaged(path, error) from error
    return _network(path, content, torch.Tensor)


def _network(path: Path, content: Any, tensor: type) -> Tensors:
    """Finds the network's tensors in what a training script saved."""
    beside: list[str] = []
    while isinstance(content, dict) and (
        place := next((name for name in _NETWORKS if isinstance(content.get(name), dict)), None)
    ):
        beside += sorted(str(name) for name in content if name != place)
        content = content[place]
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path} holds a {type(content).__name__}, not a network's state_dict")
    others = [str(name) for name, value in content.items() if not isinstance(value, tensor)]
    if others:
        raise InputError(f"{path}: '{others[0]}' is no tensor: give a network's state_dict")
    arrays = {}
    for name, value in content.items():
        value = value.detach().cpu()
        wide = value.float() if value.is_floating_point() else value
        arrays[str(name)] = wide.contiguous().numpy()
    return Tensors(arrays, tuple(beside))


def _culprit(reason: str) -> str:
    """The object in PyTorch's long message."""
    for line in reason.splitlines():
        for word in ("Unsupported global: ", "Unsupported class ", "GLOBAL "):
            if word in line:
                return line.split(word)[1].split(" was not")[0].split(" is not")[0].strip()
    return reason.splitlines()[0]


def _damaged(path: Path, error: Exception) -> InputError:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return InputError(f"{path} is damaged or cut short ({reason}); fetch it again")
