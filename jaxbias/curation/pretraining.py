"""What bases are pretrained on: cells of who may be drawn."""

import dataclasses

import numpy as np

from jaxbias.curation.cells import Cells, class_cells, target_cells
from jaxbias.data.dataset import Dataset
from jaxbias.errors import InputError
from jaxbias.study import GroupSpec


def base_cells(
    dataset: Dataset, target: str, group: GroupSpec, left_out: np.ndarray | None = None
) -> Cells:
    """Builds the cells of what a base is pretrained on.

    They are those of the target, as of `target_cells`, with two exceptions. Where nobody that may
    be drawn is known to be of either group, they are the target's classes alone. And a class or a
    group of which `left_out` leaves nobody is none any more.

    Args:
      dataset: the data.
      target: a binary or categorical column.
      group: the column and the two values compared.
      left_out: bool[N], who must not be drawn; None: nobody is left out.

    Returns:
      The cells. Natural shares are those of the finetuning split, but of who may be drawn where
      somebody is left out, the cells are classes alone, or the finetuning split has nobody.

    Raises:
      InputError: as of `target_cells`, or nobody may be drawn.
    """
    split = dataset.table["split"].to_numpy()
    pool = split == "pretrain"
    pool = pool if left_out is None else pool & ~left_out
    cells = target_cells(dataset, target, group, pool)
    if not cells.available(pool).any():
        alone = class_cells(dataset, target, group, pool)
        cells = alone if alone.available(pool).any() else cells
    if left_out is not None:
        if not cells.available(pool).any():
            raise InputError(f"no pretraining example has a known '{target}' and is not left out")
        return _remaining(cells, cells.available(pool))
    if cells.grouped and cells.available(split == "finetune").any():
        return target_cells(dataset, target, group)
    if not cells.available(pool).any():
        raise InputError(f"no pretraining example has a known '{target}'")
    return cells


def _remaining(cells: Cells, available: np.ndarray) -> Cells:
    """The cells without classes and groups of which nobody is available; classes in a row."""
    groups = np.unique(cells.groups, return_inverse=True)[1]
    kept = (np.bincount(cells.targets, available) > 0)[cells.targets]
    kept &= (np.bincount(groups, available) > 0)[groups]
    # Code -1, outside the task, is the last place.
    places = np.append(np.where(kept, np.cumsum(kept) - 1, -1), -1)
    return dataclasses.replace(
        cells,
        names=tuple(name for name, stays in zip(cells.names, kept, strict=True) if stays),
        targets=np.unique(cells.targets[kept], return_inverse=True)[1].astype(np.int32),
        groups=cells.groups[kept],
        codes=places[cells.codes].astype(np.int32),
        shares=cells.shares[kept],
    )
