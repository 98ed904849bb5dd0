"""The one exception that reaches a user as a single line and exit code 2."""

import difflib
import re
from collections.abc import Iterable
from typing import Any

# Names that an error lists; a table may have hundreds of columns.
_NAMED = 24
# Characters of a value that an error repeats.
_ECHOED = 80
# No part of a path is longer than 255 bytes, so this is some value that nobody clipped; what stands
# between quotes after an equals sign is one too.
_ENDLESS = re.compile(r"[^\s/]{256,}|(?<==')[^'/]{81,}(?=')")


class InputError(ValueError):
    """Wrong input: the message names the field or file, the numbers, and the way out.

    The message becomes one line, and what is endless in it is cut short.
    """

    def __init__(self, message: object = "") -> None:
        line = " ".join(part.strip() for part in str(message).splitlines())
        super().__init__(_ENDLESS.sub(lambda found: echo(found[0]), line))


def require(condition: bool, message: str) -> None:
    """Refuses with a message what does not hold.

    Raises:
      InputError: it does not.
    """
    if not condition:
        raise InputError(message)


def echo(value: Any) -> str:
    """Returns a value as a message repeats it: on one line, of at most 80 characters.

    Args:
      value: text as it is; anything else by its repr.

    >>> echo("x" * 100) == "x" * 79 + "…", echo(0.5), echo((1, "a"))
    (True, '0.5', "(1, 'a')")
    """
    text = value if isinstance(value, str) else _repr(value)
    text = " ".join(text[: 2 * _ECHOED].split()) if "\n" in text[: 2 * _ECHOED] else text
    return text if len(text) <= _ECHOED else f"{text[: _ECHOED - 1]}…"


def _repr(value: Any) -> str:
    if isinstance(value, int) and value.bit_length() > 1000:
        return f"a whole number of {value.bit_length():,} bits"
    if isinstance(value, tuple | list | range) and len(value) > _ECHOED:
        return f"{repr(tuple(value[:_ECHOED]))[:-1]}, …"
    try:
        return repr(value)
    except (ValueError, RecursionError):  # A number of thousands of digits inside, or itself.
        return f"a {type(value).__name__}"


def nearest(name: str, valid: Iterable[str]) -> str:
    """Returns "did you mean 'x'?", or the list of what is valid when nothing is near.

    >>> nearest("epoch", ["epochs", "batch"])
    "did you mean 'epochs'?"
    """
    valid = sorted(valid)
    close = difflib.get_close_matches(echo(name), valid, n=1)
    if close:
        return f"did you mean '{echo(close[0])}'?"
    more = f" and {len(valid) - _NAMED} more" if len(valid) > _NAMED else ""
    return f"valid: {', '.join(map(echo, valid[:_NAMED])) or 'none'}{more}"
