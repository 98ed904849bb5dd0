"""The page's tables of findings: inherited, overwritten, smallest fix, underrepresentation."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd

from jaxbias.analysis import Answer
from jaxbias.report import numbers
from jaxbias.report.select import along_curations, metric_name, records, shown, studied
from jaxbias.report.tables import (
    Column,
    Content,
    Html,
    badge,
    bounded,
    column,
    estimated,
    folded,
    table,
    text,
)

_INHERITED_TONES = {"yes": "bad", "practically none": "good", "no": "good", "reversed": "bad"}
_OPEN = 4  # Targets whose tables are not folded.
_OVERWRITTEN_TONES = {"no gap": "good", "gap": "bad", "undecided": "open"}


def inherited_badge(row: dict[str, Any]) -> Html:
    """Returns the badge of an "inherited?" verdict."""
    said = f"{inherited_words(row)}: {row['verdict']}"
    tone = _INHERITED_TONES.get(row["verdict"], "open")
    return badge(said, tone, f"inherited {row['place']}")


def inherited_words(row: dict[str, Any]) -> str:
    """Returns what an "inherited?" verdict is about: of one checkpoint where it is said of one."""
    return "inherited from this checkpoint" if row["scope"] == "checkpoint" else "inherited"


def fix_badge(fix: dict[str, Any]) -> Html:
    """Returns the badge of a smallest fix: the curation and whether test bears it out, or none."""
    place = f"fix {fix['place']}"
    if not fix["curation"]:
        tone = {"none": "bad", "nothing to fix": "good"}.get(fix["verdict"], "open")
        return badge(f"smallest fix: {_fix_words(fix)}", tone, place)
    return badge(f"smallest fix: {fix['curation']}, confirmed on test", "good", place)


def inherited(answer: Answer) -> Content:
    """Returns the table of paired differences."""
    rows = shown(answer.inherited, answer.study)
    level = numbers.confidence(answer.study)
    varying, fixed = _varying(rows, ("metric", "base", "n", "scope", "checkpoints", "draws"))
    columns = [
        column("task", "Target"),
        column("against", "Minus"),
        *varying,
        column("gap", "Its FPR gap", numbers.signed),
        column("gap_against", "The other's", numbers.signed),
        estimated("difference", "low", "high", f"Difference [{level}]"),
        bounded("low_family", "high_family", "For all questions"),
        column("p_family", "p for all questions", numbers.p_value),
    ]
    return table(records(rows), columns, f"Studied base minus each other base{fixed}")


def overwritten(answer: Answer) -> Content:
    """Returns the tables per level: open are those of studied bases, of a few targets."""
    rows = shown(answer.overwritten, answer.study)
    first = studied(rows, answer.study)
    mine, others = _by_targets(answer, first), _by_targets(answer, rows.drop(first.index))
    return mine + folded("The same for controls and scratch", others) if others else mine


def _by_targets(answer: Answer, rows: pd.DataFrame) -> Content:
    tables = {task: _levels(answer, block, task) for task, block in _by_task(rows)}
    if len(tables) > _OPEN:
        tables = {task: folded(task, content) for task, content in tables.items()}
    return sum(tables.values(), Content())


def _levels(answer: Answer, rows: pd.DataFrame, task: str) -> Content:
    level = numbers.confidence(answer.study)
    varying, fixed = _varying(rows, ("base", "n", "realised_n", "checkpoints", "draws"))
    columns = [
        column("curation", "Finetuned on"),
        *varying,
        estimated("gap", "gap_low", "gap_high", f"FPR gap [{level}]"),
        column("auc", "AUC", numbers.plain),
        Column(f"AUC change [{level}]", _change("auc_change"), True),
        Column(f"Reduction of |gap| [{level}]", _change("gap_reduction"), True),
        Column(
            "Verdict",
            lambda row: badge(
                row["verdict"],
                _OVERWRITTEN_TONES.get(row["verdict"], "open"),
                f"overwritten {row['place']}",
            ),
        ),
    ]
    return table(records(along_curations(rows)), columns, f"{task}: every curation{fixed}")


def smallest_fix(answer: Answer) -> Content:
    """Returns two tables: the fix with its cost, and both groups' rates before and after."""
    rows = shown(answer.smallest_fix, answer.study)
    fixes = records(rows)
    level = numbers.confidence(answer.study)
    settings = ("base", "n", "realised_n", "scope", "checkpoints", "draws")
    varying, fixed = _varying(rows, settings)
    cost = [
        column("task", "Target"),
        *varying,
        Column("Smallest fix", _fix),
        estimated("gap_before", "gap_before_low", "gap_before_high", f"Gap before [{level}]"),
        estimated("gap_after", "gap_after_low", "gap_after_high", f"Gap after [{level}]"),
        estimated("auc_change", "auc_change_low", "auc_change_high", f"AUC change [{level}]"),
        column("images_changed", "Images changed", numbers.count),
        Column("By prevalence, then correlation", _parts, True),
        column("images_screened", "Images screened", _whole),
        column("oversampling", "Over-sampling", numbers.times),
        Column("Levels next to it", _neighbours),
    ]
    first, second = answer.study["group"]["names"][:2]
    halves = [row | {"when": when} for row in fixes for when in ("before", "after")]
    rates = [
        column("task", "Target"),
        *varying,
        Column(
            "Finetuned on",
            lambda row: "natural" if row["when"] == "before" else finetuned_after(row),
        ),
        *(
            Column(f"{metric.upper()} {name}", _rate(f"{metric}_{place}"), True)
            for metric in ("fpr", "tpr")
            for place, name in (("first", first), ("second", second))
        ),
    ]
    return table(fixes, cost, f"The smallest fix and its cost{fixed}") + table(
        halves, rates, f"Both groups' rates before and after{fixed}"
    )


def finetuned_after(fix: dict[str, Any]) -> str:
    """Returns the smallest fix, or what is shown in its stead where nothing qualifies.

    >>> finetuned_after({"curation": "", "nearest": "correlation 5", "verdict": "undecided"})
    'undecided (nearest: correlation 5)'
    """
    if fix["curation"]:
        return fix["curation"]
    return _fix_words(fix) + (f" (nearest: {fix['nearest']})" if fix["nearest"] else "")


def _fix_words(fix: dict[str, Any]) -> str:
    """Returns a verdict on the smallest fix in words.

    >>> _fix_words({"verdict": "none"})
    'none of those tried'
    """
    return "none of those tried" if fix["verdict"] == "none" else fix["verdict"]


def underrepresentation(answer: Answer) -> Content:
    """Returns, per pair, the AUC on each subgroup, and the shares at which a base catches up."""
    content = _matching(answer)
    level = numbers.confidence(answer.study)
    for task, block in _by_task(shown(answer.underrepresentation, answer.study)):
        keys = ["level", "n", "base"]
        rows = [
            dict(zip(keys, key, strict=True)) | part.set_index("group").to_dict("index")
            for key, part in block.groupby(keys, sort=False)
        ]
        varying, fixed = _varying(block, ("n", "checkpoints", "draws"))
        second = task.split("|")[-1]
        columns = [
            Column(f"Share of {second}", lambda row: f"{10 * row['level']:g} %"),
            column("base", "Base"),
            *(part for part in varying if part.heading == "n"),
            *(_subgroup(name, level) for name in dict.fromkeys(block["group"])),
        ]
        content += table(rows, columns, f"{task}: AUC on each subgroup{fixed}")
    return content


def _matching(answer: Answer) -> Content:
    rows = shown(answer.matching_share, answer.study)
    if rows.empty:
        return Content()
    level = numbers.confidence(answer.study)
    varying, fixed = _varying(rows, ("n", "scope", "checkpoints", "draws"))
    columns = [
        column("task", "Pair"),
        *varying,
        column("subgroup", "AUC on"),
        column("base", "Base"),
        column("against", "Against"),
        estimated("difference", "low", "high", f"Difference at 10 % [{level}]"),
        Column("Equality compatible with", _shares, True),
        column("sure_share", "Surely ahead from", numbers.percent),
    ]
    caption = (
        "Share of a subgroup from which the other base is ahead of the subgroup's own at 10 %; "
        "intervals hold for all shares together"
    )
    return table(records(rows), columns, caption + fixed)


def _by_task(frame: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame]]:
    return frame.groupby("task", sort=False)


def _varying(rows: pd.DataFrame, names: Sequence[str]) -> tuple[list[Column], str]:
    """Returns columns for what differs between rows; what does not goes into the caption."""
    columns, fixed = [], ""
    for name in names:
        heading, write, said = _SETTINGS[name]
        if name == "realised_n" and not (rows["realised_n"] < rows["n"]).any():
            continue  # Models got what they asked for.
        if rows[name].nunique(dropna=False) == 1:
            fixed += ", " + said.format(write(rows[name].iloc[0]))
        else:
            columns.append(column(name, heading, write))
    return columns, fixed


def _subgroup(name: str, level: str) -> Column:
    def write(row: dict[str, Any]) -> str:
        if name not in row:
            return numbers.MISSING
        cell = row[name]
        return numbers.estimate(cell["auc"], cell["low"], cell["high"], numbers.plain)

    return Column(f"AUC on {name} [{level}]", write, number=True)


def _change(name: str) -> Callable[[dict], str]:
    """Writes a change from the natural draw; the natural draw itself has none."""

    def write(row: dict[str, Any]) -> str:
        if row["kind"] == "natural":
            return numbers.MISSING
        return numbers.estimate(row[name], row[f"{name}_low"], row[f"{name}_high"])

    return write


def _neighbours(row: dict[str, Any]) -> str:
    names = [name for name in (row["below"], row["above"]) if name]
    return _lines(*names) if names else numbers.MISSING


def _fix(row: dict[str, Any]) -> str:
    if row["curation"]:
        return row["curation"]
    nearest = [f"nearest: {row['nearest']}"] if row["nearest"] else []
    return _lines(_fix_words(row), *nearest)


def _parts(row: dict[str, Any]) -> str:
    if not row["curation"]:
        return numbers.MISSING
    names = ("images_for_prevalence", "images_for_correlation")
    return " + ".join(numbers.count(row[name]) for name in names)


def _shares(row: dict[str, Any]) -> str:
    low, high = (numbers.percent(row[name]) for name in ("share_low", "share_high"))
    return low if low == high else f"{low} to {high}"


def _lines(*lines: str) -> Html:
    return Html("<br>".join(map(text, lines)))


def _whole(value: float) -> str:
    return numbers.MISSING if numbers.missing(value) else numbers.count(round(value))


def _rate(name: str) -> Callable[[dict], str]:
    return lambda row: numbers.plain(row[f"{name}_{row['when']}"])


def _said_of(scope: str) -> str:
    return "this kind of base" if scope == "kind" else "one checkpoint"


# Field -> its heading, how it is written, and how a caption says it once for all rows.
_SETTINGS: dict[str, tuple[str, Callable[[Any], str], str]] = {
    "metric": ("Metric", metric_name, "{}"),
    "base": ("Base", str, "base {}"),
    "n": ("n", numbers.count, "n = {}"),
    "realised_n": ("Realised n", numbers.count, "realised n = {}"),
    "checkpoints": ("Checkpoints", numbers.count, "checkpoints: {}"),
    "draws": ("Draws", numbers.count, "draws: {}"),
    "scope": ("Said of", _said_of, "said of {}"),
}
