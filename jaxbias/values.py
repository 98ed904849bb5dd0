"""Values: the types of settings, each with what it may be, and how a value is held to its type.

A number's range and a word's choices are part of the type of its field in `specs`, and stand
nowhere else: `Annotated[int, Range(...)]`, `Literal[...]`.
"""

import dataclasses
import functools
import numbers
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from jaxbias.errors import InputError, echo, nearest

# Values of a list, or names of a mapping: what no study needs, and nobody would wait for.
_MOST_VALUES = 100_000
# Characters of a text; no path is longer.
_MOST_TEXT = 4096
# Groups within groups, such as a mapping that contains itself.
_DEEPEST = 32


@dataclasses.dataclass(frozen=True)
class Range:
    """The bounds of a number, both of them allowed. A NaN lies in no range."""

    low: float
    high: float

    def __str__(self) -> str:
        """As messages have it.

        >>> str(Range(0, 1e-3)), str(Range(1, 100_000))
        ('0..0.001', '1..100,000')
        """
        return "..".join(
            f"{x:,}" if isinstance(x, int) else f"{x:g}" for x in (self.low, self.high)
        )


# Beyond these bounds nothing would be learnt, nothing would fit, or nobody would wait for it.
Seed = Annotated[int, Range(0, 2**31 - 1)]
MOST_IMAGES = 100_000_000
Images = Annotated[int, Range(1, MOST_IMAGES)]
Rendered = Annotated[int, Range(0, 10_000_000)]
Repeats = Annotated[int, Range(1, 100_000)]
Epochs = Annotated[int, Range(1, 100_000)]
Batch = Annotated[int, Range(1, 1_000_000)]
Rate = Annotated[float, Range(0, 1000)]
Share = Annotated[float, Range(0, 1)]
PartOf = Annotated[float, Range(1e-9, 1)]  # A share of which something is left.
Level = Annotated[int, Range(0, 10)]
MOST_REPLICATES = 100_000
Inverse = Annotated[float, Range(1e-9, 1e9)]
Tolerance = Annotated[float, Range(1e-7, 1)]  # With a smaller one float32 gets no further.


def build(kind: Any, value: Any, place: str) -> Any:
    """Returns a value as its type has it: groups frozen, lists as tuples, whole numbers as real.

    Args:
      kind: a type as fields of `specs` have them.
      value: what was given.
      place: what errors call it, such as "config.finetune.epochs".

    Raises:
      InputError: naming the place; a value of another type, out of range, or no choice.

    >>> build(tuple[Epochs, ...], [3, 4], "epochs")
    (3, 4)
    >>> build(Rate, 1, "rate")
    1.0
    """
    if dataclasses.is_dataclass(kind):
        return _group(kind, value, place)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        plain, bounds = args
        number = build(plain, value, place)
        if not bounds.low <= number <= bounds.high:
            raise InputError(f"{place}={echo(value)} must be in {bounds}")
        return number
    if origin is Literal:
        text = build(str, value, place)
        if text not in args:
            raise InputError(f"{place}='{echo(text)}' is unknown; {nearest(text, args)}")
        return text
    if origin is tuple:
        return _tuple(args, value, place)
    if origin is not None:
        return _mapping(*args, value, place)
    return _plain(kind, value, place)


def _group(kind: type, value: Any, place: str) -> Any:
    if not isinstance(value, Mapping):
        raise InputError(f"{place} must be a group of settings, got {echo(value)}")
    if place.count(".") > _DEEPEST:
        raise InputError(f"{echo(place)} lies too deep: groups within more than {_DEEPEST} groups")
    hints = fields_of(kind)
    for name in value:
        if name not in hints:
            shown = name if isinstance(name, str) else repr(name)
            raise InputError(f"{place}.{echo(shown)}: no such field; {nearest(shown, hints)}")
    return kind(**{name: build(hints[name], v, f"{place}.{name}") for name, v in value.items()})


def _mapping(key: Any, item: Any, value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"{place} must map names to values, got {echo(value)}")
    _refuse_many(value, place)
    built: dict[str, Any] = {}
    for name, part in value.items():
        # Whole numbers are names too: a split column may hold 0, 1, 2.
        if not isinstance(name, str | int) or isinstance(name, bool):
            raise InputError(f"{place}: the name {echo(name)} must be text")
        text = build(key, name, place)
        if text in built:
            raise InputError(f"{place} has '{echo(text)}' twice, as text and as a number")
        built[text] = build(item, part, f"{place}.{echo(text)}")
    return types.MappingProxyType(dict(sorted(built.items())))


def _tuple(args: tuple[Any, ...], value: Any, place: str) -> tuple[Any, ...]:
    if not isinstance(value, tuple | list | range):
        value = (value,)
    _refuse_many(value, place)
    if args[1:] != (...,) and len(value) != len(args):
        raise InputError(f"{place}={echo(tuple(value))} must be {len(args)} values")
    return tuple(build(args[0], item, f"{place}[{i}]") for i, item in enumerate(value))


def _plain(kind: type, value: Any, place: str) -> Any:
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if number and (kind is not int or isinstance(value, numbers.Integral)) and kind is not bool:
        try:
            value = kind(value)
        except (OverflowError, ValueError):  # Of more digits than floats or texts may have.
            raise InputError(f"{place}={echo(value)} is too large a number") from None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        shown = repr(value) if isinstance(value, str) else value
        raise InputError(f"{place} must be {kind.__name__}, got {echo(shown)}")
    return _text(value, place) if kind is str else value


def _text(value: str, place: str) -> str:
    """Returns a text; what no file could hold is refused before it is to be written to one."""
    if len(value) > _MOST_TEXT:
        raise InputError(
            f"{place}={echo(value)} has {len(value):,} characters, more than {_MOST_TEXT:,}"
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{place}={echo(ascii(value))} has a lone surrogate at character {error.start}, which "
            "is no text; a file name in another encoding than UTF-8 must be renamed"
        ) from None
    if "\0" in value:
        raise InputError(f"{place}={echo(ascii(value))} has a NUL character")
    return value


def _refuse_many(values: Any, place: str) -> None:
    if len(values) > _MOST_VALUES:
        raise InputError(f"{place} has {len(values):,} values, more than {_MOST_VALUES:,}")


@functools.cache
def fields_of(kind: type) -> Mapping[str, Any]:
    """Returns the types of the fields of a group of settings, ranges and choices included."""
    return typing.get_type_hints(kind, include_extras=True)
