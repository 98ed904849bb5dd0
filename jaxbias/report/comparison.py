"""Bases side by side: figures and tables of their gaps, AUCs and ranks."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jaxbias.analysis import Answer
from jaxbias.report import numbers, style
from jaxbias.report.facets import looks_of
from jaxbias.report.findings import finetuned_after
from jaxbias.report.ledger import Block, Ledger, note
from jaxbias.report.select import (
    along_curations,
    gap_name,
    others,
    panel_title,
    several_sizes,
    shown,
)
from jaxbias.report.tables import Column, Content, bounded, column, estimated, folded, table

_ROW = 0.21  # Inches per line.
_NOTE = 0.15  # Of the figure: the numbers at the right of each scale.
_NAMES = {"fpr_gap": "FPR gap", "auc": "AUC"}
_WRITTEN = {"fpr_gap": numbers.signed, "auc": numbers.plain}
_NATURAL, _BETWEEN = -1.6, 1.6  # Places along the levels: of the natural draw, before what follows.
_DODGE = 0.13  # Levels between two bases' bars.


def comparison(answer: Answer) -> Figure | None:
    """Draws every base's gap and AUC at the natural draw, the smallest gap at the top.

    Args:
      answer: the `Answer`; its `comparison` frame.

    Returns:
      The figure, one block per task and size; None where one base is studied.
    """
    rows = _natural(answer)
    if rows.empty:
        return None
    several = several_sizes(rows)
    blocks = list(rows.groupby(["task", "n"], sort=False))
    ordered = {key: list(dict.fromkeys(_in_order(block)["base"])) for key, block in blocks}
    ledger = Ledger(
        [
            Block(panel_title(task, n, several), tuple(map(style.label, bases)))
            for (task, n), bases in ordered.items()
        ]
    )
    height = ledger.lines * _ROW + 0.9
    figure = Figure(figsize=(style.WIDTH, height))
    width = (1 - ledger.margin - 2 * _NOTE) / 2
    looks = looks_of(answer, rows)
    for place, metric in enumerate(_NAMES):
        left = ledger.margin + place * (width + _NOTE)
        axes = figure.add_axes((left, 0.5 / height, width, 1 - 0.75 / height))
        if metric == "fpr_gap":
            style.tolerance(axes, answer.study["answer"]["epsilon"], "x")
        for i, (key, block) in enumerate(blocks):
            mine = block[block["metric"] == metric].set_index("base")
            for y, base in zip(ledger.places(i)[1], ordered[key], strict=True):
                _line(axes, mine.loc[base], y, looks[base])
        ledger.frame(axes, names=place == 0)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        note(axes, 1, 0, "rank", 6, "bold")
    axes.set_xlabel("AUC")
    figure.axes[0].set_xlabel(f"FPR gap ({gap_name(answer.study)})")
    return figure


def ranks(answer: Answer) -> Figure | None:
    """Draws which ranks every base may have at every curation, by |gap| and by AUC.

    Args:
      answer: the `Answer`; its `comparison` frame.

    Returns:
      The figure, two panels per task and size; None where bases are ranked at one curation.
    """
    rows = shown(answer.comparison, answer.study)
    if rows.empty or rows["curation"].nunique() == 1:
        return None
    looks, several = looks_of(answer, rows), several_sizes(rows)
    parts = list(rows.groupby(["task", "n"], sort=False))
    figure, grid = style.panels(2 * len(parts), 2.4 if others(rows) else 2.0)
    for i, ((task, n), part) in enumerate(parts):
        for axes, (metric, name) in zip(grid[2 * i : 2 * i + 2], _NAMES.items(), strict=True):
            mine = part[part["metric"] == metric]
            places = _places(mine)
            for j, (base, look) in enumerate(looks.items()):
                shift = (j - (len(looks) - 1) / 2) * _DODGE
                _bars(axes, mine[mine["base"] == base], places, look, shift)
            axes.set_xticks(list(places.values()), [_short(name) for name in places])
            if any(not name[0].isdigit() for name in map(_short, list(places)[1:])):
                axes.tick_params(axis="x", labelrotation=90)
            axes.set_ylim(mine["bases"].max() + 0.5, 0.5)
            axes.yaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_title(f"{panel_title(task, n, several)}: {name}")
    figure.supxlabel("Finetuned on: natural draw (N), correlation levels, others", fontsize=8)
    figure.supylabel("Rank, 1 the best", fontsize=8)
    style.legend(figure, looks)
    return figure


def section(answer: Answer) -> Content:
    """Returns the tables: natural draws with every base's fix, then every curation and pair."""
    rows = shown(answer.comparison, answer.study)
    if rows.empty:
        return Content()
    content = _side_by_side(answer)
    every = sum(
        (
            _along(part, task, n, metric)
            for (task, n, metric), part in rows.groupby(["task", "n", "metric"], sort=False)
        ),
        Content(),
    )
    if rows["curation"].nunique() > 1:
        content += folded("Every curation", every)
    return content + folded("Every pair of bases at the natural draw", _pairs(answer))


def _natural(answer: Answer) -> pd.DataFrame:
    rows = shown(answer.comparison, answer.study)
    return rows[rows["kind"] == "natural"] if len(rows) else rows


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Bases from the smallest |gap| to the largest, those that are not ranked last."""
    gap = rows[rows["metric"] == "fpr_gap"]
    return gap.loc[gap["value"].abs().sort_values(kind="stable", na_position="last").index]


def _line(axes: Axes, row: pd.Series, y: float, look: style.Look) -> None:
    if row["left_out"]:
        note(axes, 1, y, numbers.MISSING, 6)
        return
    axes.plot([row["value_low"], row["value_high"]], [y, y], color=look.colour, lw=2.0)
    for size, edge in ((8.5, "white"), (6, look.colour)):  # A white rim sets it off its line.
        axes.plot(
            [row["value"]], [y], look.marker, ms=size, mfc=look.colour, mec=edge, mew=1.2, zorder=4
        )
    note(axes, 1, y, f"{_rank(row)} of {row['bases']}", 6)


def _places(rows: pd.DataFrame) -> dict[str, float]:
    """Curation -> its place along the axis."""
    levels = rows[rows["kind"] == "correlation"].drop_duplicates("curation").sort_values("level")
    places = {"natural": _NATURAL} | dict(zip(levels["curation"], levels["level"], strict=True))
    start = max(places.values()) + _BETWEEN
    return places | {name: start + i for i, name in enumerate(others(rows))}


def _short(curation: str) -> str:
    """Returns a curation's name where there is little room.

    >>> _short("natural"), _short("correlation 5"), _short("group_balanced")
    ('N', '5', 'group balanced')
    """
    name = "N" if curation == "natural" else curation.removeprefix("correlation ")
    return style.label(name)


def _bars(
    axes: Axes, rows: pd.DataFrame, places: Mapping[str, float], look: style.Look, shift: float
) -> None:
    ranked = rows[rows["left_out"] == ""]
    for row in ranked.itertuples():
        at, sure = places[row.curation] + shift, row.rank_low == row.rank_high
        axes.plot([at, at], [row.rank_low, row.rank_high], color=look.colour, lw=1.6)
        ends = [row.rank_low] if sure else [row.rank_low, row.rank_high]
        axes.plot(
            [at] * len(ends), ends, ls="", marker=look.marker, ms=4.5 if sure else 3, mew=0,
            color=look.colour,
        )  # fmt: skip


def _rank(row: Mapping[str, Any]) -> str:
    """Returns the ranks that a base may have.

    >>> _rank({"rank_low": 1.0, "rank_high": 3.0}), _rank({"rank_low": 2.0, "rank_high": 2.0})
    ('1 to 3', '2')
    """
    if numbers.missing(row["rank_low"]):
        return numbers.MISSING
    low, high = int(row["rank_low"]), int(row["rank_high"])
    return f"{low}" if low == high else f"{low} to {high}"


def _side_by_side(answer: Answer) -> Content:
    level = numbers.confidence(answer.study)
    fixes = {
        (row["task"], row["base"], row["n"]): row
        for row in shown(answer.smallest_fix, answer.study).to_dict("records")
    }
    rows = []
    for (task, n), block in _natural(answer).groupby(["task", "n"], sort=False):
        auc = block[block["metric"] == "auc"].set_index("base").to_dict("index")
        for gap in _in_order(block).to_dict("records"):
            base = gap["base"]
            rows.append({**gap, "auc": auc[base], "fix": fixes.get((task, base, n))})
    columns = [
        column("task", "Target"),
        *([column("n", "n", numbers.count)] if len({row["n"] for row in rows}) > 1 else []),
        column("base", "Base"),
        estimated("value", "value_low", "value_high", f"FPR gap [{level}]"),
        Column("Rank by |gap|", _rank, True),
        Column(f"AUC [{level}]", _auc, True),
        Column("Rank by AUC", lambda row: _rank(row["auc"]), True),
        Column("Smallest fix", lambda row: finetuned_after(row["fix"]) if row["fix"] else "–"),
        Column("Images changed", _of_fix("images_changed", numbers.count), True),
        Column("Gap after", _of_fix("gap_after", numbers.signed), True),
        Column("AUC change", _of_fix("auc_change", numbers.signed), True),
        *(
            [Column("Not ranked", lambda row: row["left_out"])]
            if any(row["left_out"] for row in rows)
            else []
        ),
    ]
    return table(
        rows, columns, "Bases side by side, finetuned on the natural draw, and their fixes"
    )


def _auc(row: Mapping[str, Any]) -> str:
    one = row["auc"]
    return numbers.estimate(one["value"], one["value_low"], one["value_high"], numbers.plain)


def _of_fix(name: str, write: Any) -> Any:
    return lambda row: write(row["fix"][name]) if row["fix"] else numbers.MISSING


def _along(rows: pd.DataFrame, task: str, n: int, metric: str) -> Content:
    """A row per curation, a column per base."""
    bases = list(dict.fromkeys(rows["base"]))
    by_curation = [
        {"curation": curation} | part.set_index("base").to_dict("index")
        for curation, part in along_curations(rows.assign(base=""))
        .assign(base=rows["base"])
        .groupby("curation", sort=False)
    ]
    columns = [
        column("curation", "Finetuned on"),
        *(Column(base, _ranked(base, metric), True) for base in bases),
    ]
    caption = f"{task}, n = {n:,}: {_NAMES[metric]} of every base, and its rank"
    return table(by_curation, columns, caption)


def _ranked(base: str, metric: str) -> Any:
    def write(row: Mapping[str, Any]) -> str:
        if base not in row or row[base]["left_out"]:
            return numbers.MISSING
        return f"{_WRITTEN[metric](row[base]['value'])} ({_rank(row[base])})"

    return write


def _pairs(answer: Answer) -> Content:
    rows = shown(answer.comparison_pairs, answer.study)
    rows = rows[rows["kind"] == "natural"] if len(rows) else rows
    columns = [
        column("task", "Target"),
        *([column("n", "n", numbers.count)] if len(rows) and several_sizes(rows) else []),
        Column("In", lambda row: {"fpr_gap": "|FPR gap|", "auc": "AUC"}[row["metric"]]),
        column("base", "Base"),
        column("against", "Minus"),
        column("difference", "Difference", numbers.signed),
        bounded("difference_low", "difference_high", "For all pairs"),
    ]
    return table(rows.to_dict("records"), columns, "Differences of bases at the natural draw")
