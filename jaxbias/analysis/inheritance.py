"""Inherited? The studied base's gap beyond each control's, on natural draws."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from jaxbias.analysis import rules
from jaxbias.analysis.design import Design
from jaxbias.analysis.estimates import Estimate, difference
from jaxbias.analysis.evaluation import Evaluation
from jaxbias.analysis.overwriting import GAP
from jaxbias.analysis.panels import CHECKPOINT, KIND
from jaxbias.analysis.uncertainty import intervals, p_value
from jaxbias.curation import Cells
from jaxbias.study import STUDIED, AnswerSpec
from jaxbias.words import count


@dataclasses.dataclass(frozen=True)
class Direction:
    """Where the labels of the training split correlate with the group.

    Attributes:
      sign: +1 where positives are more frequent in the first group, else −1.
      sure: whether that is so at 95 %; else bias in both directions is looked for.
    """

    sign: int
    sure: bool


def direction(cells: Cells, counts: np.ndarray) -> Direction:
    """Tells the direction of the labels' correlation.

    Args:
      cells: the task's cells.
      counts: int64[C], examples of each in the training split.
    """
    sides = [
        np.array([[counts[(cells.groups == g) & (cells.targets == y)].sum()] for y in (0, 1)])
        for g in (0, 1)
    ]
    table = np.hstack(sides).astype(np.float64)  # [class, group]
    sums = table.sum(axis=0)
    if (sums == 0).any():
        return Direction(1, False)
    first, second = table[1] / sums
    sign = 1 if first >= second else -1
    if (table.sum(axis=1) == 0).any():
        return Direction(sign, False)
    from scipy import stats  # Takes a second or more to import.

    return Direction(sign, bool(stats.chi2_contingency(table, correction=False).pvalue < 0.05))


def excess_gaps(evaluation: Evaluation, sign: int, rule: AnswerSpec) -> pd.DataFrame:
    """Compares each studied base with every control and scratch, at every curation.

    The difference is signed in the direction of the bias: positive means that the studied base
    leaves more of it. Intervals are of each comparison alone.
    """
    arms = evaluation.arms()
    is_studied = arms["role"].isin(STUDIED)
    others: dict[tuple[str, int], list] = {}
    for other in arms[~is_studied].itertuples():
        others.setdefault((other.curation, other.n), []).append(other)
    rows, found = [], []
    for studied in arms[is_studied].itertuples():
        for other in others.get((studied.curation, studied.n), ()):
            found.append(_excess(evaluation, studied.base, other.base, studied.curation, studied.n))
            rows.append(
                {
                    "task": evaluation.task,
                    "population": evaluation.population,
                    "base": studied.base,
                    "against": other.base,
                    "curation": studied.curation,
                    "level": studied.level,
                    "n": studied.n,
                    "metric": GAP,
                    "direction": sign,
                }
            )
    for row, one, single in zip(rows, found, intervals(found, 1 - rule.confidence), strict=True):
        low, high = sorted((sign * single.low, sign * single.high))
        row |= {"difference": sign * single.value, "low": low, "high": high}
        row |= {"scope": one.scope, "checkpoints": one.units, "draws": one.draws}
    return pd.DataFrame(rows)


def inherited(
    evaluation: Evaluation, design: Design, towards: Direction, rule: AnswerSpec
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Applies `rules.inherited` to the natural draws of a task.

    Against every control and scratch, with all questions of the study answered for (Bonferroni).

    Args:
      evaluation: the task's, on test.
      design: what was planned.
      towards: the direction of the labels' correlation.
      rule: epsilon and confidence.

    Returns:
      The comparisons, and one verdict per base and n.
    """
    comparisons, verdicts = [], []
    for base, n in design.studied():
        if base in design.bases(n):  # Else no natural draw was planned of it.
            rows, verdict = of_base(evaluation, design, base, n, towards, rule)
            comparisons += rows
            verdicts.append(verdict)
    return pd.DataFrame(comparisons), pd.DataFrame(verdicts)


def of_base(
    evaluation: Evaluation,
    design: Design,
    base: str,
    n: int,
    towards: Direction,
    rule: AnswerSpec,
) -> tuple[list[dict], dict]:
    """Returns the comparisons of one studied base and n, and the verdict."""
    bases = design.bases(n)
    rows, found, out = [], [], []
    for other, role in bases.items():
        if role in STUDIED:
            continue
        reason = design.arm(other, "natural", n).unusable
        if reason:
            out.append((other, reason))
            continue
        found.append(_excess(evaluation, base, other, "natural", n))
        rows.append(_comparison(evaluation, base, other, role, n))
    rows = _with_intervals(rows, found, design.questions, towards, rule)
    open_reason = _why_open(design, base, n, bases, rows, out)
    said = [f"{name}: {why}" for name, why in out]
    return rows, {
        "task": evaluation.task,
        "population": evaluation.population,
        "base": base,
        "n": n,
        "direction": towards.sign,
        "direction_sure": towards.sure,
        "verdict": "undecided"
        if open_reason
        else rules.inherited(rows, towards.sure, rule.epsilon),
        "scope": CHECKPOINT if any(row["scope"] == CHECKPOINT for row in rows) else KIND,
        "p_value": max((row["p_family"] for row in rows), default=1.0),
        "questions": design.questions,
        "reason": open_reason,
        "left_out": "; ".join(text for text in said if text not in open_reason),
        "lost": _lost(design, [base, *(row["against"] for row in rows)], n),
    }


def _excess(evaluation: Evaluation, base: str, other: str, curation: str, n: int) -> Estimate:
    mine = evaluation.panel(GAP, base, curation, n)
    return difference(mine, evaluation.panel(GAP, other, curation, n))


def _comparison(evaluation: Evaluation, base: str, other: str, role: str, n: int) -> dict:
    return {
        "task": evaluation.task,
        "population": evaluation.population,
        "base": base,
        "against": other,
        "role": role,
        "curation": "natural",
        "n": n,
        "metric": GAP,
        "gap": evaluation.panel(GAP, base, "natural", n).mean,
        "gap_against": evaluation.panel(GAP, other, "natural", n).mean,
    }


def _with_intervals(
    rows: list[dict],
    found: Sequence[Estimate],
    questions: int,
    towards: Direction,
    rule: AnswerSpec,
) -> list[dict]:
    """Adds the differences, signed in the direction of the bias, and their intervals."""
    alpha, sign = 1 - rule.confidence, towards.sign
    # Alone; for all questions together; and for "no", whose test is one-sided.
    levels = {"": alpha, "_family": alpha / questions, "_no": 2 * alpha / questions}
    bounds = {suffix: intervals(found, level) for suffix, level in levels.items()}
    for i, (row, one) in enumerate(zip(rows, found, strict=True)):
        row |= {
            "direction": sign,
            "difference": sign * one.value,
            "scope": one.scope,
            "checkpoints": one.units,
            "draws": one.draws,
        }
        for suffix, those in bounds.items():
            low, high = sorted((sign * those[i].low, sign * those[i].high))
            row |= {f"low{suffix}": low, f"high{suffix}": high}
        row["p_value"] = p_value(one)
        wrong = towards.sure and row["difference"] < 0
        row["p_family"] = 1.0 if wrong else min(row["p_value"] * questions, 1.0)
    return rows


def _why_open(
    design: Design,
    base: str,
    n: int,
    bases: dict[str, str],
    rows: Sequence[dict],
    out: Sequence[tuple[str, str]],
) -> str:
    """Why no verdict can be given, whatever the numbers; "" where one can."""
    own = design.arm(base, "natural", n)
    if own.unusable:
        return f"{base}: {own.unusable}"
    waiting = [f"{name}: {why}" for name, why in out if design.arm(name, "natural", n).waiting]
    if waiting:
        return "; ".join(waiting)
    others = {name: role for name, role in bases.items() if role not in STUDIED}
    if not others:
        return "there is no control and no scratch to compare with"
    controls = "control" in others.values()
    left = {row["role"] for row in rows}
    if len(rows) < len(others) / 2 or (controls and "control" not in left):
        return f"{len(rows)} of {count(len(others), 'base')} to compare with can be used"
    if any(row["checkpoints"] < 2 and row["draws"] < 2 for row in rows):
        return "one checkpoint and one draw do not tell how much others would differ"
    if any(row["draws"] < 2 for row in rows):
        return "one finetuning draw does not tell how much others would differ"
    if not np.isfinite([(row["low"], row["high"]) for row in rows]).all():
        return "the gap is undefined in some models"
    return ""


def _lost(design: Design, bases: Sequence[str], n: int) -> str:
    """Names the checkpoints that no model of a comparison is left of."""
    parts = []
    for name in bases:
        lost = design.arm(name, "natural", n).lost
        if lost:
            parts.append(f"{name} {', '.join(map(str, lost))}")
    return "; ".join(parts)
