"""Numbers of things in words: one repeat, two repeats."""


def count(number: float, noun: str, plural: str = "") -> str:
    """Returns a number of things: thousands separated, the noun in the singular for one.

    Args:
      number: how many.
      noun: the thing, in the singular; an adjective may stand before it.
      plural: of a noun that takes more than an "s".

    >>> count(1, "repeat"), count(12345, "test image"), count(0, "class", "classes")
    ('1 repeat', '12,345 test images', '0 classes')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
