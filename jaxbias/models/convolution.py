"""Convolution as a matrix product over patches or as XLA's own, behind one function.

Which is faster depends on the platform and on how variants are mapped. XLA's CPU convolutions are
several times slower inside `scan`, and under `vmap` every convolution with a kernel per variant
becomes a grouped one; patches @ kernel runs at the same speed in all of them, but holds size² times
the input. Both give the same numbers up to rounding.
"""

import jax
import jax.numpy as jnp

METHODS = ("patches", "conv")


def choose(setting: str, platform: str, mapped: str) -> str:
    """Returns the method of a setting.

    Args:
      setting: "patches", "conv" or "auto".
      platform: "cpu", "gpu" or "tpu".
      mapped: how variants are mapped: "map", "vmap" or "unroll"; "loop": a step of one network is
        the program, without any loop around it (2 CPU cores, ResNet-18 on 64²: 9.4 images/s by
        "conv" and 8.1 by "patches").

    >>> choose("auto", "cpu", "map"), choose("auto", "gpu", "map"), choose("auto", "gpu", "vmap")
    ('patches', 'conv', 'patches')
    """
    if setting != "auto":
        return setting
    if mapped == "loop":
        return "conv"
    return "patches" if platform == "cpu" or mapped == "vmap" else "conv"


def convolve(x: jax.Array, kernel: jax.Array, stride: int, method: str) -> jax.Array:
    """A strided convolution with (size - 1) / 2 zeros around, as in PyTorch.

    Args:
      x: [B, H, W, C].
      kernel: [size, size, C, F] of an odd size, in the dtype of x.
      stride: step between patches.
      method: "patches" or "conv".

    Returns:
      [B, ceil(H / stride), ceil(W / stride), F].
    """
    size, _, inputs, outputs = kernel.shape
    if method == "patches":
        return patches(x, size, stride) @ kernel.reshape(size * size * inputs, outputs)
    pad = (size - 1) // 2
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), [(pad, pad)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def convolve_batch_last(x: jax.Array, kernel: jax.Array, stride: int, method: str) -> jax.Array:
    """As `convolve`, of images that lie with the channel first and the batch last.

    Pieces of patches are whole rows of the batch then, which copy and add at the speed of memory;
    with the channel last they are a few numbers long. One core, 64² images in stages 16-32-64-128,
    batch 64: a step takes 20 ms for 26, scoring a batch 9.3 for 10.3.

    Args:
      x: [C, H, W, B].
      kernel: [size, size, C, F] of an odd size, in the dtype of x.
      stride: step between patches.
      method: "patches" or "conv".

    Returns:
      [F, ceil(H / stride), ceil(W / stride), B].
    """
    size, _, inputs, outputs = kernel.shape
    if method == "patches":
        seen = jnp.concatenate(_shifted(x, size, stride, 0), axis=0)
        flat = kernel.reshape(size * size * inputs, outputs).T @ seen.reshape(len(seen), -1)
        return flat.reshape(outputs, *seen.shape[1:])
    pad = (size - 1) // 2
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), [(pad, pad)] * 2, dimension_numbers=("CHWN", "HWIO", "CHWN")
    )


def patches(x: jax.Array, size: int, stride: int) -> jax.Array:
    """Returns [B, ceil(H / stride), ceil(W / stride), size² · C]: what each output sees."""
    return jnp.concatenate(_shifted(x, size, stride, 0), axis=-1)


def max_pool(x: jax.Array, size: int, stride: int) -> jax.Array:
    """Maxima over patches of an odd size, without padding values, as in PyTorch."""
    first, *others = _shifted(x, size, stride, -jnp.inf)
    for other in others:
        first = jnp.maximum(first, other)
    return first


def _shifted(x: jax.Array, size: int, stride: int, fill: float) -> list[jax.Array]:
    """The pieces of all patches, by their place in a patch; rows and columns are axes 1 and 2."""
    _, height, width, _ = x.shape
    before = (size - 1) // 2
    after = size - 1 - before
    padded = jnp.pad(x, ((0, 0), (before, after), (before, after), (0, 0)), constant_values=fill)
    return [
        padded[:, i : i + height : stride, j : j + width : stride]
        for i in range(size)
        for j in range(size)
    ]
