"""Panels of a figure, one per target and size, over the band of gaps that count as none."""

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxbias.analysis import Answer
from jaxbias.report import style
from jaxbias.report.select import panel_title, roles, several_sizes


def facets(
    answer: Answer, rows: pd.DataFrame, height: float, along: str
) -> tuple[Figure, list[tuple[Axes, pd.DataFrame]]]:
    """Lays out one panel per target and size, with its title and the band.

    Args:
      answer: the answer.
      rows: what is drawn; not empty.
      height: of a panel, in inches.
      along: "x" or "y", the axis on which the gap is; its scale is common to all panels.

    Returns:
      The figure, and every panel with its rows.
    """
    parts = list(rows.groupby(["task", "n"], sort=False))
    several = several_sizes(rows)
    figure, grid = style.panels(len(parts), height, share=along)
    for axes, ((task, n), _) in zip(grid, parts, strict=True):
        style.tolerance(axes, answer.study["answer"]["epsilon"], along)
        axes.set_title(panel_title(task, n, several))
    return figure, [(axes, part) for axes, (_, part) in zip(grid, parts, strict=True)]


def looks_of(answer: Answer, frame: pd.DataFrame) -> dict[str, style.Look]:
    """Returns the looks of the bases that a frame has rows of, in the order of the legend."""
    present = set(frame["base"])
    looks = style.looks(roles(answer.study))
    return {name: look for name, look in looks.items() if name in present}


def handles(answer: Answer, rows: pd.DataFrame) -> list[Artist]:
    """Returns what the legend lists after the bases: star, degenerate models if any, band."""
    star = Line2D(
        [], [], ls="", marker="*", ms=8, mfc=style.PALE, mec=style.INK, mew=0.8,
        label="natural draw",
    )  # fmt: skip
    band = style.tolerance_handle(answer.study["answer"]["epsilon"])
    return [star, *([style.marked_handle()] if (rows["marked"] != "").any() else []), band]
