"""Sweeps: sets of points in the axes of a variant, combined by product, zipped, chain and where.

A point is a plain mapping from axes (task, base, curation, n, seed and the fields of a recipe) to
values, so it is JSON and lives in a config and in study.json. A sweep is a tuple of points.
"""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jaxbias.errors import InputError, echo, nearest
from jaxbias.study import AXES, MOST_VARIANTS, Point, Sweep, parse_curation, typed


def product(*sweeps: Sweep, **axes: Any) -> Sweep:
    """Returns every combination, the last factor varying fastest.

    Args:
      *sweeps: factors that are sweeps already.
      **axes: factors that are one axis each: a value, or values in order.

    Raises:
      InputError: an unknown axis, a wrong value, or one axis in two factors.

    >>> product(base="Scratch", n=(64, 128))
    ({'base': 'Scratch', 'n': 64}, {'base': 'Scratch', 'n': 128})
    """
    factors = _factors("product", sweeps, axes)
    _refuse_many("product", math.prod(map(len, factors)))
    return tuple(_merge(points) for points in itertools.product(*factors))


def zipped(*sweeps: Sweep, **axes: Any) -> Sweep:
    """Returns the first with the first, the second with the second, and so on.

    Raises:
      InputError: as of `product`; or factors of different lengths.

    >>> zipped(n=(512, 1024), epochs=(16, 8))
    ({'n': 512, 'epochs': 16}, {'n': 1024, 'epochs': 8})
    """
    factors = _factors("zipped", sweeps, axes)
    if len({len(factor) for factor in factors}) > 1:
        lengths = ", ".join(str(len(factor)) for factor in factors)
        raise InputError(f"sweep.zipped needs factors of one length, got lengths {lengths}")
    return tuple(_merge(points) for points in zip(*factors, strict=True))


def chain(*sweeps: Sweep) -> Sweep:
    """Returns all points of one sweep after the other; a point comes once.

    >>> chain(product(n=(64, 128)), product(n=(128, 256)))
    ({'n': 64}, {'n': 128}, {'n': 256})
    """
    points = itertools.chain.from_iterable(_checked("chain", sweep) for sweep in sweeps)
    first: dict[tuple, Point] = {}
    for point in points:
        first.setdefault(tuple(sorted(point.items())), point)
    return tuple(first.values())


def where(sweep: Sweep, keep: Callable[[Point], bool]) -> Sweep:
    """Returns the points for which `keep(point)` is true.

    Raises:
      InputError: `keep` asks for an axis that is unknown, or that a point leaves out.

    >>> where(product(n=(64, 128), seed=(0, 1)), lambda p: p["n"] > 64 or p["seed"] == 0)
    ({'n': 64, 'seed': 0}, {'n': 128, 'seed': 0}, {'n': 128, 'seed': 1})
    """
    return tuple(point for point in _checked("where", sweep) if keep(_Asked(point)))


def levels(values: Iterable[int], kind: str = "correlation") -> tuple[str, ...]:
    """Returns the names of curations along a dose.

    Args:
      values: levels 0..10, or images for `add_minority` and `replace_minority`.
      kind: which curation.

    >>> levels(range(2), kind="pair_mix")
    ('pair_mix 0', 'pair_mix 1')
    """
    names = tuple(f"{kind} {value}" for value in _bounded("levels", values))
    for name in names:
        parse_curation(name, "sweep.levels")
    return names


def _factors(what: str, sweeps: tuple[Sweep, ...], axes: dict[str, Any]) -> list[Sweep]:
    factors = [_checked(what, sweep) for sweep in sweeps]
    for axis, values in axes.items():
        if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
            values = (values,)
        values = [typed(axis, value, f"sweep.{what}") for value in _bounded(what, values)]
        twice = next((v for v, found in Counter(values).items() if found > 1), None)
        if twice is not None:
            raise InputError(f"sweep.{what}: {axis} has {echo(twice)} twice")
        factors.append(tuple({axis: value} for value in values))
    seen: dict[str, int] = {}
    for place, factor in enumerate(factors):
        for axis in {axis for point in factor for axis in point}:
            if seen.setdefault(axis, place) != place:
                raise InputError(f"sweep.{what}: {axis} is an axis of two factors")
    return factors


def _bounded(what: str, values: Iterable[Any]) -> list[Any]:
    """Values of an iterable, which may have no end."""
    first = list(itertools.islice(values, MOST_VARIANTS + 1))
    _refuse_many(what, len(first))
    return first


def _refuse_many(what: str, points: int) -> None:
    if points > MOST_VARIANTS:
        raise InputError(f"sweep.{what} of more than {MOST_VARIANTS:,} points; sweep less at once")


def _checked(what: str, sweep: Sweep) -> Sweep:
    if not isinstance(sweep, tuple) or not all(isinstance(point, Mapping) for point in sweep):
        raise InputError(
            f"sweep.{what} combines sweeps, such as of sweep.product; got {echo(sweep)}"
        )
    return sweep


def _merge(points: Iterable[Point]) -> dict[str, Any]:
    return {axis: value for point in points for axis, value in point.items()}


class _Asked(dict):
    """A point that says which axis it lacks."""

    def __missing__(self, axis: str) -> Any:
        if axis not in AXES:
            raise InputError(f"sweep.where: no such axis '{axis}'; {nearest(axis, AXES)}")
        raise InputError(f"sweep.where: the point {dict(self)} leaves out {axis}")
