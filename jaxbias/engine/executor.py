"""The executor: compiles a program once per width, checks that it fits, and runs it."""

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
from jaxbias.engine.programs import Program
from jaxbias.errors import InputError
from jaxbias.parallel import VARIANT, replicate, shard_variants, split_variants

# Between two looks at the resident set of a running program.
_LOOK_SECONDS = 0.002


class Executor:
    """Runs programs on the devices of a plan.

    Args:
      mesh: of the plan.
      mode: how variants are mapped on a device.
      room: of each device; None: unknown.

    Attributes:
      programs: the compiled ones, by program and width.
      compile_seconds: spent compiling.
    """

    def __init__(self, mesh: Mesh, mode: str, room: Room | None) -> None:
        self.mesh = mesh
        self.mode = mode
        self.room = room
        self.programs: dict[tuple[Program, int], jax.stages.Compiled] = {}
        self.compile_seconds = 0.0

    def run(self, program: Program, members: Sequence[Any], width: int, shared: Any) -> Any:
        """Runs the program of a pack, padded to its width with copies of its last member.

        Returns:
          Host arrays with a leading axis of `width`.

        Raises:
          InputError: the program does not fit the device.
        """
        padded = [*members, *[members[-1]] * (width - len(members))]
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *padded)
        return self.call(program, split_variants(stacked, self.mesh), replicate(shared, self.mesh))

    def call(self, program: Program, stacked: Any, shared: Any) -> Any:
        """Runs a program on arguments that lie on the devices; returns host arrays."""
        return jax.tree.map(np.asarray, self.on_devices(program, stacked, shared))

    def on_devices(self, program: Program, stacked: Any, shared: Any) -> Any:
        """Runs a program on arguments that lie on the devices, and leaves its results there.

        What the program's results take the place of (`Program.donated`) is gone afterwards.
        """
        width = jax.tree.leaves(stacked)[0].shape[0]
        compiled = self.compiled(program, width)
        needed = program_bytes(compiled)
        if needed is not None and self.room is not None and needed > self.room.limit:
            raise InputError(
                f"a pack of {width} needs {needed / 2**20:,.1f} MiB on a device and has "
                f"{self.room.limit / 2**20:,.1f}; set config.grid.pack_width=0 in a new workdir, "
                "which makes packs as wide as the memory allows, or raise config.grid.memory_mib"
            )
        return compiled(*_in_parts(program, stacked), shared)

    def compiled(self, program: Program, width: int) -> jax.stages.Compiled:
        """Returns a program for packs of a width, compiled once.

        It is called with what it replaces, where there is any, the rest of the members' arrays, and
        what they share.
        """
        if (program, width) not in self.programs:
            began = time.perf_counter()
            lifted = shard_variants(program.function(self.mode), self.mesh)
            members, shared = self.arguments(program, width)
            parts = _in_parts(program, members)
            if program.donated:
                whole = lambda first, rest, shared: lifted((*first, *rest), shared)  # noqa: E731
                jitted = jax.jit(whole, donate_argnums=0)
            else:
                jitted = jax.jit(lifted)
            self.programs[program, width] = jitted.lower(*parts, shared).compile()
            self.compile_seconds += time.perf_counter() - began
        return self.programs[program, width]

    def arguments(self, program: Program, width: int) -> tuple[Any, Any]:
        """Returns the shapes of a pack's arguments and where they lie."""
        split = NamedSharding(self.mesh, PartitionSpec(VARIANT))
        copied = NamedSharding(self.mesh, PartitionSpec())
        member, shared = program.shapes
        return (
            jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct((width, *leaf.shape), leaf.dtype, sharding=split),
                member,
            ),
            jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=copied), shared
            ),
        )

    def analysed_bytes(self, program: Program, width: int) -> int | None:
        """Returns what a pack of a width holds on a device, by XLA's analysis of its program.

        The program is kept: where this width is chosen, it has been compiled already.

        Returns:
          Bytes; None where the platform has no analysis.
        """
        try:
            return program_bytes(self.compiled(program, width))
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            return 2**62  # So large that it cannot even be compiled.

    def measured_bytes(self, program: Program, width: int) -> int | None:
        """Returns the most that a device held while a pack of zeros ran.

        Returns:
          Bytes, from the device or, on CPU, from the resident set shared out over the devices; None
          where neither tells.
        """
        members, shared = jax.tree.map(
            lambda leaf: jax.device_put(np.zeros(leaf.shape, leaf.dtype), leaf.sharding),
            self.arguments(program, width),
        )
        compiled = self.compiled(program, width)
        arguments = (*_in_parts(program, members), shared)
        device = self.mesh.devices.flat[0]
        if device.platform == "cpu":
            held = sum(leaf.nbytes for leaf in jax.tree.leaves(arguments))
            peak = _peak_resident(lambda: jax.block_until_ready(compiled(*arguments)))
            return None if peak is None else (peak + held) // self.mesh.size
        before = _peak_of(device)
        jax.block_until_ready(compiled(*arguments))
        after = _peak_of(device)
        # A peak of something larger that ran before hides this one's.
        return after if after is not None and before is not None and after > before else None


def _in_parts(program: Program, stacked: Any) -> tuple:
    """The members' arrays as a program takes them: apart and first those that it replaces."""
    count = program.donated
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
