"""Look closer: charts of the reader's choice, drawn in the page from the numbers inside it."""

import re
from typing import Any

import pandas as pd

from jaxbias.analysis import Answer
from jaxbias.report import numbers, style
from jaxbias.report.embedded import data
from jaxbias.report.select import gap_name, marked, metric_name, roles
from jaxbias.report.tables import Html

SCRIPTS = ("plot.js", "panel_charts.js", "panel.js")
_CHOICES = (
    ("task", "Target"),
    ("n", "n"),
    ("population", "Population"),
    ("metric", "Metric"),
    ("group", "Group"),
)
_ARM = ["task", "population", "base", "curation", "n"]


def section(answer: Answer) -> Html:
    """Returns the panel with the numbers that it draws; "" where there are none."""
    if answer.curves.empty:
        return Html("")
    choices = "".join(_choice(name, heading) for name, heading in _CHOICES)
    charts = "".join(
        f'<figure class="chart"><div id="panel-{name}"></div><figcaption>{caption}</figcaption>'
        "</figure>"
        for name, caption in _captions(answer)
    )
    return Html(
        '<div id="panel-body" hidden>'
        f'<form id="panel-form"><p class="choices">{choices}</p>'
        '<fieldset><legend>Bases</legend><div id="panel-bases" class="ticks"></div></fieldset>'
        "<details><summary>Curations</summary>"
        '<div id="panel-curations" class="ticks"></div></details>'
        f'<p id="panel-said" role="status"></p>{charts}</form>'
        "<details><summary>The numbers of the first chart</summary>"
        '<div id="panel-table" class="scroll" tabindex="0" role="region" aria-label="The numbers '
        'of the first chart"></div></details></div>'
        "<noscript><p>Choosing needs JavaScript; figures and tables have the same numbers.</p>"
        f"</noscript>{data('panel-data', contents(answer))}"
    )


def contents(answer: Answer) -> dict[str, Any]:
    """Returns what panel.js draws: every arm's metrics as tables show them, with three decimals.

    Args:
      answer: the `Answer`; `curves`, and of `overwritten` the intervals for all curations together.
    """
    curves = answer.curves
    looks = style.looks(roles(answer.study))
    curations, axis = _curations(curves)
    names = {
        "task": list(dict.fromkeys(curves["task"])),
        "population": list(dict.fromkeys(curves["population"])),
        "base": [name for name in looks if name in set(curves["base"])],
        "curation": [one["name"] for one in curations],
    }
    series = list(curves[["metric", "group"]].drop_duplicates().itertuples(index=False, name=None))
    return {
        "epsilon": answer.study["answer"]["epsilon"],
        "confidence": numbers.confidence(answer.study),
        "gap": "fpr_gap",
        "tasks": names["task"],
        "populations": names["population"],
        "bases": [
            {"name": name, "colour": looks[name].colour, "marker": looks[name].marker}
            for name in names["base"]
        ],
        "curations": curations,
        "axis": axis,
        "series": series,
        "metrics": {name: _metric(name, answer.study, series) for name, _ in series},
        "arms": _arms(answer, names, series),
    }


def _metric(name: str, study: dict[str, Any], series: list[tuple[str, str]]) -> dict[str, Any]:
    gap = name.endswith("_gap")
    return {
        "label": metric_name(name) + (f" ({gap_name(study)})" if gap else ""),
        "gap": gap,
        "groups": any(metric == name and group != "all" for metric, group in series),
    }


def _curations(curves: pd.DataFrame) -> tuple[list[dict[str, str]], str]:
    """The curations from left to right, and what the axis is called.

    A course is of those whose names differ in their first number alone, its dose.
    """
    courses: dict[str, list[str]] = {"natural": []}
    for name in dict.fromkeys(curves["curation"]):
        courses.setdefault(re.sub(r"\d+", "·", name, count=1), []).append(name)
    long = [course for course, names in courses.items() if len(names) > 1]
    several = [course for course in courses if course in long]
    order = [*(["natural"] if courses["natural"] else []), *several]
    order += [course for course in courses if course not in order and courses[course]]
    found = []
    for course in order:
        for name in sorted(courses[course], key=_dose):
            numbered = course in long and len(long) == 1
            tick = f"{_dose(name)}" if numbered else name.replace("_", " ")
            found.append({"name": name, "course": course if course in long else "", "tick": tick})
    if len(long) != 1:
        return found, "Finetuned on"
    kind = long[0].partition(" ")[0].replace("_", " ")
    return found, f"Finetuned on ({kind} levels by number)"


def _dose(name: str) -> int:
    number = re.search(r"\d+", name)
    return int(number[0]) if number else 0


def _arms(
    answer: Answer, names: dict[str, list[str]], series: list[tuple[str, str]]
) -> list[dict[str, Any]]:
    """Every arm by the places of its names, with value, low and high of every series in order."""
    place = {kind: {name: i for i, name in enumerate(all_)} for kind, all_ in names.items()}
    at = {one: 3 * i for i, one in enumerate(series)}
    found: dict[tuple, dict[str, Any]] = {}
    rows = answer.curves.assign(marked=marked(answer.curves) != "")
    for row in rows.itertuples():
        key = tuple(getattr(row, name) for name in _ARM)
        if key not in found:
            found[key] = {name: place[name][getattr(row, name)] for name in place}
            found[key] |= {"n": int(row.n), "marked": bool(row.marked)}
            found[key]["numbers"] = [float("nan")] * (3 * len(series))
        start = at[row.metric, row.group]
        found[key]["numbers"][start : start + 3] = map(_shown, (row.value, row.low, row.high))
    if not answer.study["answer"]["relative_to"]:  # Else those are of another gap.
        for row in answer.overwritten.itertuples():
            key = tuple(getattr(row, name) for name in _ARM)
            if key in found:
                found[key]["all"] = [_shown(row.gap_low), _shown(row.gap_high)]
    return list(found.values())


def _shown(value: float) -> float:
    """A number as tables show it; zero has no sign."""
    return float(f"{value:.3f}") + 0.0


def _choice(name: str, heading: str) -> str:
    return f'<label>{heading} <select name="{name}"></select></label> '


def _captions(answer: Answer) -> list[tuple[str, str]]:
    level = numbers.confidence(answer.study)
    band = f"the shaded band is ±ε = ±{answer.study['answer']['epsilon']:g}"
    return [
        (
            "dose",
            f"Thick bars are {level} intervals of each by itself, as in the figures; thin ones, of "
            "the FPR gap, hold for all curations of a base and all questions together, as in the "
            f"tables. Stars are natural draws, hollow marks with a dark edge degenerate; of gaps, "
            f"{band}.",
        ),
        (
            "trade-off",
            f"Every curation as a point, with {level} intervals of each by itself; {band}. Lines "
            "join doses in order.",
        ),
        (
            "rates",
            f'<label>Both groups of base <select name="base"></select></label> '
            f'<span id="panel-rates-said"></span> Bars are {level} intervals of each by itself.',
        ),
    ]
