"""The host: its CPU, for what runs faster there than on an accelerator or is told only by it."""

import jax


def host_device() -> jax.Device:
    """Returns a CPU device of this process, its first device where JAX was started without any.

    >>> host_device().platform
    'cpu'
    """
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # JAX_PLATFORMS names accelerators alone.
        return jax.local_devices()[0]
