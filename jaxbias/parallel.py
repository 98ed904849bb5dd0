"""Devices: the mesh, and the lift of a function of one variant to a pack of them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec, Sharding

from jaxbias import words
from jaxbias.errors import InputError
from jaxbias.peers import all_say
from jaxbias.targets import target

# Axes of meshes: different variants, or parts of the batches of one training.
VARIANT, DATA = "variant", "data"


def make_mesh(devices: int) -> Mesh:
    """Returns a mesh of the first devices of every process, so many in all, along "variant".

    Raises:
      InputError: this process has fewer.
    """
    return _mesh_of(_first(devices), VARIANT)


def make_data_mesh(devices: int = 0) -> Mesh:
    """Returns a mesh along the axis "data" alone; several processes must run the same program.

    Args:
      devices: as of `make_mesh`; 0: all of every process.
    """
    return _mesh_of(_first(devices) if devices else jax.devices(), DATA)


def _mesh_of(devices: list[jax.Device], axis: str) -> Mesh:
    return jax.make_mesh((len(devices),), (axis,), axis_types=(AxisType.Auto,), devices=devices)


def _first(devices: int) -> list[jax.Device]:
    at = target()
    processes = range(at.processes)
    each, have = devices // len(processes), len(at.devices())
    if have < each:
        raise InputError(
            f"config.grid.devices={each}, but this process has {words.count(have, 'device')}; 0 "
            f"takes all there are, and on CPU JAX_NUM_CPU_DEVICES={each} makes as many"
        )
    return [device for place in processes for device in at.devices(place)[:each]]


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

    def local(*arguments: Any) -> Any:
        return step(*arguments, parts=count)

    if kind == "jit":
        whole, along = NamedSharding(mesh, rest), NamedSharding(mesh, split)
        return jax.jit(
            lambda *arguments: step(*arguments, parts=1),
            in_shardings=(whole, along, whole, whole),
            out_shardings=whole,
            donate_argnums=0,
        )
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
    return jax.jit(_parted(mapped, count), donate_argnums=0)


def _parted(mapped: Callable, count: int) -> Callable:
    """What is mapped over the devices, of a whole batch: their axis stands before their parts."""

    def parted(x: jax.Array) -> jax.Array:
        return x.reshape(x.shape[0], count, x.shape[1] // count, *x.shape[2:])

    return lambda state, batch, *rest: mapped(state, jax.tree.map(parted, batch), *rest)


def split_batch(batch: Any, mesh: Mesh) -> Any:
    """Puts this process's share of a batch [A, M, ...] on its devices, M along the mesh."""
    sharding = NamedSharding(mesh, PartitionSpec(None, DATA))
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), batch)


def put(tree: Any, sharding: Sharding) -> Any:
    """Puts arrays on devices; each of several processes, which have them all, on its own.

    They do not compare what they have, nor wait for each other, as `jax.device_put` does.
    """
    if sharding.is_fully_addressable:
        return jax.device_put(tree, sharding)

    def share(leaf: Any) -> jax.Array:
        whole = np.asarray(leaf)
        return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])

    return jax.tree.map(share, tree)


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Puts arrays on every device of the mesh, once, so packs do not send them again."""
    return put(tree, NamedSharding(mesh, PartitionSpec()))


def split_variants(tree: Any, mesh: Mesh) -> Any:
    """Puts each device's share of arrays with a leading variant axis on it."""
    return put(tree, NamedSharding(mesh, PartitionSpec(VARIANT)))


def own_places(width: int, mesh: Mesh) -> np.ndarray:
    """Returns int[W], the places along a variant axis of a width that this process computes."""
    split = NamedSharding(mesh, PartitionSpec(VARIANT)).addressable_devices_indices_map((width,))
    return np.concatenate(
        [np.arange(*i) for i in sorted(x.indices(width) for (x,) in split.values())]
    )


def own_part(array: jax.Array) -> np.ndarray:
    """Returns what this process has computed along a variant axis, in the order of its places."""
    if array.is_fully_addressable:
        return np.asarray(array)
    shards = {shard.index[0].start: shard.data for shard in array.addressable_shards}
    return np.concatenate([np.asarray(shards[start]) for start in sorted(shards)])


def everywhere(array: jax.Array) -> np.ndarray:
    """Returns a whole array in all processes, which all call this alike."""
    if array.is_fully_addressable:
        return np.asarray(array)
    jax.block_until_ready(array)
    all_say("")  # On CPUs devices wait for each other half a minute and no longer.
    return np.asarray(multihost_utils.process_allgather(array, tiled=True))


def on_own_part() -> bool:
    """Returns whether what is traced is run by each device on its own part of the arrays."""
    return bool(jax.sharding.get_abstract_mesh().manual_axes)


def part_index(parts: int) -> jax.Array:
    """Returns int32[], this device's place along the axis "data"."""
    return jnp.int32(0) if parts == 1 else jax.lax.axis_index(DATA).astype(jnp.int32)


def sum_of_parts(tree: Any, parts: int) -> Any:
    """Adds up what the devices of the axis "data" have each computed of their part."""
    return tree if parts == 1 else jax.lax.psum(tree, DATA)


def mean_of_parts(array: jax.Array, parts: int) -> jax.Array:
    """Returns the mean of what the devices of the axis "data" have computed of equal parts."""
    return array if parts == 1 else jax.lax.pmean(array, DATA)


def moments_of_parts(
    mean: jax.Array, var: jax.Array, around: jax.Array, parts: int
) -> tuple[jax.Array, jax.Array]:
    """Returns mean and variance of a whole of which the devices have equal parts, in one exchange.

    Args:
      mean: of this device's part.
      var: likewise, not the unbiased one.
      around: near the mean, and the same on all devices: what lies far from it loses digits.
      parts: devices of the axis "data".
    """
    if parts == 1:
        return mean, var
    off = mean - around
    off, square = mean_of_parts(jnp.stack([off, var + jnp.square(off)]), parts)
    return around + off, jnp.maximum(square - jnp.square(off), 0)


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
