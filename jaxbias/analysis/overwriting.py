"""Overwritten? Gap and AUC of every curation, against the natural draw of the same base."""

from collections.abc import Sequence

import pandas as pd

from jaxbias.analysis import rules
from jaxbias.analysis.design import Design
from jaxbias.analysis.estimates import Estimate, difference, estimate
from jaxbias.analysis.evaluation import Evaluation
from jaxbias.analysis.panels import Panel, paired
from jaxbias.analysis.uncertainty import Interval, intervals, simultaneous_level
from jaxbias.study import STUDIED, AnswerSpec

GAP = "fpr_gap"
_CURVES = ("auc", "fpr_gap", "tpr_gap", "auc_gap", "worst_group_accuracy", "accuracy")
_CURVES_BY_GROUP = ("fpr", "tpr", "auc")


def curves(evaluation: Evaluation, design: Design, rule: AnswerSpec) -> pd.DataFrame:
    """Returns every arm's metrics, each with an interval of its own: one row each."""
    wanted = [(metric, "all") for metric in _CURVES]
    wanted += [(m, group) for m in _CURVES_BY_GROUP for group in evaluation.cells.group_names]
    rows, found = [], []
    for arm in evaluation.arms().itertuples():
        settings = _arm(evaluation, design, arm)
        for metric, group in wanted:
            found.append(estimate(evaluation.panel(metric, arm.base, arm.curation, arm.n, group)))
            rows.append(settings | {"metric": metric, "group": group})
    bounds = intervals(found, 1 - rule.confidence)
    for row, one in zip(rows, bounds, strict=True):
        row |= {"value": one.value, "low": one.low, "high": one.high}
    return pd.DataFrame(rows)


def overwritten(evaluation: Evaluation, design: Design, rule: AnswerSpec) -> pd.DataFrame:
    """Gives a verdict on every arm.

    "no gap": the interval of the signed FPR gap lies inside ±epsilon; "gap": it lies outside;
    "undecided": neither; "degenerate" and "not trained" arms get no other verdict. Intervals of a
    base's curations hold together, for all questions of the study: over all curations planned and
    both sides. The natural draw's is of itself.
    """
    rows = []
    for (base, n), arms in evaluation.arms().groupby(["base", "n"], sort=False):
        rows += of_base(evaluation, design, base, int(n), arms, rule)
    return pd.DataFrame(rows)


def gap(
    evaluation: Evaluation, base: str, curation: str, n: int, rule: AnswerSpec, metric: str = GAP
) -> Estimate:
    """Estimates the gap the rules are about: the signed one, or its excess over a control's."""
    own = evaluation.panel(metric, base, curation, n)
    if not rule.relative_to:
        return estimate(own)
    return difference(own, evaluation.panel(metric, rule.relative_to, curation, n))


def auc_change(evaluation: Evaluation, base: str, curation: str, n: int) -> Estimate:
    """Estimates the change of the AUC from the natural draw of the same base."""
    after = evaluation.panel("auc", base, curation, n)
    return difference(after, evaluation.panel("auc", base, "natural", n))


def gap_reduction(before: Panel, after: Panel) -> Estimate:
    """Estimates |mean gap before| − |mean gap after| with the signs of the means held fixed.

    Where the true gap after is near zero its size is overstated, so the reduction is conservative;
    that of a gap before which is not surely there is not, and is not stated.
    """
    signs = [1.0 if panel.mean >= 0 else -1.0 for panel in (before, after)]
    return difference(before.times(signs[0]), after.times(signs[1]))


def of_base(
    evaluation: Evaluation, design: Design, base: str, n: int, arms: pd.DataFrame, rule: AnswerSpec
) -> list[dict]:
    """Returns the rows of one base and n, whose arms these are."""
    alpha = (1 - rule.confidence) / design.questions
    natural = gap(evaluation, base, "natural", n, rule)
    (own,) = intervals([natural], alpha)
    sure = own.low > 0 or own.high < 0
    before = evaluation.panel(GAP, base, "natural", n)
    tried = arms[arms["curation"] != "natural"]
    names = tried["curation"].tolist()
    gaps = [gap(evaluation, base, name, n, rule) for name in names]
    changes = [auc_change(evaluation, base, name, n) for name in names]
    cuts = [gap_reduction(before, evaluation.panel(GAP, base, name, n)) for name in names]
    family = max(design.family(base, n), len(names))
    together = [_together(found, alpha, family) for found in (gaps, changes, cuts)]
    rows = []
    for arm in arms[arms["curation"] == "natural"].itertuples():
        auc = estimate(evaluation.panel("auc", base, "natural", n)).value
        rows.append(_row(evaluation, design, arm, own, auc, rule))
    for arm, interval, change, cut in zip(tried.itertuples(), *together, strict=True):
        auc = estimate(evaluation.panel("auc", base, arm.curation, n)).value
        row = _row(evaluation, design, arm, interval, auc, rule)
        rows.append(row | change.named("auc_change"))
        if sure and not rule.relative_to and paired(before, before) is not None:
            rows[-1] |= cut.named("gap_reduction")
    return rows


def _together(found: Sequence[Estimate], alpha: float, family: int) -> list[Interval]:
    return intervals(found, simultaneous_level(found, alpha, family)) if found else []


def _row(
    evaluation: Evaluation,
    design: Design,
    arm: tuple,
    interval: Interval,
    auc: float,
    rule: AnswerSpec,
) -> dict:
    standing = design.arm(arm.base, arm.curation, arm.n)
    verdict = rules.overwritten(interval, rule.epsilon)
    if standing.unusable:
        verdict = "degenerate" if standing.marked else "not trained"
    nothing = Interval(float("nan"), float("nan"), float("nan"))
    return {
        **_arm(evaluation, design, arm),
        **interval.named("gap"),
        "auc": auc,
        **nothing.named("auc_change"),
        **nothing.named("gap_reduction"),
        "waiting": design.waiting(arm.base, arm.n),
        "verdict": verdict,
    }


def _arm(evaluation: Evaluation, design: Design, arm: tuple) -> dict:
    standing = design.arm(arm.base, arm.curation, arm.n)
    panel = evaluation.panel("auc", arm.base, arm.curation, arm.n)
    return {
        "task": evaluation.task,
        "population": evaluation.population,
        "base": arm.base,
        "role": arm.role,
        "curation": arm.curation,
        "kind": arm.kind,
        "level": arm.level,
        "n": arm.n,
        "realised_n": standing.realised_n,
        "checkpoints": len(set(panel.units)),
        "draws": len(set(panel.draws)),
        "marked": standing.marked,
    }


def best_cut(rows: pd.DataFrame) -> pd.Series | None:
    """Returns the largest of the cuts of |gap| that are sure, or None.

    Marked arms have none, and nothing is the largest while others are not trained yet.
    """
    whole = (rows["waiting"] == 0) & (rows["marked"] == "")
    surely = rows[(rows["gap_reduction_low"] > 0) & whole]
    return surely.loc[surely["gap_reduction"].idxmax()] if len(surely) else None


def studied_curations(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of the studied bases' curations, the natural draw left out."""
    return table[table["role"].isin(STUDIED) & (table["curation"] != "natural")]
