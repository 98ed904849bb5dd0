"""Attention of whole images in a TPU's own fast memory: a kernel for each direction, in Pallas.

Tables of tokens by tokens are made, used and forgotten there, head by head, and made anew for the
gradient; queries, keys and values lie in memory as one product makes them. By a v5e's compiler a
step of a ViT-B/16, 64 images of 224² in bfloat16, takes 52 ms for 102 with this, `gelu.py`,
`row_statistics.py` and `attention_of_first`, of a ViT-S/16 19 ms. Nothing here was run on a TPU
yet: values and gradients were compared as Pallas interprets the kernels, and the compiler takes
them.

The compiler expects no cycles of what it has not made itself, so the kernels say how many.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl

_PRODUCT = functools.partial(jax.lax.dot_general, preferred_element_type=jnp.float32)
# What is summed over: the last of both, the last of the first and the first of the second, and
# the first of both.
_LAST, _PLAIN, _FIRST = (((1,), (1,)), ((), ())), (((1,), (0,)), ((), ())), (((0,), (0,)), ((), ()))
_HEAD = 64  # Of each head; of none else the kernels were compiled.
# Cycles of an image on a v5e, by the most tokens: of each head and besides, forward and back. They
# bound from above what `python -m benchmarks.kernels` finds of 3, 6 and 12 heads: the compiler's
# own schedule, 1.5 to 2.2 times as long as it has it, since products are held to the peak.
_CYCLES = {
    17: ((110, 50), (210, 115)),
    65: ((270, 190), (515, 210)),
    145: ((340, 1005), (1130, 180)),
    197: ((400, 1030), (1345, 110)),
    257: ((1105, 180), (2040, 110)),
}


def fits(tokens: int, size: int) -> bool:
    """Returns whether there is a kernel for so many tokens and heads of a size."""
    return size == _HEAD and tokens <= max(_CYCLES)


def cycles(tokens: int, heads: int) -> tuple[int, int]:
    """Returns the cycles of an image on a v5e, forward and back."""
    known = _CYCLES[min(most for most in _CYCLES if most >= tokens)]
    return tuple(heads * each + besides for each, besides in known)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def attend_packed(heads: int, packed: jax.Array, bias: jax.Array) -> jax.Array:
    """Attention of every token to all.

    Args:
      heads: how many.
      packed: [B, T, 3 D]: queries of all heads, then keys, then values.
      bias: [3 D], added to them; here, so that its gradient needs no pass of its own.

    Returns:
      [B, T, D], of the dtype of all.
    """
    return _forward(heads, packed, bias)[0]


def _forward(heads: int, packed: jax.Array, bias: jax.Array) -> tuple[jax.Array, tuple]:
    packed = packed + bias[None, None]
    seen, level = _call(_look, heads, packed)
    return seen, (packed, level)


def _backward(heads: int, kept: tuple, change: jax.Array) -> tuple[jax.Array, jax.Array]:
    slopes, total = _call(_back, heads, *kept, change)
    return slopes, total[0].astype(slopes.dtype)


attend_packed.defvjp(_forward, _backward)


def _look(heads: int, packed: Any, seen: Any, level: Any) -> None:
    """Attention of an image; tables are [keys, queries], so that sums run over sublanes."""
    size = seen.shape[-1] // heads
    scale = 1 / math.sqrt(size)
    for h in range(heads):
        query, key, value = _parts(packed, h, heads, size)
        affinity = _PRODUCT(key, query * jnp.asarray(scale, query.dtype), _LAST)
        most = affinity.max(axis=0, keepdims=True)
        shares = jnp.exp(affinity - most)
        total = shares.sum(axis=0, keepdims=True)
        level[0, h : h + 1, :] = most + jnp.log(total)
        shares = (shares * (1 / total)).astype(value.dtype)
        seen[0, :, _own(h, size)] = _PRODUCT(shares, value, _FIRST).astype(seen.dtype)


def _back(heads: int, packed: Any, level: Any, change: Any, slopes: Any, total: Any) -> None:
    """The gradient of `_look`."""
    size = change.shape[-1] // heads
    scale = 1 / math.sqrt(size)

    @pl.when(pl.program_id(0) == 0)
    def begin() -> None:
        total[...] = jnp.zeros_like(total)

    for h in range(heads):
        query, key, value = _parts(packed, h, heads, size)
        query = query * jnp.asarray(scale, query.dtype)
        of_seen = change[0, :, _own(h, size)]
        shares = jnp.exp(_PRODUCT(key, query, _LAST) - level[0, h : h + 1, :])
        of_shares = _PRODUCT(value, of_seen, _LAST)
        common = (shares * of_shares).sum(axis=0, keepdims=True)
        of_affinity = (shares * (of_shares - common)).astype(query.dtype)
        found = (
            _PRODUCT(of_affinity, key, _FIRST) * scale,
            _PRODUCT(of_affinity, query, _PLAIN),
            _PRODUCT(shares.astype(query.dtype), of_seen, _PLAIN),
        )
        for i, each in enumerate(found):
            own = _own(i * heads + h, size)
            slopes[0, :, own] = each.astype(slopes.dtype)
            total[:, own] += each.sum(axis=0, keepdims=True)


def _parts(packed: Any, head: int, heads: int, size: int) -> list[jax.Array]:
    """The queries, keys and values of a head, [T, D / heads] each."""
    return [packed[0, :, _own(i * heads + head, size)] for i in range(3)]


def _own(place: int, size: int) -> slice:
    return slice(place * size, (place + 1) * size)


def _call(kernel: Callable, heads: int, packed: jax.Array, *rest: jax.Array) -> list[jax.Array]:
    """Runs a kernel on one image after the other, and says how many cycles each image takes."""
    batch, tokens, width = packed.shape
    wide = jnp.float32
    if rest:
        outs = [((batch, tokens, width), packed.dtype), ((1, width), wide)]
    else:
        outs = [((batch, tokens, width // 3), packed.dtype), ((batch, heads, tokens), wide)]

    def whole(shape: tuple[int, ...]) -> pl.BlockSpec:
        if len(shape) == 2:  # Of all images.
            return pl.BlockSpec(shape, lambda b: (0, 0))
        return pl.BlockSpec((1, *shape[1:]), lambda b: (b, 0, 0))

    return pl.pallas_call(
        functools.partial(kernel, heads),
        grid=(batch,),
        in_specs=[whole(x.shape) for x in (packed, *rest)],
        out_specs=[whole(shape) for shape, _ in outs],
        out_shape=[jax.ShapeDtypeStruct(*each) for each in outs],
        name=kernel.__name__.strip("_"),
        metadata={"cycles": str(cycles(tokens, heads)[bool(rest)])},
    )(packed, *rest)
