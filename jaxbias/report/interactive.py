"""The one chart that answers to the mouse: AUC against the gap, and the gap along the levels."""

import base64
import functools
import gzip
import json
from html import escape
from typing import Any

import pandas as pd
from plotly.offline import get_plotlyjs

from jaxbias.analysis import Answer
from jaxbias.report import numbers, style
from jaxbias.report.select import (
    gap_name,
    level_tasks,
    others,
    panel_title,
    pictures,
    roles,
    several_sizes,
    shown,
)

_NATURAL = -1.9


def charts(answer: Answer) -> list[dict[str, Any]]:
    """Builds one plotly chart per target and size.

    Args:
      answer: the `Answer`; rows of `curves` of tasks with correlation levels.

    Returns:
      Per chart "name", "data" (plotly traces) and the layouts "wide" and "narrow", JSON-able.
    """
    curves = level_tasks(shown(answer.curves, answer.study))
    if curves.empty:
        return []
    points = pictures(curves)
    looks, several = style.looks(roles(answer.study)), several_sizes(points)
    found = []
    for (task, n), rows in points.groupby(["task", "n"], sort=False):
        places = {"natural": _NATURAL} | {name: 12.0 + i for i, name in enumerate(others(rows))}
        traces = []
        for base, look in looks.items():
            line = rows[rows["base"] == base].sort_values("level", na_position="first")
            if len(line):
                traces += _traces(line, base, look, places)
        name = panel_title(task, n, several)
        found.append({"name": name, "data": traces, **_layouts(answer.study, places)})
    return found


def section(answer: Answer) -> str:
    """Returns the chart's part of the page, "" when there is nothing to draw.

    plotly.js travels inside the page, compressed (4.8 MB become 2 MB), and is unpacked by the
    browser; the figures above it need no script.
    """
    found = charts(answer)
    if not found:
        return ""
    options = "".join(
        f'<option value="{i}">{escape(chart["name"])}</option>' for i, chart in enumerate(found)
    )
    return (
        '<section class="screen-only" aria-labelledby="chart-heading">'
        '<h3 id="chart-heading">Look closer</h3>'
        "<p>Point at a mark for its numbers; click a base in the legend to hide or show it.</p>"
        f'<label>Target <select id="chart-choice">{options}</select></label>'
        '<div id="chart"><noscript>This chart needs JavaScript; the figures above show the same '
        "numbers.</noscript></div>"
        f'<script type="application/json" id="charts">{_json(found)}</script>'
        f'<script type="text/plain" id="plotly-gzip">{_plotly()}</script></section>'
    )


def _traces(
    rows: pd.DataFrame, base: str, look: style.Look, places: dict[str, float]
) -> list[dict[str, Any]]:
    """Returns one base's marks in both panels: its levels joined, every other curation alone."""
    traces = []
    for kind, mode, symbol, size in (
        ("correlation", "lines+markers", "circle", 8),
        ("natural", "markers", "star", 13),
        ("other", "markers", "diamond", 8),
    ):
        known = rows["kind"].isin(["natural", "correlation"])
        part = rows[~known] if kind == "other" else rows[rows["kind"] == kind]
        if part.empty:
            continue
        levels = part["level"] if kind == "correlation" else part["curation"].map(places)
        common = {
            "type": "scatter",
            "mode": mode,
            "name": escape(base, quote=False),
            "legendgroup": base,
            "hoverinfo": "text",
            "text": [_hover(base, row) for row in part.itertuples()],
            "marker": {"color": look.colour, "size": size, "symbol": symbol},
            "line": {"color": look.colour, "width": 2 if look.role == "studied" else 1},
        }
        gap, auc = _bars(part, "gap", look), _bars(part, "auc", look)
        x, y = _list(part["value_gap"]), _list(part["value_auc"])
        traces.append(
            common | {"x": x, "y": y, "error_x": gap, "error_y": auc, "showlegend": not traces}
        )
        traces.append(
            common
            | {"x": _list(levels), "y": x, "error_y": gap, "xaxis": "x2", "yaxis": "y2"}
            | {"showlegend": False}
        )
    return traces


def _hover(base: str, row: Any) -> str:
    gap = numbers.estimate(row.value_gap, row.low_gap, row.high_gap)
    auc = numbers.estimate(row.value_auc, row.low_auc, row.high_auc, numbers.plain)
    return f"<b>{escape(base, quote=False)}, {row.curation}</b><br>FPR gap {gap}<br>AUC {auc}"


def _bars(rows: pd.DataFrame, name: str, look: style.Look) -> dict[str, Any]:
    below, above = style.whiskers(
        pd.DataFrame({end: rows[f"{end}_{name}"] for end in ("value", "low", "high")})
    )
    return {
        "type": "data",
        "symmetric": False,
        "array": above,
        "arrayminus": below,
        "thickness": 0.7,
        "width": 0,
        "color": look.colour,
    }


def _layouts(study: dict[str, Any], places: dict[str, float]) -> dict[str, Any]:
    """Returns both layouts: the panels side by side, and one above the other."""
    epsilon = study["answer"]["epsilon"]
    gap = f"FPR gap ({escape(gap_name(study), quote=False)})"
    band = {"type": "rect", "fillcolor": "#ebebeb", "line": {"width": 0}, "layer": "below"}
    across = {"xref": "x", "yref": "y domain", "x0": -epsilon, "x1": epsilon, "y0": 0, "y1": 1}
    up = {"xref": "x2 domain", "yref": "y2", "x0": 0, "x1": 1, "y0": -epsilon, "y1": epsilon}
    ticks = {
        "tickvals": [*range(11), *places.values()],
        "ticktext": [*map(str, range(11)), *(name.replace("_", " ") for name in places)],
    }
    axis = {"gridcolor": "#eeeeee", "zerolinecolor": "#444444", "linecolor": "#222222"}

    def layout(x: list, x2: list, y: list, y2: list, height: int) -> dict[str, Any]:
        return {
            "height": height,
            "margin": {"l": 60, "r": 10, "t": 10, "b": 50},
            "font": {"family": "system-ui, sans-serif", "size": 13, "color": style.INK},
            "plot_bgcolor": "white",
            "paper_bgcolor": "white",
            "hovermode": "closest",
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
            "shapes": [band | across, band | up],
            "xaxis": axis | {"domain": x, "title": {"text": gap}, "anchor": "y"},
            "yaxis": axis | {"domain": y, "title": {"text": "AUC"}, "anchor": "x"},
            "xaxis2": axis
            | ticks
            | {"domain": x2, "title": {"text": "Correlation level"}, "anchor": "y2"}
            | {"zeroline": False},
            "yaxis2": axis | {"domain": y2, "title": {"text": gap}, "anchor": "x2"},
        }

    return {
        "wide": layout([0, 0.46], [0.56, 1], [0, 1], [0, 1], 460),
        "narrow": layout([0, 1], [0, 1], [0.58, 1], [0, 0.42], 820),
    }


def _list(values: pd.Series) -> list[float | None]:
    return [None if numbers.missing(value) else float(value) for value in values]


def _json(value: Any) -> str:
    """Returns JSON that cannot end the script element it stands in."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")


@functools.cache
def _plotly() -> str:
    compressed = gzip.compress(get_plotlyjs().encode(), compresslevel=9, mtime=0)
    return base64.b64encode(compressed).decode()
