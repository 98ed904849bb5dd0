"""More groups from the same scores: a picture of groups by curations for each grouping, tables."""

import re

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from jaxbias.analysis import Answer
from jaxbias.report import numbers, style
from jaxbias.report.ledger import Block, Ledger
from jaxbias.report.select import along_curations, panel_title, several_sizes, shown, studied

_PANELS = 8  # A picture of more is one that nobody looks through; the CSVs have them.
_ROW = 0.185  # Inches per line.
_LETTERS = 8  # Of a curation's name over its column.
# What is drawn, of binary tasks what is asked about; no task has both.
_DRAWN = {"fpr": "", "macro_auc": ", macro AUC"}
_BOUNDS = {"range": "range", "low": "at least", "high": "at most"}
_LEAST = 0.05  # Of the scale: smaller differences are pale, however small all others are.
_COLOURS = mpl.colors.LinearSegmentedColormap.from_list("apart", ("#0072B2", "#ffffff", "#D55E00"))
_KEYS = ["task", "base", "n"]


def names(answer: Answer) -> dict[str, str]:
    """Returns grouping -> the name of its picture, of those that have one."""
    ranges = answer.grouping_ranges
    there = set(studied(ranges, answer.study)["grouping"]) if len(ranges) else set()
    # Files may not be called what groupings may.
    return {
        name: f"grouping_{i}_{re.sub('[^A-Za-z0-9]+', '_', name).strip('_')}".strip("_")
        for i, name in enumerate(answer.study["groupings"], start=1)
        if name in there
    }


def draw(answer: Answer, grouping: str) -> Figure:
    """Draws the FPR, or macro AUC, of every group after every curation, and the range over all.

    Args:
      answer: the `Answer`; its frames `grouping_rates`, `grouping_ranges` and `grouping_fixes`.
      grouping: its name.

    Returns:
      The figure, one block of lines per target, studied base and size.
    """
    parts = _panels(answer, grouping)[0]
    several = several_sizes(pd.concat(parts))
    rates = _of(answer.grouping_rates, grouping)
    by_panel = dict(iter(rates[rates["left_out"] == ""].groupby(_KEYS, sort=False)))
    tables = [_wide(by_panel[_key(part)], part) for part in parts]
    heads = [[_heading(row) for row in part.itertuples()] for part in parts]
    above = [max(text.count("\n") + 1 for text in head) for head in heads]
    ledger = Ledger(
        [
            Block(
                _title(part, several),
                (*("",) * lines, *map(style.label, wide.index), *_BOUNDS.values()),
            )
            for part, wide, lines in zip(parts, tables, above, strict=True)
        ]
    )
    height = ledger.lines * _ROW + 0.55
    figure = Figure(figsize=(style.WIDTH, height))
    axes = figure.add_axes((ledger.margin, 0.45 / height, 0.99 - ledger.margin, 1 - 0.5 / height))
    scale = max(_LEAST, *(float(np.nanmax(np.abs(_apart(wide)))) for wide in tables))
    for i, (part, wide, head, lines) in enumerate(zip(parts, tables, heads, above, strict=True)):
        places = ledger.places(i)[1]
        for x, text in enumerate(head):
            at = (x + 0.5, places[lines - 1] - 0.4)
            axes.text(*at, text, ha="center", va="bottom", fontsize=6, linespacing=1.0)
        _cells(axes, wide, part, places[lines:], scale, answer.study["answer"]["epsilon"])
        _ring(axes, _of(answer.grouping_fixes, grouping), part, places[lines:])
    ledger.frame(axes)
    axes.set_xlim(0, max(6, *(len(part) for part in parts)))
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    _key_of_colours(figure, scale, ledger.margin, height)
    return figure


def caption(answer: Answer, grouping: str) -> str:
    """Says what the picture shows, and what of it is not there."""
    parts, count = _panels(answer, grouping)
    study = answer.study
    few = f" The {len(parts)} of {count} with the largest ranges on natural draws are drawn."
    macro = any(part["metric"].iloc[0] == "macro_auc" for part in parts)
    of_several = " (of tasks of several outputs the macro AUC)" if macro else ""
    return (
        f"False-positive rate{of_several} of every group of {grouping} on test examples, in "
        "hundredths, after finetuning the studied base on each curation (numbers over the columns "
        "are correlation levels). Colours are the distance from the mean over the groups. The "
        "range over all "
        "groups stands below, with the ends of its "
        f"{numbers.confidence(study)} interval over checkpoints and examples: at least, at most; "
        f"bold where all of that is above {study['answer']['epsilon']:g}. The frame is the "
        "smallest fix, dashed where nothing qualifies and it is the nearest to one. Grey numbers "
        f"are of degenerate models.{few if count > len(parts) else ''}"
    )


def _panels(answer: Answer, grouping: str) -> tuple[list[pd.DataFrame], int]:
    """The ranges of each panel along the curations, and how many panels there are."""
    ranges = shown(studied(_of(answer.grouping_ranges, grouping), answer.study), answer.study)
    found = [along_curations(rows) for _, rows in ranges.groupby(_KEYS, sort=False)]
    natural = [rows.loc[rows["curation"] == "natural", "range"].max() for rows in found]
    most = np.argsort(-np.nan_to_num(natural), kind="stable")[:_PANELS]
    return [found[i] for i in sorted(most)], len(found)


def _of(frame: pd.DataFrame, grouping: str) -> pd.DataFrame:
    if frame.empty:
        return frame
    return frame[(frame["grouping"] == grouping) & frame["metric"].isin(_DRAWN)]


def _title(part: pd.DataFrame, several: bool) -> str:
    task, base, n = _key(part)
    return f"{panel_title(task, n, several)}: {style.label(base)}{_DRAWN[part['metric'].iloc[0]]}"


def _key(rows: pd.DataFrame) -> tuple[str, str, int]:
    first = rows.iloc[0]
    return first["task"], first["base"], first["n"]


def _wide(rates: pd.DataFrame, part: pd.DataFrame) -> pd.DataFrame:
    """A row per group, in the grouping's order, and a column per curation."""
    wide = rates.pivot_table("value", "group", "curation", sort=False, dropna=False)
    return wide.reindex(index=rates["group"].unique(), columns=part["curation"])


def _apart(wide: pd.DataFrame) -> np.ndarray:
    return (wide - wide.mean()).to_numpy()


def _heading(row: tuple) -> str:
    """A curation as it stands over a column: a level by its number, words under one another."""
    name = row.curation.removeprefix("correlation ") if row.kind == "correlation" else row.curation
    lines = [""]
    for word in style.label(name).split():
        joined = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], joined] if len(joined) <= _LETTERS else [*lines, word]
    return "\n".join(filter(None, lines))


def _cells(
    axes: Axes,
    wide: pd.DataFrame,
    part: pd.DataFrame,
    places: list[float],
    scale: float,
    epsilon: float,
) -> None:
    apart, marked = _apart(wide), (part["marked"] != "").to_numpy()
    for g, y in enumerate(places[: len(wide)]):
        for x, value in enumerate(wide.iloc[g]):
            colour = _COLOURS((np.nan_to_num(apart[g, x]) / scale + 1) / 2)
            axes.add_patch(Rectangle((x, y - 0.5), 1, 1, fc=colour, ec="white", lw=0.6))
            light = sum(c * w for c, w in zip(colour, (0.3, 0.59, 0.11), strict=False)) > 0.55
            ink = style.PALE if marked[x] else style.INK if light else "white"
            _write(axes, x, y, value, color=ink)
    for name, y in zip(_BOUNDS, places[len(wide) :], strict=True):
        for x, (value, low) in enumerate(zip(part[name], part["low"], strict=True)):
            weight = "bold" if low > epsilon else "normal"
            _write(axes, x, y, value, color=style.PALE if marked[x] else style.INK, weight=weight)


def _write(axes: Axes, x: int, y: float, value: float, **look: str) -> None:
    text = numbers.MISSING if numbers.missing(value) else f"{100 * value:.0f}"
    axes.text(x + 0.5, y, text, ha="center", va="center_baseline", fontsize=7, **look)


def _ring(axes: Axes, fixes: pd.DataFrame, part: pd.DataFrame, places: list[float]) -> None:
    task, base, n = _key(part)
    for fix in fixes.itertuples():
        if (fix.task, fix.base, fix.n) == (task, base, n):
            x = part["curation"].tolist().index(fix.curation)
            size = (1, places[0] - places[-1] + 1)
            line = "-" if fix.confirmed else (0, (3, 2))
            corner = (x, places[-1] - 0.5)
            axes.add_patch(Rectangle(corner, *size, fc="none", ec=style.INK, lw=1.1, ls=line))


def _key_of_colours(figure: Figure, scale: float, margin: float, height: float) -> None:
    axes = figure.add_axes((margin, 0.25 / height, 0.25, 0.09 / height))
    axes.imshow(np.linspace(-1, 1, 101)[None], cmap=_COLOURS, aspect="auto", extent=(-1, 1, 0, 1))
    axes.set_yticks([])
    axes.set_xticks(
        [-1, 0, 1], [numbers.signed(-scale), "mean of the groups", numbers.signed(scale)]
    )
    axes.tick_params(length=0, labelsize=6.5, pad=2)
    for spine in axes.spines.values():
        spine.set_visible(False)
