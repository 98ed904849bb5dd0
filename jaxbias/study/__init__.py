"""The study: a validated, frozen description of everything that will be done.

`specs` has every setting with its default and what it may be (`values`), `rule` the names of
curations, `checks` and `experiments` what settings may not say together; `make_study` builds and
freezes.
"""

from jaxbias.study.bases import by_loop, described, excluded
from jaxbias.study.experiments import AXES, MOST_VARIANTS, typed
from jaxbias.study.make import default_config, in_head_mode, make_study, to_config
from jaxbias.study.rule import Curation, curations_of, parse_curation, parse_prevalence
from jaxbias.study.search import search_basis, searched_curation
from jaxbias.study.specs import (
    COMPUTED,
    MODES,
    ROLES,
    SPLITS,
    STUDIED,
    TASKS,
    AnswerSpec,
    BaseSpec,
    DataSpec,
    DerivedSpec,
    EvaluationSpec,
    FacesSpec,
    FinetuneSpec,
    GroupingSpec,
    GroupSpec,
    ModelSpec,
    Point,
    PretrainSpec,
    SearchSpec,
    Study,
    Sweep,
    to_dict,
)

__all__ = [
    "AXES",
    "COMPUTED",
    "MODES",
    "MOST_VARIANTS",
    "ROLES",
    "SPLITS",
    "STUDIED",
    "TASKS",
    "AnswerSpec",
    "BaseSpec",
    "Curation",
    "DataSpec",
    "DerivedSpec",
    "EvaluationSpec",
    "FacesSpec",
    "FinetuneSpec",
    "GroupSpec",
    "GroupingSpec",
    "ModelSpec",
    "Point",
    "PretrainSpec",
    "SearchSpec",
    "Study",
    "Sweep",
    "by_loop",
    "curations_of",
    "default_config",
    "described",
    "excluded",
    "in_head_mode",
    "make_study",
    "parse_curation",
    "parse_prevalence",
    "search_basis",
    "searched_curation",
    "to_config",
    "to_dict",
    "typed",
]
