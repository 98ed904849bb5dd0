"""A small convnet of stride-2 convolutions."""

from collections.abc import Sequence

import jax
from flax import nnx

from jaxbias.models.convolution import convolve_batch_last
from jaxbias.models.layers import Backbone


class PatchConv(nnx.Module):
    """A strided k×k convolution with zero padding and a bias, whose kernel is a matrix.

    Args:
      features_in: channels of the input.
      features_out: channels of the output.
      size: side of the kernel.
      stride: step between patches.
      method: "patches" or "conv".
      dtype: of the computation; None: that of the parameters.
      rngs: random keys of the initialisation.
    """

    def __init__(
        self,
        features_in: int,
        features_out: int,
        *,
        size: int = 3,
        stride: int = 2,
        method: str = "patches",
        dtype: jax.typing.DTypeLike | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        fan_in = size * size * features_in
        init = nnx.initializers.he_normal()
        self.linear = nnx.Linear(fan_in, features_out, kernel_init=init, dtype=dtype, rngs=rngs)
        self.size = size
        self.stride = stride
        self.method = method

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [C, H, W, B] to [features_out, ceil(H / stride), ceil(W / stride), B]."""
        kernel, bias = (
            param[...].astype(x.dtype) for param in (self.linear.kernel, self.linear.bias)
        )
        kernel = kernel.reshape(self.size, self.size, x.shape[0], -1)
        x = convolve_batch_last(x, kernel, self.stride, self.method)
        return x + bias[:, None, None, None]


class ConvNet(Backbone):
    """Stride-2 stages of 3×3 convolution and ReLU, then a linear head over all positions.

    The head sees where a feature lies. With a mean over positions instead, 16 epochs on 512
    rendered faces reach an AUC of .60 on earrings and .69 on bags under the eyes; with it, .91
    and .97.

    Args:
      widths: channels of each stage.
      image_size: side of the images in pixels.
      classes: outputs of the head.
      method: how convolutions are computed, "patches" or "conv".
      dtype: of the computation; None: that of the parameters.
      rngs: random keys of the initialisation.
    """

    def __init__(
        self,
        widths: Sequence[int],
        image_size: int,
        classes: int,
        *,
        method: str = "patches",
        dtype: jax.typing.DTypeLike | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        channels = [3, *widths]
        self.stages = nnx.List(
            [
                PatchConv(a, b, method=method, dtype=dtype, rngs=rngs)
                for a, b in zip(channels, widths, strict=False)
            ]
        )
        side = -(-image_size // 2 ** len(widths))
        self.head = nnx.Linear(side * side * channels[-1], classes, dtype=dtype, rngs=rngs)

    def trunk(self, x: jax.Array) -> jax.Array:
        """Maps images [B, S, S, 3] to what the last stage sees, [B, H, W, C]."""
        x = x.transpose(3, 1, 2, 0)
        for stage in self.stages[:-1]:
            x = nnx.relu(stage(x))
        return x.transpose(3, 1, 2, 0)

    def tail(self, x: jax.Array) -> jax.Array:
        """Maps that to features [B, F]: the last stage at every position."""
        x = nnx.relu(self.stages[-1](x.transpose(3, 1, 2, 0)))
        return x.transpose(3, 1, 2, 0).reshape(x.shape[-1], -1)
