"""Writing whole files or none, and the answer's frames as tables on disk."""

import os
from pathlib import Path
from typing import Any

import pandas as pd

from jaxbias.errors import InputError

# Frames of the answer that become a CSV of the same name.
FRAMES = (
    "inherited",
    "inherited_verdicts",
    "excess",
    "curves",
    "overwritten",
    "smallest_fix",
    "underrepresentation",
    "matching_share",
    "bases",
    "variants",
    "metrics",
)


def write_bytes(path: Path, content: bytes) -> Path:
    """Writes a file so that a reader sees the old one or the new one, never half of one.

    Args:
      path: the file, in a directory that exists.
      content: everything it holds.

    Returns:
      The path.

    Raises:
      InputError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(
            f"cannot write {path} ({error.strerror}); choose a directory you can write to"
        ) from error
    return path


def make_directory(directory: Path) -> Path:
    """Makes the report's directory.

    Raises:
      InputError: it cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make the directory {directory} ({error.strerror}); choose another"
        ) from error
    return directory


def write_tables(answer: Any, directory: Path) -> list[Path]:
    """Writes the answer in words and every frame of it.

    Args:
      answer: the `Answer`.
      directory: an existing directory.

    Returns:
      The written files: summary.txt, one CSV per frame, counts.csv, metrics.parquet.
    """
    summary = "".join(f"{sentence}\n" for sentence in answer.sentences)
    frames = {name: getattr(answer, name) for name in FRAMES} | {"counts": answer.dataset["counts"]}
    return [
        write_bytes(directory / "summary.txt", summary.encode()),
        *(write_bytes(directory / f"{name}.csv", _csv(frame)) for name, frame in frames.items()),
        write_bytes(directory / "metrics.parquet", answer.metrics.to_parquet(index=False)),
    ]


def _csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()
