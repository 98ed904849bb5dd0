"""Draws: which examples fill a curation's quotas.

Each (data, task, split, cell, seed) has one fixed permutation and every curation takes a prefix
of it. Curations of one seed therefore share as many images as their quotas allow, across bases
and sizes, so variants are paired and "images changed" means something.
"""

import dataclasses
import functools

import numpy as np

from jaxbias.curation.cells import Cells
from jaxbias.curation.quotas import sample_weights
from jaxbias.curation.redraws import refuse_one_class, with_both_classes
from jaxbias.curation.sizes import realised
from jaxbias.curation.streams import stream
from jaxbias.study import Curation


@dataclasses.dataclass(frozen=True)
class Draw:
    """A curated set.

    Attributes:
      ids: int32[n], rows of the dataset.
      weights: float32[n], loss weights.
      cells: int32[n], the cell of the task of each.
      counts: int64[C], realised count of each cell, along the curation's column if it has one.
      names: C names of what is counted.
      redraws: how many draws came before it that had one class alone.
    """

    ids: np.ndarray
    weights: np.ndarray
    cells: np.ndarray
    counts: np.ndarray
    names: tuple[str, ...]
    redraws: int = 0

    def balanced(self) -> np.ndarray:
        """Returns int32[n], places in `ids` of a part with as many of every cell that occurs.

        The part is repeated until it fills n, so that its size is the same for all draws.
        """
        present = self.counts[self.counts > 0]
        starts = np.cumsum([0, *present[:-1]])
        places = np.concatenate([np.arange(s, s + present.min()) for s in starts])
        return np.resize(places, len(self.ids)).astype(np.int32)


def draw(
    cells: Cells,
    pool: np.ndarray,
    curation: Curation,
    n: int,
    seed: int,
    data: str,
    split: str = "finetune",
    on_shortage: str = "error",
    harm: np.ndarray | None = None,
    left_out: np.ndarray | None = None,
) -> Draw:
    """Draws the examples of a curation.

    Args:
      cells: the task's cells.
      pool: bool[N], the examples that may be drawn (a split).
      curation: the rule.
      n: finetuning images.
      seed: which permutation; the same for every base and curation of a repeat.
      data: the dataset's fingerprint, part of the permutation's key.
      split: the pool's name.
      on_shortage: "error", or "shrink" to the largest feasible n.
      harm: float64[N], how much each example hurts, for a curation that drops by it.
      left_out: bool[N], examples that are passed over in the permutation of the pool; None: none.

    Returns:
      The draw.

    Raises:
      InputError: a cell has too few examples and `on_shortage` is "error"; or it is for finetuning
        and has one class alone, and no redraw has both.
    """
    parts = cells.along(curation.column)
    available = parts.available(pool if left_out is None else pool & ~left_out)
    counts, redraws = realised(curation, parts, available, n, split, on_shortage), 0
    key = f"{data}/{split}/{cells.task}"
    if split == "finetune":
        counts, redraws = with_both_classes(curation, parts, available, n, counts, f"{key}/{seed}")
    weights = sample_weights(curation, parts, counts)
    taken = []
    for cell, inside in enumerate(_rows(cells, pool)):
        own = np.array([cell]) if parts is cells else np.flatnonzero(parts.parts_of == cell)
        if not counts[own].any():
            continue
        inside = inside[_order(len(inside), f"{key}/{cells.names[cell]}/{seed}")]
        inside = inside if left_out is None else inside[~left_out[inside]]
        for part in own:
            among = inside if parts is cells else inside[parts.codes[inside] == part]
            taken.append(among[: counts[part]])
    ids, places = np.concatenate(taken), np.repeat(np.arange(len(counts)), counts)
    if harm is not None:
        kept = _without_worst(harm[ids], curation.k)
        ids, places = ids[kept], places[kept]
        counts = np.bincount(places, minlength=len(counts))
        refuse_one_class(curation, parts, n, counts)
    return Draw(
        ids=ids.astype(np.int32),
        weights=np.repeat(weights, counts).astype(np.float32),
        cells=(places if parts.parts_of is None else parts.parts_of[places]).astype(np.int32),
        counts=counts,
        names=parts.names,
        redraws=redraws,
    )


def _without_worst(harm: np.ndarray, k: int) -> np.ndarray:
    """Returns the places of all but the k that hurt most, in order; of equals the last goes."""
    worst = len(harm) - 1 - np.argsort(-harm[::-1], kind="stable")[:k]
    return np.setdiff1d(np.arange(len(harm)), worst)


def _rows(cells: Cells, pool: np.ndarray) -> list[np.ndarray]:
    """Returns the rows of a pool that are in each cell, in order; one pass for any number."""
    inside = np.flatnonzero(pool & (cells.codes >= 0))
    codes = cells.codes[inside].astype(np.uint16)  # NumPy sorts 16 bits by radix: 32,767 · 2 cells.
    ends = np.cumsum(np.bincount(codes, minlength=len(cells.names)))
    return np.split(inside[np.argsort(codes, kind="stable")], ends[:-1])


@functools.lru_cache(maxsize=4096)
def _order(count: int, key: str) -> np.ndarray:
    return np.argsort(stream(count, key), kind="stable")
