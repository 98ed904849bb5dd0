"""Where other frameworks keep each parameter, under which name and in which order of axes."""

import dataclasses
from collections.abc import Callable

import numpy as np

from jaxbias.models.architectures import Path

Names = Callable[[Path], tuple[str, ...]]

_LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """Where a parameter comes from.

    Attributes:
      names: of the tensors it is made of; several are joined along its last axis.
      shape: of each tensor.
      axes: the order in which its axes are read.
      target: shape of the parameter.
    """

    names: tuple[str, ...]
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    target: tuple[int, ...]

    def take(
        self, tensors: dict[str, np.ndarray], dtype: np.typing.DTypeLike = np.float32
    ) -> np.ndarray:
        """Makes the parameter from tensors of the right shapes."""
        part = (*self.target[:-1], self.target[-1] // len(self.names))
        parts = [
            tensors[name].astype(dtype).transpose(self.axes).reshape(part) for name in self.names
        ]
        return np.ascontiguousarray(np.concatenate(parts, axis=-1))


def entry(
    source: str, path: Path, target: tuple[int, ...], names: tuple[str, ...], patch: int, heads: int
) -> Entry:
    """Returns where a parameter of a path and shape comes from in a source's checkpoints.

    Args:
      source: its name.
      path: of the parameter.
      target: its shape.
      names: of the tensors it is made of.
      patch: side of a vision transformer's patches in pixels.
      heads: of its attention.
    """
    if source == "jaxbias":
        return Entry(names, target, tuple(range(len(target))), target)
    if source == "big_vision":
        return _flax_entry(path, target, names, patch, heads)
    return _torch_entry(path, target, names, patch)


def _torch_entry(path: Path, target: tuple[int, ...], names: tuple[str, ...], patch: int) -> Entry:
    """An entry of a checkpoint with PyTorch's axes: outputs first."""
    whole = (*target[:-1], target[-1] // len(names))
    same = tuple(range(len(whole)))
    if path == ("embed", "kernel"):
        return Entry(names, (target[1], 3, patch, patch), (2, 3, 1, 0), target)
    if path[-1] == "kernel" and len(whole) == 4:
        return Entry(names, (whole[3], whole[2], whole[0], whole[1]), (2, 3, 1, 0), target)
    if path[-1] == "kernel":
        return Entry(names, whole[::-1], (1, 0), target)
    if path in (("class_token",), ("positions",)):
        shape = (1,) * (3 - len(target)) + target
        return Entry(names, shape, (0, 1, 2), target)
    return Entry(names, whole, same, target)


def _flax_entry(
    path: Path, target: tuple[int, ...], names: tuple[str, ...], patch: int, heads: int
) -> Entry:
    """An entry of a checkpoint of Flax, whose attention has an axis of heads."""
    whole = (*target[:-1], target[-1] // len(names))
    shape = whole
    if path == ("embed", "kernel"):
        shape = (patch, patch, 3, target[1])
    elif path in (("class_token",), ("positions",)):
        shape = (1,) * (3 - len(target)) + target
    elif path[-2:-1] == ("qkv",):
        shape = (*whole[:-1], heads, whole[-1] // heads)
    elif path[-2:] == ("out", "kernel"):
        shape = (heads, whole[0] // heads, whole[1])
    return Entry(names, shape, tuple(range(len(shape))), target)


def torchvision_resnet(path: Path) -> tuple[str, ...]:
    """Names of torchvision's and timm's ResNets."""
    *module, leaf = path
    match module:
        case ["stem"]:
            name = "conv1"
        case ["stem_norm"]:
            name = "bn1"
        case ["head"]:
            name = "fc"
        case ["stages", stage, block, part, i] if part in ("convs", "norms"):
            name = f"layer{stage + 1}.{block}.{'conv' if part == 'convs' else 'bn'}{i + 1}"
        case ["stages", stage, block, "shortcut", part]:
            name = f"layer{stage + 1}.{block}.downsample.{0 if part == 'conv' else 1}"
    return (f"{name}.{_LEAVES[leaf]}",)


def huggingface_resnet(path: Path) -> tuple[str, ...]:
    """Names of transformers' ResNets."""
    *module, leaf = path
    kinds = {"conv": "convolution", "norm": "normalization"}
    match module:
        case ["stem"]:
            name = "embedder.embedder.convolution"
        case ["stem_norm"]:
            name = "embedder.embedder.normalization"
        case ["head"]:
            name = "classifier.1"
        case ["stages", stage, block, part, i] if part in ("convs", "norms"):
            name = f"encoder.stages.{stage}.layers.{block}.layer.{i}.{kinds[part[:-1]]}"
        case ["stages", stage, block, "shortcut", part]:
            name = f"encoder.stages.{stage}.layers.{block}.shortcut.{kinds[part]}"
    return (f"{name}.{_LEAVES[leaf]}",)


def timm_efficientnet(path: Path) -> tuple[str, ...]:
    """Names of timm's EfficientNets."""
    *module, leaf = path
    match module:
        case ["stem" | "top" as part]:
            name = f"conv_{ {'stem': 'stem', 'top': 'head'}[part] }"
        case ["stem_norm"]:
            name = "bn1"
        case ["top_norm"]:
            name = "bn2"
        case ["head"]:
            name = "classifier"
        case ["stages", stage, block, part, i]:
            # The only block of the first stage does not widen its input.
            convs = ("conv_dw", "conv_pw") if stage == 0 else ("conv_pw", "conv_dw", "conv_pwl")
            name = f"blocks.{stage}.{block}.{convs[i] if part == 'convs' else f'bn{i + 1}'}"
    return (f"{name}.{_LEAVES[leaf]}",)


def torchvision_vit(path: Path) -> tuple[str, ...]:
    """Names of torchvision's vision transformers."""
    leaf = _LEAVES.get(str(path[-1]))
    match path:
        case ("class_token",):
            return ("class_token",)
        case ("positions",):
            return ("encoder.pos_embedding",)
        case ("blocks", i, part, _):
            names = {
                "attention_norm": f"ln_1.{leaf}",
                "qkv": f"self_attention.in_proj_{leaf}",
                "out": f"self_attention.out_proj.{leaf}",
                "mlp_norm": f"ln_2.{leaf}",
                "mlp_in": f"mlp.0.{leaf}",
                "mlp_out": f"mlp.3.{leaf}",
            }
            return (f"encoder.layers.encoder_layer_{i}.{names[part]}",)
    return (
        f"{ {'embed': 'conv_proj', 'norm': 'encoder.ln', 'head': 'heads.head'}[path[0]] }.{leaf}",
    )


def timm_vit(path: Path) -> tuple[str, ...]:
    """Names of timm's vision transformers."""
    leaf = _LEAVES.get(str(path[-1]))
    match path:
        case ("class_token",):
            return ("cls_token",)
        case ("positions",):
            return ("pos_embed",)
        case ("blocks", i, part, _):
            names = {
                "attention_norm": "norm1",
                "qkv": "attn.qkv",
                "out": "attn.proj",
                "mlp_norm": "norm2",
                "mlp_in": "mlp.fc1",
                "mlp_out": "mlp.fc2",
            }
            return (f"blocks.{i}.{names[part]}.{leaf}",)
    return (f"{ {'embed': 'patch_embed.proj', 'norm': 'norm', 'head': 'head'}[path[0]] }.{leaf}",)


def huggingface_vit(path: Path) -> tuple[str, ...]:
    """Names of transformers' vision transformers, as its files have them."""
    leaf = _LEAVES.get(str(path[-1]))
    match path:
        case ("class_token",):
            return ("embeddings.cls_token",)
        case ("positions",):
            return ("embeddings.position_embeddings",)
        case ("blocks", i, "qkv", _):
            each = ("query", "key", "value")
            return tuple(f"encoder.layer.{i}.attention.attention.{name}.{leaf}" for name in each)
        case ("blocks", i, part, _):
            names = {
                "attention_norm": "layernorm_before",
                "out": "attention.output.dense",
                "mlp_norm": "layernorm_after",
                "mlp_in": "intermediate.dense",
                "mlp_out": "output.dense",
            }
            return (f"encoder.layer.{i}.{names[part]}.{leaf}",)
    names = {
        "embed": "embeddings.patch_embeddings.projection",
        "norm": "layernorm",
        "head": "classifier",
    }
    return (f"{names[path[0]]}.{leaf}",)


def big_vision_vit(path: Path) -> tuple[str, ...]:
    """Names of big_vision's vision transformers; its Flax leaves are called as ours."""
    leaf = path[-1]
    match path:
        case ("class_token",):
            return ("cls",)
        case ("positions",):
            return ("pos_embedding",)
        case ("blocks", i, "qkv", _):
            attention = f"Transformer/encoderblock_{i}/MultiHeadDotProductAttention_0"
            return tuple(f"{attention}/{name}/{leaf}" for name in ("query", "key", "value"))
        case ("blocks", i, part, _):
            names = {
                "attention_norm": "LayerNorm_0",
                "out": "MultiHeadDotProductAttention_0/out",
                "mlp_norm": "LayerNorm_1",
                "mlp_in": "MlpBlock_0/Dense_0",
                "mlp_out": "MlpBlock_0/Dense_1",
            }
            return (f"Transformer/encoderblock_{i}/{names[part]}/{leaf}",)
    names = {"embed": "embedding", "norm": "Transformer/encoder_norm", "head": "head"}
    return (f"{names[path[0]]}/{leaf}",)


def own(path: Path) -> tuple[str, ...]:
    """Names of jaxbias's own checkpoints."""
    return ("/".join(map(str, path)),)
