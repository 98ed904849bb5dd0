"""The figures along correlation levels: dose and response, and AUC against the gap."""

from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxbias.report import numbers, style
from jaxbias.report.select import (
    gap_name,
    level_tasks,
    metric,
    panel_title,
    pictures,
    roles,
    several_sizes,
    shown,
)

_NATURAL = -1.9  # Where the natural draw stands, left of level 0.
_DODGE = 0.13  # Levels between two bases' points at one level.
_ENDS = {"value": "", "low": "_low", "high": "_high"}  # Of an estimate -> the suffix of its column.
_LEVELS = 12  # The natural draw and levels 0..10; other curations come after.


def dose_response(answer: Any) -> Figure | None:
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
    looks = _looks(answer, gaps)
    facets = list(gaps.groupby(["task", "n"], sort=False))
    named = len(_place_others(gaps)) > _LEVELS  # Names under the axis want room.
    figure, grid = style.panels(len(facets), 2.95 if named else 2.35, share="y")
    for axes, ((task, n), rows) in zip(grid, facets, strict=True):
        style.tolerance(axes, answer.study["answer"]["epsilon"], "y")
        ticks = _place_others(rows)
        for i, (base, look) in enumerate(looks.items()):
            dodge = (i - (len(looks) - 1) / 2) * _DODGE
            _response(axes, rows[rows["base"] == base], look, dodge, ticks)
        axes.axvline(_NATURAL / 2, color=style.PALE, lw=0.5, ls=(0, (2, 2)))
        if len(ticks) > _LEVELS:
            axes.axvline(10.8, color=style.PALE, lw=0.5, ls=(0, (2, 2)))
        _level_ticks(axes, ticks)
        axes.set_title(panel_title(task, n, several_sizes(gaps)))
    first, second = answer.study["group"]["names"][:2]
    figure.supxlabel(
        f"Correlation level (0: positives all {first}, 5: balanced, 10: positives all {second})",
        fontsize=8,
    )
    figure.supylabel(f"FPR gap ({gap_name(answer.study)})", fontsize=8)
    style.legend(figure, looks, _handles(answer))
    return figure


def auc_gap(answer: Any) -> Figure | None:
    """Draws every curation as a point: signed FPR gap across, AUC up.

    Args:
      answer: the `Answer`; rows of `curves` of tasks with correlation levels.

    Returns:
      The figure, one panel per target and size; None when no level was tried.
    """
    curves = level_tasks(shown(answer.curves, answer.study))
    if curves.empty:
        return None
    points = pictures(curves)
    looks = _looks(answer, points)
    facets = list(points.groupby(["task", "n"], sort=False))
    figure, grid = style.panels(len(facets), 2.75, share="x")
    for axes, ((task, n), rows) in zip(grid, facets, strict=True):
        style.tolerance(axes, answer.study["answer"]["epsilon"], "x")
        # Studied bases last, on top of the others.
        for base, look in reversed(looks.items()):
            _picture(axes, rows[rows["base"] == base], look)
        axes.set_title(panel_title(task, n, several_sizes(points)))
        axes.margins(0.06)
    figure.supxlabel(f"FPR gap ({gap_name(answer.study)})", fontsize=8)
    figure.supylabel("AUC", fontsize=8)
    style.legend(figure, looks, _handles(answer), marker="o")
    return figure


def screen(answer: Any) -> Figure | None:
    """Draws the gap of a screen's heads along the levels, with what was confirmed beside it.

    Args:
      answer: the `Answer`; rows of `screen` of tasks with correlation levels.

    Returns:
      The figure, one panel per target and size; None when no level was screened.
    """
    rows = level_tasks(shown(answer.screen, answer.study))
    if rows.empty:
        return None
    looks = _looks(answer, rows)
    facets = list(rows.groupby(["task", "n"], sort=False))
    figure, grid = style.panels(len(facets), 2.35, share="y")
    for axes, ((task, n), part) in zip(grid, facets, strict=True):
        style.tolerance(axes, answer.study["answer"]["epsilon"], "y")
        ticks = _place_others(part)
        for i, (base, look) in enumerate(looks.items()):
            own = part[part["base"] == base]
            x = own["curation"].map(ticks).fillna(own["level"])
            for suffix, filled, dodge in (("", "white", -1), ("_confirmed", look.colour, 1)):
                values = pd.DataFrame({k: own[f"gap{end}{suffix}"] for k, end in _ENDS.items()})
                there = values["value"].notna()
                leveled = there & (own["kind"] == "correlation")
                place = x + dodge * _DODGE / 2 + 2 * i * _DODGE
                axes.plot(
                    place[leveled], values["value"][leveled], color=look.colour, lw=1.0,
                    ls="-" if suffix else (0, (3, 2)), zorder=3,
                )  # fmt: skip
                axes.errorbar(
                    place[there], values["value"][there], yerr=style.whiskers(values[there]),
                    ls="", marker=look.marker, ms=4, mfc=filled, mec=look.colour, mew=0.8,
                    ecolor=look.colour, elinewidth=0.8, zorder=4,
                )  # fmt: skip
        _level_ticks(axes, ticks)
        axes.set_title(panel_title(task, n, several_sizes(rows)))
    first, second = answer.study["group"]["names"][:2]
    figure.supxlabel(
        f"Correlation level (0: positives all {first}, 5: balanced, 10: positives all {second})",
        fontsize=8,
    )
    figure.supylabel(f"FPR gap ({gap_name(answer.study)})", fontsize=8)
    dots = [
        Line2D([], [], color=style.INK, marker="o", ms=4, mfc=fill, ls=line, lw=1.0, label=label)
        for label, fill, line in (
            ("heads, frozen base", "white", (0, (3, 2))),
            ("finetuned", style.INK, "-"),
        )
    ]
    style.legend(figure, looks, [*dots, style.tolerance_handle(answer.study["answer"]["epsilon"])])
    return figure


def _looks(answer: Any, frame: pd.DataFrame) -> dict[str, style.Look]:
    present = set(frame["base"])
    looks = style.looks(roles(answer.study))
    return {name: look for name, look in looks.items() if name in present}


def _handles(answer: Any) -> list[Artist]:
    star = Line2D(
        [], [], ls="", marker="*", ms=8, mfc="white", mec=style.INK, mew=0.8, label="natural draw"
    )
    return [star, style.tolerance_handle(answer.study["answer"]["epsilon"])]


def _place_others(rows: pd.DataFrame) -> dict[str, float]:
    """Returns curation -> x: natural at the left, levels in place, others at the right."""
    places = {"natural": _NATURAL}
    places |= {f"level {k}": float(k) for k in range(11)}
    others = rows.loc[~rows["kind"].isin(["natural", "correlation"]), "curation"].unique()
    return places | {name: 11.8 + 1.3 * i for i, name in enumerate(others)}


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
    rest = rows[rows["kind"] != "correlation"]
    natural = rest["kind"] == "natural"
    for part, marker, size in ((rest[natural], "*", 8), (rest[~natural], look.marker, 4)):
        axes.errorbar(
            [places[name] + 2 * dodge for name in part["curation"]], part["value"],
            yerr=style.whiskers(part), marker=marker, ms=size, mew=0, zorder=5, **bars,
        )  # fmt: skip


def _picture(axes: Axes, rows: pd.DataFrame, look: style.Look) -> None:
    """Draws one base: its levels joined in order, each with its number, the natural draw a star."""
    front = look.role == "studied"
    order = 4 if front else 2
    rows = rows.sort_values("level")
    axes.errorbar(
        rows["value_gap"], rows["value_auc"],
        xerr=style.whiskers(_part(rows, "gap")), yerr=style.whiskers(_part(rows, "auc")),
        ls="", elinewidth=0.5, ecolor=look.colour, alpha=0.35, zorder=order,
    )  # fmt: skip
    levels = rows[rows["kind"] == "correlation"]
    axes.plot(
        levels["value_gap"], levels["value_auc"], color=look.colour, marker="o", ms=3.2,
        mew=0, lw=1.4 if front else 0.9, zorder=order + 0.1,
    )  # fmt: skip
    # Every level of the studied base has its number; of the others, the two ends.
    numbered = levels if front else levels.iloc[[0, -1]] if len(levels) > 1 else levels
    for row in numbered.itertuples():
        axes.plot(
            row.value_gap, row.value_auc, "o", ms=7.6 if front else 6.6, mfc=look.colour,
            mec="white", mew=0.5, zorder=order + 0.2,
        )  # fmt: skip
        axes.annotate(
            numbers.level(row.level), (row.value_gap, row.value_auc), color="white",
            fontsize=(5.2 if front else 4.6) - (row.level > 9), weight="bold", ha="center",
            va="center_baseline", zorder=order + 0.3,
        )  # fmt: skip
    natural = rows[rows["kind"] == "natural"]
    axes.plot(
        natural["value_gap"], natural["value_auc"], "*", ms=12 if front else 9, mfc=look.colour,
        mec=style.INK, mew=0.6, zorder=order + 0.15,
    )  # fmt: skip
    for row in rows[~rows["kind"].isin(["natural", "correlation"])].itertuples():
        axes.plot(
            row.value_gap, row.value_auc, "D", ms=4, color=look.colour, mec="white", mew=0.5,
            zorder=5,
        )  # fmt: skip
        if front:
            axes.annotate(
                style.label(row.curation), (row.value_gap, row.value_auc), (4, 4),
                textcoords="offset points", fontsize=6, color=look.colour, zorder=7,
            )  # fmt: skip


def _part(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    return pd.DataFrame({k: rows[f"{k}_{name}"] for k in ("value", "low", "high")})
