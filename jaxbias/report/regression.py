"""The regression of gaps on salience and distance: residual picture and table."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxbias.analysis import Answer
from jaxbias.analysis.regression import KEPT
from jaxbias.report import numbers, style
from jaxbias.report.select import several_sizes
from jaxbias.report.tables import Column, Content, column, estimated, table

_KEYS = ["base", "n", "model"]
_TERMS = {
    "intercept": "intercept",
    "salience": "salience",
    "distance": "|correlation − base rate|",
}


def residuals(answer: Answer) -> Figure | None:
    """Draws what each model leaves unexplained, against what it explains and against salience.

    Args:
      answer: the `Answer`; its `regression_points` frame.

    Returns:
      The figure, two panels per studied base, size and model; None for other studies. The model
      without points of opposite signs has the others of the ratio's and is not drawn again.
    """
    rows = answer.regression_points
    if rows.empty:
        return None
    rows = rows[rows["model"] != KEPT]
    several = several_sizes(rows)
    parts = list(rows.groupby(_KEYS, sort=False))
    figure, grid = style.panels(2 * len(parts), 2.1)
    for i, ((base, n, model), part) in enumerate(parts):
        title = f"{style.label(base)}: {model}" + (f", n = {n:,}" if several else "")
        along = (("fitted", f"Fitted {model}"), ("salience", "Salience of the group"))
        for axes, (name, heading) in zip(grid[2 * i : 2 * i + 2], along, strict=True):
            _scatter(axes, part, name)
            axes.set_xlabel(heading)
            axes.locator_params(axis="x", nbins=5)  # More would touch.
            axes.set_title(title)
    figure.supylabel("Residual", fontsize=8)
    kinds = [(True, False, "natural draw"), (False, False, "correlation level")]
    if rows["opposite"].any():
        kinds.append((True, True, "opposite signs"))
    figure.legend(
        handles=[_mark(*kind) for kind in kinds], loc="outside upper center", ncols=len(kinds)
    )
    return figure


def section(answer: Answer) -> Content:
    """Returns the table of coefficients; empty for other studies."""
    if answer.regression.empty:
        return Content()
    level = numbers.confidence(answer.study)
    columns = [
        column("model", "Explained"),
        column("base", "Base"),
        column("n", "n", numbers.count),
        column("term", "Coefficient of", _TERMS.__getitem__),
        estimated("value", "low", "high", f"Value [{level}]"),
        column("p_value", "p", numbers.p_value),
        column("attributes", "Attributes", numbers.count),
        column("points", "Points", numbers.count),
        Column("Set to 0, to 5", _ruled, True),
        column("sd_attributes", "SD of attributes", numbers.plain),
        column("sd_rest", "SD of the rest", numbers.plain),
    ]
    return table(
        answer.regression.to_dict("records"),
        columns,
        "Regression of the studied base's gap beside the controls', attribute at random",
    )


def _ruled(row: dict[str, Any]) -> str:
    return f"{row['set_to_0']}, {row['set_to_5']}" if row["model"] == "ratio" else numbers.MISSING


def _scatter(axes: Axes, rows: pd.DataFrame, along: str) -> None:
    axes.axhline(0, color=style.INK, lw=0.7, zorder=1)
    for (natural, opposite), part in rows.groupby([rows["curation"] == "natural", "opposite"]):
        mark = _mark(bool(natural), bool(opposite))
        mark.set_data(part[along], part["residual"])
        axes.add_line(mark)
    axes.margins(0.08)
    axes.autoscale_view()


def _mark(natural: bool, opposite: bool, label: str = "") -> Line2D:
    return Line2D(
        [], [], ls="", marker="o" if natural else "D", ms=4.5 if natural else 3.8,
        mfc="white" if opposite else style.INK, mec=style.INK, mew=0.9, zorder=3, label=label,
    )  # fmt: skip
