"""`jaxbias weights import` and `weights describe`: checkpoints of other frameworks.

What takes seconds to import, JAX and Flax, is imported after what flags alone can tell.
"""

from pathlib import Path

from absl.flags import FlagValues

from jaxbias.cli.arguments import required
from jaxbias.files.atomic import check_directory
from jaxbias.weights.files import is_there, kind_of
from jaxbias.weights.sources import checked


def take_over(given: FlagValues) -> None:
    """Imports a checkpoint as a base."""
    arch = required(given, "arch", "such as resnet50")
    source = required(given, "source", "such as torchvision")
    file = Path(required(given, "file", "a checkpoint"))
    out = check_directory(Path(required(given, "out", "a new directory for the weights")))
    checked(arch, source)
    kind_of(file)
    from jaxbias.weights.command import import_text

    print(import_text(arch, source, file, out))


def describe(given: FlagValues) -> None:
    """Prints what a checkpoint, or a directory of imported weights, holds."""
    file = Path(required(given, "file", "a checkpoint, or imported weights"))
    if not is_there(file, Path.is_dir):
        kind_of(file)
    from jaxbias.weights.command import describe_text

    print(describe_text(file))
