"""The question of a smallest fix: what is known of a base and n, and what is decided on it."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from jaxbias.analysis.candidates import Candidate, axes, candidate, sequences
from jaxbias.analysis.costs import by_cost, curation_of
from jaxbias.analysis.deciding import Needed, needed, truth_of
from jaxbias.analysis.design import Design
from jaxbias.analysis.estimates import Estimate
from jaxbias.analysis.evaluation import Evaluation
from jaxbias.analysis.overwriting import gap
from jaxbias.analysis.proofs import Proofs
from jaxbias.analysis.uncertainty import intervals
from jaxbias.study import AnswerSpec
from jaxbias.words import count

CONFIRMED, NONE, UNDECIDED = "confirmed", "none", "undecided"
NOTHING_TO_FIX, NO_GAP_SHOWN = "nothing to fix", "no gap shown"
COSTS = ["images_changed", "images_screened"]


@dataclasses.dataclass(frozen=True)
class Decision:
    """What is decided of one base and n.

    Attributes:
      verdict: "nothing to fix", "no gap shown", "confirmed", "none" or "undecided".
      curation: the fix; else the curation nearest to one, "" where there is none.
      tested: the curations tested on test, in order, and whether each held.
      levels: two-sided, of the intervals of gap and AUC change that confirm a fix.
    """

    verdict: str
    curation: str
    tested: tuple[tuple[str, bool], ...] = ()
    levels: tuple[float, float] | None = None


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


def answer_to(
    asked: Question, design: Design, base: str, n: int, rule: AnswerSpec
) -> tuple[Decision, str]:
    """Returns the decision on a question, and why it is open whatever the numbers."""
    if asked.reason:
        closest = nearest(asked.natural.value, asked.on_test)
        return Decision(UNDECIDED, closest), asked.reason
    planned = asked.costs.reset_index()
    decision = decide(
        asked.natural,
        asked.on_validation,
        asked.natural_on_validation,
        asked.on_test,
        asked.costs,
        axes(curation_of(arm) for arm in planned.itertuples()),
        design.questions,
        design.family(base, n),
        rule,
    )
    waiting = design.waiting(base, n)
    if waiting and decision.verdict in (CONFIRMED, NONE):
        # A cheaper one may still hold.
        reason = f"{count(waiting, 'model')} of its curations not trained yet"
        return dataclasses.replace(decision, verdict=UNDECIDED), reason
    return decision, ""


def decide(
    natural: Estimate,
    on_validation: Mapping[str, Candidate],
    natural_on_validation: float,
    on_test: Mapping[str, Candidate],
    costs: pd.DataFrame,
    doses: Sequence[list[str]],
    questions: int,
    family: int,
    rule: AnswerSpec,
) -> Decision:
    """Applies the rule.

    Where the natural draw's gap is shown to lie inside ±epsilon there is nothing to fix; where it
    is not surely different from zero, no gap is shown. Otherwise validation orders the curations
    (`sequences`) and test proves them: the first of each axis at a level that answers for its
    having been chosen among all of the axis on the same checkpoints (`chosen_level`), the error
    shared out over the axes; then dose by dose until one fails, each alone. Bounds are one-sided:
    a curation whose gap is not inside errs on one side only. A curation holds when each of
    its gaps is inside ±epsilon, its |FPR gap| no larger than natural's and its AUC change not below
    −delta. Of all that hold, the cheapest is confirmed.

    None: every curation of the family is ruled out on test, by a 90 % interval of its gap outside
    ±epsilon or of its AUC change below −delta.

    Args:
      natural: the natural draw's gap on test.
      on_validation: the curations that can be used, on validation.
      natural_on_validation: the natural draw's gap there.
      on_test: the same curations on test.
      costs: curation (the index) -> images_changed, images_screened; cheapest first.
      doses: the curations' names in order of dose, axis by axis.
      questions: how many questions share the error.
      family: curations planned, usable or not.
      rule: epsilon, delta and confidence.
    """
    alpha = (1 - rule.confidence) / questions
    (wide,) = intervals([natural], alpha)
    (narrow,) = intervals([natural], 2 * alpha)
    if narrow.within(rule.epsilon):
        return Decision(NOTHING_TO_FIX, "")
    if not (wide.low > 0 or wide.high < 0):
        return Decision(NO_GAP_SHOWN, "")
    margins = {c: one.margin(natural_on_validation, rule) for c, one in on_validation.items()}
    tests = Proofs(natural.value, on_validation, on_test, alpha, family, rule)
    plan = sequences(margins, doses, costs[COSTS])
    tested, held = tests.walk(plan, doses)
    if held:
        best = min(held, key=lambda name: tuple(costs.loc[name, COSTS]))
        gap_level, change_level = tests.levels[best][0], tests.levels[best][-1]
        return Decision(CONFIRMED, best, tuple(tested), (2 * gap_level, 2 * change_level))
    ruled_out = [c for c in on_test if tests.ruled_out(c)]
    if ruled_out and len(ruled_out) >= family:
        return Decision(NONE, nearest(natural.value, on_test), tuple(tested))
    closest = max(margins, key=margins.__getitem__) if plan else nearest(natural.value, on_test)
    return Decision(UNDECIDED, closest, tuple(tested))


def nearest(natural: float, on_test: Mapping[str, Candidate]) -> str:
    """Returns the curation with the smallest |gap|; "" where none is smaller than natural's."""
    sizes = {name: abs(one.gap.value) for name, one in on_test.items()}
    sizes = {name: size for name, size in sizes.items() if size <= abs(natural)}
    return min(sizes, key=sizes.__getitem__) if sizes else ""


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
