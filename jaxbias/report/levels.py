"""The figures along correlation levels: dose and response, and the screen's."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxbias.analysis import Answer
from jaxbias.report import style
from jaxbias.report.facets import facets, handles, looks_of
from jaxbias.report.select import gap_name, level_tasks, marked, metric, others, shown

_NATURAL = -1.9  # Where the natural draw stands, left of level 0.
_DODGE = 0.13  # Levels between two bases' points at one level.
_ENDS = {"value": "", "low": "_low", "high": "_high"}  # Of an estimate -> the suffix of its column.
_LEVELS = 12  # The natural draw and levels 0..10; other curations come after.


def dose_response(answer: Answer) -> Figure | None:
    """Draws the signed FPR gap along the correlation levels, one line per base.

    Args:
      answer: the `Answer`; rows of `curves` of tasks with correlation levels.

    Returns:
      The figure, one panel per target and size; None when no level was tried.
    """
    curves = level_tasks(shown(answer.curves, answer.study))
    if curves.empty:
        return None
    gaps = metric(curves, "fpr_gap")
    gaps = gaps.assign(marked=marked(gaps))
    looks = looks_of(answer, gaps)
    named = len(_place_others(gaps)) > _LEVELS  # Names under the axis want room.
    figure, panels = facets(answer, gaps, 2.95 if named else 2.35, "y")
    for axes, rows in panels:
        ticks = _place_others(rows)
        for i, (base, look) in enumerate(looks.items()):
            dodge = (i - (len(looks) - 1) / 2) * _DODGE
            _response(axes, rows[rows["base"] == base], look, dodge, ticks)
        axes.axvline(_NATURAL / 2, color=style.PALE, lw=0.5, ls=(0, (2, 2)))
        if len(ticks) > _LEVELS:
            axes.axvline(10.8, color=style.PALE, lw=0.5, ls=(0, (2, 2)))
        _level_ticks(axes, ticks)
    _name_axes(figure, answer)
    style.legend(figure, looks, handles(answer, gaps))
    return figure


def screen(answer: Answer) -> Figure | None:
    """Draws the gap of a screen's heads along the levels, with what was confirmed beside it.

    Args:
      answer: the `Answer`; rows of `screen` of tasks with correlation levels.

    Returns:
      The figure, one panel per target and size; None when no level was screened.
    """
    rows = level_tasks(shown(answer.screen, answer.study))
    if rows.empty:
        return None
    looks = looks_of(answer, rows)
    figure, panels = facets(answer, rows, 2.35, "y")
    for axes, part in panels:
        ticks = _place_others(part)
        for i, (base, look) in enumerate(looks.items()):
            _heads(axes, part[part["base"] == base], look, 2 * i * _DODGE, ticks)
        _level_ticks(axes, ticks)
    _name_axes(figure, answer)
    dots = [
        Line2D([], [], color=style.INK, marker="o", ms=4, mfc=fill, ls=line, lw=1.0, label=label)
        for label, fill, line in (
            ("heads, frozen base", "white", (0, (3, 2))),
            ("finetuned", style.INK, "-"),
        )
    ]
    style.legend(figure, looks, [*dots, style.tolerance_handle(answer.study["answer"]["epsilon"])])
    return figure


def _heads(
    axes: Axes, rows: pd.DataFrame, look: style.Look, shift: float, places: dict[str, float]
) -> None:
    """Draws one base's heads, and beside them what was confirmed."""
    x = rows["curation"].map(places).fillna(rows["level"])
    for suffix, filled, dodge in (("", "white", -1), ("_confirmed", look.colour, 1)):
        values = pd.DataFrame({k: rows[f"gap{end}{suffix}"] for k, end in _ENDS.items()})
        there = values["value"].notna()
        leveled = there & (rows["kind"] == "correlation")
        place = x + dodge * _DODGE / 2 + shift
        axes.plot(
            place[leveled], values["value"][leveled], color=look.colour, lw=1.0,
            ls="-" if suffix else (0, (3, 2)), zorder=3,
        )  # fmt: skip
        axes.errorbar(
            place[there], values["value"][there], yerr=style.whiskers(values[there]),
            ls="", marker=look.marker, ms=4, mfc=filled, mec=look.colour, mew=0.8,
            ecolor=look.colour, elinewidth=0.8, zorder=4,
        )  # fmt: skip


def _name_axes(figure: Figure, answer: Answer) -> None:
    first, second = answer.study["group"]["names"][:2]
    figure.supxlabel(
        f"Correlation level (0: positives all {first}, 5: balanced, 10: positives all {second})",
        fontsize=8,
    )
    figure.supylabel(f"FPR gap ({gap_name(answer.study)})", fontsize=8)


def _place_others(rows: pd.DataFrame) -> dict[str, float]:
    """Returns curation -> x: natural at the left, levels in place, others at the right."""
    places = {"natural": _NATURAL}
    places |= {f"level {k}": float(k) for k in range(11)}
    return places | {name: 11.8 + 1.3 * i for i, name in enumerate(others(rows))}


def _level_ticks(axes: Axes, places: dict[str, float]) -> None:
    axes.set_xticks(list(places.values()))
    names = [name.removeprefix("level ") for name in places]
    for i, text in enumerate(axes.set_xticklabels([style.label(name) for name in names])):
        if i >= _LEVELS:
            text.set(rotation=40, ha="right", rotation_mode="anchor")
    axes.tick_params(axis="x", length=0)


def _response(
    axes: Axes, rows: pd.DataFrame, look: style.Look, dodge: float, places: dict[str, float]
) -> None:
    levels = rows[rows["kind"] == "correlation"].sort_values("level")
    width = 1.6 if look.role == "studied" else 1.0
    axes.plot(levels["level"] + dodge, levels["value"], color=look.colour, lw=width, zorder=3)
    bars = dict(ecolor=look.colour, elinewidth=0.8, color=look.colour, ls="")
    axes.errorbar(
        levels["level"] + dodge, levels["value"], yerr=style.whiskers(levels),
        marker=look.marker, ms=3.2, mew=0, zorder=4, **bars,
    )  # fmt: skip
    _hollow(axes, levels["level"] + dodge, levels, look, look.marker, 3.2)
    rest = rows[rows["kind"] != "correlation"]
    natural = rest["kind"] == "natural"
    for part, marker, size in ((rest[natural], "*", 8), (rest[~natural], look.marker, 4)):
        x = part["curation"].map(places).astype(float) + 2 * dodge
        axes.errorbar(
            x, part["value"], yerr=style.whiskers(part), marker=marker, ms=size, mew=0, zorder=5,
            **bars,
        )  # fmt: skip
        _hollow(axes, x, part, look, marker, size)


def _hollow(
    axes: Axes, x: pd.Series, rows: pd.DataFrame, look: style.Look, marker: str, size: float
) -> None:
    """Draws the marks of degenerate models once more, hollow."""
    there = rows["marked"] != ""
    axes.plot(
        x[there], rows["value"][there], ls="", marker=marker, ms=size, mfc="white",
        mec=look.colour, mew=0.8, zorder=6,
    )  # fmt: skip
