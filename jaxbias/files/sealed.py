"""Sealed records: JSON files with a checksum of their content, so an altered one is never used."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxbias.errors import InputError
from jaxbias.files.atomic import write_text
from jaxbias.files.json_files import load_json

_SEAL = "checksum"


def write(path: Path, content: Mapping[str, Any]) -> Path:
    """Writes a record in one piece.

    Raises:
      InputError: it holds a text that is none, or the file cannot be written.
    """
    try:
        sealed = {_SEAL: _digest(content), **content}
    except UnicodeEncodeError as error:
        raise InputError(
            f"cannot write {path}: {error.object[max(0, error.start - 20) : error.end]!r} is no "
            "text; write the names of the config in UTF-8"
        ) from error
    return write_text(path, json.dumps(sealed, indent=1))


def read(path: Path) -> dict[str, Any]:
    """Reads a record back; one of an earlier version has no checksum and is taken as it is.

    Raises:
      OSError: the file cannot be read.
      ValueError: it was cut short, edited or otherwise damaged.
    """
    content = load_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}")
    seal = content.pop(_SEAL, None)
    found = _digest(content)  # Also refuses text that is none.
    if seal not in (None, found):
        raise ValueError("its checksum is of other content: it was edited")
    return content


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
