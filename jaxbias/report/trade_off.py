"""The figure of AUC against the gap: what every curation does to both."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxbias.analysis import Answer
from jaxbias.report import numbers, style
from jaxbias.report.facets import facets, handles, looks_of
from jaxbias.report.placing import Name, place
from jaxbias.report.select import curated, gap_name, pictures, shown
from jaxbias.study import STUDIED

_KEY = ["task", "base", "n", "curation"]


def auc_gap(answer: Answer) -> Figure | None:
    """Draws every curation as a point: signed FPR gap across, AUC up.

    Args:
      answer: the `Answer`; rows of `curves` of targets.

    Returns:
      The figure, one panel per target and size; None where natural draws alone were tried.
    """
    curves = curated(shown(answer.curves, answer.study), answer.study)
    if curves.empty:
        return None
    points = pictures(curves)
    points["named"] = pd.MultiIndex.from_frame(points[_KEY]).isin(_in_verdicts(answer))
    looks = looks_of(answer, points)
    figure, panels = facets(answer, points, 2.75, "x")
    for axes, rows in panels:
        # Studied bases last, on top of the others.
        for base, look in reversed(looks.items()):
            _picture(axes, rows[rows["base"] == base].sort_values("level"), look)
        axes.margins(0.06, 0.08)
    figure.supxlabel(f"FPR gap ({gap_name(answer.study)})", fontsize=8)
    figure.supylabel("AUC", fontsize=8)
    extra = handles(answer, points)
    if points["named"].any():
        extra.insert(1, _verdict_mark(style.PALE, label="fix or nearest"))
    style.legend(figure, looks, extra, marker="o")
    figure.draw_without_rendering()  # Lays it out: only then is it known where points stand.
    renderer = FigureCanvasAgg(figure).get_renderer()
    for axes, rows in panels:
        ways = [
            part.sort_values("level")[["value_gap", "value_auc"]].to_numpy()
            for _, part in rows[rows["kind"] == "correlation"].groupby("base")
        ]
        middle = np.array([[0, end] for end in axes.get_ylim()])
        marks = rows[["value_gap", "value_auc"]].to_numpy()
        place(renderer, axes, _names(rows, looks), [*ways, middle], marks)
    return figure


def _in_verdicts(answer: Answer) -> pd.MultiIndex:
    """The curations that the answer names: each smallest fix, or what comes nearest to one."""
    fixes = shown(answer.smallest_fix, answer.study)
    if fixes.empty:
        return pd.MultiIndex.from_arrays([[]] * len(_KEY), names=_KEY)
    named = fixes["curation"].where(fixes["curation"] != "", fixes["nearest"])
    return pd.MultiIndex.from_frame(fixes.assign(curation=named)[_KEY])


def _names(rows: pd.DataFrame, looks: dict[str, style.Look]) -> list[Name]:
    """What is written: of bases in question, the ends, what verdicts name, and other curations."""
    front = [base for base, look in looks.items() if look.role in STUDIED]
    names: list[tuple[int, Name]] = []
    for base in front or list(looks):
        own = rows[rows["base"] == base].sort_values("level")
        levels = own[own["kind"] == "correlation"]
        ends = levels.iloc[[0, -1]].index if len(levels) else levels.index
        for row in own.itertuples():
            level = row.kind == "correlation"
            end = level and row.Index in ends
            if row.kind == "natural" or not (row.named or end or not level):
                continue
            text = numbers.level(row.level) if level else style.label(row.curation)
            weight = "bold" if row.named or end else "normal"
            name = Name(
                text, row.value_gap, row.value_auc, looks[base].ink, 7 if level else 6, weight
            )
            names.append((0 if row.named else 1 if end else 2, name))
    return [name for _, name in sorted(names, key=lambda pair: pair[0])]


def _picture(axes: Axes, rows: pd.DataFrame, look: style.Look) -> None:
    """Draws one base: its levels joined in order, the natural draw a star, others diamonds."""
    front = look.role in STUDIED
    order = 4 if front else 2
    axes.errorbar(
        rows["value_gap"], rows["value_auc"],
        xerr=style.whiskers(_part(rows, "gap")), yerr=style.whiskers(_part(rows, "auc")),
        ls="", elinewidth=0.5, ecolor=look.colour, alpha=0.35, zorder=order,
    )  # fmt: skip
    levels = rows[rows["kind"] == "correlation"]
    axes.plot(
        levels["value_gap"], levels["value_auc"], color=look.colour, lw=1.4 if front else 0.9,
        zorder=order + 0.1,
    )  # fmt: skip
    for row in rows.itertuples():
        marker, size = {"correlation": ("o", 3.8 if front else 3.2), "natural": ("*", 9)}.get(
            row.kind, ("D", 4)
        )
        edge = style.INK if row.kind == "natural" else look.colour
        axes.plot(
            row.value_gap, row.value_auc, marker, ms=size, mec=edge, mew=0.6,
            mfc="white" if row.marked else look.colour, zorder=order + 0.2,
        )  # fmt: skip
        if row.named and row.kind != "natural":
            ring = _verdict_mark(look.ink)
            ring.set_data([row.value_gap], [row.value_auc])
            ring.set_zorder(order + 0.3)
            axes.add_line(ring)


def _verdict_mark(colour: str, label: str = "") -> Line2D:
    """A ring: it stands around the mark of the curation that a verdict names."""
    return Line2D([], [], ls="", marker="o", ms=8, mfc="none", mec=colour, mew=1.1, label=label)


def _part(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    return pd.DataFrame({k: rows[f"{k}_{name}"] for k in ("value", "low", "high")})
