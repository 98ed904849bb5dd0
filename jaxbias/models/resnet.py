"""ResNets with the semantics of torchvision's, and a stem for small images.

He et al., 2015; in bottlenecks the stride is on the 3×3 convolution ("v1.5"), as in torchvision.
"""

import functools

import jax
from flax import nnx

from jaxbias.models.convolution import max_pool
from jaxbias.models.folding import LANES, fold
from jaxbias.models.layers import Backbone, BatchNorm, Conv, narrow_on_tpu

_BOTTLENECK_EXPANSION = 4


class ResidualBlock(nnx.Module):
    """A residual block: two 3×3 convolutions, or 1×1, 3×3 and 1×1 in a bottleneck.

    Args:
      features_in: channels of the input.
      width: channels inside.
      stride: of the first 3×3 convolution.
      bottleneck: whether it is one; it then puts out four times its width.
      zero_init: whether the last scale starts at 0, so that the block starts as the identity.
      method: how convolutions are computed.
      rngs: random keys of the initialisation.
    """

    def __init__(
        self,
        features_in: int,
        width: int,
        stride: int,
        *,
        bottleneck: bool,
        zero_init: bool,
        method: str,
        rngs: nnx.Rngs,
    ) -> None:
        out = width * _BOTTLENECK_EXPANSION if bottleneck else width
        # size, stride, channels of each convolution
        plan = ((1, 1, width), (3, stride, width), (1, 1, out))
        if not bottleneck:
            plan = ((3, stride, width), (3, 1, width))
        convs, norms, inputs = [], [], features_in
        for i, (size, step, outputs) in enumerate(plan):
            convs.append(Conv(inputs, outputs, size, step, method=method, rngs=rngs))
            last = i == len(plan) - 1
            norms.append(BatchNorm(outputs, scale=0.0 if last and zero_init else 1.0))
            inputs = outputs
        self.convs, self.norms = nnx.List(convs), nnx.List(norms)
        same = stride == 1 and features_in == out
        self.shortcut = (
            None if same else _Shortcut(features_in, out, stride, method=method, rngs=rngs)
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [B, H, W, C] to [B, ceil(H / stride), ceil(W / stride), F], or what is folded."""
        shortcut = x if self.shortcut is None else self.shortcut(x)
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = norm.after(conv, nnx.relu(x) if i else x)
        return nnx.relu(x + shortcut)


class _Shortcut(nnx.Module):
    """A 1×1 convolution and its norm, where a block changes the shape."""

    def __init__(
        self, features_in: int, features_out: int, stride: int, *, method: str, rngs: nnx.Rngs
    ) -> None:
        self.conv = Conv(features_in, features_out, 1, stride, method=method, rngs=rngs)
        self.norm = BatchNorm(features_out)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [B, H, W, C] to [B, ceil(H / stride), ceil(W / stride), F]."""
        return self.norm.after(self.conv, x)


class ResNet(Backbone):
    """A stem, four stages of residual blocks, a mean over positions and a linear head.

    Args:
      blocks: of each stage.
      classes: outputs of the head.
      width: channels of the first stage; each next one has twice as many.
      bottleneck: the kind of the blocks.
      stem: "imagenet", a 7×7 convolution of stride 2 and max pooling, which divide the side by
        four; or "small", a 3×3 convolution that keeps it.
      zero_init: whether blocks start as the identity.
      method: how convolutions are computed, "patches" or "conv".
      dtype: of the head's computation; None: that of the parameters.
      rngs: random keys of the initialisation.
    """

    def __init__(
        self,
        blocks: tuple[int, ...],
        classes: int,
        *,
        width: int = 64,
        bottleneck: bool,
        stem: str = "imagenet",
        zero_init: bool = False,
        method: str = "patches",
        dtype: jax.typing.DTypeLike | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        size, stride = (7, 2) if stem == "imagenet" else (3, 1)
        self.pooled = stem == "imagenet"
        # With a stage between the first and the last, what the last one sees is folded no more.
        self.folds = method == "conv" and len(blocks) > 2 and 2 * width <= LANES
        self.stem = Conv(3, width, size, stride, method=method, rngs=rngs)
        self.stem_norm = BatchNorm(width)
        stages, inputs = [], width
        for stage, count in enumerate(blocks):
            inside = width * 2**stage
            made = []
            for i in range(count):
                step = 2 if stage and i == 0 else 1
                block = ResidualBlock(
                    inputs,
                    inside,
                    step,
                    bottleneck=bottleneck,
                    zero_init=zero_init,
                    method=method,
                    rngs=rngs,
                )
                made.append(block)
                inputs = inside * _BOTTLENECK_EXPANSION if bottleneck else inside
            stages.append(nnx.List(made))
        self.stages = nnx.List(stages)
        uniform = nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
        self.head = nnx.Linear(inputs, classes, kernel_init=uniform, dtype=dtype, rngs=rngs)

    def trunk(self, x: jax.Array) -> jax.Array:
        """Maps images [B, S, S, 3] to what the last stage sees, [B, H, W, C]."""
        # Stage 1 is folded; the first step of two, that of stage 2, leaves columns apart again.
        columns = -(-x.shape[2] // 4) if self.pooled else x.shape[2]
        folds = self.folds and narrow_on_tpu(x) and columns % 2 == 0
        if self.pooled and narrow_on_tpu(x):
            x = nnx.relu(self.stem_norm.pooled(functools.partial(self.stem, x), folds))
        else:
            x = nnx.relu(self.stem_norm(self.stem(x)))
            x = max_pool(x, 3, 2) if self.pooled else x
            x = fold(x) if folds else x
        for stage in self.stages[:-1]:
            for block in stage:
                x = block(x)
        return x

    def tail(self, x: jax.Array) -> jax.Array:
        """Maps that to features [B, F]: the mean of the last stage."""
        for block in self.stages[-1]:
            x = block(x)
        return x.mean(axis=(1, 2))
