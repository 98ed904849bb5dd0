"""The figures that show each group by itself: rates before and after, AUC per subgroup."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxbias.report import style
from jaxbias.report.select import (
    metric,
    panel_title,
    roles,
    several_sizes,
    shown,
)

_ROW = 0.25  # Inches per line of the dumbbells.
_LEFT = 0.27  # Of the figure: the names' share.
_APART = 0.17  # Lines between a row's middle and each group's mark.


def rates(answer: Any) -> Figure | None:
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
    height = 3.4 * len(chosen) * _ROW + 1.0
    figure = Figure(figsize=(style.WIDTH, height))
    bottom, tall = 0.45 / height, 1 - 0.75 / height
    width = (1 - _LEFT - 0.07) / 2
    for i, name in enumerate(("fpr", "tpr")):
        axes = figure.add_axes((_LEFT + i * (width + 0.05), bottom, width, tall))
        _dumbbells(axes, curves, chosen, name, answer.study["group"]["names"][:2], i == 0)
        axes.set_xlabel({"fpr": "False-positive rate", "tpr": "True-positive rate"}[name])
    handles = [_mark(i, label=name) for i, name in enumerate(answer.study["group"]["names"][:2])]
    figure.legend(
        handles=handles, loc="upper center", ncols=2, bbox_to_anchor=(_LEFT + width + 0.025, 1.0)
    )
    return figure


def underrepresentation(answer: Any) -> Figure | None:
    """Draws the AUC on each subgroup along the share of the second among the positives.

    Args:
      answer: the `Answer`; its `underrepresentation` frame.

    Returns:
      The figure, one row per pair and size, one column per subgroup; None for other studies.
    """
    frame = shown(answer.underrepresentation, answer.study)
    if frame.empty:
        return None
    looks = style.looks(roles(answer.study))
    facets = [
        (key, rows)
        for _, block in frame.groupby(["task", "n"], sort=False)
        for key, rows in block.groupby(["task", "n", "group"], sort=False)
    ]
    columns = frame.groupby(["task", "n"])["group"].nunique().max()
    # One scale: the subgroups are to be compared.
    figure, grid = style.panels(len(facets), 2.2, columns=min(columns, 3), share="xy")
    for axes, ((task, n, group), rows) in zip(grid, facets, strict=True):
        for base, look in looks.items():
            line = rows[rows["base"] == base].sort_values("level")
            share = 10 * line["level"]
            axes.fill_between(share, line["low"], line["high"], color=look.colour, alpha=0.16, lw=0)
            axes.plot(share, line["auc"], color=look.colour, marker=look.marker, ms=3.6, lw=1.2)
        axes.set_title(f"{panel_title(task, n, several_sizes(frame))}: AUC on {style.label(group)}")
        axes.set_xticks(range(0, 101, 20))
    figure.supxlabel(f"Share of {_second(frame)} among the finetuning positives (%)", fontsize=8)
    figure.supylabel("AUC on the subgroup", fontsize=8)
    style.legend(figure, {name: looks[name] for name in looks if name in set(frame["base"])})
    return figure


def _second(frame: pd.DataFrame) -> str:
    tasks = frame["task"].unique()
    return style.label(tasks[0].split("|")[-1]) if len(tasks) == 1 else "the second attribute"


def _dumbbells(
    axes: Axes,
    curves: pd.DataFrame,
    chosen: pd.DataFrame,
    name: str,
    groups: list[str],
    names: bool,
) -> None:
    y = 0.0
    for row in chosen.itertuples():
        if names:
            title = (
                f"{panel_title(row.task, row.n, several_sizes(chosen))}: {style.label(row.base)}"
            )
            _name(axes, y, title, head=True)
        here = curves[
            (curves["task"] == row.task) & (curves["base"] == row.base) & (curves["n"] == row.n)
        ]
        after = row.curation or row.nearest
        mark = "" if row.curation else " (not a fix)"
        for text, curation in (("natural", "natural"), (style.label(after) + mark, after)):
            y -= 1
            if names:
                _name(axes, y, text)
            _dumbbell(axes, metric(here[here["curation"] == curation], name), groups, y)
        y -= 1.4
    axes.set_ylim(y + 0.8, 0.6)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
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


def _name(axes: Axes, y: float, text: str, head: bool = False) -> None:
    axes.annotate(
        text,
        (0, y),
        xycoords=("axes fraction", "data"),
        xytext=(-_LEFT * style.WIDTH * 72 + (4 if head else 14), 0),
        textcoords="offset points",
        va="center",
        weight="bold" if head else "normal",
        annotation_clip=False,
    )
