"""Reading PyTorch's files: tensors and nothing that runs, and its advice is not passed on."""

import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from jaxbias.errors import InputError
from jaxbias.weights.limits import damaged, refuse_large, refuse_name

# Where checkpoints of training scripts keep the network.
_NETWORKS = ("state_dict", "model_state_dict", "model", "net")
_CULPRIT = re.compile(r"(?:Unsupported global: |Unsupported class |GLOBAL )(?:GLOBAL )?([\w.]+)")
_OPCODE = re.compile(r"Unsupported operand (\d+)")
_ALLOCATION = re.compile(r"allocate (\d+) bytes")
_STATE_DICT = "save the network's state_dict() alone with torch.save"


def read_pytorch(path: Path) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Returns the network's tensors by name, and the names of what the file holds beside it.

    Raises:
      InputError: PyTorch is not there; the file is damaged or would run code; or a tensor is none
        of numbers in memory.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise InputError(
            f"{path} needs PyTorch to be read: pip install 'jaxbias[weights]'; or save it where "
            "there is one with safetensors.torch.save_file, and give that file"
        ) from error
    state, beside = network_of(path, _loaded(path, torch))
    others = [name for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if others:
        kind = type(state[others[0]]).__name__
        raise InputError(
            f"{path}: '{others[0]}' is no tensor but a {kind}: give a network's state_dict"
        )
    for name, tensor in state.items():
        _refuse_unusual(path, name, tensor, torch)
    widths = {name: 4 if t.is_floating_point() else t.element_size() for name, t in state.items()}
    size = sum(tensor.numel() * widths[name] for name, tensor in state.items())
    refuse_large(path, "its tensors", size)
    return {name: _array(path, name, tensor) for name, tensor in state.items()}, beside


def network_of(path: Path, content: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Finds a network's state_dict in what a training script saved.

    Args:
      path: of the file.
      content: a state_dict, or dicts around it.

    Returns:
      The state_dict; and the names of what stands beside it.

    Raises:
      InputError: there is none, or a dict holds itself.
    """
    beside: list[str] = []
    seen: set[int] = set()
    while isinstance(content, dict):
        for name in content:
            refuse_name(path, name)
        seen.add(id(content))
        place = next((name for name in _NETWORKS if isinstance(content.get(name), dict)), None)
        if place is None:
            break
        if id(content[place]) in seen:
            raise InputError(f"{path}: its '{place}' holds itself; {_STATE_DICT}")
        beside += sorted(name for name in content if name != place)
        content = content[place]
    if not isinstance(content, dict) or not content:
        what = "an empty dict" if content == {} else f"a {type(content).__name__}"
        raise InputError(f"{path} holds {what}, not a network's state_dict; {_STATE_DICT}")
    return content, tuple(beside)


def _loaded(path: Path, torch: Any) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # They speak of PyTorch's own future.
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # Its text recommends to read the file with all that it may run: never shown, nor chained.
        raise _refusal(path, str(error)) from None
    except MemoryError:
        raise
    except Exception as error:  # Damaged files raise whatever their instructions lead to.
        asked = _ALLOCATION.search(str(error))
        refuse_large(path, "its tensors", int(asked[1]) if asked else 0)
        advises = "weights_only" in str(error)
        raise damaged(path, ValueError("what it says of itself") if advises else error) from None


def _refusal(path: Path, text: str) -> InputError:
    if culprit := _CULPRIT.search(text):
        return InputError(
            f"{path} holds more than tensors ({culprit[1][:80]}) and may run anything when read; "
            f"refused. {_STATE_DICT.capitalize()}"
        )
    if opcode := _OPCODE.search(text):
        return InputError(
            f"{path} is damaged, or pickled by another protocol than PyTorch's own (opcode "
            f"{opcode[1][:6]}); fetch it again, or {_STATE_DICT}, without pickle_protocol"
        )
    return InputError(
        f"{path} is damaged or cut short (what describes its tensors); fetch it again"
    )


def _refuse_unusual(path: Path, name: str, tensor: Any, torch: Any) -> None:
    """Refuses a tensor that is not plainly numbers in memory."""
    unusual = (
        (tensor.is_nested, "nested", "save its parts"),
        (tensor.is_quantized, "quantised", "call .dequantize() on it and save again"),
        (tensor.layout != torch.strided, "sparse", "call .to_dense() on it and save again"),
        (tensor.is_meta, "without values (of the device 'meta')", "save it after it is loaded"),
    )
    for is_so, what, way_out in unusual:
        if is_so:
            raise InputError(f"{path}: the tensor {name} is {what}; {way_out}")


def _array(path: Path, name: str, tensor: Any) -> np.ndarray:
    try:
        # NumPy has no bfloat16 and no float8.
        wide = tensor.float() if tensor.is_floating_point() else tensor
        return wide.contiguous().numpy(force=True)
    except (TypeError, RuntimeError, NotImplementedError) as error:
        raise InputError(
            f"{path}: the tensor {name} is of dtype {tensor.dtype}, which is not read; save it in "
            "float32"
        ) from error
