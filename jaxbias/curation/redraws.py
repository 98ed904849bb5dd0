"""Redraws: small finetuning sets are drawn again until both classes are present.

Quotas give a set of a few images none of a rare class. Where the rule of the paper draws again
(Wang & Russakovsky, ICCV 2023), images are drawn one by one by the same shares, attempt after
attempt, until one has both classes.
"""

import numpy as np

from jaxbias.curation.cells import Cells
from jaxbias.curation.quotas import quotas
from jaxbias.curation.streams import stream
from jaxbias.errors import InputError
from jaxbias.study import Curation
from jaxbias.words import count

FEW = 100  # Sets of a smaller n are drawn again.
_MOST = 10_000  # Attempts.
_MANY = 10**6  # Images whose quotas tell the shares of a rule.


def with_both_classes(
    curation: Curation, cells: Cells, available: np.ndarray, n: int, counts: np.ndarray, key: str
) -> tuple[np.ndarray, int]:
    """Returns the counts of the first draw that has both classes, and how many came before it.

    Args:
      curation: the rule.
      cells: the task's cells, along the curation's column if it has one.
      available: int64[C], examples of each cell that may be drawn.
      n: wanted images.
      counts: int64[C], of the first draw, whose size every other has.
      key: of the stream of random numbers.

    Returns:
      int64[C], and 0 where it is the first draw: tasks of other than two classes have no other.

    Raises:
      InputError: the set has one class, and as many images as are not drawn again, or no attempt
        has both.
    """
    lacking = lacking_class(cells, counts)
    if lacking is None:
        return counts, 0
    size = int(counts.sum())
    what = _told(curation, cells, n, size, lacking)
    if n >= FEW or curation.kind == "reduce_only":
        why = f"of n={FEW} or more" if n >= FEW else "that removal leaves"
        raise InputError(
            f"{what}: there is nothing to learn, and a set {why} is not drawn again; raise "
            "config.finetune.n, or choose another curation"
        )
    shares, added = _chances(curation, cells, n)
    classes = set(cells.targets[((shares > 0) | (added > 0)) & (available > 0)].tolist())
    for attempt in range(1, _MOST + 1 if size > 1 and len(classes) == 2 else 0):
        uniform = stream(size - int(added.sum()), f"{key}/redraw {attempt}") / 2.0**64
        cell = np.searchsorted(np.cumsum(shares), uniform, side="right")
        drawn = np.bincount(np.minimum(cell, len(shares) - 1), minlength=len(shares)) + added
        fitting = (drawn >= 0).all() and (drawn <= available).all()
        if fitting and lacking_class(cells, drawn) is None:
            return drawn, attempt
    raise InputError(
        f"{what}, and no redraw has both classes; raise config.finetune.n, or choose another "
        "curation"
    )


def refuse_one_class(curation: Curation, cells: Cells, n: int, counts: np.ndarray) -> None:
    """Refuses what is left of a set where it has one of two classes.

    Raises:
      InputError: it has.
    """
    lacking = lacking_class(cells, counts)
    if lacking is not None:
        what = _told(curation, cells, n, int(counts.sum()), lacking)
        raise InputError(f"{what}: there is nothing to learn; drop fewer, or raise the n")


def _told(curation: Curation, cells: Cells, n: int, size: int, lacking: int) -> str:
    names = " or ".join(np.array(cells.names)[cells.targets == lacking])
    images = count(size, "image")
    return f"curation '{curation.name}' at n={n} has {images} and none of ({names})"


def lacking_class(cells: Cells, counts: np.ndarray) -> int | None:
    """Returns which of two classes a set has none of; None where it has both, or there are more.

    Args:
      cells: the task's.
      counts: int64[C], images of each.
    """
    if cells.classes != 2:
        return None
    found = np.bincount(cells.targets, weights=counts, minlength=2)
    return None if found.all() else int(np.argmin(found))


def _chances(curation: Curation, cells: Cells, n: int) -> tuple[np.ndarray, np.ndarray]:
    """By which shares images are drawn one by one, and how many of each cell come beside them."""
    if curation.k is None:
        return quotas(curation, cells, _MANY) / _MANY, np.zeros(len(cells.names), np.int64)
    natural = quotas(Curation("natural"), cells, n)
    return cells.shares, quotas(curation, cells, n) - natural
