"""Verdicts on claims by intervals alone, and what was found of one claim."""

import dataclasses

AGREES, DENIES, UNDECIDED = "agrees", "does not", "undecided"


@dataclasses.dataclass(frozen=True)
class Finding:
    """One claim about one thing, and what was found of it.

    Attributes:
      claim: in words, as the paper means it.
      about: the attribute, pair, class or base it is tested on.
      found: in words.
      value: the estimate the verdict is about; NaN where there is none.
      low: of its interval.
      high: of its interval.
      verdict: "agrees", "does not" or "undecided".
    """

    claim: str
    about: str
    found: str
    value: float
    low: float
    high: float
    verdict: str


def above(low: float, high: float, bound: float, opposite: float) -> str:
    """Says whether a quantity is larger than a bound, or surely at most the opposite one.

    >>> above(0.1, 0.3, 0, 0.05), above(-0.1, 0.01, 0, 0.05), above(-0.1, 0.3, 0, 0.05)
    ('agrees', 'does not', 'undecided')
    """
    if low > bound:
        return AGREES
    return DENIES if high < opposite else UNDECIDED


def inside(low: float, high: float, bound: float) -> str:
    """Says whether a quantity lies inside ±bound, or surely outside.

    >>> inside(-0.01, 0.02, 0.05), inside(0.06, 0.1, 0.05), inside(0.01, 0.1, 0.05)
    ('agrees', 'does not', 'undecided')
    """
    if -bound < low and high < bound:
        return AGREES
    return DENIES if low > bound or high < -bound else UNDECIDED
