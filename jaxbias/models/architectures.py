"""Architectures: what is known of each by name, before any network is made.

Flax is imported when one is made: who only asks which there are does not wait for it.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from jaxbias.errors import InputError, nearest
from jaxbias.study import ModelSpec

Path = tuple[str | int, ...]


@dataclasses.dataclass(frozen=True)
class Architecture:
    """What is known of a name in `ARCHITECTURES`.

    Attributes:
      kind: "convnet", "resnet", "vit"; "efficientnet_lite" or "tf_efficientnet_lite", whose layers
        are the same, but not their padding nor the ε of their norms.
      make: (spec, image size, outputs, dtype, rngs) -> a `Backbone`.
      last_block: spec -> the parts that mode "last_block" trains beside the head, as prefixes of
        paths: all that its `tail` uses.
      multiple: what the side of its images must be a multiple of.
      heads: of its attention.
      side: of the images that released weights were trained on, in pixels.
    """

    kind: str
    make: Callable[[ModelSpec, int, int, Any, Any], Any]
    last_block: Callable[[ModelSpec], tuple[Path, ...]]
    multiple: int = 1
    heads: int = 0
    side: int = 224


def convnet() -> Architecture:
    """A small convnet of `widths`; its last block is the last convolution."""

    def make(spec: ModelSpec, size: int, outputs: int, dtype: Any, rngs: Any) -> Any:
        from jaxbias.models.convnet import ConvNet

        return ConvNet(spec.widths, size, outputs, method=spec.convolution, dtype=dtype, rngs=rngs)

    return Architecture(
        "convnet", make, last_block=lambda spec: (("stages", len(spec.widths) - 1),)
    )


def resnet(blocks: tuple[int, ...], *, bottleneck: bool, width: int = 64) -> Architecture:
    """A ResNet; its last block is the last stage (torchvision's layer4), norms included."""

    def make(spec: ModelSpec, size: int, outputs: int, dtype: Any, rngs: Any) -> Any:
        from jaxbias.models.resnet import ResNet

        del size
        return ResNet(
            blocks,
            outputs,
            width=width,
            bottleneck=bottleneck,
            stem=spec.stem,
            zero_init=spec.zero_init_residual,
            method=spec.convolution,
            dtype=dtype,
            rngs=rngs,
        )

    return Architecture("resnet", make, last_block=lambda spec: (("stages", len(blocks) - 1),))


def vit(*, width: int, depth: int, heads: int, patch: int = 16) -> Architecture:
    """A vision transformer; its last block is the last of the encoder and the norm after it."""

    def make(spec: ModelSpec, size: int, outputs: int, dtype: Any, rngs: Any) -> Any:
        from jaxbias.models.vit import VisionTransformer

        del spec
        return VisionTransformer(
            size,
            outputs,
            patch=patch,
            width=width,
            depth=depth,
            heads=heads,
            dtype=dtype,
            rngs=rngs,
        )

    return Architecture(
        "vit",
        make,
        last_block=lambda spec: (("blocks", depth - 1), ("norm",)),
        multiple=patch,
        heads=heads,
    )


class InvertedStage(NamedTuple):
    """Inverted residual blocks one after the other.

    Attributes:
      blocks: how many.
      size: of their depthwise kernels.
      stride: of the first.
      expansion: how many times as many channels they have inside.
      width: channels of their output.
    """

    blocks: int
    size: int
    stride: int
    expansion: int
    width: int


def efficientnet_lite(
    stages: tuple[InvertedStage, ...], *, side: int = 224, tf: bool
) -> Architecture:
    """An EfficientNet-Lite; its last block is the last stage and the wide 1×1 after it."""

    def make(spec: ModelSpec, size: int, outputs: int, dtype: Any, rngs: Any) -> Any:
        from jaxbias.models.efficientnet import EfficientNetLite

        del size
        return EfficientNetLite(
            stages,
            outputs,
            same=tf,
            epsilon=1e-3 if tf else 1e-5,
            method=spec.convolution,
            dtype=dtype,
            rngs=rngs,
        )

    return Architecture(
        "tf_efficientnet_lite" if tf else "efficientnet_lite",
        make,
        last_block=lambda spec: (("stages", len(stages) - 1), ("top",), ("top_norm",)),
        side=side,
    )


_LITE0 = (
    InvertedStage(1, 3, 1, 1, 16),
    InvertedStage(2, 3, 2, 6, 24),
    InvertedStage(2, 5, 2, 6, 40),
    InvertedStage(3, 3, 2, 6, 80),
    InvertedStage(3, 5, 1, 6, 112),
    InvertedStage(4, 5, 2, 6, 192),
    InvertedStage(1, 3, 1, 6, 320),
)
# Width and depth in Lite0's, and the side of TensorFlow's images.
_LITES = ((1.0, 1.0, 224), (1.0, 1.1, 240), (1.1, 1.2, 260), (1.2, 1.4, 280), (1.4, 1.8, 300))


def _scaled(width: float, depth: float) -> tuple[InvertedStage, ...]:
    """Lite0's stages so many times as wide and as deep; the first and last keep their one block."""

    def channels(wanted: float) -> int:
        near = max(8, int(wanted + 4) // 8 * 8)
        return near + 8 if near < 0.9 * wanted else near

    return tuple(
        stage._replace(
            blocks=math.ceil(depth * stage.blocks) if 0 < i < len(_LITE0) - 1 else stage.blocks,
            width=channels(width * stage.width),
        )
        for i, stage in enumerate(_LITE0)
    )


ARCHITECTURES: dict[str, Architecture] = {
    "convnet": convnet(),
    "resnet18": resnet((2, 2, 2, 2), bottleneck=False),
    "resnet34": resnet((3, 4, 6, 3), bottleneck=False),
    "resnet50": resnet((3, 4, 6, 3), bottleneck=True),
    "resnet101": resnet((3, 4, 23, 3), bottleneck=True),
    "vit_ti_16": vit(width=192, depth=12, heads=3),
    "vit_s_16": vit(width=384, depth=12, heads=6),
    "vit_b_16": vit(width=768, depth=12, heads=12),
    # As timm calls them.
    **{
        f"{prefix}efficientnet_lite{i}": efficientnet_lite(
            _scaled(width, depth), side=side, tf=bool(prefix)
        )
        for prefix in ("", "tf_")
        for i, (width, depth, side) in enumerate(_LITES)
    },
}


def check(spec: ModelSpec, side: int) -> None:
    """Refuses a network that there is not, or images that do not fit it.

    Args:
      spec: its settings.
      side: of its images in pixels.

    Raises:
      InputError: with what there is.
    """
    if spec.name not in ARCHITECTURES:
        raise InputError(
            f"config.model.name='{spec.name}' is unknown; {nearest(spec.name, ARCHITECTURES)}"
        )
    multiple = ARCHITECTURES[spec.name].multiple
    if side % multiple:
        below = max(side // multiple, 1) * multiple
        raise InputError(
            f"config.model.name='{spec.name}' cuts images into patches of {multiple} pixels, and "
            f"config.data.image_size={side} is no multiple of that; {below} is"
        )
