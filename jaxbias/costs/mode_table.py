"""The table of modes: packs that were timed in every mode, in the user's and that of jaxbias.

The table beside this file is of `python -m benchmarks.accelerator` on H100s: convnets on 64² in
packs of 16, 32 steps each, the median of five rounds, 5.2 times as many images per second by "vmap"
as by "map"; and heads on 512 features in packs of 1,024 (by "map" 1,000), 1,024 examples each, from
features on the host to the scores of 5,000 examples there, 8.5 times as many by SGD and 19 times as
many fitted to convergence, of which each example counts once; and of 224² in bfloat16, 4 members
and 8 steps: ViT-S/16, 1.24 times as many by "vmap", ResNet-50, 1.1 times as many by "map", and
EfficientNet-Lite0, 1.6 times as many by "map", where depthwise convolutions are XLA's.
"""

import dataclasses
import json
import math
from pathlib import Path

import jax

from jaxbias.data.directories import home
from jaxbias.errors import InputError
from jaxbias.files.atomic import make_directory, write_text
from jaxbias.files.json_files import load_json
from jaxbias.models import Head, Network

# What "auto" takes where nothing else is clearly faster.
DEFAULT = "map"
# By how much another mode must be faster: timings of equal programs differ by less.
_CLEARLY = 1.05
_SHIPPED = Path(__file__).with_suffix(".json")


@dataclasses.dataclass(frozen=True)
class PackTiming:
    """One pack timed in every mode.

    Attributes:
      device: its kind, as JAX names it.
      hardware: it and the host, for people.
      load: processes that wanted the host's cores meanwhile, its own among them; None: not read.
      predicted: whether the device's compiler expects so, and nothing was run.
      jax: its version.
      model: its name; "head" whatever the base, of which a head sees the features alone.
      parameters: how many it has, for models of one name have many sizes; of heads, features.
      image_size: side of its images in pixels; of heads 1.
      batch: images of a step.
      trains: what is trained, `config.finetune.mode`, with the solver of heads.
      dtype: what it computes in.
      width: members of the pack.
      devices: that they were split over.
      images_per_second: mode -> images, or features of images, trained by all members.
      compile_seconds: mode -> of one program.
    """

    device: str
    hardware: str
    load: float | None
    predicted: bool
    jax: str
    model: str
    parameters: int
    image_size: int
    batch: int
    trains: str
    dtype: str
    width: int
    devices: int
    images_per_second: dict[str, float]
    compile_seconds: dict[str, float]

    @property
    def subject(self) -> tuple:
        """What was timed: a new timing of it takes the place of an old one."""
        fixed = dataclasses.asdict(self)
        for name in ("hardware", "load", "devices", "images_per_second", "compile_seconds"):
            del fixed[name]
        return tuple(fixed.values())

    @property
    def mode(self) -> str:
        """The fastest mode, and "map" where no other is clearly faster."""
        best = max(self.images_per_second, key=self.images_per_second.__getitem__)
        clearly = self.images_per_second[best] > _CLEARLY * self.images_per_second[DEFAULT]
        return best if clearly else DEFAULT


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
    write_text(path, written([*kept, *new]))


def written(entries: list[PackTiming]) -> str:
    """Returns the text of a table."""
    return json.dumps([dataclasses.asdict(entry) for entry in entries], indent=1) + "\n"


def nearest(
    device: str, subject: tuple[str, int, int, str], dtype: str, batch: int
) -> PackTiming | None:
    """Returns the timings that say most of a training on a device; None: none says anything.

    They are those of the same model, trained alike; what was measured before what was predicted,
    then of the image size nearest to its own, of the nearest number of parameters and batch, in
    what it computes in, the user's before those that come with jaxbias, by this version of JAX, of
    the widest pack.

    Args:
      device: its kind, as JAX names it.
      subject: as of `subject_of`.
      dtype: what it computes in.
      batch: images of a step.
    """
    name, parameters, size, trains = subject

    def distance(item: tuple[bool, PackTiming]) -> tuple:
        own, entry = item
        return (
            entry.predicted,
            abs(math.log2(entry.image_size / size)),
            abs(math.log2(entry.parameters / parameters)),
            abs(math.log2(entry.batch / batch)),
            entry.dtype != dtype,
            not own,
            entry.jax != jax.__version__,
            -entry.width,
        )

    fitting = [
        (own, entry)
        for own, path in ((True, user_table()), (False, _SHIPPED))
        for entry in read_table(path)
        if (entry.device, entry.model, entry.trains) == (device, name, trains)
    ]
    return min(fitting, key=distance)[1] if fitting else None


def subject_of(model: Network | Head, trains: str, solver: str) -> tuple[str, int, int, str]:
    """Returns a model, its parameters, the side of its images, and what is trained.

    Args:
      model: it; of heads, what sees the features.
      trains: `config.finetune.mode`.
      solver: of heads.
    """
    if isinstance(model, Head):
        return "head", model.inputs, 1, f"head {solver}"
    shapes = jax.tree.leaves(jax.eval_shape(model.init, jax.random.key(0)))
    return model.spec.name, sum(math.prod(leaf.shape) for leaf in shapes), model.image_size, trains
