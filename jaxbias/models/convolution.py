"""Convolution as a matrix product over patches or as XLA's own, behind one function.

Which is faster depends on the platform and on how variants are mapped. XLA's CPU convolutions are
several times slower inside `scan`, and under `vmap` every convolution with a kernel per variant
becomes a grouped one; patches @ kernel runs at the same speed in all of them, but holds size² times
the input. On an H100 16 convnets on 64² under `vmap` train 839,000 images/s by patches, 89,000 by
grouped convolutions. A TPU's compiler expects the opposite: on a v5e 4 convnets on 64² in bfloat16
143 µs a step and network by grouped convolutions, 613 by patches, which hold 192 MiB for 121. Both
give the same numbers up to rounding.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxbias.targets import target

# Below this many places of an output XLA's own gradient of the kernel is as fast.
_FEW = 16 * 16


def choose(setting: str, platform: str, mapped: str) -> str:
    """Returns the method of a setting.

    Args:
      setting: config.model.convolution.
      platform: "cpu", "gpu" or "tpu".
      mapped: how variants are mapped: "map", "vmap" or "unroll"; "loop": a step of one network is
        the program, without any loop around it.

    >>> choose("auto", "cpu", "map"), choose("auto", "gpu", "map"), choose("auto", "gpu", "vmap")
    ('patches', 'conv', 'patches')
    >>> choose("auto", "tpu", "map"), choose("auto", "tpu", "vmap")
    ('conv', 'conv')
    """
    if setting != "auto":
        return setting
    if mapped == "loop":
        return "by_image" if platform == "cpu" else "conv"
    in_patches = platform == "cpu" or (platform == "gpu" and mapped == "vmap")
    return "patches" if in_patches else "conv"


def margins(side: int, size: int, stride: int, same: bool) -> tuple[int, int]:
    """How many zeros stand before and after a side of an image, ceil(side / stride) being left.

    Args:
      side: of the image.
      size: of the kernel, odd.
      stride: step between patches.
      same: as by TensorFlow's "SAME", the fewest that do, the odd one after; or as in PyTorch,
        (size - 1) / 2 each.

    >>> margins(224, 3, 2, same=True), margins(224, 3, 2, same=False), margins(65, 3, 2, same=True)
    ((0, 1), (1, 1), (1, 1))
    """
    if not same:
        return (size - 1) // 2, (size - 1) // 2
    total = max((-(-side // stride) - 1) * stride + size - side, 0)
    return total // 2, total - total // 2


def convolve(
    x: jax.Array, kernel: jax.Array, stride: int, method: str, same: bool = False
) -> jax.Array:
    """A strided convolution.

    Args:
      x: [B, H, W, C].
      kernel: [size, size, C, F] of an odd size, in the dtype of x.
      stride: step between patches.
      method: "patches", "conv", or "by_image": XLA's, but for the gradient of the kernel.
      same: whether padding is TensorFlow's; see `margins`.

    Returns:
      [B, ceil(H / stride), ceil(W / stride), F].
    """
    size, _, inputs, outputs = kernel.shape
    if method == "patches":
        return patches(x, size, stride, same) @ kernel.reshape(size * size * inputs, outputs)
    places = -(-x.shape[1] // stride) * -(-x.shape[2] // stride)
    if method == "by_image" and places >= _FEW:
        return _by_image(x, kernel, stride, same)
    if size == 1 and stride > 1 and target().platform == "tpu":
        skipping = functools.partial(_xla, stride=stride, same=False)
        return convolve_places(skipping, (stride, stride), x, kernel)
    return _xla(x, kernel, stride, same)


def _xla(x: jax.Array, kernel: jax.Array, stride: int, same: bool) -> jax.Array:
    around = [margins(side, len(kernel), stride, same) for side in x.shape[1:3]]
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), around, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _by_image(x: jax.Array, kernel: jax.Array, stride: int, same: bool) -> jax.Array:
    """XLA's convolution; the gradient of its kernel is added up image by image.

    For that gradient XLA:CPU convolves whole batches with kernels as large as images; the patches
    of one image stay in the cache. On 2 cores 32 images of 64² with 64 channels take 111 ms for
    306, of 32² with 128 channels 62 for 161, of 8² with 512 channels 52 for 42.
    """
    return _xla(x, kernel, stride, same)


def _forward(x: jax.Array, kernel: jax.Array, stride: int, same: bool) -> tuple[jax.Array, tuple]:
    return _xla(x, kernel, stride, same), (x, kernel)


def _backward(
    stride: int, same: bool, kept: tuple, change: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = kept
    size, _, inputs, outputs = kernel.shape
    (of_x,) = jax.vjp(lambda x: _xla(x, kernel, stride, same), x)[1](change)

    def add(total: jax.Array, image: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        one, changed = image
        seen = patches(one[None], size, stride, same).reshape(-1, size * size * inputs)
        return total + changed.reshape(-1, outputs).T @ seen, None

    nothing = jnp.zeros((outputs, size * size * inputs), kernel.dtype)
    total, _ = jax.lax.scan(add, nothing, (x, change))
    return of_x, total.T.reshape(kernel.shape)


_by_image.defvjp(_forward, _backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def convolve_places(
    convolved: Callable[[jax.Array, jax.Array], jax.Array],
    strides: tuple[int, int],
    x: jax.Array,
    kernel: jax.Array,
) -> jax.Array:
    """A strided 1×1 convolution whose gradient is computed at the places it sees, and no others.

    XLA's own convolves zeros between them. By a v5e's compiler the three of a ResNet-50 take 0.7 ms
    less a step of 64 images of 224² in bfloat16.

    Args:
      convolved: computes it from x and the kernel.
      strides: of rows and columns.
      x: [B, H, W, C], or more channels, of which the first are seen.
      kernel: [1, 1, C, F].

    Returns:
      [B, ceil(H / stride), ceil(W / stride), F].
    """
    del strides
    return convolved(x, kernel)


def _forward_places(
    convolved: Callable[[jax.Array, jax.Array], jax.Array],
    strides: tuple[int, int],
    x: jax.Array,
    kernel: jax.Array,
) -> tuple[jax.Array, tuple]:
    return convolve_places(convolved, strides, x, kernel), (x, kernel)


def _backward_places(
    convolved: Callable[[jax.Array, jax.Array], jax.Array],
    strides: tuple[int, int],
    kept: tuple,
    change: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    x, kernel = kept
    (of_kernel,) = jax.vjp(functools.partial(convolved, x), kernel)[1](change)
    of_x = _xla(change, kernel.swapaxes(2, 3), 1, False)
    sides = zip(x.shape, of_x.shape, (1, *strides, 1), strict=True)
    around = [(0, side - (seen - 1) * step - 1, step - 1) for side, seen, step in sides]
    return jax.lax.pad(of_x, jnp.zeros((), x.dtype), around), of_kernel


convolve_places.defvjp(_forward_places, _backward_places)


def convolve_batch_last(x: jax.Array, kernel: jax.Array, stride: int, method: str) -> jax.Array:
    """As `convolve`, of images that lie with the channel first and the batch last.

    Pieces of patches are whole rows of the batch then, which copy and add at the speed of memory;
    with the channel last they are a few numbers long. One core, 64² images in stages 16-32-64-128,
    batch 64: a step takes 20 ms for 26, scoring a batch 9.3 for 10.3.

    Args:
      x: [C, H, W, B].
      kernel: [size, size, C, F] of an odd size, in the dtype of x.
      stride: step between patches.
      method: "patches"; all others are XLA's own.

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


def patches(x: jax.Array, size: int, stride: int, same: bool = False) -> jax.Array:
    """Returns [B, ceil(H / stride), ceil(W / stride), size² · C]: what each output sees."""
    return jnp.concatenate(_shifted(x, size, stride, 0, same), axis=-1)


def max_pool(x: jax.Array, size: int, stride: int) -> jax.Array:
    """Maxima over patches of an odd size, without padding values, as in PyTorch.

    A TPU has an instruction for it, and for its gradient, which goes to the first of equal maxima,
    as in PyTorch; elsewhere they share it. By a v5e's compiler the stem's pool of a ResNet, 64
    images of 224² in bfloat16, takes 1.4 ms there and back for 14 by the pieces of patches.
    """
    if target().platform == "tpu":
        pad = (size - 1) // 2
        window, strides = (1, size, size, 1), (1, stride, stride, 1)
        around = ((0, 0), (pad, pad), (pad, pad), (0, 0))
        return jax.lax.reduce_window(x, -math.inf, jax.lax.max, window, strides, around)
    first, *others = _shifted(x, size, stride, -jnp.inf)
    for other in others:
        first = jnp.maximum(first, other)
    return first


def _shifted(
    x: jax.Array, size: int, stride: int, fill: float, same: bool = False
) -> list[jax.Array]:
    """The pieces of all patches, by their place in a patch; rows and columns are axes 1 and 2."""
    _, height, width, _ = x.shape
    rows, columns = (margins(side, size, stride, same) for side in (height, width))
    padded = jnp.pad(x, ((0, 0), rows, columns, (0, 0)), constant_values=fill)
    return [
        padded[:, i : i + height : stride, j : j + width : stride]
        for i in range(size)
        for j in range(size)
    ]
