"""Curation: which finetuning examples are chosen, as quotas per (target, group) cell."""

from jaxbias.curation.cells import Cells, class_names, pair_cells, target_cells, task_cells
from jaxbias.curation.draws import Draw, draw
from jaxbias.curation.example_scores import (
    SCORE,
    check_scored,
    digests,
    read_example_scores,
    table_path,
)
from jaxbias.curation.influence import Sample, harms
from jaxbias.curation.pretraining import base_cells
from jaxbias.curation.quotas import quotas
from jaxbias.curation.redraws import with_both_classes
from jaxbias.curation.sizes import Wanted, realised, shortage

__all__ = [
    "SCORE",
    "Cells",
    "Draw",
    "Sample",
    "Wanted",
    "base_cells",
    "check_scored",
    "class_names",
    "digests",
    "draw",
    "harms",
    "pair_cells",
    "quotas",
    "read_example_scores",
    "realised",
    "shortage",
    "table_path",
    "target_cells",
    "task_cells",
    "with_both_classes",
]
