"""The salience of attributes beside the group: figure and section, in order of salience."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxbias.analysis import Answer
from jaxbias.report import numbers, style
from jaxbias.report.ledger import Block, Ledger, note
from jaxbias.report.tables import Content, bounded, column, estimated, table

_ROW = 0.21  # Inches per line.
_RIGHT = 0.24  # Of the figure: the numbers at the right.
_EQUAL = 0.5


def salience(answer: Answer) -> Figure | None:
    """Draws every attribute's interval, the most salient at the top.

    Args:
      answer: the `Answer`; its `salience` frame.

    Returns:
      The figure, one block per base and size; None for other studies.
    """
    rows = _ordered(answer)
    if rows.empty:
        return None
    blocks = list(rows.groupby(["base", "n"], sort=False))
    ledger = Ledger(
        [
            Block(f"{style.label(base)}, n = {n:,}", tuple(map(style.label, block["task"])))
            for (base, n), block in blocks
        ]
    )
    height = ledger.lines * _ROW + 0.75
    figure = Figure(figsize=(style.WIDTH, height))
    axes = figure.add_axes(
        (ledger.margin, 0.5 / height, 1 - ledger.margin - _RIGHT, 1 - 0.6 / height)
    )
    axes.axvline(_EQUAL, color=style.INK, lw=0.7, zorder=1)
    for i, (_, block) in enumerate(blocks):
        for y, row in zip(ledger.places(i)[1], block.itertuples(), strict=True):
            _line(axes, row, y)
    ledger.frame(axes)
    note(axes, 1, 0, f"salience [{numbers.confidence(answer.study)}]", 10, "bold")
    column_name = style.label(answer.study["group"]["column"])
    axes.set_xlabel(
        f"Salience of {column_name} beside the attribute\n"
        f"(below 0.5 the attribute is the more salient, above it {column_name})"
    )
    return figure


def section(answer: Answer) -> Content:
    """Returns the table, with what the numbers are; empty for other studies."""
    rows = _ordered(answer)
    if rows.empty:
        return Content()
    level = numbers.confidence(answer.study)
    columns = [
        column("task", "Attribute"),
        column("base", "Trained from"),
        column("n", "n", numbers.count),
        column("checkpoints", "Checkpoints", numbers.count),
        column("auc_target", "AUC, attribute", numbers.plain),
        column("auc_group", "AUC, group", numbers.plain),
        column("agreeing", "One with the group", numbers.plain),
        column("disagreeing", "Its opposite", numbers.plain),
        estimated("salience", "low", "high", f"Salience [{level}]", numbers.plain),
        bounded("low_family", "high_family", "For all attributes", numbers.plain),
        column("more_salient", "More salient"),
    ]
    named = [row | {"more_salient": _who(answer, row)} for row in rows.to_dict("records")]
    return table(named, columns, "Salience of the group beside each attribute, in order")


def _ordered(answer: Answer) -> pd.DataFrame:
    rows = answer.salience
    return rows if rows.empty else rows.sort_values(["base", "n", "salience"], kind="stable")


def _who(answer: Answer, row: dict[str, Any]) -> str:
    who = {"group": answer.study["group"]["column"], "target": row["task"]}
    return who.get(row["more_salient"], row["more_salient"])


def _line(axes: Axes, row: Any, y: float) -> None:
    axes.plot([row.low_family, row.high_family], [y, y], color=style.INK, lw=0.8)
    axes.plot([row.low, row.high], [y, y], color=style.INK, lw=2.0)
    sure = row.low_family > _EQUAL or row.high_family < _EQUAL
    for size, edge in ((8, "white"), (5.5, style.INK)):  # A white rim sets it off its line.
        axes.plot(
            [row.salience], [y], "o", ms=size, mfc=style.INK if sure else "white", mec=edge,
            mew=1.2, zorder=4,
        )  # fmt: skip
    note(axes, 1, y, numbers.estimate(row.salience, row.low, row.high, numbers.plain), 10)
