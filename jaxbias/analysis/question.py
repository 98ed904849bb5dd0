"""The question of a smallest fix: what is known of a base and n."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd

from jaxbias.analysis.candidates import Candidate, candidate
from jaxbias.analysis.costs import by_cost
from jaxbias.analysis.deciding import Needed, needed, truth_of
from jaxbias.analysis.design import Design
from jaxbias.analysis.estimates import Estimate
from jaxbias.analysis.evaluation import Evaluation
from jaxbias.analysis.overwriting import gap
from jaxbias.study import AnswerSpec

COSTS = ["images_changed", "images_screened"]


@dataclasses.dataclass(frozen=True)
class Question:
    """What is known of a base and n before anything is decided.

    Attributes:
      natural: the natural draw's gap on test.
      natural_on_validation: the same on validation.
      on_test: the curations that can be used.
      on_validation: the same.
      costs: curation (the index) -> its arm and costs, cheapest first; of all planned.
      reason: why nothing can be decided; "" where something can.
    """

    natural: Estimate
    natural_on_validation: float
    on_test: Mapping[str, Candidate]
    on_validation: Mapping[str, Candidate]
    costs: pd.DataFrame
    reason: str


def question(
    validation: Evaluation,
    test: Evaluation,
    design: Design,
    base: str,
    n: int,
    rule: AnswerSpec,
    costs: pd.DataFrame | None = None,
) -> Question:
    """Gathers what a smallest fix is decided on; costs are computed where they are not given."""
    if costs is None:
        costs = by_cost(design.curations(base, n), test.cells).set_index("curation")
    names = [c for c in costs.index if not design.arm(base, c, n).unusable]
    natural = gap(test, base, "natural", n, rule)
    return Question(
        natural,
        gap(validation, base, "natural", n, rule).value,
        {c: candidate(test, base, c, n, rule) for c in names},
        {c: candidate(validation, base, c, n, rule) for c in names},
        costs,
        _why_open(design, base, n, natural),
    )


def what_decides(
    asked: Question,
    validation: int,
    test: int,
    design: Design,
    base: str,
    n: int,
    rule: AnswerSpec,
) -> Needed | None:
    """Returns the checkpoints, or examples, that would decide; None where no estimate is made."""
    family = design.family(base, n)
    truth = truth_of(asked.natural, asked.on_test, validation, test, design.questions, family)
    units = asked.natural.units if asked.natural.units > 1 else asked.natural.draws
    return needed(truth, units, test, rule) if truth else None


def _why_open(design: Design, base: str, n: int, natural: Estimate) -> str:
    own = design.arm(base, "natural", n)
    if own.unusable:
        return f"natural draws of {base}: {own.unusable}"
    if natural.units < 2 and natural.draws < 2:
        return "one checkpoint and one draw do not tell how much others would differ"
    if natural.draws < 2:
        return "one finetuning draw does not tell how much others would differ"
    if not np.isfinite(natural.error):
        return "the gap is undefined in some models"
    return ""
