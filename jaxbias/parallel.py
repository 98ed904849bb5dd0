"""Devices: the mesh, and the lift of a function of one variant to a pack of them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxbias import words
from jaxbias.errors import InputError

# Axes of meshes: different variants, or parts of the batches of one training.
VARIANT, DATA = "variant", "data"


def make_mesh(devices: int) -> Mesh:
    """Returns a mesh of the first `devices` devices along the axis "variant".

    Raises:
      InputError: there are fewer devices.
    """
    have = jax.local_devices()
    if len(have) < devices:
        raise InputError(
            f"config.grid.devices={devices}, but this process has "
            f"{words.count(len(have), 'device')}; 0 takes all there are, and on CPU "
            f"JAX_NUM_CPU_DEVICES={devices} makes as many"
        )
    return jax.make_mesh(
        (devices,), (VARIANT,), axis_types=(AxisType.Auto,), devices=have[:devices]
    )


def make_data_mesh(devices: int = 0) -> Mesh:
    """Returns a mesh along the axis "data" alone, of the first `devices` of this process.

    Args:
      devices: how many; 0: all of every process, which must then run the same program.
    """
    chosen = jax.local_devices()[:devices] if devices else jax.devices()
    return jax.make_mesh((len(chosen),), (DATA,), axis_types=(AxisType.Auto,), devices=chosen)


def lift(step: Callable, mesh: Mesh, kind: str) -> Callable:
    """Spreads a step of one device's part of a batch over a mesh along "data".

    Args:
      step: `step(state, batch, key, store, parts) -> (state, metrics)`, pure.
      mesh: of `make_data_mesh`.
      kind: "jit", where the compiler shares the work out by the batch's sharding; "shard_map" or
        "pmap", where each device runs the step on its part and they add up what the step says.

    Returns:
      `lifted(state, batch, key, store) -> (state, metrics)`. Leaves of the batch are [A, M, ...],
      their second axis lies along the mesh (see `split_batch`); the rest is on every device, and
      the given state is used up.

    Raises:
      InputError: `pmap` over several processes.
    """
    count, rest, split = mesh.size, PartitionSpec(), PartitionSpec(None, DATA)
    if kind == "jit":
        whole, parted = NamedSharding(mesh, rest), NamedSharding(mesh, split)
        return jax.jit(
            lambda *arguments: step(*arguments, parts=1),
            in_shardings=(whole, parted, whole, whole),
            out_shardings=whole,
            donate_argnums=0,
        )

    def local(*arguments: Any) -> Any:
        return step(*arguments, parts=count)

    if kind == "shard_map":
        specs = (rest, split, rest, rest)
        sharded = jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=rest, check_vma=False)
        return jax.jit(sharded, donate_argnums=0)
    if jax.process_count() > 1:
        raise InputError("config.pretrain.lift='pmap' is for one process; use 'jit' or 'shard_map'")
    mapped = jax.pmap(
        local,
        axis_name=DATA,
        in_axes=(None, 1, None, None),
        out_axes=None,
        devices=list(mesh.devices.flat),
    )

    def pmapped(state: Any, batch: Any, key: jax.Array, store: Any) -> Any:
        def parted(x: jax.Array) -> jax.Array:  # The mapped axis in front of a device's own part.
            return x.reshape(x.shape[0], count, x.shape[1] // count, *x.shape[2:])

        return mapped(state, jax.tree.map(parted, batch), key, store)

    return pmapped


def split_batch(batch: Any, mesh: Mesh) -> Any:
    """Puts this process's share of a batch [A, M, ...] on its devices, M along the mesh."""
    sharding = NamedSharding(mesh, PartitionSpec(None, DATA))
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), batch)


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Puts arrays on every device of the mesh, once, so packs do not send them again."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def split_variants(tree: Any, mesh: Mesh) -> Any:
    """Puts each device's share of arrays with a leading variant axis on it."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec(VARIANT)))


def part_index(parts: int) -> jax.Array:
    """Returns int32[], this device's place along the axis "data"."""
    return jnp.int32(0) if parts == 1 else jax.lax.axis_index(DATA).astype(jnp.int32)


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


def shard_variants(fn: Callable, mesh: Mesh) -> Callable:
    """Splits the variant axis over the mesh; nothing is exchanged between variants."""
    variant, shared = PartitionSpec(VARIANT), PartitionSpec()
    return jax.shard_map(
        fn, mesh=mesh, in_specs=(variant, shared), out_specs=variant, check_vma=False
    )
