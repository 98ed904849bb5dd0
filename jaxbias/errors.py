"""The one exception that reaches a user as a single line and exit code 2."""

import difflib
from collections.abc import Iterable

# Names that an error lists; a table may have hundreds of columns.
_NAMED = 24


class InputError(ValueError):
    """Wrong input: the message names the field or file, the numbers, and the way out."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Returns "did you mean 'x'?", or the list of what is valid when nothing is near.

    >>> nearest("epoch", ["epochs", "batch"])
    "did you mean 'epochs'?"
    """
    valid = sorted(valid)
    close = difflib.get_close_matches(name, valid, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    more = f" and {len(valid) - _NAMED} more" if len(valid) > _NAMED else ""
    return f"valid: {', '.join(valid[:_NAMED]) or 'none'}{more}"
