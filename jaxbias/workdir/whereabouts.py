"""Whereabouts: which packs a process is at, in a file for whoever looks after it.

A process that is killed for want of memory, or aborts, tells nobody why. Whoever started it names
such a file, and knows at what it died.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jaxbias.files.atomic import write_text
from jaxbias.files.json_files import load_json

# Names the file, in the environment of the process.
VARIABLE = "JAXBIAS_WHEREABOUTS"


class Whereabouts(NamedTuple):
    """What a process was at last.

    Attributes:
      packs: ids of the packs that it is at.
      done: how many it has finished.
    """

    packs: tuple[str, ...] = ()
    done: int = 0


def tell(packs: Sequence[str], done: int) -> None:
    """Tells whoever wants to know what this process is at.

    Raises:
      InputError: the file cannot be written.
    """
    path = os.environ.get(VARIABLE)
    if path:
        write_text(Path(path), json.dumps({"packs": list(packs), "done": done}))


def told(path: Path) -> Whereabouts:
    """Returns what a process told last; nothing where it told nothing."""
    try:
        found = load_json(path)
        return Whereabouts(tuple(found["packs"]), int(found["done"]))
    except (OSError, ValueError, TypeError, KeyError):
        return Whereabouts()
