"""What is said of further groupings, a sentence each."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from jaxbias.study import STUDIED, AnswerSpec

_NAMED = 8
_METRIC = "fpr"  # What is asked about, as of the two groups.
_MACRO = "macro_auc"  # What is told of tasks of several outputs.
_ABOVE = {"range": "surely above {:g}", "no range": "surely below {:g}", "undecided": "undecided"}
_WORSE = {
    "larger": "surely larger",
    "not larger": "surely not larger by {:g}",
    "undecided": "undecided",
}


def sentences(
    tables: Mapping[str, pd.DataFrame],
    groupings: Mapping[str, Any],
    together: int,
    rule: AnswerSpec,
) -> list[str]:
    """Says of every grouping where its range is above epsilon, and what a fix makes of it.

    Args:
      tables: with the frames `grouping_*`, of all tasks.
      groupings: of the study, by name.
      together: how many ranges the intervals hold for.
      rule: epsilon and the confidence.
    """
    said = []
    for name in groupings:
        said += _several(
            name, *(_of(tables[f"grouping_{frame}"], name, _MACRO) for frame in ("rates", "ranges"))
        )
        rates, ranges, fixes, changes = (
            _of(tables[f"grouping_{frame}"], name)
            for frame in ("rates", "ranges", "fixes", "changes")
        )
        if rates.empty:
            continue
        natural = _natural(ranges)
        level = f"{rule.confidence:.0%} intervals"
        level += "" if together == 1 else f" for all {together} ranges together"
        parts = [f"Grouping {name} ({rates['group'].nunique()} groups; {level})."]
        if len(natural):
            listed = _listed(natural, _ABOVE, rule.epsilon, _range)
            parts.append(f"Range of the FPR on natural draws: {listed}.")
        if len(fixes):
            listed = _listed(fixes, _WORSE, rule.epsilon, _change)
            parts.append(f"After the fix, beside the natural draw: {listed}.")
            parts += _rising(changes)
        said.append(" ".join([*parts, *_left_out(rates)]))
    return said


def _of(table: pd.DataFrame, name: str, metric: str = _METRIC) -> pd.DataFrame:
    if table.empty:
        return table
    return table[(table["grouping"] == name) & (table["metric"] == metric)]


def _natural(ranges: pd.DataFrame) -> pd.DataFrame:
    if ranges.empty:
        return ranges
    return ranges[(ranges["curation"] == "natural") & ranges["role"].isin(STUDIED)]


def _several(name: str, rates: pd.DataFrame, ranges: pd.DataFrame) -> list[str]:
    """Of tasks of several outputs: what there is, for no rule of the answer is about them."""
    if rates.empty:
        return []
    parts = [f"Grouping {name} of tasks of several outputs (no verdict; each interval of itself)."]
    listed = [_macro(row) for row in _natural(ranges).itertuples()]
    if listed:
        parts.append(f"Range of the macro AUC on natural draws: {'; '.join(listed)}.")
    return [" ".join([*parts, *_left_out(rates)])]


def _macro(row: Any) -> str:
    names = row.outputs.split(", ")
    over = row.outputs if len(names) <= _NAMED else f"{len(names)} outputs"
    interval = _interval(row.range, row.low, row.high)
    return (
        f"{row.task} from {row.base}, n = {row.n:,}, over {over} ({interval}; highest "
        f"{row.highest}, lowest {row.lowest})"
    )


def _listed(
    rows: pd.DataFrame, words: Mapping[str, str], epsilon: float, said: Callable[[Any], str]
) -> str:
    """Every verdict with what it is of; that no verdict rests on a model has its reason."""
    parts = []
    for verdict in dict.fromkeys([*words, *rows["verdict"]]):
        own = [said(row) for row in rows[rows["verdict"] == verdict].itertuples()]
        word = words.get(verdict, f"not judged ({verdict})").format(epsilon)
        parts += [f"{word}: {', '.join(own)}"] if own else []
    return "; ".join(parts)


def _range(row: Any) -> str:
    ends = f"highest {row.highest}, lowest {row.lowest}"
    single = ", one checkpoint over its draws" if row.checkpoints == 1 else ""
    interval = _interval(row.range, row.low_family, row.high_family)
    return f"{row.task} from {row.base}, n = {row.n:,} ({interval}; {ends}{single})"


def _change(row: Any) -> str:
    what = row.curation if row.confirmed else f"{row.curation}, not a fix but the nearest to one"
    change = _interval(row.change, row.low_family, row.high_family, "+")
    ends = f"highest {row.highest_after}, lowest {row.lowest_after}"
    return (
        f"{row.task} from {row.base}, n = {row.n:,}, {what} ({row.before:.3f} to {row.after:.3f}, "
        f"{change}; {ends})"
    )


def _rising(changes: pd.DataFrame) -> list[str]:
    """The groups that a fix harms, whatever it does to the range."""
    surely = changes[changes["low_family"] > 0]
    named = [
        f"{row.group} ({row.task} from {row.base}, n = {row.n:,}: {row.before:.3f} to "
        f"{row.after:.3f}, {_interval(row.change, row.low_family, row.high_family, '+')})"
        for row in surely.sort_values("change", ascending=False).itertuples()
    ]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return [f"The FPR surely rises of {'; '.join(named[:_NAMED])}{more}."] if named else []


def _interval(value: float, low: float, high: float, sign: str = "") -> str:
    known = f"{value:{sign}.3f}"
    return known if low != low else f"{known} [{low:{sign}.3f}, {high:{sign}.3f}]"


def _left_out(rates: pd.DataFrame) -> list[str]:
    few = rates[rates["left_out"] != ""].drop_duplicates(["task", "group"])
    if few.empty:
        return []
    named = [f"{row.group} ({row.task}: {row.left_out})" for row in few.itertuples()]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return [f"Left out: {'; '.join(named[:_NAMED])}{more}."]
