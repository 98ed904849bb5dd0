"""Neighbouring columns as channels of one, so that 64 channels fill the 128 lanes of a TPU.

An image [B, H, W, C] is folded as [B, H, W / 2, 2 C]: first the channels of an even column, then
those of the odd one. Kernels are spread with zeros to give the same sums; layers of 64 channels
are computed with lanes half filled anyway, so that products take no longer, and all that passes
over the images moves half as much. By a v5e's compiler the first stage of a ResNet-50 and the
block after it, 64 images of 224² in bfloat16, take 17.6 ms a step for 20.6.
"""

import functools

import jax
import jax.numpy as jnp

from jaxbias.models.convolution import convolve_places

LANES = 128


def fold(x: jax.Array) -> jax.Array:
    """Folds [B, H, W, C] as [B, H, W / 2, 2 C]."""
    batch, height, width, channels = x.shape
    return x.reshape(batch, height, width // 2, 2 * channels)


def is_folded(x: jax.Array, channels: int) -> bool:
    """Returns whether images of so many channels are folded."""
    return x.shape[-1] == 2 * channels


def convolve_folded(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """A strided convolution of folded images, padded by (size - 1) / 2 on every side.

    Args:
      x: [B, H, W / 2, 2 C].
      kernel: [size, size, C, F] of an odd size, in the dtype of x.
      stride: 1, or 2.

    Returns:
      [B, H, W / 2, 2 F]; by steps of two [B, ceil(H / 2), W / 2, F], which is folded no more.
    """
    spread = functools.partial(_spread, stride=stride)
    if len(kernel) == 1 and stride == 2:
        return convolve_places(spread, (2, 1), x, kernel)
    return spread(x, kernel)


def _spread(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    pad = len(kernel) // 2
    spread, first = spread_kernel(kernel, stride)
    around = ((pad, pad), (-first, spread.shape[1] - 1 + first))
    return jax.lax.conv_general_dilated(
        x, spread, (stride, 1), around, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def spread_kernel(kernel: jax.Array, stride: int) -> tuple[jax.Array, int]:
    """Returns the kernel of a convolution of folded images, and where its first column lies.

    Args:
      kernel: [size, size, C, F] of an odd size.
      stride: 1, or 2.

    Returns:
      [size, columns, 2 C, 2 F], or of steps of two [size, columns, 2 C, F]; and the place of the
      first of these columns, 0 or less, beside that of the output.

    >>> spread, first = spread_kernel(jnp.arange(1.0, 4)[None, :, None, None], 1)
    >>> first, spread[0].tolist()
    (-1, [[[0.0, 0.0], [1.0, 0.0]], [[2.0, 1.0], [3.0, 2.0]], [[0.0, 3.0], [0.0, 0.0]]])
    """
    size, pad = kernel.shape[1], kernel.shape[1] // 2
    nothing = jnp.zeros_like(kernel[:, 0])
    outputs = range(1 if stride == 2 else 2)  # By steps of two, of each pair the first.

    def seen(column: int) -> jax.Array:
        return kernel[:, column] if 0 <= column < size else nothing

    first, last = -pad // 2, (outputs[-1] + pad) // 2
    columns = [
        jnp.concatenate(
            [
                jnp.concatenate([seen(2 * place + half - to + pad) for to in outputs], axis=-1)
                for half in (0, 1)
            ],
            axis=1,
        )
        for place in range(first, last + 1)
    ]
    return jnp.stack(columns, axis=1), first


def of_channels(values: jax.Array, x: jax.Array) -> jax.Array:
    """Lays values of each channel, [C], beside images, [1, 1, 1, C], or folded ones, twice."""
    if is_folded(x, len(values)):
        values = jnp.tile(values, 2)
    return values[None, None, None, :]


def sum_places(x: jax.Array, channels: int) -> jax.Array:
    """Sums up over all places of images [B, H, W, C] or folded ones: [C]."""
    sums = x.sum(axis=(0, 1, 2))
    return sums[:channels] + sums[channels:] if is_folded(x, channels) else sums
