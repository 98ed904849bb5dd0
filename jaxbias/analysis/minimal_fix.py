"""Smallest fix: the cheapest curation shown to close the gap without costing the AUC."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from jaxbias.analysis.evaluation import Evaluation, Interval, Panel
from jaxbias.analysis.overwriting import equivalence_confidence, gap_verdict
from jaxbias.curation import Cells, quotas
from jaxbias.study import AnswerSpec, Curation


def cost(curation: Curation, cells: Cells, n: int) -> dict[str, float]:
    """Returns what a curation of n images costs, against a natural draw of n.

    Args:
      curation: the rule.
      cells: the task's cells with their natural shares.
      n: finetuning images.

    Returns:
      images_changed: images that a natural draw would not have held, Σ max(q - n·p, 0), which is
        ½Σ|q - n·p| where the size stays n; images_screened: natural images to look through until
        the scarcest cell is full, max q/p; oversampling: largest q/(n·p).
    """
    q = quotas(curation, cells, n).astype(np.float64)
    expected = n * cells.shares
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(q > 0, q / cells.shares, 0.0)
    return {
        "images_changed": float(np.maximum(q - expected, 0).sum()),
        "images_screened": float(ratio.max()),
        "oversampling": float(ratio.max() / n),
    }


def by_cost(arms: pd.DataFrame, cells: Cells, n: int) -> pd.DataFrame:
    """Returns arms with what their curations cost, the one that changes the fewest images first."""
    costs = [cost(_curation(arm), cells, n) for arm in arms.itertuples()]
    return arms.assign(**pd.DataFrame(costs, index=arms.index)).sort_values(
        "images_changed", kind="stable"
    )


def smallest_fix(
    validation: Evaluation,
    test: Evaluation,
    rule: AnswerSpec,
    screened: Mapping[tuple[str, int], int] | None = None,
) -> pd.DataFrame:
    """Chooses on validation, reports on test.

    A curation qualifies when, at a confidence shared out over all that were tried (Bonferroni),
    its signed FPR gap lies inside ±epsilon and its paired AUC change from the natural draw of the
    same base is above -delta. The qualifying curation that changes the fewest images is chosen,
    and tested once on the test examples.

    Args:
      validation: evaluation of the variants on the validation split.
      test: the same variants on the test split.
      rule: epsilon, delta and confidence.
      screened: per base and n, from how many curations a screen picked those evaluated here. All
        of them share the confidence, so that however it picked, the choice is as sure.

    Returns:
      One row per studied base and n.
    """
    arms = test.arms()
    studied = arms[(arms["role"] == "studied") & (arms["curation"] != "natural")]
    rows = []
    for (base, n), family in studied.groupby(["base", "n"], sort=False):
        tried = by_cost(family, test.cells, n)
        count = max(len(tried), (screened or {}).get((base, n), 0))
        qualifying = [
            arm
            for arm in tried.itertuples()
            if qualifies(validation, base, arm.curation, n, rule, count)
        ]
        row = {"task": test.task, "population": test.population, "base": base, "n": n}
        if qualifying:
            row |= _chosen(test, base, qualifying[0], tried, n, rule)
        else:
            row |= _none(validation, test, base, tried, count, n, rule)
        rows.append(row)
    return pd.DataFrame(rows)


def qualifies(
    evaluation: Evaluation, base: str, curation: str, n: int, rule: AnswerSpec, tried: int
) -> bool:
    """Whether a curation is shown to be a fix, at the confidence left to one of all tried."""
    gap, change = _simultaneous(evaluation, base, curation, n, rule, tried)
    return gap.within(rule.epsilon) and change.low >= -rule.delta


def _simultaneous(
    evaluation: Evaluation, base: str, curation: str, n: int, rule: AnswerSpec, tried: int
) -> tuple[Interval, Interval]:
    """Gap and AUC change at the confidence left to one of all that were tried."""
    confidence = 1 - 2 * (1 - rule.confidence) / tried
    gap = evaluation.panel("fpr_gap", base, curation, n).interval(confidence)
    return gap, _auc_change(evaluation, base, curation, n, confidence)


def _auc_change(
    evaluation: Evaluation, base: str, curation: str, n: int, confidence: float
) -> Interval:
    after = evaluation.panel("auc", base, curation, n)
    return (after - evaluation.panel("auc", base, "natural", n)).interval(confidence)


def _chosen(
    test: Evaluation, base: str, arm: tuple, tried: pd.DataFrame, n: int, rule: AnswerSpec
) -> dict:
    gap = test.panel("fpr_gap", base, arm.curation, n).interval(equivalence_confidence(rule))
    change = _auc_change(test, base, arm.curation, n, equivalence_confidence(rule))
    holds = gap.within(rule.epsilon) and change.low >= -rule.delta
    verdict = "confirmed" if holds else "not confirmed"
    below, above = _bracket(tried, arm)
    before = test.panel("fpr_gap", base, "natural", n).mean
    rates = _rates(test, base, arm.curation, n)
    first, second = test.cells.group_names
    sentence = (
        f"Smallest fix ({test.task}, {base}, n={n}), chosen on validation and {verdict} on test: "
        f"{arm.curation} changes {arm.images_changed:.0f} of {n} images (about "
        f"{arm.images_screened:,.0f} natural images must be screened, the scarcest cell is "
        f"oversampled {arm.oversampling:.1f}×); FPR gap {before:+.3f} → {gap.value:+.3f} "
        f"[{gap.low:+.3f}, {gap.high:+.3f}], AUC {change.value:+.3f} "
        f"[{change.low:+.3f}, {change.high:+.3f}]; FPR {first} "
        f"{rates['fpr_first_before']:.3f} → {rates['fpr_first_after']:.3f}, {second} "
        f"{rates['fpr_second_before']:.3f} → {rates['fpr_second_after']:.3f}; TPR {first} "
        f"{rates['tpr_first_before']:.3f} → {rates['tpr_first_after']:.3f}, {second} "
        f"{rates['tpr_second_before']:.3f} → {rates['tpr_second_after']:.3f}"
        f"{_bracket_words(test, base, n, below, above)}."
    )
    return {
        "curation": arm.curation,
        "verdict": verdict,
        "sentence": sentence,
        **{
            name: getattr(arm, name)
            for name in ("images_changed", "images_screened", "oversampling")
        },
        "below": below,
        "above": above,
        **rates,
        "gap_before": before,
        "gap_after": gap.value,
        "gap_after_low": gap.low,
        "gap_after_high": gap.high,
        "auc_change": change.value,
        "auc_change_low": change.low,
        "auc_change_high": change.high,
    }


def _none(
    validation: Evaluation,
    test: Evaluation,
    base: str,
    tried: pd.DataFrame,
    count: int,
    n: int,
    rule: AnswerSpec,
) -> dict:
    """None of those tried, or undecided where intervals are wider than ±epsilon could hold."""
    confidence = equivalence_confidence(rule)
    gaps = {c: test.panel("fpr_gap", base, c, n) for c in tried["curation"]}
    intervals = {c: panel.interval(confidence) for c, panel in gaps.items()}
    nearest = min(intervals, key=lambda c: abs(intervals[c].value))
    interval = intervals[nearest]
    open_ones = [c for c, i in intervals.items() if gap_verdict(i, rule) != "gap"]
    verdict = "undecided" if open_ones else "none of those tried"
    change = _auc_change(test, base, nearest, n, confidence)
    sentence = (
        f"Smallest fix ({test.task}, {base}, n={n}): {verdict}. Nearest to no gap is {nearest}: "
        f"FPR gap {interval.value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}], AUC "
        f"{change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}]"
    )
    if verdict == "undecided" and interval.within(rule.epsilon):
        held, cost_held = _simultaneous(validation, base, nearest, n, rule, count)
        sentence += (
            f"; it could not be chosen, because on validation, with {count} curations to "
            f"answer for, its gap is [{held.low:+.3f}, {held.high:+.3f}] and its AUC change at "
            f"least {cost_held.low:+.3f} (allowed: ±{rule.epsilon:g} and {-rule.delta:+g})"
        )
    elif verdict == "undecided":
        sentence += "; " + _to_decide(gaps[nearest], interval, test.examples, rule)
    arm = next(a for a in tried.itertuples() if a.curation == nearest)
    below, above = _bracket(tried, arm)
    return {
        "curation": "",
        "verdict": verdict,
        "sentence": sentence + ".",
        "images_changed": float("nan"),
        "images_screened": float("nan"),
        "oversampling": float("nan"),
        "below": below,
        "above": above,
        **_rates(test, base, nearest, n),
        "nearest": nearest,
        "gap_before": test.panel("fpr_gap", base, "natural", n).mean,
        "gap_after": interval.value,
        "gap_after_low": interval.low,
        "gap_after_high": interval.high,
        "auc_change": change.value,
        "auc_change_low": change.low,
        "auc_change_high": change.high,
    }


def _to_decide(panel: Panel, interval: Interval, examples: int, rule: AnswerSpec) -> str:
    """Says what would narrow the interval to ±epsilon: more examples, or more repeats."""
    if interval.half_width < rule.epsilon:
        return f"its interval reaches beyond ±{rule.epsilon:g}"
    if len(panel.values) < 2:
        return "one repeat says nothing of how much repeats differ: three or more would"
    critical = stats.norm.ppf(rule.confidence)
    spare = (rule.epsilon / critical) ** 2 - panel.repeat_variance
    if not spare > 0:
        repeats = math.ceil(
            len(panel.values)
            * (panel.repeat_variance + panel.example_variance)
            * (critical / rule.epsilon) ** 2
        )
        return (
            f"its interval is ±{interval.half_width:.3f}, wider than ±{rule.epsilon:g}, mostly "
            f"from repeats: about {max(repeats, len(panel.values) + 1)} repeats would decide it"
        )
    needed = math.ceil(examples * panel.example_variance / spare)
    if needed <= examples:
        return (
            f"its interval is ±{interval.half_width:.3f}, wider than ±{rule.epsilon:g}, because "
            f"{len(panel.values)} repeats leave their spread uncertain: a few more decide it"
        )
    return (
        f"its interval is ±{interval.half_width:.3f}, wider than ±{rule.epsilon:g}: about "
        f"{needed:,} test examples (now {examples:,}) would decide it"
    )


def _bracket(tried: pd.DataFrame, arm: tuple) -> tuple[str, str]:
    """The next lower and higher level tried of the same kind."""
    same = tried[(tried["kind"] == arm.kind) & tried["level"].notna()].sort_values("level")
    below = same.loc[same["level"] < arm.level, "curation"]
    above = same.loc[same["level"] > arm.level, "curation"]
    return (below.iloc[-1] if len(below) else "", above.iloc[0] if len(above) else "")


def _bracket_words(test: Evaluation, base: str, n: int, below: str, above: str) -> str:
    said = [f"{c} {test.panel('fpr_gap', base, c, n).mean:+.3f}" for c in (below, above) if c]
    return f"; neighbouring levels: {', '.join(said)}" if said else ""


def _rates(test: Evaluation, base: str, after: str, n: int) -> dict[str, float]:
    """Both groups' rates before and after, so that levelling down shows."""
    return {
        f"{metric}_{place}_{when}": test.panel(metric, base, curation, n, group).mean
        for metric in ("fpr", "tpr")
        for place, group in zip(("first", "second"), test.cells.group_names, strict=True)
        for when, curation in (("before", "natural"), ("after", after))
    }


def _curation(arm: tuple) -> Curation:
    def whole(value: float) -> int | None:
        return None if math.isnan(value) else int(value)

    prevalence = None if math.isnan(arm.prevalence) else arm.prevalence
    return Curation(arm.kind, whole(arm.level), prevalence, whole(arm.k))
