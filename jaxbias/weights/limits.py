"""What no checkpoint is: too large, damaged, or called in a way that no line can hold."""

from pathlib import Path

from jaxbias.errors import InputError, echo

# Ten times the largest network here. It holds for a file and for what it says that it unpacks to.
MOST_BYTES = 4 * 2**30
_LONGEST = 200  # Characters of a name.


def refuse_large(path: Path, what: str, size: int) -> None:
    """Refuses what would not fit before any memory is asked for.

    Args:
      path: of the checkpoint.
      what: of it, such as "its arrays".
      size: bytes that it takes, as the file declares them.

    Raises:
      InputError: that is more than `MOST_BYTES`.
    """
    if size > MOST_BYTES:
        raise InputError(
            f"{path}: {what} would take {size / 2**30:,.1f} GiB, and at most "
            f"{MOST_BYTES / 2**30:g} GiB are read; save the network's tensors alone"
        )


def refuse_name(path: Path, name: object) -> None:
    """Refuses a tensor's name that is no printable text of a sensible length.

    Raises:
      InputError: so it is; the message shows the beginning of it.
    """
    if isinstance(name, str) and name.isprintable() and 0 < len(name) <= _LONGEST:
        return
    raise InputError(
        f"{path}: {shown(name)} is no name of a tensor (printable text of 1 to {_LONGEST} "
        "characters); the file is damaged, or no network's state_dict"
    )


def shown(value: object) -> str:
    """Returns a value as `echo` does, but text in quotes and in plain letters."""
    return echo(ascii(value) if isinstance(value, str) else value)


def damaged(path: Path, error: Exception, part: str = "") -> InputError:
    """Returns the error of a file whose reader failed, with what it said in one short line.

    Args:
      path: of the checkpoint.
      error: that the reader raised.
      part: of the file, such as a tensor's name.
    """
    text = (str(error) or "unreadable").splitlines()[0][:160]
    text = text if text.isprintable() else ascii(text)
    reason = text if " " in text else f"{type(error).__name__}: {text}"
    where = f"{part}: " if part else ""
    return InputError(f"{path} is damaged or cut short ({where}{reason}); fetch it again")
