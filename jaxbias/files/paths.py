"""Paths as people write them."""

from pathlib import Path

from jaxbias.errors import InputError


def expanded(path: str, setting: str) -> Path:
    """Returns a path with "~" and "~name" as the homes they stand for.

    Args:
      path: as it was given.
      setting: what gave it, for the message.

    Raises:
      InputError: nobody of that name has a home here.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        user = path.split("/")[0]
        raise InputError(
            f"{setting}={path}: there is no home directory for {user}; write the whole path"
        ) from error
