"""Overwritten? Gap and AUC of every curation, against the natural draw of the same base."""

import pandas as pd

from jaxbias.analysis.evaluation import Evaluation, Interval, Panel
from jaxbias.study import STUDIED, AnswerSpec

_CURVES = ("auc", "fpr_gap", "tpr_gap", "auc_gap", "worst_group_accuracy", "accuracy")
_CURVES_BY_GROUP = ("fpr", "tpr", "auc")


def curves(evaluation: Evaluation, rule: AnswerSpec) -> pd.DataFrame:
    """Returns every arm's metrics with intervals over repeats and examples: one row each."""
    wanted = [(metric, "all") for metric in _CURVES]
    wanted += [(m, group) for m in _CURVES_BY_GROUP for group in evaluation.cells.group_names]
    rows = []
    for arm in evaluation.arms().itertuples():
        for metric, group in wanted:
            panel = evaluation.panel(metric, arm.base, arm.curation, arm.n, group)
            interval = panel.interval(rule.confidence)
            rows.append(
                {
                    "task": evaluation.task,
                    "population": evaluation.population,
                    "base": arm.base,
                    "role": arm.role,
                    "curation": arm.curation,
                    "kind": arm.kind,
                    "level": arm.level,
                    "n": arm.n,
                    "metric": metric,
                    "group": group,
                    "value": interval.value,
                    "low": interval.low,
                    "high": interval.high,
                    "repeats": interval.repeats,
                }
            )
    return pd.DataFrame(rows)


def overwritten(evaluation: Evaluation, rule: AnswerSpec) -> pd.DataFrame:
    """Gives a verdict on every arm.

    "no gap": the 90 % interval of the signed FPR gap lies inside ±epsilon (two one-sided tests
    at 5 %); "gap": it lies outside; else "undecided".
    """
    rows = []
    for arm in evaluation.arms().itertuples():
        gap = evaluation.panel("fpr_gap", arm.base, arm.curation, arm.n)
        gap_before = evaluation.panel("fpr_gap", arm.base, "natural", arm.n)
        auc = evaluation.panel("auc", arm.base, arm.curation, arm.n)
        change = auc - evaluation.panel("auc", arm.base, "natural", arm.n)
        equivalence = gap.interval(equivalence_confidence(rule))
        auc_change = change.interval(rule.confidence)
        reduction = gap_reduction(gap_before, gap).interval(rule.confidence)
        rows.append(
            {
                "task": evaluation.task,
                "population": evaluation.population,
                "base": arm.base,
                "role": arm.role,
                "curation": arm.curation,
                "kind": arm.kind,
                "level": arm.level,
                "n": arm.n,
                "repeats": equivalence.repeats,
                "gap": equivalence.value,
                "gap_low": equivalence.low,
                "gap_high": equivalence.high,
                "auc": auc.mean,
                "auc_change": auc_change.value,
                "auc_change_low": auc_change.low,
                "auc_change_high": auc_change.high,
                "gap_reduction": reduction.value,
                "gap_reduction_low": reduction.low,
                "gap_reduction_high": reduction.high,
                "verdict": gap_verdict(equivalence, rule),
            }
        )
    return pd.DataFrame(rows)


def equivalence_confidence(rule: AnswerSpec) -> float:
    """Two one-sided tests at level a are an interval of confidence 1 - 2a (Schuirmann, 1987)."""
    return 1 - 2 * (1 - rule.confidence)


def gap_verdict(interval: Interval, rule: AnswerSpec) -> str:
    """Returns "no gap", "gap" or "undecided" of an equivalence interval."""
    if interval.within(rule.epsilon):
        return "no gap"
    return "gap" if interval.outside(rule.epsilon) else "undecided"


def gap_reduction(before: Panel, after: Panel) -> Panel:
    """Returns |mean gap before| - |mean gap after| with the signs of the means held fixed.

    Where the true gap after is near zero its size is overstated, so the reduction is conservative.
    """
    signs = [1.0 if panel.mean >= 0 else -1.0 for panel in (before, after)]
    return before.times(signs[0]) - after.times(signs[1])


def sentences(table: pd.DataFrame, rule: AnswerSpec) -> list[str]:
    """Says per task and studied base which curations close the gap."""
    said = []
    studied = table[table["role"].isin(STUDIED) & (table["curation"] != "natural")]
    for (task, base, n), rows in studied.groupby(["task", "base", "n"], sort=False):
        closed = rows.loc[rows["verdict"] == "no gap", "curation"].tolist()
        surely = rows[rows["gap_reduction_low"] > 0]
        text = f"Overwritten ({task}, {base}, n={n}): "
        text += (
            f"the FPR gap is inside ±{rule.epsilon:g} with {', '.join(closed)}"
            if closed
            else f"no curation is shown to bring the FPR gap inside ±{rule.epsilon:g}"
        )
        if len(surely):
            best = surely.loc[surely["gap_reduction"].idxmax()]
            text += (
                f"; the largest sure cut is {best['curation']}: |gap| smaller by "
                f"{best['gap_reduction']:.3f} [{best['gap_reduction_low']:+.3f}, "
                f"{best['gap_reduction_high']:+.3f}] with AUC {best['auc_change']:+.3f} "
                f"[{best['auc_change_low']:+.3f}, {best['auc_change_high']:+.3f}]"
            )
        said.append(text + ".")
    return said
