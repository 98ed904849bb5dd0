"""Grid: the study's variants, their packs, and the runner that trains one pack per program."""

from jaxbias.grid.curator import Curator, curate
from jaxbias.grid.limits import check_limits, realised_sizes
from jaxbias.grid.plan import Pack, Plan, extend_plan
from jaxbias.grid.runner import Runner
from jaxbias.grid.variants import Base, Recipe, Variant, expand, expand_by_experiment

__all__ = [
    "Base",
    "Curator",
    "Pack",
    "Plan",
    "Recipe",
    "Runner",
    "Variant",
    "check_limits",
    "curate",
    "expand",
    "expand_by_experiment",
    "extend_plan",
    "realised_sizes",
]
