"""Smallest fix: the cheapest curation shown to close the gap without costing the AUC."""

import numpy as np
import pandas as pd

from jaxbias.analysis.candidates import axes
from jaxbias.analysis.costs import curation_of
from jaxbias.analysis.deciding import Needed
from jaxbias.analysis.design import Design
from jaxbias.analysis.evaluation import Evaluation
from jaxbias.analysis.evidence import evidence
from jaxbias.analysis.question import COSTS, Question, question, what_decides
from jaxbias.analysis.rules import CONFIRMED, UNDECIDED, Decision, Evidence, decide
from jaxbias.analysis.uncertainty import Interval, intervals
from jaxbias.study import AnswerSpec

_NUMBERS = [*COSTS, "oversampling", "images_for_prevalence", "images_for_correlation"]
_UNKNOWN = float("nan")


def smallest_fix(
    validation: Evaluation, test: Evaluation, design: Design, rule: AnswerSpec
) -> tuple[pd.DataFrame, list[Evidence]]:
    """Finds the smallest fix of every studied base and n of a task: see `rules.decide`.

    Returns:
      One row per studied base and n: the verdict, its curation, its costs, gap, AUC change and both
      groups' rates before and after; and what each was decided on.
    """
    rows, known = [], []
    for base, n in design.studied():
        if len(design.curations(base, n)) and (base, "natural", n) in test.places:
            asked = question(validation, test, design, base, n, rule)
            known.append(evidence(asked, design, base, n, rule))
            rows.append(_row(asked, known[-1], validation, test, design, base, n, rule))
    return pd.DataFrame(rows), known


def _row(
    asked: Question,
    known: Evidence,
    validation: Evaluation,
    test: Evaluation,
    design: Design,
    base: str,
    n: int,
    rule: AnswerSpec,
) -> dict:
    decision = decide(known, rule.epsilon, rule.delta)
    need = None
    if decision.verdict == UNDECIDED and not decision.reason and asked.on_test:
        need = what_decides(asked, validation.examples, test.examples, design, base, n, rule)
    unusable = {c: design.arm(base, c, n).unusable for c in asked.costs.index}
    return {
        "task": test.task,
        "population": test.population,
        "base": base,
        "n": n,
        **_verdict(asked, decision),
        "examples": test.examples,
        "realised_n": design.arm(base, decision.curation, n).realised_n,
        **_price(asked.costs, decision),
        **_rates(test, base, decision.curation, n),
        **_moves(asked, decision, (1 - rule.confidence) / design.questions),
        "tested": "; ".join(f"{c} {'holds' if ok else 'fails'}" for c, ok in decision.tested),
        "all_worse": bool(len(asked.on_test)) and not known.nearest,
        "unusable": "; ".join(f"{c}: {why}" for c, why in unusable.items() if why),
        "reason": decision.reason,
        **_needed(need),
    }


def _verdict(asked: Question, decision: Decision) -> dict:
    return {
        "verdict": decision.verdict,
        "curation": _fix(decision),
        "nearest": decision.curation,
        "scope": asked.natural.scope,
        "checkpoints": asked.natural.units,
        "draws": asked.natural.draws,
    }


def _fix(decision: Decision) -> str:
    """The curation that is a fix; "" where none is shown to be one."""
    return decision.curation if decision.verdict == CONFIRMED else ""


def _price(costs: pd.DataFrame, decision: Decision) -> dict:
    """What a fix costs, and the levels next to it."""
    fix = _fix(decision)
    below, above = _neighbours(costs, decision.curation)
    numbers = {name: costs.loc[fix, name] if fix else _UNKNOWN for name in _NUMBERS}
    return {**numbers, "below": below, "above": above}


def _moves(asked: Question, decision: Decision, alpha: float) -> dict:
    """The gap before and after, and the change of the AUC, with intervals."""
    after = change = Interval(_UNKNOWN, _UNKNOWN, _UNKNOWN)
    if decision.bounds:  # Those that were tested stand beside a verdict that rests on them.
        after, change = decision.bounds.gaps[0], decision.bounds.auc_change
    elif decision.curation:
        found = asked.on_test[decision.curation]
        after, change = intervals([found.gap, found.auc_change], alpha)
    (before,) = intervals([asked.natural], alpha)
    return before.named("gap_before") | after.named("gap_after") | change.named("auc_change")


def _needed(need: Needed | None) -> dict:
    return {
        "checkpoints_needed": need.checkpoints if need else _UNKNOWN,
        "examples_needed": need.examples if need else _UNKNOWN,
    }


def _neighbours(costs: pd.DataFrame, name: str) -> tuple[str, str]:
    """The next lower and higher dose planned of what has levels."""
    if not name or np.isnan(costs.loc[name, "level"]):
        return "", ""
    doses = axes(curation_of(arm) for arm in costs.reset_index().itertuples())
    axis = ["", *next(axis for axis in doses if name in axis), ""]
    at = axis.index(name)
    return axis[at - 1], axis[at + 1]


def _rates(test: Evaluation, base: str, after: str, n: int) -> dict[str, float]:
    """Both groups' rates before and after, so that levelling down shows."""
    return {
        f"{metric}_{place}_{when}": test.panel(metric, base, curation, n, group).mean
        if curation
        else float("nan")
        for metric in ("fpr", "tpr")
        for place, group in zip(("first", "second"), test.cells.group_names, strict=True)
        for when, curation in (("before", "natural"), ("after", after))
    }
