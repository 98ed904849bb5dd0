"""Mixes of two sources: figure along the share of the second, and where bases catch up."""

from matplotlib.figure import Figure

from jaxbias.analysis import Answer
from jaxbias.report import numbers, style
from jaxbias.report.facets import looks_of
from jaxbias.report.select import panel_title, several_sizes, shown
from jaxbias.report.tables import Column, Content, column, estimated, folded, table

_NAMES = {
    "top_5_hit_rate": "Top-5 hit rate",
    "macro_ap": "Macro AP",
    "macro_normalized_ap": "Macro normalised AP",
}
_COLUMNS = 3


def sources(answer: Answer) -> Figure | None:
    """Draws the first metric along the share of the second source, a panel per place.

    Args:
      answer: the `Answer`; its `source_curves` frame.

    Returns:
      The figure, the sources first; None for other studies.
    """
    frame = shown(answer.source_curves, answer.study)
    if frame.empty:
        return None
    metric = next(name for name in _NAMES if (frame["metric"] == name).any())
    frame = frame[frame["metric"] == metric]
    looks, several = looks_of(answer, frame), several_sizes(frame)
    parts = list(frame.groupby(["task", "n", "place"], sort=False))
    # One scale: places are to be compared.
    figure, grid = style.panels(len(parts), 2.2, columns=min(len(parts), _COLUMNS), share="xy")
    for axes, ((task, n, place), rows) in zip(grid, parts, strict=True):
        for base, look in looks.items():
            line = rows[rows["base"] == base].sort_values("level")
            share = 10 * line["level"]
            axes.fill_between(share, line["low"], line["high"], color=look.colour, alpha=0.16, lw=0)
            axes.plot(share, line["value"], color=look.colour, marker=look.marker, ms=3.6, lw=1.2)
        axes.set_title(f"{panel_title(task, n, several)}: {style.label(place)}")
        axes.set_xticks(range(0, 101, 20))
    second = answer.study["group"]["names"][1]
    figure.supxlabel(f"Share of {second} among the finetuning images (%)", fontsize=8)
    figure.supylabel(_NAMES[metric], fontsize=8)
    style.legend(figure, looks)
    return figure


def section(answer: Answer) -> Content:
    """Returns, per metric, the shares at which bases catch up; empty for other studies."""
    frame = shown(answer.catching_up, answer.study)
    if frame.empty:
        return Content()
    level = numbers.confidence(answer.study)
    said = (
        "<p>From which share of a place's source on is one base ahead of another that has 10 % of "
        f"it? {level} intervals hold for all shares, bases and places of a metric together.</p>"
    )
    first, *others = (
        _table(frame[frame["metric"] == name].to_dict("records"), name)
        for name in _NAMES
        if (frame["metric"] == name).any()
    )
    content = said + first
    if others:
        content = content + folded("Other metrics", sum(others, Content()))
    return content


def _table(rows: list[dict], name: str) -> Content:
    columns = [
        column("place", "Tested on"),
        column("n", "n", numbers.count),
        column("base", "Base"),
        column("against", "Against, at 10 %"),
        column("reference", "Its value", numbers.plain),
        estimated("difference", "low", "high", "Difference at 10 %"),
        Column("Equality compatible with", _shares, True),
        column("sure_share", "Surely ahead from", numbers.percent),
    ]
    task = rows[0]["task"]
    return table(rows, columns, f"{task}: {_NAMES[name]}, and the share of a source that makes up")


def _shares(row: dict) -> str:
    if row["share_low"] != row["share_low"]:
        return numbers.MISSING
    return f"{numbers.percent(row['share_low'])} to {numbers.percent(row['share_high'])}"
