"""Where jaxbias keeps what it makes once and uses many times."""

import contextlib
import os
import shutil
import time
from pathlib import Path

from jaxbias.files.paths import expanded

_DAY = 24 * 3600
# The way out where nothing can be written there.
ELSEWHERE = "set JAXBIAS_HOME to a folder with room that can be written"


def home() -> Path:
    """Returns the user's data directory: $JAXBIAS_HOME, or ~/.cache/jaxbias."""
    chosen = os.environ.get("JAXBIAS_HOME")
    return expanded(chosen or "~/.cache/jaxbias", "JAXBIAS_HOME")


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
