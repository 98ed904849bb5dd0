"""Parts: members that devices hold at once, each part a run of one program."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np


def in_parts(run: Callable[[list], Any], members: Sequence[Any], width: int) -> Any:
    """Runs members in parts of one width, the last filled up with copies of its last member.

    Args:
      run: maps a part to host arrays with a leading axis of the width.
      members: all.
      width: of a part.

    Returns:
      Host arrays with a leading axis of the members.

    >>> in_parts(lambda part: -np.array(part), [1, 2, 3], 2)
    array([-1, -2, -3])
    """
    found = []
    for start in range(0, len(members), width):
        part = list(members[start : start + width])
        found.append(run(part + [part[-1]] * (width - len(part))))
    if len(found) == 1:  # Not copied.
        return jax.tree.map(lambda leaf: leaf[: len(members)], found[0])
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[: len(members)], *found)
