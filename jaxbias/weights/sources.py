"""Sources of weights: prefixes, names, what is dropped on purpose, and the preprocessing."""

import dataclasses
import math
import re
from collections.abc import Callable, Mapping

import numpy as np

from jaxbias.errors import InputError, nearest
from jaxbias.models.architectures import ARCHITECTURES
from jaxbias.weights.preparations import HALF, IMAGENET, PLAIN, Preparation
from jaxbias.weights.tensor_names import (
    Names,
    big_vision_vit,
    huggingface_resnet,
    huggingface_vit,
    own,
    timm_vit,
    torchvision_resnet,
    torchvision_vit,
)

Arrays = dict[str, np.ndarray]

_COUNTERS = (r"(^|.*\.)(num_batches_tracked|n_averaged)$", "a counter of steps, which is not used")
# What PyTorch wraps a module in stands before the names inside it, wherever the module is.
_WRAPPERS = re.compile(
    r"(^|\.)(?:(?:module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.)+"
)


@dataclasses.dataclass(frozen=True)
class SourceFormat:
    """How a source saves its networks.

    Attributes:
      names: kind of architecture -> names of its parameters.
      prefixes: one of them stands before every name, wrappers apart; "" where none may.
      drops: (pattern, reason) of names, prefix included, that are left out on purpose.
      rename: brings other spellings to that of `names`; prefixes are gone by then.
      preparations: how images were prepared; kind -> preparation.
    """

    names: Mapping[str, Names]
    prefixes: tuple[str, ...] = ("",)
    drops: tuple[tuple[str, str], ...] = (_COUNTERS,)
    rename: Callable[[Arrays], Arrays] = lambda arrays: arrays
    preparations: Mapping[str, Preparation] = dataclasses.field(default_factory=dict)

    def clean(self, arrays: Arrays) -> tuple[Arrays, dict[str, str]]:
        """Returns the network's arrays by the names of `names`, and what was dropped and why.

        Raises:
          InputError: one tensor is there under two names.
        """
        kept, dropped = {}, {}
        for name, value in arrays.items():
            bare = _WRAPPERS.sub(r"\1", name)
            reason = next((why for pattern, why in self.drops if re.match(pattern, bare)), None)
            if reason is not None:
                dropped[name] = reason
            elif bare in kept:
                raise _twice(bare)
            else:
                kept[bare] = value
        prefix = next((p for p in self.prefixes if any(n.startswith(p) for n in kept)), None)
        if prefix is None:  # Nothing is known without it, so that all is refused by its own name.
            return {
                f"{name} (without '{self.prefixes[0]}')": v for name, v in kept.items()
            }, dropped
        cut = {}
        for name, value in kept.items():
            bare = name.removeprefix(prefix)
            if bare in cut:
                raise _twice(bare)
            cut[bare] = value
        return self.rename(cut), dropped


def _twice(name: str) -> InputError:
    return InputError(
        f"the tensor {name} is there twice, with and without a prefix or in two spellings; save "
        "the state_dict of one network"
    )


def _sub(*rules: tuple[str, str]) -> Callable[[Arrays], Arrays]:
    def rename(arrays: Arrays) -> Arrays:
        renamed = {}
        for name, value in arrays.items():
            for pattern, replacement in rules:
                name = re.sub(pattern, replacement, name)
            if name in renamed:
                raise _twice(name)
            renamed[name] = value
        return renamed

    return rename


def _big_vision(arrays: Arrays) -> Arrays:
    """Brings checkpoints of the older repository to big_vision's names and positions."""
    arrays = _sub(
        (r"^Transformer/posembed_input/", ""),
        (r"MultiHeadDotProductAttention_1/", "MultiHeadDotProductAttention_0/"),
        (r"LayerNorm_2/", "LayerNorm_1/"),
        (r"MlpBlock_3/", "MlpBlock_0/"),
    )(arrays)
    positions, token = arrays.get("pos_embedding"), arrays.get("cls")
    if positions is not None and token is not None and positions.ndim == 3:
        one, count, width = positions.shape
        # Its class token has no position: zeros are added.
        if one == 1 and count and math.isqrt(count) ** 2 == count:
            zeros = np.zeros((1, 1, width), positions.dtype)
            arrays["pos_embedding"] = np.concatenate([zeros, positions], axis=1)
    return arrays


# The names of files that torchvision released before it renamed the layers of its MLPs.
_OLD_MLP = _sub((r"\.mlp\.linear_1\.", ".mlp.0."), (r"\.mlp\.linear_2\.", ".mlp.3."))
# The classifier stands beside the network; transformers 5 calls layers otherwise in memory.
_HUGGINGFACE = _sub(
    (r"^(resnet|vit)\.", ""),
    (r"^layers\.", "encoder.layer."),
    (r"\.attention\.q_proj\.", ".attention.attention.query."),
    (r"\.attention\.k_proj\.", ".attention.attention.key."),
    (r"\.attention\.v_proj\.", ".attention.attention.value."),
    (r"\.attention\.o_proj\.", ".attention.output.dense."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
)

SOURCES: dict[str, SourceFormat] = {
    "torchvision": SourceFormat(
        {"resnet": torchvision_resnet, "vit": torchvision_vit},
        rename=_OLD_MLP,
        preparations={"resnet": IMAGENET, "vit": IMAGENET},
    ),
    "mocov3": SourceFormat(
        {"resnet": torchvision_resnet},
        prefixes=("base_encoder.",),
        drops=(
            (r"momentum_encoder\.", "the momentum encoder"),
            (r"predictor\.", "the predictor of pretraining"),
            (r"base_encoder\.fc\.", "the projector of pretraining"),
            _COUNTERS,
        ),
        preparations={"resnet": IMAGENET},
    ),
    "simclr": SourceFormat(
        {"resnet": torchvision_resnet},
        prefixes=("encoder.",),
        drops=((r"projector\.", "the projector of pretraining"), _COUNTERS),
        preparations={"resnet": PLAIN},
    ),
    "places365": SourceFormat(
        {"resnet": torchvision_resnet},
        preparations={"resnet": IMAGENET},
    ),
    "timm": SourceFormat(
        {"resnet": torchvision_resnet, "vit": timm_vit},
        preparations={"resnet": IMAGENET, "vit": HALF},
    ),
    "huggingface": SourceFormat(
        {"resnet": huggingface_resnet, "vit": huggingface_vit},
        drops=((r"(vit\.)?pooler\.", "the pooler, which classifiers do not use"), _COUNTERS),
        rename=_HUGGINGFACE,
        preparations={"resnet": IMAGENET, "vit": HALF},
    ),
    "big_vision": SourceFormat(
        {"vit": big_vision_vit},
        prefixes=("params/", ""),
        drops=((r"opt/", "the state of the optimiser"),),
        rename=_big_vision,
        preparations={"vit": HALF},
    ),
    "jaxbias": SourceFormat(
        {"convnet": own, "resnet": own, "vit": own},
        preparations={"convnet": HALF, "resnet": HALF, "vit": HALF},
    ),
}


def checked(arch: str, source: str) -> tuple[SourceFormat, str]:
    """Looks a source and an architecture up; returns the source and the architecture's kind.

    Raises:
      InputError: there is none of that name, or the source has no such architecture.
    """
    if source not in SOURCES:
        raise InputError(f"--source={source} is unknown; {nearest(source, SOURCES)}")
    if arch not in ARCHITECTURES:
        raise InputError(f"--arch={arch} is unknown; {nearest(arch, ARCHITECTURES)}")
    kind = ARCHITECTURES[arch].kind
    if kind not in SOURCES[source].names:
        valid = [name for name, a in ARCHITECTURES.items() if a.kind in SOURCES[source].names]
        raise InputError(f"--source={source} has no {arch}; it has {', '.join(valid)}")
    return SOURCES[source], kind
