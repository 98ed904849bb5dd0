"""Inherited? The studied base's gap beyond each control's, on natural draws."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from jaxbias.analysis.design import Design
from jaxbias.analysis.evaluation import Evaluation
from jaxbias.analysis.panels import CHECKPOINT, Estimate, difference
from jaxbias.analysis.uncertainty import intervals, p_value
from jaxbias.curation import Cells
from jaxbias.study import STUDIED, AnswerSpec
from jaxbias.words import count

METRIC = "fpr_gap"


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
    return Direction(sign, bool(stats.chi2_contingency(table, correction=False).pvalue < 0.05))


def excess_gaps(evaluation: Evaluation, sign: int, rule: AnswerSpec) -> pd.DataFrame:
    """Compares each studied base with every control and scratch, at every curation.

    The difference is signed in the direction of the bias: positive means that the studied base
    leaves more of it. Intervals are of each comparison alone.
    """
    arms = evaluation.arms()
    rows, found = [], []
    for studied in arms[arms["role"].isin(STUDIED)].itertuples():
        others = arms[~arms["role"].isin(STUDIED) & (arms["n"] == studied.n)]
        for other in others[others["curation"] == studied.curation].itertuples():
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
                    "metric": METRIC,
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
    """Applies the rule to the natural draws of a task.

    Against every control and scratch, with all questions of the study answered for (Bonferroni):
    yes: every lower bound is above zero (two-sided at the confidence); practically none: yes, and
    every upper bound (one-sided at the confidence) is below epsilon; reversed: every upper bound is
    below zero; no: every upper bound (one-sided) is below epsilon; else undecided.

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
        bases = design.bases(n)
        if base not in bases:  # No natural draw was planned of it.
            continue
        rows, found, out = [], [], []
        for other, role in bases.items():
            if role in STUDIED:
                continue
            reason = design.arm(other, "natural", n).unusable
            if reason:
                out.append((other, role, reason))
                continue
            found.append(_excess(evaluation, base, other, "natural", n))
            rows.append(_comparison(evaluation, base, other, role, n))
        table = _with_intervals(pd.DataFrame(rows), found, design.questions, towards, rule)
        open_reason = _why_open(design, base, n, bases, table, out)
        verdict = "undecided" if open_reason else _verdict(table, towards, rule)
        comparisons.append(table)
        verdicts.append(
            {
                "task": evaluation.task,
                "population": evaluation.population,
                "base": base,
                "n": n,
                "direction": towards.sign,
                "direction_sure": towards.sure,
                "verdict": verdict,
                "scope": CHECKPOINT if CHECKPOINT in set(table.get("scope", ())) else "kind",
                "p_value": float(table["p_family"].max()) if len(table) else 1.0,
                "questions": design.questions,
                "reason": open_reason,
                "left_out": "; ".join(
                    f"{name}: {why}" for name, _, why in out if f"{name}: {why}" not in open_reason
                ),
                "lost": _lost(design, [base, *table.get("against", [])], n),
            }
        )
    tables = [table for table in comparisons if len(table)]
    joined = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    return joined, pd.DataFrame(verdicts)


def _excess(evaluation: Evaluation, base: str, other: str, curation: str, n: int) -> Estimate:
    mine = evaluation.panel(METRIC, base, curation, n)
    return difference(mine, evaluation.panel(METRIC, other, curation, n))


def _comparison(evaluation: Evaluation, base: str, other: str, role: str, n: int) -> dict:
    return {
        "task": evaluation.task,
        "population": evaluation.population,
        "base": base,
        "against": other,
        "role": role,
        "curation": "natural",
        "n": n,
        "metric": METRIC,
        "gap": evaluation.panel(METRIC, base, "natural", n).mean,
        "gap_against": evaluation.panel(METRIC, other, "natural", n).mean,
    }


def _with_intervals(
    rows: pd.DataFrame,
    found: Sequence[Estimate],
    questions: int,
    towards: Direction,
    rule: AnswerSpec,
) -> pd.DataFrame:
    """Adds the differences, signed in the direction of the bias, and their intervals."""
    if rows.empty:
        return rows
    alpha, sign = 1 - rule.confidence, towards.sign
    table = rows.assign(
        direction=sign,
        difference=[sign * one.value for one in found],
        scope=[one.scope for one in found],
        checkpoints=[one.units for one in found],
        draws=[one.draws for one in found],
        examples=[one.example_variance for one in found],
    ).drop(columns="examples")
    # Alone; for all questions together; and for "no", whose test is one-sided.
    for suffix, level in (
        ("", alpha),
        ("_family", alpha / questions),
        ("_no", 2 * alpha / questions),
    ):
        bounds = [sorted((sign * i.low, sign * i.high)) for i in intervals(found, level)]
        table[f"low{suffix}"] = [low for low, _ in bounds]
        table[f"high{suffix}"] = [high for _, high in bounds]
    table["p_value"] = [p_value(one) for one in found]
    table["p_family"] = np.minimum(table["p_value"] * questions, 1.0)
    wrong = (table["difference"] < 0) & towards.sure
    table["p_family"] = np.where(wrong, 1.0, table["p_family"])
    return table


def _why_open(
    design: Design,
    base: str,
    n: int,
    bases: dict[str, str],
    table: pd.DataFrame,
    out: Sequence[tuple[str, str, str]],
) -> str:
    """Why no verdict can be given, whatever the numbers; "" where one can."""
    own = design.arm(base, "natural", n)
    if own.unusable:
        return f"{base}: {own.unusable}"
    waiting = [f"{name}: {why}" for name, _, why in out if design.arm(name, "natural", n).waiting]
    if waiting:
        return "; ".join(waiting)
    others = {name: role for name, role in bases.items() if role not in STUDIED}
    if not others:
        return "there is no control and no scratch to compare with"
    controls = [name for name, role in others.items() if role == "control"]
    left = len(table)
    if left < len(others) / 2 or (controls and "control" not in set(table.get("role", ()))):
        return f"{left} of {count(len(others), 'base')} to compare with can be used"
    few = table[(table["checkpoints"] < 2) & (table["draws"] < 2)]
    if len(few):
        return "one checkpoint and one draw do not tell how much others would differ"
    few = table[table["draws"] < 2]
    if len(few):
        return "one finetuning draw does not tell how much others would differ"
    if not np.isfinite(table[["low", "high"]].to_numpy()).all():
        return "the gap is undefined in some models"
    return ""


def _verdict(table: pd.DataFrame, towards: Direction, rule: AnswerSpec) -> str:
    above = bool((table["low_family"] > 0).all())
    below = bool((table["high_family"] < 0).all())
    close = bool((table["high_no"] < rule.epsilon).all())
    if not towards.sure:  # Bias in both directions is looked for, so "no" excludes both.
        close &= bool((table["low_no"] > -rule.epsilon).all())
        above, below = above or below, False
    if above:
        return "practically none" if close else "yes"
    if below:
        return "reversed"
    return "no" if close else "undecided"


def _lost(design: Design, bases: Sequence[str], n: int) -> str:
    """Names the checkpoints that no model of a comparison is left of."""
    parts = []
    for name in bases:
        lost = design.arm(name, "natural", n).lost
        if lost:
            parts.append(f"{name} {', '.join(map(str, lost))}")
    return "; ".join(parts)
