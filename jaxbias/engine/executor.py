"""The executor: compiles a program once per width, checks that it fits, and runs it."""

import functools
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxbias.engine.memory import Room, program_bytes, widest
from jaxbias.engine.parts import in_parts, members_of
from jaxbias.engine.programs import Program
from jaxbias.errors import InputError
from jaxbias.parallel import (
    VARIANT,
    everywhere,
    own_part,
    own_places,
    put,
    replicate,
    shard_variants,
    split_variants,
)
from jaxbias.peers import all_say

# Between two looks at the resident set of a running program.
_LOOK_SECONDS = 0.002


class Executor:
    """Runs programs on the devices of a layout.

    Where several processes have them, all call it alike, and each is told what its devices have
    computed, or everything (`Program.everywhere`).

    Args:
      mesh: of the devices.
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
        self._held: dict[tuple[Program, int], int | None] = {}

    def run(self, program: Program, members: Sequence[Any], width: int, shared: Any) -> Any:
        """Runs a program on members, so many at a time; see `in_parts`.

        Returns:
          Host arrays with a leading axis of the members that are told here; see `told`.

        Raises:
          InputError: the program does not fit the device.
        """
        there = replicate(shared, self.mesh)

        def run(part: list) -> Any:
            stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *part)
            return self.call(program, split_variants(stacked, self.mesh), there)

        return in_parts(run, members, width, self.places(program, width))

    def places(self, program: Program, width: int) -> np.ndarray:
        """Returns int[W], the places of a part whose results this process is told."""
        return np.arange(width) if program.everywhere else own_places(width, self.mesh)

    def told(self, program: Program, count: int, width: int) -> list[int]:
        """Returns the places of those members of a pack whose results this process is told."""
        return members_of(count, width, self.places(program, width))

    def call(self, program: Program, stacked: Any, shared: Any) -> Any:
        """Runs a program on arguments that lie on the devices; returns host arrays."""
        return self.fetch(program, self.on_devices(program, stacked, shared))

    def fetch(self, program: Program, results: Any) -> Any:
        """Returns what this process is told of results on the devices, as host arrays."""
        return jax.tree.map(everywhere if program.everywhere else own_part, results)

    def on_devices(self, program: Program, stacked: Any, shared: Any) -> Any:
        """Runs a program on arguments that lie on the devices, and leaves its results there.

        What the program's results take the place of (`Program.donated`) is gone afterwards.
        """
        width = jax.tree.leaves(stacked)[0].shape[0]
        compiled = self.compiled(program, width)
        needed = self._bytes(program, width)
        if needed is not None and self.room is not None and needed > self.room.limit:
            raise InputError(
                f"a program of {width} needs {needed / 2**20:,.1f} MiB on a device and has "
                f"{self.room.limit / 2**20:,.1f}; use a smaller batch or model, or raise "
                "config.grid.memory_mib"
            )
        return compiled(*_taken(program, stacked), shared)

    def part_width(
        self, held: Callable[[int], tuple[Program, int]], brief: Program, width: int
    ) -> int:
        """Returns how many members of a pack run at once: all, or parts that the memory holds.

        Args:
          held: a width -> what the devices hold at once of such a part, and the bytes beside it.
          brief: as large a program that soon ends, to be run where there is no analysis.
          width: of the pack.

        Returns:
          A multiple of the devices.

        Raises:
          InputError: not even one member on each device fits.
        """
        unit = self.mesh.size

        def analysed(part: int) -> int | None:
            program, beside = held(part)
            found = self.analysed_bytes(program, part)
            return None if found is None else found + beside

        def measured(part: int) -> int | None:
            found = self.measured_bytes(brief, part)
            most = max(-1 if told == "None" else int(told) for told in all_say(str(found)))
            return None if most < 0 else most + held(part)[1]

        wanted = -(-width // unit) * unit
        found = self.room and widest(wanted, unit, self.room, analysed, measured)
        if found is None and wanted > unit:
            _tell_unknown(unit)
        return found or unit

    def compiled(self, program: Program, width: int) -> jax.stages.Compiled:
        """Returns a program of a width, compiled once.

        It is called with what it replaces, where there is any, the rest of the members' arrays, and
        what they share.
        """
        if (program, width) not in self.programs:
            began = time.perf_counter()
            self.programs[program, width] = self.lowered(program, width).compile()
            self.compile_seconds += time.perf_counter() - began
        return self.programs[program, width]

    def lowered(self, program: Program, width: int) -> jax.stages.Lowered:
        """Returns a program of a width as it is written, before it is compiled."""
        lifted = shard_variants(program.function(self.mode), self.mesh)
        members, shared = self.arguments(program, width)
        parts = _taken(program, members)
        if program.donated:
            whole = lambda first, rest, shared: lifted((*first, *rest), shared)  # noqa: E731
            return jax.jit(whole, donate_argnums=0).lower(*parts, shared)
        return jax.jit(lifted).lower(*parts, shared)

    def arguments(self, program: Program, width: int) -> tuple[Any, Any]:
        """Returns the shapes of the arguments of a width and where they lie."""
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
        """Returns what a program of a width holds on a device, by XLA's analysis of it.

        The program is kept: where this width is chosen, it has been compiled already.

        Returns:
          Bytes; None where the platform has no analysis.
        """
        try:
            return self._bytes(program, width)
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            return 2**62  # So large that it cannot even be compiled.

    def _bytes(self, program: Program, width: int) -> int | None:
        """Returns what a compiled program holds on a device; XLA is asked once.

        Each time it writes down anew all that it knows of the buffers: when every call asked, 16
        steps of ResNet-50s took 0.38 s beside an H100, of which, by a trace, the card worked 0.25.
        """
        if (program, width) not in self._held:
            self._held[program, width] = program_bytes(self.compiled(program, width))
        return self._held[program, width]

    def measured_bytes(self, program: Program, width: int) -> int | None:
        """Returns the most that a device held while a program ran on zeros.

        Returns:
          Bytes, from the device or, on CPU, from the resident set shared out over the devices; None
          where neither tells.
        """
        members, shared = jax.tree.map(
            lambda leaf: put(np.zeros(leaf.shape, leaf.dtype), leaf.sharding),
            self.arguments(program, width),
        )
        compiled = self.compiled(program, width)
        arguments = (*_taken(program, members), shared)
        device = self.mesh.local_devices[0]
        if device.platform == "cpu":
            held = sum(leaf.nbytes for leaf in jax.tree.leaves(arguments))
            peak = _peak_resident(lambda: jax.block_until_ready(compiled(*arguments)))
            if peak is None:
                return None
            return peak // len(self.mesh.local_devices) + held // self.mesh.size
        before = _peak_of(device)
        jax.block_until_ready(compiled(*arguments))
        after = _peak_of(device)
        # A peak of something larger that ran before hides this one's.
        return after if after is not None and before is not None and after > before else None


@functools.cache
def _tell_unknown(unit: int) -> None:
    """Says once how many are trained at once."""
    print(
        f"how much memory programs need cannot be told here, so {unit} are trained at once; "
        "config.grid.memory_mib says how much there is",
        file=sys.stderr,
    )


def _taken(program: Program, stacked: Any) -> tuple:
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
