"""Removal alone beside the same levels with all images: figure and table."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxbias.analysis import Answer
from jaxbias.report import numbers, style
from jaxbias.report.facets import looks_of
from jaxbias.report.select import gap_name
from jaxbias.report.tables import Column, Content, badge, column, estimated, table

_NAMES = {"gap": "FPR gap", "auc": "AUC"}
_TONES = {"as good": "good", "worse": "bad"}
_DASHED = (0, (3, 2))
_DODGE = 0.12  # Levels between two bases' points.


def reduction(answer: Answer) -> Figure | None:
    """Draws gap and AUC along the levels, with all images and with what removal leaves.

    Args:
      answer: the `Answer`; its `reduction` frame.

    Returns:
      The figure, two panels per task, level and n that images are removed from; None for other
      studies.
    """
    if answer.reduction.empty:
        return None
    looks = looks_of(answer, answer.reduction)
    panels = list(answer.reduction.groupby(["task", "start", "n_full"], sort=False))
    several = len(panels) > answer.reduction["task"].nunique()
    figure, grid = style.panels(2 * len(panels), 2.3)
    for i, ((task, start, n), rows) in enumerate(panels):
        for axes, name in zip(grid[2 * i : 2 * i + 2], _NAMES, strict=True):
            for j, (base, look) in enumerate(looks.items()):
                shift = (j - (len(looks) - 1) / 2) * _DODGE
                _lines(axes, rows[rows["base"] == base].sort_values("level"), name, look, shift)
            sizes = rows.drop_duplicates("level").sort_values("level")
            axes.set_xticks(
                sizes["level"], [f"{row.level:g}\n{row.n:,}" for row in sizes.itertuples()]
            )
            told = f", from level {start} of n = {n:,}" if several else ""
            axes.set_title(f"{style.label(task)}{told}: {_NAMES[name]}")
        style.tolerance(grid[2 * i], answer.study["answer"]["epsilon"], "y")
    figure.supxlabel(
        f"Correlation level, and images left by removal (gap: {gap_name(answer.study)})",
        fontsize=8,
    )
    kinds = [
        Line2D([], [], color=style.INK, marker="o", ms=4, mfc=fill, ls=line, lw=1.0, label=label)
        for label, fill, line in (
            ("all images", style.INK, "-"),
            ("by removal alone", "white", _DASHED),
        )
    ]
    extra = [*kinds, style.tolerance_handle(answer.study["answer"]["epsilon"])]
    style.legend(figure, looks, extra)
    return figure


def section(answer: Answer) -> Content:
    """Returns the table; empty for other studies."""
    if answer.reduction.empty:
        return Content()
    level = numbers.confidence(answer.study)
    columns = [
        column("task", "Target"),
        column("base", "Base"),
        column("level", "Level", numbers.level),
        column("start", "From level", numbers.level),
        column("n", "n by removal", numbers.count),
        column("n_full", "n in full", numbers.count),
        column("gap", "FPR gap by removal", numbers.signed),
        column("gap_full", "In full", numbers.signed),
        estimated("gap_change", "gap_change_low", "gap_change_high", f"Change of gap [{level}]"),
        estimated("auc_change", "auc_change_low", "auc_change_high", f"Change of AUC [{level}]"),
        Column("Verdict", lambda row: badge(row["verdict"], _TONES.get(row["verdict"], "open"))),
    ]
    return table(
        answer.reduction.to_dict("records"),
        columns,
        "The same correlation level by removal alone; intervals hold for all levels of a base",
    )


def _lines(axes: Axes, rows: pd.DataFrame, name: str, look: style.Look, shift: float) -> None:
    at = rows["level"] + shift
    axes.plot(at, rows[f"{name}_full"], color=look.colour, marker=look.marker, ms=3.6, lw=1.2)
    # The bar is that of the difference from the full size, which is what is compared.
    low, high = (rows[f"{name}_full"] + rows[f"{name}_change_{end}"] for end in ("low", "high"))
    bars = style.whiskers(pd.DataFrame({"value": rows[name], "low": low, "high": high}))
    axes.errorbar(
        at, rows[name], yerr=bars, color=look.colour, ecolor=look.colour, marker=look.marker,
        ms=4, mfc="white", mec=look.colour, mew=0.8, ls=_DASHED, lw=1.0, elinewidth=0.8,
    )  # fmt: skip
