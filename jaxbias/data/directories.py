"""Where jaxbias keeps what it makes once and uses many times."""

import os
from pathlib import Path


def home() -> Path:
    """Returns the user's data directory: $JAXBIAS_HOME, or ~/.cache/jaxbias."""
    chosen = os.environ.get("JAXBIAS_HOME")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "jaxbias"
