"""Modes: which of map, vmap and unroll trains a model fastest on a device, as it was measured.

`config.grid.mode="auto"` looks the model up in the user's table, which `jaxbias run --calibrate`
writes, and then in the one beside this file. Both hold what was timed, never a guess: images
trained per second by a pack of small runs of the very program of a study, scoring 64 images each
included, compiling not. A mode is taken for another than "map" only where it is clearly faster: in
"map" a variant's results do not depend on the width of its pack.

The table beside this file is of `python -m benchmarks.accelerator` on an H100: convnets on 64² in
packs of 16, 32 steps each, the median of five rounds, 3.7 times as many images per second by "vmap"
as by "map"; and heads on 512 features in packs of 1,024 (by "map" 1,000), 1,024 examples each, from
features on the host to the scores of 5,000 examples there, 8.5 times as many by SGD and 25 times as
many fitted to convergence, of which each example counts once; and of 224² in bfloat16, 4 members
and 8 steps: ViT-S/16, 1.24 times as many by "vmap", and EfficientNet-Lite0, 1.6 times as many by
"map", where depthwise convolutions are XLA's. Where no entry fits, "auto" is "map".
"""

import dataclasses
import json
import math
import os
import platform
from pathlib import Path

import jax
import numpy as np

from jaxbias import words
from jaxbias.costs.timing import Timed
from jaxbias.data.directories import home
from jaxbias.engine.executor import Executor
from jaxbias.engine.members import inputs_of, schedule_of
from jaxbias.engine.programs import Training, training_of
from jaxbias.errors import InputError
from jaxbias.files.atomic import make_directory, write_text
from jaxbias.files.json_files import load_json
from jaxbias.models import make_network
from jaxbias.parallel import make_mesh
from jaxbias.plan.variants import Recipe
from jaxbias.progress import progress
from jaxbias.study import MODES, Study
from jaxbias.targets import target

_DEFAULT = "map"
# By how much another mode must be faster: timings of equal programs differ by less.
_CLEARLY = 1.05
# Members per device of the packs that are timed, and how often, each mode in turn.
_WIDTHS = (1, 4)
_ROUNDS = 5
# Images, or rows of features, that they are trained on: at most as many as of a brief program.
_ROWS = 2048
_SHIPPED = Path(__file__).with_suffix(".json")


@dataclasses.dataclass(frozen=True)
class PackTiming:
    """One pack timed in every mode.

    Attributes:
      device: its kind, as JAX names it.
      hardware: it and the host, for people.
      load: processes that wanted the host's cores meanwhile, its own among them; None: not read.
      jax: its version.
      model: its name; "head" whatever the base, of which a head sees the features alone.
      parameters: how many it has, for models of one name have many sizes; of heads, features.
      image_size: side of its images in pixels; of heads 1.
      batch: images of a step.
      trains: what is trained, `config.finetune.mode`, with the solver of heads.
      width: members of the pack.
      images_per_second: mode -> images, or features of images, trained by all members.
      compile_seconds: mode -> of one program.
    """

    device: str
    hardware: str
    load: float | None
    jax: str
    model: str
    parameters: int
    image_size: int
    batch: int
    trains: str
    width: int
    images_per_second: dict[str, float]
    compile_seconds: dict[str, float]

    @property
    def subject(self) -> tuple:
        """What was timed: a new timing of it takes the place of an old one."""
        fixed = dataclasses.asdict(self)
        for name in ("hardware", "load", "images_per_second", "compile_seconds"):
            del fixed[name]
        return tuple(fixed.values())

    @property
    def mode(self) -> str:
        """The fastest mode, and "map" where no other is clearly faster."""
        best = max(self.images_per_second, key=self.images_per_second.__getitem__)
        clearly = self.images_per_second[best] > _CLEARLY * self.images_per_second[_DEFAULT]
        return best if clearly else _DEFAULT


def user_table() -> Path:
    """Returns where the user's own timings are."""
    return home() / "modes.json"


def read_table(path: Path) -> list[PackTiming]:
    """Reads a table; one that does not exist is empty.

    Raises:
      InputError: it is damaged.
    """
    if not path.exists():
        return []
    try:
        return [PackTiming(**entry) for entry in load_json(path)]
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path} is no table of modes ({error}); delete it and run `jaxbias run --calibrate`"
        ) from error


def write_table(path: Path, new: list[PackTiming]) -> None:
    """Adds timings to a table, in the place of those of the same subject.

    Raises:
      InputError: it cannot be read or written.
    """
    subjects = {entry.subject for entry in new}
    kept = [entry for entry in read_table(path) if entry.subject not in subjects]
    make_directory(path.parent)
    text = json.dumps([dataclasses.asdict(entry) for entry in (*kept, *new)], indent=1)
    write_text(path, text + "\n")


def chosen_mode(study: Study, device: str) -> tuple[str, PackTiming | None]:
    """Returns how the variants of a study are mapped on a device.

    Args:
      study: its `grid.mode` decides, unless it is "auto".
      device: its kind.

    Returns:
      The mode, and the timings it follows from. They are those of the same model, of the image size
      nearest to the study's where its own was not timed; then of the nearest number of parameters
      and batch, the user's before those that come with jaxbias, by this version of JAX, of the
      widest pack.
    """
    if study.grid.mode != "auto":
        return study.grid.mode, None
    name, parameters, size, trains = _subject(study)
    fitting = [
        (own, entry)
        for own, path in ((True, user_table()), (False, _SHIPPED))
        for entry in read_table(path)
        if (entry.device, entry.model, entry.trains) == (device, name, trains)
    ]
    if not fitting:
        return _DEFAULT, None

    def distance(item: tuple[bool, PackTiming]) -> tuple:
        own, entry = item
        return (
            abs(math.log2(entry.image_size / size)),
            abs(math.log2(entry.parameters / parameters)),
            abs(math.log2(entry.batch / study.finetune.batch)),
            not own,
            entry.jax != jax.__version__,
            -entry.width,
        )

    found = min(fitting, key=distance)[1]
    return found.mode, found


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
            images = width * briefs[_DEFAULT].units * (briefs[_DEFAULT].batch or 1)
            entries.append(
                PackTiming(
                    device=target().device,
                    hardware=_hardware(devices),
                    load=round(os.getloadavg()[0], 1),
                    jax=jax.__version__,
                    model=name,
                    parameters=parameters,
                    image_size=size,
                    batch=study.finetune.batch,
                    trains=trains,
                    width=width,
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
    """The model, its parameters, the side of its images, and what is trained; see `PackTiming`."""
    network = make_network(study.model, study.data.image_size, 1)
    fine = study.finetune
    if fine.mode == "head":
        return "head", inputs_of(network), 1, f"head {fine.solver}"
    shapes = jax.tree.leaves(jax.eval_shape(network.init, jax.random.key(0)))
    parameters = sum(int(np.prod(leaf.shape)) for leaf in shapes)
    return study.model.name, parameters, study.data.image_size, fine.mode


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
