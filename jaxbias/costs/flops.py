"""FLOPs: how many a program takes as it is written, by XLA's cost analysis."""

from collections.abc import Callable
from typing import Any

import jax

from jaxbias.host import host_device


def count_flops(fn: Callable, *arguments: Any) -> float:
    """Counts the floating-point operations of a program, and of a loop those of one turn.

    Compiled, it would differ by a few per cent and take seconds. Accelerators count only what is
    compiled, with what their kernels hide left out, so it is the CPU's compiler that counts.

    Args:
      fn: a function of arrays.
      arguments: its arrays, or their shapes.

    Returns:
      The count; 0 where JAX was started without a CPU and its accelerator does not tell.

    >>> count_flops(lambda x: x @ x, jax.ShapeDtypeStruct((8, 8), "float32"))
    1024.0
    """
    # Of shapes alone: arrays would take the program to where they lie.
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), arguments)
    with jax.default_device(host_device()):
        found = jax.jit(fn).lower(*shapes).cost_analysis()
    return float((found or {}).get("flops", 0.0))
