"""The figure behind "inherited?": paired differences of gaps with their intervals."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxbias.analysis import Answer
from jaxbias.report import numbers, style
from jaxbias.report.ledger import Block, Ledger, note
from jaxbias.report.select import gap_name, panel_title, roles, several_sizes, shown

_ROW = 0.21  # Inches per line.
_RIGHT = 0.28  # Of the figure: the numbers at the right.


def inherited(answer: Answer) -> Figure | None:
    """Draws, per target, studied base minus each control and scratch.

    Args:
      answer: the `Answer`; its `inherited` frame.

    Returns:
      The figure, or None when there is no such row.
    """
    rows = shown(answer.inherited, answer.study)
    if rows.empty:
        return None
    several = several_sizes(rows)
    blocks = list(rows.groupby(["task", "n", "base"], sort=False))
    ledger = Ledger(
        [
            Block(
                f"{panel_title(task, n, several)}: {style.label(base)}",
                tuple(f"minus {style.label(name)}" for name in block["against"]),
            )
            for (task, n, base), block in blocks
        ]
    )
    height = ledger.lines * _ROW + 0.7
    figure = Figure(figsize=(style.WIDTH, height))
    axes = figure.add_axes(
        (ledger.margin, 0.45 / height, 1 - ledger.margin - _RIGHT, 1 - 0.55 / height)
    )
    epsilon = answer.study["answer"]["epsilon"]
    style.tolerance(axes, epsilon, "x")
    looks = style.looks(roles(answer.study))
    for i, (_, block) in enumerate(blocks):
        for y, row in zip(ledger.places(i)[1], block.itertuples(), strict=True):
            _line(axes, row, y, looks[row.against])
    ledger.frame(axes)
    note(axes, 1, 0, f"difference [{numbers.confidence(answer.study)}]", 10, "bold")
    axes.annotate(
        f"±{epsilon:g}", (0, 0.7), xytext=(3, -2), textcoords="offset points", va="top",
        fontsize=6.5, color=style.MUTED,
    )  # fmt: skip
    axes.set_xlabel(
        f"Difference in FPR gap ({gap_name(answer.study)}), in the direction of the bias"
    )
    return figure


def _line(axes: Axes, row: Any, y: float, look: style.Look) -> None:
    if not (pd.isna(row.low_family) or pd.isna(row.high_family)):
        axes.plot([row.low_family, row.high_family], [y, y], color=look.colour, lw=0.8)
    axes.plot([row.low, row.high], [y, y], color=look.colour, lw=2.0)
    face = look.colour if row.low > 0 or row.high < 0 else "white"
    for size, edge in ((8.5, "white"), (6, look.colour)):  # A white rim sets it off its line.
        axes.plot(
            [row.difference], [y], look.marker, ms=size, mfc=face, mec=edge, mew=1.2, zorder=4
        )
    note(axes, 1, y, numbers.estimate(row.difference, row.low, row.high), 10)
