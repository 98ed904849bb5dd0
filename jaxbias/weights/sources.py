"""Sources of weights: prefixes, names, what is dropped on purpose, and the preprocessing."""

import dataclasses
import math
import re
from collections.abc import Callable, Mapping

import numpy as np

from jaxbias.errors import InputError, nearest
from jaxbias.models.architectures import ARCHITECTURES
from jaxbias.weights.preparations import BICUBIC, BYTES, HALF, IMAGENET, PLAIN, Preparation
from jaxbias.weights.tensor_names import (
    Names,
    big_vision_vit,
    huggingface_resnet,
    huggingface_vit,
    own,
    timm_efficientnet,
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


_LITE = (
    (r"^_conv_(stem|head)\.", r"conv_\1."),
    (r"^_bn0\.", "bn1."),
    (r"^_bn1\.", "bn2."),
    (r"^_fc\.", "classifier."),
)
_LITE_BLOCK = re.compile(r"_blocks\.(\d{1,3})\.(_\w+)(\..*)")
# Of a block that widens its input, and of the first, which does not.
_WIDENING = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_PLAIN_BLOCK = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}


def _lite(arrays: Arrays) -> Arrays:
    """Brings the names of efficientnet_lite_pytorch to timm's, which number blocks by stage.

    A stage ends where the number of channels changes.
    """
    arrays = _sub(*_LITE)(arrays)
    places: dict[int, tuple[int, int]] = {}
    stage, block, width = -1, 0, ()
    while (project := arrays.get(f"_blocks.{len(places)}._project_conv.weight")) is not None:
        stage, block = (stage, block + 1) if project.shape[:1] == width else (stage + 1, 0)
        width = project.shape[:1]
        places[len(places)] = (stage, block)
    renamed = {}
    for name, value in arrays.items():
        found = _LITE_BLOCK.fullmatch(name)
        place = places.get(int(found[1])) if found else None
        parts = _PLAIN_BLOCK if place and place[0] == 0 else _WIDENING
        if found and place and found[2] in parts:
            name = f"blocks.{place[0]}.{place[1]}.{parts[found[2]]}{found[3]}"
        if name in renamed:
            raise _twice(name)
        renamed[name] = value
    return renamed


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

_KINDS = tuple(dict.fromkeys(architecture.kind for architecture in ARCHITECTURES.values()))

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
        {
            "resnet": torchvision_resnet,
            "vit": timm_vit,
            "efficientnet_lite": timm_efficientnet,
            "tf_efficientnet_lite": timm_efficientnet,
        },
        preparations={
            "resnet": IMAGENET,
            "vit": HALF,
            "efficientnet_lite": BICUBIC,
            "tf_efficientnet_lite": dataclasses.replace(BICUBIC, mean=HALF.mean, std=HALF.std),
        },
    ),
    "efficientnet_lite_pytorch": SourceFormat(
        {"tf_efficientnet_lite": timm_efficientnet},
        rename=_lite,
        preparations={"tf_efficientnet_lite": BYTES},
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
        dict.fromkeys(_KINDS, own),
        preparations=dict.fromkeys(_KINDS, HALF),
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
