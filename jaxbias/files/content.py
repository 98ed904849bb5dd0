"""Content: what something is, as 16 hex digits."""

import hashlib
import json
import re
from typing import Any

from jaxbias.errors import InputError

_ID = re.compile(r"[0-9a-f]{16}")


def content_id(content: Any) -> str:
    """Returns 16 hex digits of the hash of JSON-able content."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def bytes_id(content: bytes) -> str:
    """Returns 16 hex digits of the hash of a file's bytes."""
    return hashlib.sha256(content).hexdigest()[:16]


def checked_id(id: str) -> str:
    """Returns an id that may become part of a path.

    Raises:
      InputError: it is none that `content_id` makes.

    >>> checked_id("../../escaped")
    Traceback (most recent call last):
    jaxbias.errors.InputError: '../../escaped' is no id of a base, variant or pack: 16 hex digits
    """
    if not isinstance(id, str) or not _ID.fullmatch(id):
        raise InputError(f"{id!r:.60} is no id of a base, variant or pack: 16 hex digits")
    return id
