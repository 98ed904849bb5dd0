"""Modes: which of map, vmap and unroll trains a model fastest on a device, as it was measured.

`config.grid.mode="auto"` looks the model up in the user's table, which `jaxbias run --calibrate`
writes, and then in the one that comes with jaxbias (see `mode_table`). They hold what was timed:
images trained per second by a pack of small runs of the very program of a study, scoring 64 images
each included, compiling not; and, marked so, what the compiler of a device expects that nobody has
timed. A mode is taken for another than "map" only where it is clearly faster: in "map" a variant's
results do not depend on the width of its pack. Where no entry fits, "auto" is "map".
"""

import math
import os
import platform
from pathlib import Path

import jax

from jaxbias import words
from jaxbias.costs.mode_table import DEFAULT, PackTiming, nearest, subject_of
from jaxbias.costs.timing import Timed
from jaxbias.engine.executor import Executor
from jaxbias.engine.members import inputs_of, schedule_of
from jaxbias.engine.programs import Training, training_of
from jaxbias.models import Head, make_network
from jaxbias.models.network import computed_in
from jaxbias.parallel import make_mesh
from jaxbias.plan.variants import Recipe
from jaxbias.progress import progress
from jaxbias.study import MODES, Study
from jaxbias.targets import target

# Members per device of the packs that are timed, and how often, each mode in turn.
_WIDTHS = (1, 4)
_ROUNDS = 5
# Images, or rows of features, that they are trained on: at most as many as of a brief program.
_ROWS = 2048


def chosen_mode(study: Study, device: str) -> tuple[str, PackTiming | None]:
    """Returns how the variants of a study are mapped on a device.

    Args:
      study: its `grid.mode` decides, unless it is "auto".
      device: its kind.

    Returns:
      The mode, and the timings it follows from, as of `nearest`.
    """
    if study.grid.mode != "auto":
        return study.grid.mode, None
    found = nearest(device, _subject(study), computed_in(study.model), study.finetune.batch)
    return (found.mode if found else DEFAULT), found


def measure_modes(study: Study, devices: int) -> list[PackTiming]:
    """Times a study's finetunes in every mode, at two widths.

    Each mode trains the network that a run in it would: which convolution is fast depends on it.

    Args:
      study: whose program is timed.
      devices: that packs are split over.
    """
    mesh = make_mesh(devices)
    name, parameters, size, trains = _subject(study)
    briefs = {mode: _brief(study, mode) for mode in MODES}
    entries = []
    with progress(len(_WIDTHS) * len(MODES), "timing modes", "programs") as advance:
        for width in (each * devices for each in _WIDTHS):
            programs = {}
            for mode, brief in briefs.items():
                programs[mode] = Timed(Executor(mesh, mode, room=None), brief, width)
                advance()
            seconds = dict.fromkeys(MODES, math.inf)
            for _ in range(_ROUNDS):  # In turn, so that what else the machine does meets all.
                for mode, program in programs.items():
                    seconds[mode] = min(seconds[mode], program.once())
            images = width * briefs[DEFAULT].units * (briefs[DEFAULT].batch or 1)
            entries.append(
                PackTiming(
                    device=target().device,
                    hardware=_hardware(devices),
                    load=round(os.getloadavg()[0], 1),
                    predicted=False,
                    jax=jax.__version__,
                    model=name,
                    parameters=parameters,
                    image_size=size,
                    batch=study.finetune.batch,
                    trains=trains,
                    dtype=computed_in(study.model),
                    width=width,
                    devices=devices,
                    images_per_second={m: float(f"{images / s:.4g}") for m, s in seconds.items()},
                    compile_seconds={
                        mode: round(program.compile_seconds, 2)
                        for mode, program in programs.items()
                    },
                )
            )
    return entries


def modes_text(entries: list[PackTiming]) -> str:
    """Returns timings as a table for a terminal."""
    lines = [f"{'width':>6} {'mode':>8} {'images/s':>12} {'compiling':>10}"]
    for entry in entries:
        lines += [
            f"{entry.width:>6} {mode:>8} {entry.images_per_second[mode]:>12,.0f} "
            f"{entry.compile_seconds[mode]:>8.1f} s"
            for mode in MODES
        ]
    return "\n".join(lines)


def _brief(study: Study, mode: str) -> Training:
    """The study's finetunes in brief, of the network that a run in a mode has."""
    recipe, size = Recipe.of(study.finetune), study.data.image_size
    network = make_network(study.model, size, 1, mapped=mode)
    schedule = schedule_of(recipe, "erm", study.finetune.n[0], cells=1)
    images = (_ROWS, size, size, 3)
    return training_of(network, recipe, schedule, scored=1, images=images, rows=_ROWS).brief


def _subject(study: Study) -> tuple[str, int, int, str]:
    """What is trained, as of `subject_of`."""
    network = make_network(study.model, study.data.image_size, 1)
    fine = study.finetune
    model = Head(inputs_of(network), 1) if fine.mode == "head" else network
    return subject_of(model, fine.mode, fine.solver)


def _hardware(devices: int) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    host = f"{words.count(os.cpu_count(), 'core')} of {names[0] if names else platform.processor()}"
    at = target()
    what = "devices" if at.platform == "cpu" else f"× {at.device}"
    return f"{devices} {what} on {host}"
