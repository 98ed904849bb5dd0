"""Where jaxbias keeps what it makes once and uses many times."""

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from jaxbias.errors import InputError
from jaxbias.files.paths import expanded

_DAY = 24 * 3600
# What ArrayRecord's C++ says of a full disk, as a RuntimeError of several lines.
_UNWRITTEN = re.compile(r"\w+\(\) failed: ([^;\n]+)")


def home() -> Path:
    """Returns the user's data directory: $JAXBIAS_HOME, or ~/.cache/jaxbias."""
    chosen = os.environ.get("JAXBIAS_HOME")
    return expanded(chosen or "~/.cache/jaxbias", "JAXBIAS_HOME")


@contextlib.contextmanager
def writing(what: str, folder: Path) -> Iterator[None]:
    """Says where to write instead, when what is written inside the block cannot be.

    Args:
      what: what is written, such as "the image store".
      folder: where, below `home`.

    Raises:
      InputError: the block raised an OSError, or what ArrayRecord raises in its place.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        unwritten = _UNWRITTEN.search(str(error))
        if not isinstance(error, OSError) and unwritten is None:
            raise
        reason = getattr(error, "strerror", None) or (unwritten[1] if unwritten else error)
        raise InputError(
            f"cannot write {what} in {folder}: {reason}; set"
            " JAXBIAS_HOME to a folder with room that can be written"
        ) from error


def remove_stale(
    folder: Path, pattern: str, but: Path | None = None, seconds: float = _DAY
) -> None:
    """Removes the folders that writers that were killed left behind long ago.

    Args:
      folder: where they are; it need not exist.
      pattern: matches the names of unfinished folders and of nothing else.
      but: stays, whatever its age.
      seconds: how long ago the last file must have been changed.
    """
    for draft in folder.glob(pattern):
        if draft == but:
            continue
        with contextlib.suppress(OSError):  # Another process may be removing it too.
            newest = max(path.stat().st_mtime for path in (draft, *draft.iterdir()))
            if time.time() - newest > seconds:
                shutil.rmtree(draft)
