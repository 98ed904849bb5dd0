"""Arrays of any framework, as NumPy's."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax.sharding import NamedSharding

from jaxbias.errors import InputError


def as_array(values: Any, argument: str) -> np.ndarray | jax.Array:
    """Returns an array of NumPy, JAX, PyTorch (or another DLPack) or pandas as one of NumPy.

    A JAX array whose rows are split over several devices stays where it is.

    Raises:
      InputError: it cannot be read.
    """
    if isinstance(values, jax.Array):
        return values if _split_by_rows(values) else np.asarray(values)
    if isinstance(values, np.ndarray | pd.DataFrame | pd.Series | list | tuple):
        return np.asarray(values)
    if getattr(values, "requires_grad", False):
        values = values.detach()
    if hasattr(values, "__dlpack__"):
        try:
            return np.from_dlpack(values)
        except (BufferError, RuntimeError, TypeError):  # On an accelerator, or in bfloat16.
            try:
                return np.asarray(jnp.from_dlpack(values))
            except (RuntimeError, TypeError, ValueError) as error:
                raise InputError(
                    f"{argument} cannot be read through DLPack ({error}); move it to the CPU, "
                    "for example with .float().cpu()"
                ) from error
    return np.asarray(values)


def _split_by_rows(values: jax.Array) -> bool:
    if not isinstance(values.sharding, NamedSharding) or values.is_fully_replicated:
        return False
    axes = tuple(values.sharding.spec) + (None,) * values.ndim
    return axes[0] is not None and not any(axes[1:])
