"""States: where the trials of a pack stopped, so that the next rung goes on from there.

One NPZ file per pack, without pickles. A state that is gone or damaged costs time alone: its trial
is trained from its first step again, to the same bits.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import jax
import numpy as np

from jaxbias.files.atomic import make_directory, replacing

_State = TypeVar("_State")  # A tree of arrays.


def write(path: Path, ids: Sequence[str], states: Sequence[_State]) -> None:
    """Writes the states of a pack's trials, with the id of each, in one piece.

    Raises:
      InputError: the file cannot be written.
    """
    make_directory(path.parent)
    leaves = [jax.tree.leaves(state) for state in states]
    stacked = {f"leaf{i}": np.stack(parts) for i, parts in enumerate(zip(*leaves, strict=True))}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, ids=np.array(ids), **stacked)


def read(path: Path, place: int, id: str, like: _State) -> _State | None:
    """Returns the state of one trial, or None where there is none, or none of its kind.

    Args:
      path: of the pack.
      place: of the trial in it.
      id: of the trial.
      like: a state of the same shapes and dtypes.
    """
    leaves, structure = jax.tree.flatten(like)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            if stored["ids"][place] != id:
                return None
            found = [stored[f"leaf{i}"][place] for i in range(len(leaves))]
    except Exception:  # A damaged file may raise anything.
        return None
    same = all(
        a.shape == b.shape and a.dtype == b.dtype for a, b in zip(found, leaves, strict=True)
    )
    return jax.tree.unflatten(structure, found) if same else None
