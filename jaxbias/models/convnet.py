"""A small convnet whose convolution is one matrix product over patches.

XLA's CPU convolutions are ~18 times slower inside `scan`, and become slow grouped convolutions
under `vmap`; patches @ kernel runs at the same speed in all of them.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx


class PatchConv(nnx.Module):
    """A strided k×k convolution with zero padding, computed as patches @ kernel.

    Args:
      features_in: channels of the input.
      features_out: channels of the output.
      size: side of the kernel.
      stride: step between patches.
      rngs: random keys of the initialisation.
    """

    def __init__(
        self, features_in: int, features_out: int, *, size: int = 3, stride: int = 2, rngs: nnx.Rngs
    ) -> None:
        fan_in = size * size * features_in
        init = nnx.initializers.he_normal()
        self.linear = nnx.Linear(fan_in, features_out, kernel_init=init, rngs=rngs)
        self.size = size
        self.stride = stride

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [B, H, W, C] to [B, ceil(H / stride), ceil(W / stride), features_out]."""
        return self.linear(_patches(x, self.size, self.stride))


def _patches(x: jax.Array, size: int, stride: int) -> jax.Array:
    _, height, width, _ = x.shape
    before = (size - 1) // 2
    after = size - 1 - before
    padded = jnp.pad(x, ((0, 0), (before, after), (before, after), (0, 0)))
    shifted = [
        padded[:, i : i + height : stride, j : j + width : stride]
        for i in range(size)
        for j in range(size)
    ]
    return jnp.concatenate(shifted, axis=-1)


class ConvNet(nnx.Module):
    """Stride-2 stages of 3×3 convolution and ReLU, then a linear head over all positions.

    The head sees where a feature lies. With a mean over positions instead, 16 epochs on 512
    rendered faces reach an AUC of .60 on earrings and .69 on bags under the eyes; with it, .91
    and .97.

    Args:
      widths: channels of each stage.
      image_size: side of the images in pixels.
      classes: outputs of the head.
      rngs: random keys of the initialisation.
    """

    def __init__(
        self, widths: Sequence[int], image_size: int, classes: int, *, rngs: nnx.Rngs
    ) -> None:
        channels = [3, *widths]
        self.stages = nnx.List(
            [PatchConv(a, b, rngs=rngs) for a, b in zip(channels, widths, strict=False)]
        )
        side = -(-image_size // 2 ** len(widths))
        self.head = nnx.Linear(side * side * channels[-1], classes, rngs=rngs)

    def features(self, x: jax.Array) -> jax.Array:
        """Maps images [B, S, S, 3] to features [B, F]: the last stage at every position."""
        for stage in self.stages:
            x = nnx.relu(stage(x))
        return x.reshape(x.shape[0], -1)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps images [B, S, S, 3] to logits [B, classes]."""
        return self.head(self.features(x))
