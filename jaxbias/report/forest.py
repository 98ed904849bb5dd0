"""The figure behind "inherited?": paired differences of gaps with their intervals."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxbias.report import numbers, style
from jaxbias.report.select import gap_name, panel_title, roles, several_sizes, shown

_ROW = 0.21  # Inches per line of the forest.
_GAP = 1.4  # Lines between two blocks.
_LEFT, _WIDTH = 0.27, 0.45  # Of the figure: names at the left, numbers at the right.


def inherited(answer: Any) -> Figure | None:
    """Draws, per target, studied base minus each control and scratch.

    Args:
      answer: the `Answer`; its `inherited` frame.

    Returns:
      The figure, or None when there is no such row.
    """
    rows = shown(answer.inherited, answer.study)
    if rows.empty:
        return None
    blocks = list(rows.groupby(["task", "n", "base"], sort=False))
    height = (len(rows) + _GAP * len(blocks)) * _ROW + 0.7
    figure = Figure(figsize=(style.WIDTH, height))
    axes = figure.add_axes((_LEFT, 0.45 / height, _WIDTH, 1 - 0.55 / height))
    epsilon = answer.study["answer"]["epsilon"]
    style.tolerance(axes, epsilon, "x")
    looks = style.looks(roles(answer.study))
    y = 0.0
    for (task, n, base), block in blocks:
        _left(axes, y, f"{panel_title(task, n, several_sizes(rows))}: {style.label(base)}", True)
        for row in block.itertuples():
            y -= 1
            _line(axes, row, y, looks[row.against])
        y -= _GAP
    axes.set_ylim(y + _GAP - 0.7, 0.7)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    _right(axes, 0.0, f"difference [{numbers.confidence(answer.study)}]", weight="bold")
    axes.annotate(
        f"±{epsilon:g}", (0, 0.7), xytext=(3, -2), textcoords="offset points", va="top",
        fontsize=6.5, color=style.MUTED,
    )  # fmt: skip
    axes.set_xlabel(
        f"Difference in FPR gap ({gap_name(answer.study)}), in the direction of the bias"
    )
    return figure


def _line(axes: Axes, row: Any, y: float, look: style.Look) -> None:
    if not (pd.isna(row.low_holm) or pd.isna(row.high_holm)):
        axes.plot([row.low_holm, row.high_holm], [y, y], color=look.colour, lw=0.8)
    axes.plot([row.low, row.high], [y, y], color=look.colour, lw=2.0)
    face = look.colour if row.excludes_zero else "white"
    for size, edge in ((8.5, "white"), (6, look.colour)):  # A white rim sets it off its line.
        axes.plot(
            [row.difference], [y], look.marker, ms=size, mfc=face, mec=edge, mew=1.2, zorder=4
        )
    _left(axes, y, f"minus {style.label(row.against)}")
    _right(axes, y, numbers.estimate(row.difference, row.low, row.high))


def _left(axes: Axes, y: float, text: str, head: bool = False) -> None:
    inset = -_LEFT * style.WIDTH * 72 + (4 if head else 14)
    _note(axes, (0, y), text, inset, weight="bold" if head else "normal")


def _right(axes: Axes, y: float, text: str, weight: str = "normal") -> None:
    _note(axes, (1, y), text, 10, weight=weight)


def _note(axes: Axes, at: tuple[float, float], text: str, inset: float, weight: str) -> None:
    axes.annotate(
        text,
        at,
        xycoords=("axes fraction", "data"),
        xytext=(inset, 0),
        textcoords="offset points",
        va="center",
        weight=weight,
        annotation_clip=False,
    )
