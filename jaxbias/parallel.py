"""Devices: the mesh, and the lift of a function of one variant to a pack of them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxbias.errors import InputError

# Axes of the mesh: different variants, and parts of the batches of one variant.
VARIANT, DATA = "variant", "data"
# What members of a pack are split over: where each member's batches are split too, and where not.
SPLIT, WHOLE = (VARIANT,), (VARIANT, DATA)


def make_mesh(devices: int, data: int = 1) -> Mesh:
    """Returns a mesh of the first `devices` devices along the axes "variant" and "data".

    Args:
      devices: in all.
      data: those that work on one variant together.

    Raises:
      InputError: there are fewer devices, or they cannot be shared out.
    """
    have = jax.local_devices()
    if len(have) < devices:
        raise InputError(
            f"the plan was made for {devices} devices and {len(have)} are visible; on CPU start "
            f"with JAX_NUM_CPU_DEVICES={devices}, or use a new workdir"
        )
    if devices % data:
        raise InputError(
            f"{devices} devices cannot be shared out in groups of config.grid.data_devices={data}"
        )
    return jax.make_mesh(
        (devices // data, data),
        (VARIANT, DATA),
        axis_types=(AxisType.Auto, AxisType.Auto),
        devices=have[:devices],
    )


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Puts arrays on every device of the mesh, once, so packs do not send them again."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def split_variants(tree: Any, mesh: Mesh, axes: tuple[str, ...] = SPLIT) -> Any:
    """Puts each device's share of arrays with a leading variant axis on it."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec(axes)))


def part_of(array: jax.Array, parts: int) -> jax.Array:
    """Returns this device's part of an array that all devices of the axis "data" hold whole."""
    if parts == 1:
        return array
    each = array.shape[0] // parts
    return jax.lax.dynamic_slice_in_dim(array, jax.lax.axis_index(DATA) * each, each)


def sum_of_parts(tree: Any, parts: int) -> Any:
    """Adds up what the devices of the axis "data" have each computed of their part."""
    return tree if parts == 1 else jax.lax.psum(tree, DATA)


def mean_of_parts(array: jax.Array, parts: int) -> jax.Array:
    """Returns the mean of what the devices of the axis "data" have computed of equal parts."""
    return array if parts == 1 else jax.lax.pmean(array, DATA)


def join_parts(array: jax.Array, parts: int) -> jax.Array:
    """Puts the parts of the devices of the axis "data" together along the leading axis."""
    return array if parts == 1 else jax.lax.all_gather(array, DATA, tiled=True)


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


def shard_variants(fn: Callable, mesh: Mesh, axes: tuple[str, ...] = SPLIT) -> Callable:
    """Splits the variant axis over the mesh; nothing is exchanged between variants."""
    variant, shared = PartitionSpec(axes), PartitionSpec()
    return jax.shard_map(
        fn, mesh=mesh, in_specs=(variant, shared), out_specs=variant, check_vma=False
    )
