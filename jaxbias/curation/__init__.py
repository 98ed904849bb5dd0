"""Curation: which finetuning examples are chosen, as quotas per (target, group) cell."""

from jaxbias.curation.cells import Cells, pair_cells, target_cells
from jaxbias.curation.draws import Draw, draw
from jaxbias.curation.populations import population_shares, population_weights
from jaxbias.curation.quotas import (
    KINDS,
    MITIGATIONS,
    Curation,
    largest_n,
    parse_curation,
    quotas,
    realised,
    sample_weights,
)

__all__ = [
    "KINDS",
    "MITIGATIONS",
    "Cells",
    "Curation",
    "Draw",
    "draw",
    "largest_n",
    "pair_cells",
    "parse_curation",
    "population_shares",
    "population_weights",
    "quotas",
    "realised",
    "sample_weights",
    "target_cells",
]
