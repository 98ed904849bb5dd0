"""How a number is written, everywhere in the report: one rule for each kind of quantity."""

import math
from collections.abc import Callable

import pandas as pd

MISSING = "–"
_MINUS = "\u2212"  # A real minus sign: as wide as the plus it stands under.


def signed(value: float) -> str:
    """Returns a gap, a difference or a change with its sign; zero has none.

    >>> signed(0.1534), signed(-0.0002), signed(float("nan"))
    ('+0.153', '0.000', '–')
    """
    if missing(value):
        return MISSING
    text = f"{value:+.3f}"
    if float(text) == 0:
        return text[1:]
    return text.replace("-", _MINUS)


def plain(value: float) -> str:
    """Returns a quantity that has no direction: an AUC or a rate.

    >>> plain(0.84251)
    '0.843'
    """
    return MISSING if missing(value) else f"{value:.3f}".replace("-", _MINUS)


def interval(low: float, high: float, write: Callable[[float], str] = signed) -> str:
    """Returns an interval, or a dash where either end is undefined.

    >>> interval(0.1024, 0.2131), interval(0.81, 0.84, plain)
    ('[+0.102, +0.213]', '[0.810, 0.840]')
    """
    if missing(low) or missing(high):
        return MISSING
    return f"[{write(low)}, {write(high)}]"


def estimate(value: float, low: float, high: float, write: Callable[[float], str] = signed) -> str:
    """Returns an estimate with its interval, or alone where the interval is undefined.

    >>> estimate(0.153, 0.102, 0.213), estimate(0.153, float("nan"), 1.0)
    ('+0.153 [+0.102, +0.213]', '+0.153')
    """
    if missing(low) or missing(high):
        return write(value)
    return f"{write(value)} {interval(low, high, write)}"


def p_value(value: float) -> str:
    """Returns a p-value with the digits that carry meaning.

    >>> p_value(0.00004), p_value(0.0312), p_value(0.41)
    ('<0.001', '0.031', '0.41')
    """
    if missing(value):
        return MISSING
    if value < 0.001:
        return "<0.001"
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def count(value: float) -> str:
    """Returns a number of things, with thousands separated.

    >>> count(12345), count(17.5)
    ('12,345', '17.5')
    """
    if missing(value):
        return MISSING
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def percent(value: float) -> str:
    """Returns a share.

    >>> percent(0.419)
    '41.9 %'
    """
    return MISSING if missing(value) else f"{100 * value:.1f} %"


def times(value: float) -> str:
    """Returns a factor.

    >>> times(3.126)
    '3.1×'
    """
    return MISSING if missing(value) else f"{value:.1f}×"


def level(value: float) -> str:
    """Returns a curation level, a whole number where it is one.

    >>> level(5.0), level(2.5)
    ('5', '2.5')
    """
    return MISSING if missing(value) else f"{value:g}"


def confidence(study: dict) -> str:
    """Returns the study's confidence as it stands before "interval".

    >>> confidence({"answer": {"confidence": 0.95}})
    '95 %'
    """
    return f"{100 * study['answer']['confidence']:g} %"


def missing(value: object) -> bool:
    """Returns whether a cell holds no number: None, NaN, infinite or pandas' NA."""
    if value is None or value is pd.NA:
        return True
    return isinstance(value, float) and not math.isfinite(value)
