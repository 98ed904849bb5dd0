"""Tasks of several outputs: figure and tables of every arm, overall, per group, worst and gap."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxbias.analysis import Answer
from jaxbias.report import numbers, style
from jaxbias.report.ledger import Block, Ledger
from jaxbias.report.select import along_curations, gap_name, panel_title, several_sizes, shown
from jaxbias.report.tables import Column, Content, column, folded, table

_ROW = 0.25  # Inches per line.
_APART = 0.22  # Lines between a row's middle and each group's mark.
NAMES = {
    "macro_auc": "Macro AUC",
    "macro_ap": "Macro AP",
    "macro_normalized_ap": "Macro normalised AP",
    "top_1_hit_rate": "Top-1 hit rate",
    "top_5_hit_rate": "Top-5 hit rate",
}
_DRAWN = ("macro_auc", "macro_ap", "top_5_hit_rate", "top_1_hit_rate")
_ARM = ["base", "curation", "n"]


def several(answer: Answer) -> Figure | None:
    """Draws every arm's metrics over all outputs, on all examples and in each group.

    Args:
      answer: the `Answer`; its `macro` frame.

    Returns:
      The figure, a block of lines per task, base and size, a column per metric; None for other
      studies.
    """
    macro = shown(answer.macro, answer.study)
    if macro.empty:
        return None
    blocks = list(_blocks(macro))
    ledger = Ledger([Block(heading, tuple(names)) for heading, names, _ in blocks])
    present = [name for name in _DRAWN if (macro["metric"] == name).any()][:3]
    height = ledger.lines * _ROW + 0.9
    figure = Figure(figsize=(style.WIDTH, height))
    width = (0.97 - ledger.margin) / len(present)
    groups = answer.study["group"]["names"]
    for i, name in enumerate(present):
        left = ledger.margin + i * width
        axes = figure.add_axes((left, 0.45 / height, width - 0.03, 1 - 0.75 / height))
        for j, (_, names, rows) in enumerate(blocks):
            own = rows[rows["metric"] == name]
            for y, curation in zip(ledger.places(j)[1], names, strict=True):
                _line(axes, own[own["curation"].map(style.label) == curation], groups, y)
        ledger.frame(axes, names=i == 0)
        axes.grid(axis="x", color="#e4e4e4", lw=0.5)
        axes.set_axisbelow(True)
        axes.set_xlabel(NAMES[name])
    handles = [_mark(place, label) for place, label in enumerate(("all examples", *groups))]
    middle = (ledger.margin + 0.97) / 2
    figure.legend(handles=handles, loc="upper center", ncols=3, bbox_to_anchor=(middle, 1.0))
    return figure


def section(answer: Answer) -> Content:
    """Returns the tables, one per task and metric, the first open; empty for other studies."""
    macro = shown(answer.macro, answer.study)
    if macro.empty:
        return Content()
    content: str | Content = (
        "<p>A class or label is ranked against the rest; macro metrics are means over those that "
        "are defined among the examples. Worst group: the lowest of the groups; gap: "
        f"{gap_name(answer.study)}. Each {numbers.confidence(answer.study)} interval is of itself. "
        "The rules of the answer are of binary tasks: no verdict is given. outputs.csv has every "
        "class and label.</p>"
    )
    for task, rows in macro.groupby("task", sort=False):
        first, *others = (
            _table(answer, rows, task, name) for name in NAMES if (rows["metric"] == name).any()
        )
        content = content + first + folded(f"Other metrics of {task}", sum(others, Content()))
    return content


def _table(answer: Answer, rows: pd.DataFrame, task: str, name: str) -> Content:
    groups = answer.study["group"]["names"]
    wanted = {
        "all": (name, "all"),
        **{group: (name, group) for group in groups},
        "worst": (f"worst_group_{name}", "all"),
        "gap": (f"{name}_gap", "all"),
    }
    heads = rows[rows["metric"] == name].drop_duplicates(_ARM)
    known = {
        (row["base"], row["curation"], row["n"], row["metric"], row["group"]): row
        for row in rows.to_dict("records")
    }

    def estimate(row: dict, key: tuple[str, str]) -> str:
        found = known[row["base"], row["curation"], row["n"], *key]
        write = numbers.signed if key[0].endswith("_gap") else numbers.plain
        return numbers.estimate(found["value"], found["low"], found["high"], write)

    columns = [
        column("curation", "Finetuned on"),
        column("base", "Base"),
        column("n", "n", numbers.count),
        *(
            Column(heading, lambda row, key=key: estimate(row, key), True)
            for heading, key in zip(
                ("All", *groups, "Worst group", "Gap"), wanted.values(), strict=True
            )
        ),
    ]
    return table(along_curations(heads).to_dict("records"), columns, f"{task}: {NAMES[name]}")


def _blocks(macro: pd.DataFrame) -> Iterator[tuple[str, list[str], pd.DataFrame]]:
    """Yields heading, names of the lines and rows of every task, size and base."""
    several = several_sizes(macro)
    for (task, n, base), rows in macro.groupby(["task", "n", "base"], sort=False):
        rows = along_curations(rows)
        names = [style.label(curation) for curation in rows["curation"].unique()]
        yield f"{panel_title(task, n, several)}: {style.label(base)}", names, rows


def _line(axes: Axes, rows: pd.DataFrame, groups: list[str], y: float) -> None:
    for place, group in enumerate(("all", *groups)):
        own = rows[rows["group"] == group]
        if own.empty or own["value"].isna().all():
            continue
        row, at = own.iloc[0], y + (0, _APART, -_APART)[place % 3]
        if row["low"] == row["low"]:
            axes.plot([row["low"], row["high"]], [at, at], color=style.INK, lw=0.7, zorder=3)
        mark = _mark(place)
        mark.set_data([row["value"]], [at])
        mark.set_zorder(4)
        axes.add_line(mark)


def _mark(place: int, label: str = "") -> Line2D:
    face = (style.PALE, style.INK, "white")[place % 3]
    return Line2D(
        [], [], ls="", marker="Dos"[place % 3], ms=4, mfc=face, mec=style.INK, mew=0.9, label=label
    )  # fmt: skip
