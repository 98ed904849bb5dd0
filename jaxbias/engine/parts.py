"""Parts: members that devices hold at once, each part a run of one program."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np


def in_parts(
    run: Callable[[list], Any], members: Sequence[Any], width: int, places: np.ndarray
) -> Any:
    """Runs members in parts of one width, the last filled up with copies of its last member.

    Args:
      run: maps a part to host arrays with a leading axis of the places.
      members: all.
      width: of a part.
      places: int[W], in ascending order, those of a part that `run` tells of.

    Returns:
      Host arrays with a leading axis of the members that were told of; see `members_of`.

    >>> in_parts(lambda part: -np.array(part), [1, 2, 3], 2, np.arange(2))
    array([-1, -2, -3])
    """
    found = []
    for start in range(0, len(members), width):
        part = list(members[start : start + width])
        found.append(run(part + [part[-1]] * (width - len(part))))
    count = len(members_of(len(members), width, places))
    if len(found) == 1:  # Not copied.
        return jax.tree.map(lambda leaf: leaf[:count], found[0])
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *found)


def members_of(count: int, width: int, places: np.ndarray) -> list[int]:
    """Returns the places, among so many members, of those at some places of their parts.

    >>> members_of(7, 4, np.array([2, 3]))
    [2, 3, 6]
    """
    found = (start + place for start in range(0, count, width) for place in places.tolist())
    return [place for place in found if place < count]
