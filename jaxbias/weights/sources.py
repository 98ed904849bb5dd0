"""Sources of weights: prefixes, names, what is dropped on purpose, and the preprocessing."""

import dataclasses
import re
from collections.abc import Callable, Mapping

import numpy as np

from jaxbias.errors import InputError
from jaxbias.weights.layouts import (
    Names,
    big_vision_vit,
    huggingface_resnet,
    huggingface_vit,
    own,
    timm_vit,
    torchvision_resnet,
    torchvision_vit,
)
from jaxbias.weights.recipes import HALF, IMAGENET, PLAIN, Recipe

Arrays = dict[str, np.ndarray]

_COUNTERS = (r"(^|.*\.)num_batches_tracked$", "a counter: the momentum of our norms is fixed")


@dataclasses.dataclass(frozen=True)
class Source:
    """How a source saves its networks.

    Attributes:
      names: kind of architecture -> names of its parameters.
      prefixes: one of them stands before every name; "" where none may.
      drops: (pattern, reason) of names, prefix included, that are left out on purpose.
      rename: brings other spellings to that of `names`; prefixes are gone by then.
      classes: outputs its head must have; None: any; 0: it has no head for classes.
      recipes: how images were prepared; kind -> recipe.
    """

    names: Mapping[str, Names]
    prefixes: tuple[str, ...] = ("",)
    drops: tuple[tuple[str, str], ...] = (_COUNTERS,)
    rename: Callable[[Arrays], Arrays] = lambda arrays: arrays
    classes: int | None = None
    recipes: Mapping[str, Recipe] = dataclasses.field(default_factory=dict)

    def clean(self, arrays: Arrays) -> tuple[Arrays, dict[str, str]]:
        """Returns the network's arrays by the names of `names`, and what was dropped and why."""
        kept, dropped = {}, {}
        for name, value in arrays.items():
            reason = next((why for pattern, why in self.drops if re.match(pattern, name)), None)
            if reason is None:
                kept[name] = value
            else:
                dropped[name] = reason
        prefix = next((p for p in self.prefixes if any(n.startswith(p) for n in kept)), None)
        if prefix is None:  # Nothing is known without it, so that all is refused by its own name.
            return {
                f"{name} (without '{self.prefixes[0]}')": v for name, v in kept.items()
            }, dropped
        cut = {name.removeprefix(prefix): value for name, value in kept.items()}
        if len(cut) < len(kept):
            raise InputError(f"the same tensor is there with and without '{prefix}'")
        return self.rename(cut), dropped


def _sub(*rules: tuple[str, str]) -> Callable[[Arrays], Arrays]:
    def rename(arrays: Arrays) -> Arrays:
        renamed = {}
        for name, value in arrays.items():
            for pattern, replacement in rules:
                name = re.sub(pattern, replacement, name)
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
        count = positions.shape[1]
        if round(count**0.5) ** 2 == count:  # Its class token has no position: zeros are added.
            zeros = np.zeros((1, 1, positions.shape[2]), positions.dtype)
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

SOURCES: dict[str, Source] = {
    "torchvision": Source(
        {"resnet": torchvision_resnet, "vit": torchvision_vit},
        rename=_OLD_MLP,
        classes=1000,
        recipes={"resnet": IMAGENET, "vit": IMAGENET},
    ),
    "mocov3": Source(
        {"resnet": torchvision_resnet},
        prefixes=("module.base_encoder.",),
        drops=(
            (r"module\.momentum_encoder\.", "the momentum encoder"),
            (r"module\.predictor\.", "the predictor of pretraining"),
            (r"module\.base_encoder\.fc\.", "the projector of pretraining"),
            _COUNTERS,
        ),
        classes=0,
        recipes={"resnet": IMAGENET},
    ),
    "simclr": Source(
        {"resnet": torchvision_resnet},
        prefixes=("module.encoder.", "encoder."),
        drops=((r"(module\.)?projector\.", "the projector of pretraining"), _COUNTERS),
        classes=0,
        recipes={"resnet": PLAIN},
    ),
    "places365": Source(
        {"resnet": torchvision_resnet},
        prefixes=("module.",),
        classes=365,
        recipes={"resnet": IMAGENET},
    ),
    "timm": Source(
        {"resnet": torchvision_resnet, "vit": timm_vit},
        recipes={"resnet": IMAGENET, "vit": HALF},
    ),
    "huggingface": Source(
        {"resnet": huggingface_resnet, "vit": huggingface_vit},
        drops=((r"(vit\.)?pooler\.", "the pooler, which classifiers do not use"), _COUNTERS),
        rename=_HUGGINGFACE,
        recipes={"resnet": IMAGENET, "vit": HALF},
    ),
    "big_vision": Source(
        {"vit": big_vision_vit},
        prefixes=("params/", ""),
        drops=((r"opt/", "the state of the optimiser"),),
        rename=_big_vision,
        recipes={"vit": HALF},
    ),
    "jaxbias": Source(
        {"convnet": own, "resnet": own, "vit": own},
        recipes={"convnet": HALF, "resnet": HALF, "vit": HALF},
    ),
}
