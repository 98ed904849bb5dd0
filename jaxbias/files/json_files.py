"""Reading JSON that somebody may have damaged: a file is read, or refused in one line."""

import json
from pathlib import Path
from typing import Any

from jaxbias.errors import InputError

# A plan of a million variants fits; what is larger is no record of ours or of another framework.
MOST_BYTES = 2**30


def read_json(path: Path, way_out: str) -> Any:
    """Returns what a JSON file says.

    Args:
      path: of the file, in UTF-8.
      way_out: what to do about a damaged one, such as "delete it and run again".

    Raises:
      InputError: it cannot be read, is larger than `MOST_BYTES`, or is no JSON; one line that
        names the file, the reason and the way out.
    """
    try:
        return load_json(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); {way_out}") from error
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); {way_out}") from error


def load_json(path: Path) -> Any:
    """Returns what a JSON file says, for callers that have their own words for a damaged one.

    Raises:
      OSError: it cannot be read.
      ValueError: it is larger than `MOST_BYTES`, or is no JSON.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"{size / 2**30:,.1f} GiB, at most {MOST_BYTES / 2**30:g} GiB is read")
    return parse_json(path.read_bytes())


def parse_json(content: bytes | str) -> Any:
    """Returns what JSON says; every flaw of it, nesting without end included, is a ValueError.

    >>> parse_json("[" * 100_000)
    Traceback (most recent call last):
    ValueError: nested too deeply
    """
    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
