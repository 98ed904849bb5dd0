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
      mapped: how variants are mapped: "map", "vmap" or "unroll".

    >>> choose("auto", "cpu", "map"), choose("auto", "gpu", "map"), choose("auto", "gpu", "vmap")
    ('patches', 'conv', 'patches')
    """
    if setting != "auto":
        return setting
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


def patches(x: jax.Array, size: int, stride: int) -> jax.Array:
    """Returns [B, ceil(H / stride), ceil(W / stride), size² · C]: what each output sees."""
    _, height, width, _ = x.shape
    if (size, stride) == (3, 2) and height % 2 == width % 2 == 0:
        return _halving_patches(x)
    return jnp.concatenate(_shifted(x, size, stride, 0), axis=-1)


@jax.custom_vjp
def _halving_patches(x: jax.Array) -> jax.Array:
    """Patches of 3 at stride 2, from six pieces instead of nine.

    Columns 2j and 2j + 1 lie side by side, so that a row of a patch is one column and a pair.
    Measured beside nine slices, one core, 64² images in stages 16-32-64-128: scoring 11.6 ms for
    14.1, a step 33 for 37. Same bits; the transpose stays that of nine slices, which is no slower.
    """
    batch, height, width, channels = x.shape
    pairs = x.reshape(batch, height // 2, 2, width // 2, 2 * channels)
    even, odd = pairs[:, :, 0], pairs[:, :, 1]
    above = jnp.pad(odd, ((0, 0), (1, 0), (0, 0), (0, 0)))[:, :-1]
    pieces = []
    for row in (above, even, odd):
        left = jnp.pad(row[..., channels:], ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]
        pieces += [left, row]
    return jnp.concatenate(pieces, axis=-1)


def _halving_forward(x: jax.Array) -> tuple[jax.Array, tuple[int, ...]]:
    return _halving_patches(x), x.shape


def _halving_backward(shape: tuple[int, ...], gradient: jax.Array) -> tuple[jax.Array]:
    def nine(x: jax.Array) -> jax.Array:
        return jnp.concatenate(_shifted(x, 3, 2, 0), axis=-1)

    return jax.linear_transpose(nine, jax.ShapeDtypeStruct(shape, gradient.dtype))(gradient)


_halving_patches.defvjp(_halving_forward, _halving_backward)


def max_pool(x: jax.Array, size: int, stride: int) -> jax.Array:
    """Maxima over patches of an odd size, without padding values, as in PyTorch."""
    first, *others = _shifted(x, size, stride, -jnp.inf)
    for other in others:
        first = jnp.maximum(first, other)
    return first


def _shifted(x: jax.Array, size: int, stride: int, fill: float) -> list[jax.Array]:
    _, height, width, _ = x.shape
    before = (size - 1) // 2
    after = size - 1 - before
    padded = jnp.pad(x, ((0, 0), (before, after), (before, after), (0, 0)), constant_values=fill)
    return [
        padded[:, i : i + height : stride, j : j + width : stride]
        for i in range(size)
        for j in range(size)
    ]
