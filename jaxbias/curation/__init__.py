"""Curation: which finetuning examples are chosen, as quotas per (target, group) cell."""

from jaxbias.curation.cells import Cells, class_names, pair_cells, target_cells, task_cells
from jaxbias.curation.draws import Draw, draw
from jaxbias.curation.quotas import quotas
from jaxbias.curation.redraws import with_both_classes
from jaxbias.curation.sizes import Wanted, realised, shortage

__all__ = [
    "Cells",
    "Draw",
    "Wanted",
    "class_names",
    "draw",
    "pair_cells",
    "quotas",
    "realised",
    "shortage",
    "target_cells",
    "task_cells",
    "with_both_classes",
]
