"""Programs for devices that are not attached: compiled by those devices' compiler, and never run.

What the compiler says is kept in the user's directory, $JAXBIAS_HOME/analyses: by the program as it
is written, the compiler, the flags and how much it was to try. A program is compiled once.
"""

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import os
import re
import time
from pathlib import Path

import jax
from jax.sharding import Mesh

from jaxbias.data.directories import home
from jaxbias.engine.executor import Executor
from jaxbias.engine.instructions import Instructions, Loop, Work, read
from jaxbias.engine.memory import Room, program_bytes
from jaxbias.engine.programs import Program
from jaxbias.files.atomic import make_directory, write_text

# How much the compiler tries to make a program fast. At XLA's level O0 it takes a fourth to a fifth
# of the time and the memory agrees within 2 %, but programs take 3 to 5 times the cycles: it serves
# to see what fits. What a run compiles is at no level. By number: JAX 0.10 takes no names.
BRIEFLY, FULLY = 9, 0
_FORMAT = 1
_COMPILERS = ("jax", "jaxlib", "libtpu", "jax-cuda12-pjrt", "jax-cuda13-pjrt")
_FLAGS = ("XLA_FLAGS", "LIBTPU_INIT_ARGS")
_REFUSED = re.compile(r"total memory required[^.]*\(([\d.]+)([KMGT])\)|Used ([\d.]+)([KMGT])")


@dataclasses.dataclass(frozen=True)
class Analysis:
    """What a compiler says of one program.

    Attributes:
      held: bytes on a device, as `memory.program_bytes`; of what did not fit what it told.
      peak: the most bytes that are held at once, by its own count.
      fits: whether it could be compiled for a device's memory.
      instructions: what it does; None on GPU, where the text does not tell how long.
      compile_seconds: that it took when it was compiled.
    """

    held: int
    peak: int
    fits: bool
    instructions: Instructions | None
    compile_seconds: float


class UnattachedExecutor(Executor):
    """Compiles programs for devices that are not there, and says what their compiler says.

    Args:
      mesh: of the devices.
      mode: how variants are mapped on a device.
      room: of each device.

    Attributes:
      analysed: how many programs were asked about.
      compiled_now: of those, how many were not known yet.
    """

    def __init__(self, mesh: Mesh, mode: str, room: Room | None) -> None:
        super().__init__(mesh, mode, room)
        self.analysed = self.compiled_now = 0
        self.analysis = functools.cache(self._analysis)

    def analysed_bytes(self, program: Program, width: int) -> int | None:
        """See `Executor`."""
        return self.held(self.analysis(program, width, BRIEFLY))

    def held(self, found: Analysis) -> int:
        """Returns the bytes of what was analysed, more than there are where it does not fit."""
        return found.held if found.fits else max(found.held, self.room.limit + 1)

    def _analysis(self, program: Program, width: int, effort: int) -> Analysis:
        """Returns what the compiler says of a program of a width, at an effort."""
        return self.told(self.lowered(program, width), effort)

    def told(self, lowered: jax.stages.Lowered, effort: int) -> Analysis:
        """Returns what the compiler says of a program as it is written, at an effort."""
        path = home() / "analyses" / f"{self._id(lowered, effort)}.json"
        self.analysed += 1
        found = _read(path)
        if found is None:
            self.compiled_now += 1
            found = self._compiled(lowered, effort)
            make_directory(path.parent)
            write_text(path, json.dumps(dataclasses.asdict(found)))
        return found

    def _id(self, lowered: jax.stages.Lowered, effort: int) -> str:
        device = self.mesh.devices.flat[0]
        flags = {name: os.environ.get(name, "") for name in _FLAGS}
        told = [_FORMAT, device.device_kind, self.mesh.size, _versions(), flags, effort]
        content = json.dumps(told) + lowered.as_text()
        return hashlib.sha256(content.encode()).hexdigest()[:32]

    def _compiled(self, lowered: jax.stages.Lowered, effort: int) -> Analysis:
        began = time.perf_counter()
        options = {"optimization_level": effort} if effort else None
        try:
            compiled = lowered.compile(options)
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            needed = refused_bytes(str(error))
            return Analysis(needed, needed, False, None, time.perf_counter() - began)
        spent = time.perf_counter() - began
        self.compile_seconds += spent
        held, found = program_bytes(compiled) or 0, compiled.memory_analysis()
        peak = getattr(found, "peak_memory_in_bytes", 0) or held
        tpu = self.mesh.devices.flat[0].platform == "tpu"
        return Analysis(held, peak, True, read(compiled.as_text()) if tpu else None, spent)


def refused_bytes(message: str) -> int:
    """Bytes that a program would need, as the compiler told when it refused it; 0: it did not."""
    found = _REFUSED.search(message)
    if found is None:
        return 0
    number, unit = (found[1], found[2]) if found[1] else (found[3], found[4])
    return int(float(number) * 1024 ** (1 + "KMGT".index(unit)))


@functools.cache
def _versions() -> dict[str, str]:
    found = {}
    for name in _COMPILERS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _read(path: Path) -> Analysis | None:
    """Returns what was stored; None: nothing, or what is damaged, and is made again."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        told = stored.pop("instructions")
        if told:
            loops = (Loop(**{**loop, "turn": Work(**loop["turn"])}) for loop in told["loops"])
            told = Instructions(**{**told, "work": Work(**told["work"]), "loops": tuple(loops)})
        return Analysis(**stored, instructions=told)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
