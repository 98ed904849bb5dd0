"""The study: a validated, frozen description of everything that will be done.

`specs` has every setting and its default, `rule` the names of curations, `checks` and
`experiments` what values are refused; `make_study` builds and freezes.
"""

from jaxbias.study.checks import refuse_value
from jaxbias.study.experiments import AXES, typed
from jaxbias.study.make import default_config, make_study
from jaxbias.study.rule import KINDS, MITIGATIONS, Curation, parse_curation, parse_prevalence
from jaxbias.study.specs import (
    ROLES,
    SPLITS,
    STUDIED,
    AnswerSpec,
    BaseSpec,
    DataSpec,
    DerivedSpec,
    EvaluationSpec,
    FacesSpec,
    FinetuneSpec,
    GroupSpec,
    ModelSpec,
    Point,
    PretrainSpec,
    Study,
    Sweep,
    to_dict,
)

__all__ = [
    "AXES",
    "KINDS",
    "MITIGATIONS",
    "ROLES",
    "SPLITS",
    "STUDIED",
    "AnswerSpec",
    "BaseSpec",
    "Curation",
    "DataSpec",
    "DerivedSpec",
    "EvaluationSpec",
    "FacesSpec",
    "FinetuneSpec",
    "GroupSpec",
    "ModelSpec",
    "Point",
    "PretrainSpec",
    "Study",
    "Sweep",
    "default_config",
    "make_study",
    "parse_curation",
    "parse_prevalence",
    "refuse_value",
    "to_dict",
    "typed",
]
