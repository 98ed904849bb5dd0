"""The page's tables of findings: inherited, overwritten, smallest fix, underrepresentation."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from jaxbias.report import numbers
from jaxbias.report.select import shown, several_sizes, studied
from jaxbias.report.tables import Column, Html, badge, column, table

METRICS = {
    "fpr_gap": "FPR gap",
    "tpr_gap": "TPR gap",
    "auc_gap": "AUC gap",
    "auc": "AUC",
    "worst_group_accuracy": "worst-group accuracy",
}
_INHERITED_TONES = {"yes": "bad", "no": "good", "undecided": "open"}
_OVERWRITTEN_TONES = {"no gap": "good", "gap": "bad", "undecided": "open"}


def inherited_badge(verdict: str) -> Html:
    """Returns the badge of an "inherited?" verdict."""
    return badge(f"inherited: {verdict}", _INHERITED_TONES.get(verdict, "open"))


def fix_badge(fix: dict[str, Any]) -> Html:
    """Returns the badge of a smallest fix: the curation, or that there is none."""
    if fix["curation"]:
        return badge(f"smallest fix: {fix['curation']}", "good")
    if fix["verdict"] == "undecided":
        return badge("smallest fix: undecided", "open")
    return badge("smallest fix: none of those tried", "bad")


def inherited(answer: Any) -> Html:
    """Returns the table of paired differences, the FPR gap's first."""
    rows = shown(answer.inherited, answer.study)
    rows = rows.sort_values("metric", key=lambda names: names != "fpr_gap", kind="stable")
    level = numbers.confidence(answer.study)
    columns = [
        column("task", "Target"),
        column("metric", "Metric", _metric),
        column("base", "Base"),
        column("against", "Minus"),
        column("n", "n", numbers.count),
        _estimate("difference", "low", "high", f"Difference [{level}]"),
        Column(
            "Holm interval", lambda row: numbers.interval(row["low_holm"], row["high_holm"]), True
        ),
        column("p_value", "p", numbers.p_value),
        column("p_holm", "p (Holm)", numbers.p_value),
        Column("Excludes zero", lambda row: "yes" if row["excludes_zero"] else "no"),
        column("repeats", "Repeats", numbers.count),
    ]
    return table(_records(rows), columns, "Paired differences, studied base minus each other base")


def overwritten(answer: Any) -> Html:
    """Returns the tables per level: the studied bases' open, the others' folded."""
    rows = shown(answer.overwritten, answer.study)
    first = studied(rows, answer.study)
    others = rows.drop(first.index)
    html = ""
    for task, block in first.groupby("task", sort=False):
        html += _levels(answer, block, f"{task}: the studied base along the curations")
    if len(others):
        html += "<details><summary>The same for controls and scratch</summary>"
        for task, block in others.groupby("task", sort=False):
            html += _levels(answer, block, f"{task}: controls and scratch along the curations")
        html += "</details>"
    return Html(html)


def _levels(answer: Any, rows: pd.DataFrame, caption: str) -> Html:
    level = numbers.confidence(answer.study)
    columns = [
        column("curation", "Curation"),
        column("base", "Base"),
        *([column("n", "n", numbers.count)] if several_sizes(rows) else []),
        _estimate("gap", "gap_low", "gap_high", "FPR gap [90 %]"),
        column("auc", "AUC", numbers.plain),
        _estimate("auc_change", "auc_change_low", "auc_change_high", f"AUC change [{level}]"),
        _estimate(
            "gap_reduction",
            "gap_reduction_low",
            "gap_reduction_high",
            f"|gap| less than natural [{level}]",
        ),
        Column(
            "Verdict",
            lambda row: badge(row["verdict"], _OVERWRITTEN_TONES.get(row["verdict"], "open")),
        ),
    ]
    return table(_records(rows), columns, caption)


def smallest_fix(answer: Any) -> Html:
    """Returns two tables: the fix with its cost, and both groups' rates before and after."""
    fixes = _records(answer.smallest_fix)
    level = numbers.confidence(answer.study)
    cost = [
        column("task", "Target"),
        column("base", "Base"),
        column("n", "n", numbers.count),
        Column("Smallest fix", lambda row: row["curation"] or "none of those tried"),
        column("gap_before", "Gap before", numbers.signed),
        _estimate("gap_after", "gap_after_low", "gap_after_high", "Gap after [90 %]"),
        _estimate("auc_change", "auc_change_low", "auc_change_high", f"AUC change [{level}]"),
        column("images_changed", "Images changed", numbers.count),
        column("images_screened", "Images screened", numbers.count),
        column("oversampling", "Largest oversampling", numbers.times),
        column("below", "Bracket below", _bound),
        column("above", "Bracket above", _bound),
    ]
    html = table(fixes, cost, "The smallest fix and what it costs")
    first, second = answer.study["group"]["names"][:2]
    halves = [row | {"when": when} for row in fixes for when in ("before", "after")]
    shares = [
        Column(f"{metric.upper()} {name}", _rate(f"{metric}_{place}"), True)
        for metric in ("fpr", "tpr")
        for place, name in (("first", first), ("second", second))
    ]
    sides = [
        column("task", "Target"),
        column("base", "Base"),
        column("n", "n", numbers.count),
        Column("Finetuned on", _finetuned_on),
    ]
    rates = table(halves, sides + shares, "Both groups' rates before and after the fix")
    return Html(html + rates)


def underrepresentation(answer: Any) -> Html:
    """Returns one table per pair: AUC on each subgroup along the share of the second."""
    html = ""
    for task, block in answer.underrepresentation.groupby("task", sort=False):
        columns = [
            Column("Share of the second", lambda row: numbers.percent(row["level"] / 10), True),
            column("base", "Base"),
            column("n", "n", numbers.count),
            column("group", "AUC on"),
            _estimate(
                "auc", "low", "high", f"AUC [{numbers.confidence(answer.study)}]", numbers.plain
            ),
            column("repeats", "Repeats", numbers.count),
        ]
        html += table(_records(block), columns, f"{task}: AUC on each subgroup")
    return Html(html)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return frame.to_dict("records")


def _estimate(
    name: str, low: str, high: str, heading: str, write: Callable[[float], str] = numbers.signed
) -> Column:
    return Column(
        heading, lambda row: numbers.estimate(row[name], row[low], row[high], write), True
    )


def _metric(name: str) -> str:
    return METRICS.get(name, name.replace("_", " "))


def _bound(value: Any) -> str:
    if isinstance(value, str):
        return value or numbers.MISSING
    return numbers.level(value)


def _rate(name: str) -> Callable[[dict], str]:
    return lambda row: numbers.plain(row[f"{name}_{row['when']}"])


def _finetuned_on(row: dict[str, Any]) -> str:
    if row["when"] == "before":
        return "natural draw"
    return row["curation"] or "no fix found"
