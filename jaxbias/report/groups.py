"""The figures that show each group by itself: rates before and after, AUC per subgroup."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxbias.analysis import Answer
from jaxbias.report import style
from jaxbias.report.facets import looks_of
from jaxbias.report.ledger import Block, Ledger
from jaxbias.report.select import (
    metric,
    panel_title,
    several_sizes,
    shown,
)

_ROW = 0.25  # Inches per line of the dumbbells.
_APART = 0.17  # Lines between a row's middle and each group's mark.


def rates(answer: Answer) -> Figure | None:
    """Draws both groups' FPR and TPR at the natural draw and at the chosen curation.

    Args:
      answer: the `Answer`; rows of `curves` with the metrics fpr and tpr per group.

    Returns:
      The figure: the distance between two marks on a line is the gap, a pair that moves to the
      left together is levelling down. None when there is nothing to compare.
    """
    chosen = shown(answer.smallest_fix, answer.study)
    if chosen.empty:
        return None
    curves = shown(answer.curves, answer.study)
    several = several_sizes(chosen)
    ledger = Ledger([_block(fix, several) for fix in chosen.itertuples()])
    height = ledger.lines * _ROW + 0.9
    figure = Figure(figsize=(style.WIDTH, height))
    width = (0.93 - ledger.margin) / 2
    names = answer.study["group"]["names"][:2]
    for i, (name, heading) in enumerate(
        (("fpr", "False-positive rate"), ("tpr", "True-positive rate"))
    ):
        axes = figure.add_axes(
            (ledger.margin + i * (width + 0.05), 0.45 / height, width, 1 - 0.75 / height)
        )
        _dumbbells(axes, metric(curves, name), chosen, names, ledger)
        ledger.frame(axes, names=i == 0)
        axes.set_xlabel(heading)
    middle = ledger.margin + width + 0.025
    figure.legend(
        handles=[_mark(i, label=name) for i, name in enumerate(names)],
        loc="upper center",
        ncols=2,
        bbox_to_anchor=(middle, 1.0),
    )
    return figure


def underrepresentation(answer: Answer) -> Figure | None:
    """Draws the AUC on each subgroup along the share of the second among the positives.

    Args:
      answer: the `Answer`; its `underrepresentation` frame.

    Returns:
      The figure, one row per pair and size, one column per subgroup; None for other studies.
    """
    frame = shown(answer.underrepresentation, answer.study)
    if frame.empty:
        return None
    looks = looks_of(answer, frame)
    several = several_sizes(frame)
    parts = [
        (key, rows)
        for _, block in frame.groupby(["task", "n"], sort=False)
        for key, rows in block.groupby(["task", "n", "group"], sort=False)
    ]
    columns = frame.groupby(["task", "n"])["group"].nunique().max()
    # One scale: the subgroups are to be compared.
    figure, grid = style.panels(len(parts), 2.2, columns=min(columns, 3), share="xy")
    for axes, ((task, n, group), rows) in zip(grid, parts, strict=True):
        for base, look in looks.items():
            line = rows[rows["base"] == base].sort_values("level")
            share = 10 * line["level"]
            axes.fill_between(share, line["low"], line["high"], color=look.colour, alpha=0.16, lw=0)
            axes.plot(share, line["auc"], color=look.colour, marker=look.marker, ms=3.6, lw=1.2)
        axes.set_title(f"{panel_title(task, n, several)}: AUC on {style.label(group)}")
        axes.set_xticks(range(0, 101, 20))
    figure.supxlabel(f"Share of {_second(frame)} among the finetuning positives (%)", fontsize=8)
    figure.supylabel("AUC on the subgroup", fontsize=8)
    style.legend(figure, looks)
    return figure


def _second(frame: pd.DataFrame) -> str:
    tasks = frame["task"].unique()
    return style.label(tasks[0].split("|")[-1]) if len(tasks) == 1 else "the second attribute"


def _block(fix: Any, several: bool) -> Block:
    after = style.label(fix.curation) if fix.curation else f"{style.label(fix.nearest)} (not a fix)"
    heading = f"{panel_title(fix.task, fix.n, several)}: {style.label(fix.base)}"
    return Block(heading, ("natural", after))


def _dumbbells(
    axes: Axes, rates: pd.DataFrame, chosen: pd.DataFrame, groups: list[str], ledger: Ledger
) -> None:
    rates = rates[rates["base"].isin(chosen["base"])]
    known = dict(iter(rates.groupby(["task", "base", "n", "curation"], sort=False)))
    for i, fix in enumerate(chosen.itertuples()):
        curations = ("natural", fix.curation or fix.nearest)
        for y, curation in zip(ledger.places(i)[1], curations, strict=True):
            rows = known.get((fix.task, fix.base, fix.n, curation), rates.iloc[:0])
            _dumbbell(axes, rows, groups, y)
    axes.grid(axis="x", color="#e4e4e4", lw=0.5)
    axes.set_axisbelow(True)
    axes.margins(x=0.06)


def _dumbbell(axes: Axes, rows: pd.DataFrame, groups: list[str], y: float) -> None:
    pair = rows.drop_duplicates("group").set_index("group").reindex(groups)
    low, high = pair["value"].min(), pair["value"].max()
    axes.barh(y, high - low, 2 * _APART, left=low, color="#d9d9d9", zorder=2)
    for i, row in enumerate(pair.itertuples()):
        at = y + (_APART if i == 0 else -_APART)
        axes.plot([row.low, row.high], [at, at], color=style.INK, lw=0.8, zorder=3)
        mark = _mark(i)
        mark.set_data([row.value], [at])
        mark.set_zorder(4)
        axes.add_line(mark)


def _mark(i: int, label: str = "") -> Line2D:
    face = style.INK if i == 0 else "white"
    return Line2D(
        [], [], ls="", marker="os"[i], ms=5, mfc=face, mec=style.INK, mew=1.0, label=label
    )  # fmt: skip
