"""Depthwise convolution: each channel's shifted pieces, times its weights, summed up.

XLA:CPU takes 4 to 40 times as long for grouped convolutions, 8 to 34 times with gradients. CPU time
of 8 images in ms, forward and with both gradients; "derived" is the shifted sum with the gradients
that JAX derives from it:

    side, channels, size, stride      XLA's              shifted        derived
    112,  32, 3, 1                  159,   688          4,  81         4, 179
    112,  96, 3, 2                  171, 2,573         40, 107        37, 212
     56, 144, 5, 2                   73, 2,079          7,  61         6, 202
     14, 480, 5, 1                   56,   522          8,  24         4, 108

All of EfficientNet-Lite0's features at 224² take 29 ms of CPU time an image.

On an H100 XLA's are the faster: training Lite0 at 224² in bfloat16, 9,150 images/s in the long loop
for 5,190 by shifted sums, and 3,910 in packs by "map" for 2,590 (2,400 by "vmap"). A TPU's compiler
expects the same: 64 images of 28² with 144 channels, with both gradients, 4 networks by "vmap" on a
v5e, 561 µs each by XLA's for 1,517.
"""

import functools

import jax
import jax.numpy as jnp

from jaxbias.models.convolution import margins


def depthwise(
    x: jax.Array, kernel: jax.Array, stride: int, method: str, same: bool = False
) -> jax.Array:
    """A strided convolution of each channel alone.

    Args:
      x: [B, H, W, C].
      kernel: [size, size, 1, C] of an odd size, in the dtype of x.
      stride: step between patches.
      method: "conv": XLA's; all others shift and add.
      same: whether padding is TensorFlow's; see `margins`.

    Returns:
      [B, ceil(H / stride), ceil(W / stride), C].
    """
    if method != "conv":
        return _shift_and_add(x, kernel, stride, same)
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        _around(x, kernel, stride, same),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _shift_and_add(x: jax.Array, kernel: jax.Array, stride: int, same: bool) -> jax.Array:
    return _slide(_padded(x, kernel, stride, same), kernel, stride)


def _forward(x: jax.Array, kernel: jax.Array, stride: int, same: bool) -> tuple[jax.Array, tuple]:
    return _shift_and_add(x, kernel, stride, same), (x, kernel)


def _backward(
    stride: int, same: bool, kept: tuple[jax.Array, jax.Array], change: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = kept
    size = len(kernel)
    # The change with zeros between its places, seen through the kernel turned round.
    edges = []
    for axis, (before, _) in enumerate(_around(x, kernel, stride, same), start=1):
        first = size - 1 - before
        spread = (change.shape[axis] - 1) * stride + 1
        edges.append((first, x.shape[axis] + size - 1 - first - spread, stride - 1))
    zero = jnp.zeros((), change.dtype)
    spread = jax.lax.pad(change, zero, ((0, 0, 0), *edges, (0, 0, 0)))
    of_x = _slide(jax.lax.optimization_barrier(spread), kernel[::-1, ::-1], 1)
    of_kernel = jax.lax.platform_dependent(
        _padded(x, kernel, stride, same),
        change,
        cpu=functools.partial(_by_row, size=size, stride=stride),
        default=functools.partial(_at_once, size=size, stride=stride),
    )
    return of_x, of_kernel.reshape(kernel.shape).astype(kernel.dtype)


_shift_and_add.defvjp(_forward, _backward)


def _around(x: jax.Array, kernel: jax.Array, stride: int, same: bool) -> list[tuple[int, int]]:
    return [margins(side, len(kernel), stride, same) for side in x.shape[1:3]]


def _padded(x: jax.Array, kernel: jax.Array, stride: int, same: bool) -> jax.Array:
    """The input with its zeros, written out: fused into every piece they would cost a branch."""
    rows, columns = _around(x, kernel, stride, same)
    return jax.lax.optimization_barrier(jnp.pad(x, ((0, 0), rows, columns, (0, 0))))


def _slide(padded: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Sums the pieces of [B, H + size - 1, W + size - 1, C], each times its place of the kernel."""
    size, wide = len(kernel), _wide(padded)
    weights = kernel.astype(wide)[:, :, :, None, None, :]
    rows, columns = (_last(side, size, stride) for side in padded.shape[1:3])
    total: jax.Array | None = None
    for i in range(size):
        for j in range(size):
            piece = padded[:, i : i + rows : stride, j : j + columns : stride].astype(wide)
            term = piece * weights[i, j]
            total = term if total is None else total + term
    assert total is not None
    return total.astype(padded.dtype)


def _by_row(padded: jax.Array, change: jax.Array, size: int, stride: int) -> jax.Array:
    """The kernel's gradient: rows are added up place by place, which XLA:CPU vectorises.

    Sums over images and places, which it does not, take ten times as long.
    """
    images, rows, columns, channels = change.shape
    wide = _wide(padded)

    def add(totals: tuple, index: jax.Array) -> tuple[tuple, None]:
        image, row = index // rows, index % rows
        zero = jnp.zeros_like(row)
        window = (1, size, padded.shape[2], channels)
        seen = jax.lax.dynamic_slice(padded, (image, row * stride, zero, zero), window)[0]
        one = jax.lax.dynamic_slice(change, (image, row, zero, zero), (1, 1, columns, channels))
        seen, one = seen.astype(wide), one[0, 0].astype(wide)
        last = (columns - 1) * stride + 1
        new = [
            total + seen[n // size, n % size : n % size + last : stride] * one
            for n, total in enumerate(totals)
        ]
        return tuple(new), None

    nothing = tuple(jnp.zeros((columns, channels), wide) for _ in range(size * size))
    totals, _ = jax.lax.scan(add, nothing, jnp.arange(images * rows, dtype=jnp.int32))
    return jnp.stack([total.sum(axis=0) for total in totals])


def _at_once(padded: jax.Array, change: jax.Array, size: int, stride: int) -> jax.Array:
    """The kernel's gradient as sums, which accelerators do side by side."""
    wide = _wide(padded)
    rows, columns = ((count - 1) * stride + 1 for count in change.shape[1:3])
    return jnp.stack(
        [
            jnp.sum(
                padded[:, i : i + rows : stride, j : j + columns : stride].astype(wide)
                * change.astype(wide),
                axis=(0, 1, 2),
            )
            for i in range(size)
            for j in range(size)
        ]
    )


def _last(side: int, size: int, stride: int) -> int:
    """How far the places of a padded side reach."""
    return (side - size) // stride * stride + 1


def _wide(x: jax.Array) -> jax.typing.DTypeLike:
    """What products are added up in."""
    return jnp.float64 if x.dtype == jnp.float64 else jnp.float32
