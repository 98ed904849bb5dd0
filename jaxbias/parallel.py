"""Devices: the mesh, and the lift of a function of one variant to a pack of them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxbias.errors import InputError


def make_mesh(devices: int) -> Mesh:
    """Returns a mesh of the first `devices` devices along the axis "variant".

    Raises:
      InputError: there are fewer devices.
    """
    have = jax.local_devices()
    if len(have) < devices:
        raise InputError(
            f"the plan was made for {devices} devices and {len(have)} are visible; on CPU start "
            f"with JAX_NUM_CPU_DEVICES={devices}, or use a new workdir"
        )
    return jax.make_mesh(
        (devices,), ("variant",), axis_types=(AxisType.Auto,), devices=have[:devices]
    )


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Puts arrays on every device of the mesh, once, so packs do not send them again."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def split_variants(tree: Any, mesh: Mesh) -> Any:
    """Puts each device's share of arrays with a leading variant axis on it."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec("variant")))


def map_variants(fn: Callable, mode: str) -> Callable:
    """Lifts `fn(variant, shared)` over the leading axis of `variant`.

    Args:
      fn: a function of one variant's arrays and of arrays all variants share.
      mode: "map" runs one after another in a loop, "vmap" all at once, "unroll" one after
        another without a loop. Which is fastest depends on the model and the platform.

    Returns:
      `mapped(variants, shared)`, with results stacked along the leading axis.
    """

    def mapped(variants: Any, shared: Any) -> Any:
        if mode == "vmap":
            return jax.vmap(fn, in_axes=(0, None))(variants, shared)
        if mode == "map":
            return jax.lax.map(lambda variant: fn(variant, shared), variants)
        count = jax.tree.leaves(variants)[0].shape[0]
        each = [fn(jax.tree.map(lambda x, i=i: x[i], variants), shared) for i in range(count)]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)

    return mapped


def shard_variants(fn: Callable, mesh: Mesh) -> Callable:
    """Splits the variant axis over the mesh; nothing is exchanged between devices."""
    variant, shared = PartitionSpec("variant"), PartitionSpec()
    return jax.shard_map(
        fn, mesh=mesh, in_specs=(variant, shared), out_specs=variant, check_vma=False
    )
