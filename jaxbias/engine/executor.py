"""The executor: compiles a program once per signature, checks that it fits, and runs it."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxbias.engine.memory import Room, program_bytes
from jaxbias.engine.programs import axes_of, donated
from jaxbias.errors import InputError
from jaxbias.parallel import replicate, shard_variants, split_variants

# What makes a program, and its static arguments before the mode: `make(*static, mode)`.
Maker = tuple
# Between two looks at the resident set of a running program.
_LOOK_SECONDS = 0.002


class Executor:
    """Runs programs on the devices of a plan.

    Args:
      mesh: of the plan.
      mode: how variants are mapped on a device.
      room: of each device; None: unknown.

    Attributes:
      programs: the compiled ones, by what makes them and the shapes of their arguments.
      compile_seconds: spent compiling.
    """

    def __init__(self, mesh: Mesh, mode: str, room: Room | None) -> None:
        self.mesh = mesh
        self.mode = mode
        self.room = room
        self.programs: dict[tuple, Callable] = {}
        self.compile_seconds = 0.0

    def run(self, maker: Maker, members: Sequence[Any], width: int, shared: Any) -> Any:
        """Runs the program of a pack, padded to its width with copies of its last member.

        Returns:
          Host arrays with a leading axis of `width`.

        Raises:
          InputError: the program does not fit the device.
        """
        padded = [*members, *[members[-1]] * (width - len(members))]
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *padded)
        stacked = split_variants(stacked, self.mesh, axes_of(maker[0]))
        return self.call(maker, stacked, replicate(shared, self.mesh))

    def call(self, maker: Maker, stacked: Any, shared: Any) -> Any:
        """Runs a program on arguments that lie on the devices; returns host arrays."""
        return jax.tree.map(np.asarray, self.on_devices(maker, stacked, shared))

    def on_devices(self, maker: Maker, stacked: Any, shared: Any) -> Any:
        """Runs a program on arguments that lie on the devices, and leaves its results there.

        What the program's results take the place of (`programs.donated`) is gone afterwards.
        """
        program = self._program(maker, stacked, shared)
        needed = program_bytes(program)
        if needed is not None and self.room is not None and needed > self.room.limit:
            width = jax.tree.leaves(stacked)[0].shape[0]
            raise InputError(
                f"a pack of {width} needs {needed / 2**20:,.1f} MiB on a device and has "
                f"{self.room.limit / 2**20:,.1f}; set config.grid.pack_width=0 in a new workdir, "
                "which makes packs as wide as the memory allows, or raise config.grid.memory_mib"
            )
        return program(*_in_parts(maker, stacked), shared)

    def analysed_bytes(self, maker: Maker, member: Any, shared: Any, width: int) -> int | None:
        """Returns what a pack of a width holds on a device, by XLA's analysis of its program.

        The program is kept: where this width is chosen, it has been compiled already.

        Args:
          maker: of the program.
          member: shapes of one member.
          shared: shapes of what members share.
          width: of the pack.

        Returns:
          Bytes; None where the platform has no analysis.
        """
        try:
            return program_bytes(
                self._program(maker, *self._abstract(maker, member, shared, width))
            )
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            return 2**62  # So large that it cannot even be compiled.

    def measured_bytes(self, maker: Maker, member: Any, shared: Any, width: int) -> int | None:
        """Returns the most that a device held while a pack of zeros ran.

        Args: as of `analysed_bytes`.

        Returns:
          Bytes, from the device or, on CPU, from the resident set shared out over the devices; None
          where neither tells.
        """
        members, shared = jax.tree.map(
            lambda leaf: jax.device_put(np.zeros(leaf.shape, leaf.dtype), leaf.sharding),
            self._abstract(maker, member, shared, width),
        )
        program = self._program(maker, members, shared)
        device = self.mesh.devices.flat[0]
        if device.platform == "cpu":
            arguments = sum(leaf.nbytes for leaf in jax.tree.leaves((members, shared)))
            split = _in_parts(maker, members)
            peak = _peak_resident(lambda: jax.block_until_ready(program(*split, shared)))
            return None if peak is None else (peak + arguments) // self.mesh.size
        before = _peak_of(device)
        jax.block_until_ready(program(*_in_parts(maker, members), shared))
        after = _peak_of(device)
        # A peak of something larger that ran before hides this one's.
        return after if after is not None and before is not None and after > before else None

    def _abstract(self, maker: Maker, member: Any, shared: Any, width: int) -> tuple[Any, Any]:
        split = NamedSharding(self.mesh, PartitionSpec(axes_of(maker[0])))
        copied = NamedSharding(self.mesh, PartitionSpec())
        return (
            jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct((width, *leaf.shape), leaf.dtype, sharding=split),
                member,
            ),
            jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=copied), shared
            ),
        )

    def _program(self, maker: Maker, stacked: Any, shared: Any) -> jax.stages.Compiled:
        """Compiles once per signature: what makes the program, and the shapes of its arguments."""
        leaves = jax.tree.leaves((stacked, shared))
        shapes = tuple((leaf.shape, np.dtype(leaf.dtype)) for leaf in leaves)
        if (maker, shapes) not in self.programs:
            make, *static = maker
            began = time.perf_counter()
            lifted = shard_variants(make(*static, self.mode), self.mesh, axes_of(make))
            parts = _in_parts(maker, stacked)
            if len(parts) == 2:
                whole = lambda first, rest, shared: lifted((*first, *rest), shared)  # noqa: E731
                program = jax.jit(whole, donate_argnums=0)
            else:
                program = jax.jit(lifted)
            self.programs[maker, shapes] = program.lower(*parts, shared).compile()
            self.compile_seconds += time.perf_counter() - began
        return self.programs[maker, shapes]


def _in_parts(maker: Maker, stacked: Any) -> tuple:
    """The members' arrays as a program takes them: apart and first those that it replaces."""
    count = donated(*maker)
    return (stacked[:count], stacked[count:]) if count else (stacked,)


def _peak_of(device: jax.Device) -> int | None:
    """The most bytes that were ever held on a device, where it tells."""
    return (device.memory_stats() or {}).get("peak_bytes_in_use")


def _peak_resident(work: Callable[[], Any]) -> int | None:
    """Returns by how much the resident set grew while `work` ran; None where nobody tells."""
    if _resident() is None:
        return None
    before, peak, done = _resident(), 0, threading.Event()

    def look() -> None:
        nonlocal peak
        while not done.wait(_LOOK_SECONDS):
            peak = max(peak, _resident())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        work()
    finally:
        done.set()
        thread.join()
    return max(0, max(peak, _resident()) - before)


def _resident() -> int | None:
    """Bytes of RAM that this process holds, where the system tells."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
