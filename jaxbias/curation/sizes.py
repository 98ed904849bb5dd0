"""Sizes: how many images a curated set really has, and what a split lacks for those asked for."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxbias.curation.cells import Cells
from jaxbias.curation.quotas import fits, largest_n, needed, quotas
from jaxbias.data.dataset import listed
from jaxbias.errors import InputError
from jaxbias.study import Curation
from jaxbias.words import count

# Cells of a task, and curations, that a message names.
_NAMED = 4


class Wanted(NamedTuple):
    """A curated set that is asked for.

    Attributes:
      curation: the rule.
      cells: the task's cells, along the curation's column if it has one.
      available: int64[C], examples of each cell that may be drawn.
      n: images.
      owner: what errors name before the curation, such as "base 'Control': ".
    """

    curation: Curation
    cells: Cells
    available: np.ndarray
    n: int
    owner: str = ""


def realised(
    curation: Curation,
    cells: Cells,
    available: np.ndarray,
    n: int,
    split: str = "finetune",
    on_shortage: str = "error",
) -> np.ndarray:
    """Returns int64[C], how many examples of each cell a draw of n images takes.

    Args:
      curation: the rule.
      cells: the task's cells.
      available: int64[C], examples of each cell that may be drawn.
      n: wanted images.
      split: the pool's name, for the error.
      on_shortage: "error", or "shrink" to the largest n that can be drawn.

    Raises:
      InputError: a cell has too few examples and `on_shortage` is "error", or so few that no
        smaller set is of the same kind.
    """
    shrink = on_shortage == "shrink"
    missing = shortage([Wanted(curation, cells, available, n)], split, shrink=shrink)
    if missing:
        raise InputError(missing)
    if fits(curation, cells, available, n):
        return quotas(curation, cells, n)
    return quotas(curation, cells, largest_n(curation, cells, available, n))


def shortage(
    wanted: Sequence[Wanted], split: str = "finetune", setting: str = "", shrink: bool = False
) -> str:
    """Returns all that a split lacks for curated sets, with the ways out, as one line.

    Args:
      wanted: every curated set.
      split: the pool's name.
      setting: what n is called; empty: the split's own.
      shrink: whether sets may be smaller, as long as they are of the same kind.

    Returns:
      The line, "" where nothing is lacking. The n it names satisfies all sets at once; where no n
      does, it says so.
    """
    short, refused = [], []
    for each in wanted:
        try:
            need = needed(each.curation, each.cells, each.n)
        except InputError as error:
            refused.append(f"{each.owner}{error}")
            continue
        if (need > each.available).any():
            short.append(_Short(each, need, largest_n(*each[:4])))
    shrinkable = all(each.most for each in short)
    if shrink:
        short = [each for each in short if not each.most]
    lacking = len(short) + len(refused)
    if not lacking:
        return ""
    several = (
        f"{lacking:,} of {len(wanted):,} curated sets cannot be drawn: " if lacking > 1 else ""
    )
    text = several + "; ".join([*dict.fromkeys(refused), *_lacking(short, split)])
    if not short:
        return text
    most = 0 if refused else _common(wanted, min(each.most for each in short))
    ways = [f"lower {setting or f'config.{split}.n'} to {most}"] if most else []
    owners = dict.fromkeys(each.wanted.owner for each in short)
    names = dict.fromkeys(each.wanted.curation.name for each in short)
    if any(owners):
        ways.append("choose another curation of the base")
    elif "natural" not in names:  # Which is always drawn.
        ways.append(f"leave out {listed(list(names), _NAMED)}")
    ways.append(f"give the {split} split more such images")
    if split == "finetune" and shrinkable and not shrink:
        ways.append("set config.curations.on_shortage='shrink'")
    choice = ", or ".join([", ".join(ways[:-1]), ways[-1]] if len(ways) > 1 else ways)
    return f"{text}. {choice[0].upper()}{choice[1:]}" if most else f"{text}. No n will do: {choice}"


class _Short(NamedTuple):
    """A curated set that cannot be drawn, what it needs, and the largest n at which it could."""

    wanted: Wanted
    need: np.ndarray
    most: int


def _lacking(short: Sequence[_Short], split: str) -> list[str]:
    """What is lacking, cell by cell: the set that needs most of it, and how many need too many."""
    by_task: dict[tuple[str, str], dict[int, list[tuple[int, Wanted]]]] = {}
    for wanted, need, _ in short:
        cells = by_task.setdefault((wanted.owner, wanted.cells.task), {})
        for cell in np.flatnonzero(need > wanted.available):
            cells.setdefault(int(cell), []).append((int(need[cell]), wanted))
    parts = []
    for (owner, _), cells in by_task.items():
        worst = [(cell, len(sets), *max(sets, key=lambda s: s[0])) for cell, sets in cells.items()]
        worst.sort(key=lambda row: row[3].available[row[0]] - row[2])
        for cell, sets, need, wanted in worst[:_NAMED]:
            lack = "lacks" if sets == 2 else "lack"
            more = f" ({count(sets - 1, 'more set')} {lack} them too)" if sets > 1 else ""
            has = f"the {split} split has {wanted.available[cell]:,}{more}"
            parts.append(
                f"{owner}curation '{wanted.curation.name}' at n={wanted.n} needs "
                f"{count(need, 'example')} of ({wanted.cells.names[cell]}); {has}"
            )
        if len(worst) > _NAMED:
            parts.append(f"{owner}too few in {count(len(worst) - _NAMED, 'more cell')}")
    return parts


def _common(wanted: Sequence[Wanted], n: int) -> int:
    """Returns the largest n, up to one, at which all sets can be drawn; smaller ones stay."""
    # Rounding alone makes a smaller set need more of a cell, so few n are tried.
    while n and not all(fits(*each[:3], min(n, each.n)) for each in wanted):
        n -= 1
    return n
