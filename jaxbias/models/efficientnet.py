"""EfficientNet-Lites: no squeeze-and-excitation, ReLU6, a stem and a head of one width in all five.

Tan & Le, 2019, and TensorFlow's `efficientnet/lite`. Its weights want TensorFlow's padding and
norms; timm trains the same layers with PyTorch's. Trained here without dropout and without dropped
blocks, like every network here.
"""

import jax
from flax import nnx

from jaxbias.models.architectures import InvertedStage
from jaxbias.models.layers import Backbone, BatchNorm, Conv, DepthwiseConv

_STEM, _TOP = 32, 1280  # Channels of the stem, and of the features.


class InvertedBlock(nnx.Module):
    """An inverted residual block: 1×1 to more channels, depthwise, 1×1 to few without ReLU6.

    Args:
      features_in: channels of the input.
      stage: what it is a block of.
      stride: of the depthwise convolution.
      same: whether strided convolutions are padded as by TensorFlow.
      epsilon: of the norms.
      method: how convolutions are computed.
      rngs: random keys of the initialisation.
    """

    def __init__(
        self,
        features_in: int,
        stage: InvertedStage,
        stride: int,
        *,
        same: bool,
        epsilon: float,
        method: str,
        rngs: nnx.Rngs,
    ) -> None:
        inside = features_in * stage.expansion
        convs: list[nnx.Module] = []
        if stage.expansion > 1:
            convs.append(Conv(features_in, inside, 1, 1, method=method, rngs=rngs))
        convs.append(DepthwiseConv(inside, stage.size, stride, same=same, method=method, rngs=rngs))
        convs.append(Conv(inside, stage.width, 1, 1, method=method, rngs=rngs))
        self.convs = nnx.List(convs)
        widths = [inside] * (len(convs) - 1) + [stage.width]
        self.norms = nnx.List([BatchNorm(width, epsilon=epsilon) for width in widths])
        self.residual = stride == 1 and features_in == stage.width

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [B, H, W, C] to [B, ceil(H / stride), ceil(W / stride), F]."""
        before = x
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = norm(conv(jax.nn.relu6(x) if i else x))
        return x + before if self.residual else x


class EfficientNetLite(Backbone):
    """A stem, stages of inverted blocks, a wide 1×1, a mean over positions, a linear head.

    Args:
      stages: of its blocks; the first does not widen its input.
      classes: outputs of the head.
      same: whether strided convolutions are padded as by TensorFlow.
      epsilon: of the norms.
      method: how convolutions are computed.
      dtype: of the head's computation; None: that of the parameters.
      rngs: random keys of the initialisation.
    """

    def __init__(
        self,
        stages: tuple[InvertedStage, ...],
        classes: int,
        *,
        same: bool,
        epsilon: float,
        method: str = "patches",
        dtype: jax.typing.DTypeLike | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        self.stem = Conv(3, _STEM, 3, 2, same=same, method=method, rngs=rngs)
        self.stem_norm = BatchNorm(_STEM, epsilon=epsilon)
        made, inputs = [], _STEM
        how = {"same": same, "epsilon": epsilon, "method": method, "rngs": rngs}
        for stage in stages:
            blocks = []
            for i in range(stage.blocks):
                blocks.append(InvertedBlock(inputs, stage, 1 if i else stage.stride, **how))
                inputs = stage.width
            made.append(nnx.List(blocks))
        self.stages = nnx.List(made)
        self.top = Conv(inputs, _TOP, 1, 1, method=method, rngs=rngs)
        self.top_norm = BatchNorm(_TOP, epsilon=epsilon)
        uniform = nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
        self.head = nnx.Linear(_TOP, classes, kernel_init=uniform, dtype=dtype, rngs=rngs)

    def trunk(self, x: jax.Array) -> jax.Array:
        """Maps images [B, S, S, 3] to what the last stage sees, [B, H, W, C]."""
        x = jax.nn.relu6(self.stem_norm(self.stem(x)))
        for stage in self.stages[:-1]:
            for block in stage:
                x = block(x)
        return x

    def tail(self, x: jax.Array) -> jax.Array:
        """Maps that to features [B, F]: the mean of the wide 1×1's output."""
        for block in self.stages[-1]:
            x = block(x)
        return jax.nn.relu6(self.top_norm(self.top(x))).mean(axis=(1, 2))
