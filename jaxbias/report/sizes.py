"""Gap and AUC along the finetuning size: figure and table."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from jaxbias.analysis import Answer
from jaxbias.report import numbers, style
from jaxbias.report.facets import looks_of
from jaxbias.report.select import gap_name, marked, metric, panel_title, shown
from jaxbias.report.tables import Content, bounded, column, estimated, folded, table

_DODGE = 1.06  # Between two bases' points at one size, a factor.
_NAMES = {"fpr_gap": "FPR gap", "auc": "AUC"}


def sizes(answer: Answer) -> Figure | None:
    """Draws the natural draws' FPR gap and AUC along n, a line per base.

    Args:
      answer: the `Answer`; rows of `curves` of the tasks in `sizes`.

    Returns:
      The figure, two panels per task; None for other studies.
    """
    if answer.sizes.empty:
        return None
    curves = shown(answer.curves, answer.study)
    rows = curves[
        (curves["kind"] == "natural") & curves["task"].isin(answer.sizes["task"].unique())
    ]
    rows = rows.assign(marked=marked(rows))
    looks = looks_of(answer, rows)
    tasks = list(rows.groupby("task", sort=False))
    figure, grid = style.panels(2 * len(tasks), 2.2)
    for i, (task, part) in enumerate(tasks):
        for axes, name in zip(grid[2 * i : 2 * i + 2], _NAMES, strict=True):
            lines = metric(part, name, "all")
            for j, (base, look) in enumerate(looks.items()):
                shift = _DODGE ** (j - (len(looks) - 1) / 2)
                _line(axes, lines[lines["base"] == base].sort_values("n"), look, shift)
            _along_sizes(axes, sorted(lines["n"].unique()))
            axes.set_title(f"{panel_title(task, 0, several=False)}: {_NAMES[name]}")
        style.tolerance(grid[2 * i], answer.study["answer"]["epsilon"], "y")
    figure.supxlabel(f"Finetuning images n (gap: {gap_name(answer.study)})", fontsize=8)
    extra = [style.marked_handle()] if (rows["marked"] != "").any() else []
    extra.append(style.tolerance_handle(answer.study["answer"]["epsilon"]))
    style.legend(figure, looks, extra)
    return figure


def section(answer: Answer) -> Content:
    """Returns the tables of where bases meet and, folded, of every size; empty without sizes."""
    if answer.sizes.empty:
        return Content()
    level = numbers.confidence(answer.study)
    keys = [
        column("task", "Target"),
        column("base", "Base"),
        column("against", "Meets"),
        column("metric", "In", _NAMES.__getitem__),
    ]
    where = [
        *keys,
        column("bound", "Within ±", numbers.level),
        column("met_from", "Surely from n", numbers.count),
        column("apart_to", "Surely apart to n", numbers.count),
    ]
    every = [
        *keys[:2],
        column("against", "Minus"),
        keys[3],
        column("n", "n", numbers.count),
        estimated("difference", "low", "high", f"Difference [{level}]"),
        bounded("low_all", "high_all", "For all sizes and bases"),
        column("left_out", "Left out"),
    ]
    meets = table(
        answer.meeting.to_dict("records"), where, "From which finetuning size on bases have met"
    )
    whole = table(answer.sizes.to_dict("records"), every, "Differences of bases at every size")
    return meets + folded("Every size", whole)


def _line(axes: Axes, rows: pd.DataFrame, look: style.Look, shift: float) -> None:
    at = rows["n"] * shift
    axes.errorbar(
        at, rows["value"], yerr=style.whiskers(rows), color=look.colour, ecolor=look.colour,
        marker=look.marker, ms=3.6, mew=0, lw=1.6 if look.role == "studied" else 1.0,
        elinewidth=0.8, zorder=3,
    )  # fmt: skip
    there = rows["marked"] != ""
    axes.plot(
        at[there], rows["value"][there], ls="", marker=look.marker, ms=3.6, mfc="white",
        mec=look.colour, mew=0.8, zorder=4,
    )  # fmt: skip


def _along_sizes(axes: Axes, places: list[int]) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    step = -(-len(places) // 6)  # Names of six sizes have room.
    named = places[::-step][::-1]
    axes.set_xticks(named, [f"{n:,}" for n in named])
