"""The tables of further groupings: ranges, and each group before and after a fix."""

from typing import Any

import pandas as pd

from jaxbias.analysis import Answer
from jaxbias.report import numbers, several
from jaxbias.report.select import shown, studied
from jaxbias.report.tables import Column, Content, badge, bounded, column, estimated, folded, table

_NAMES = {"fpr": "FPR", "tpr": "TPR", "auc": "AUC", "accuracy": "Accuracy"} | several.NAMES
_TONES = {"range": "bad", "no range": "good", "larger": "bad", "not larger": "good"}
_WORDS = {"range": "surely above ε", "no range": "surely below ε"}


def section(answer: Answer, grouping: str) -> Content:
    """Returns the tables of one grouping; those of every group and metric are folded."""
    level = numbers.confidence(answer.study)
    ranges, fixes, changes = (
        shown(_of(frame, grouping), answer.study)
        for frame in (answer.grouping_ranges, answer.grouping_fixes, answer.grouping_changes)
    )
    natural = studied(ranges, answer.study)
    natural = natural[natural["curation"] == "natural"]
    keys = [column("task", "Target"), column("base", "Base"), column("n", "n", numbers.count)]
    metric = column("metric", "Of", _NAMES.__getitem__)
    at = [
        *keys,
        metric,
        estimated("range", "low", "high", f"Range [{level}]", numbers.plain),
        bounded("low_family", "high_family", "For all ranges", numbers.plain),
        column("chance", "By chance", numbers.plain),
        column("highest", "Highest"),
        column("lowest", "Lowest"),
        Column("Verdict", _verdict),
    ]
    moved = [
        *keys,
        Column("Finetuned on", _fix),
        metric,
        column("before", "Range before", numbers.plain),
        column("after", "After", numbers.plain),
        estimated("change", "low", "high", f"Change [{level}]"),
        bounded("low_family", "high_family", "For all ranges"),
        column("highest_after", "Highest after"),
        column("lowest_after", "Lowest after"),
        Column("Verdict", _verdict),
    ]
    each = [
        column("group", "Group"),
        *keys,
        Column("Finetuned on", _fix),
        metric,
        column("before", "Before", numbers.plain),
        column("after", "After", numbers.plain),
        estimated("change", "change_low", "change_high", f"Change of the rate [{level}]"),
        bounded("low_family", "high_family", "For all groups and ranges"),
    ]
    whole = _table(natural, at, f"Ranges over {grouping} on natural draws")
    whole += _table(fixes, moved, f"Ranges over {grouping} with the smallest fix")
    every = _table(changes, each, f"Every group of {grouping} with the smallest fix")
    return whole + (folded("Every group", every) if every else Content())


def _table(frame: pd.DataFrame, columns: list[Column], caption: str) -> Content:
    return table(frame.to_dict("records"), columns, caption) if len(frame) else Content()


def _of(frame: pd.DataFrame, grouping: str) -> pd.DataFrame:
    return frame if frame.empty else frame[frame["grouping"] == grouping]


def _fix(row: Any) -> str:
    return row["curation"] if row["confirmed"] else f"{row['curation']} (not a fix)"


def _verdict(row: Any) -> str:
    verdict = row["verdict"]
    if not verdict:
        return numbers.MISSING  # Only the FPR is asked about.
    return badge(_WORDS.get(verdict, verdict), _TONES.get(verdict, "open"))
