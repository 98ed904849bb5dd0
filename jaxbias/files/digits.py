"""Digits: numbers that people wrote as text, read strictly.

`str.isdigit` is true of "²" and `float` reads "١", "1_0" and "nan"; none of them is meant.
"""

import math
import re

# As many digits as fit 64 bits.
_WHOLE = re.compile(r"[0-9]{1,18}")
_REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")


def whole(text: str) -> int | None:
    """Returns a whole number that is not negative, None where the text is none.

    >>> whole("12"), whole("²"), whole("-1"), whole("9" * 5000)
    (12, None, None, None)
    """
    return int(text) if _WHOLE.fullmatch(text) else None


def real(text: str) -> float | None:
    """Returns a finite number, None where the text is none.

    >>> real("-.5e-1"), real("nan"), real("1e999"), real("1_0"), real("٣")
    (-0.05, None, None, None, None)
    """
    number = float(text) if _REAL.fullmatch(text) else math.inf
    return number if math.isfinite(number) else None
