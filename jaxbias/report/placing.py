"""Names beside points, placed so that none covers another."""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.transforms import Bbox

from jaxbias.report import style

# Points from the middle of a mark to its name, near first; past the second a line joins them.
_REACH = (5.5, 8, 12, 18, 26, 36, 48)
_SIDES = ((0, 1), (0, -1), (1, 0), (-1, 0), (0.75, 0.75), (-0.75, 0.75), (0.75, -0.75),
          (-0.75, -0.75))  # fmt: skip
_MARK = 3  # Points, half a mark.
_STEP = 4  # Points between two boxes along a line.


@dataclasses.dataclass(frozen=True)
class Name:
    """What to write beside a point of an axes, in the data's coordinates."""

    text: str
    x: float
    y: float
    colour: str
    size: float = 7.0
    weight: str = "bold"


def place(
    renderer: RendererAgg,
    axes: Axes,
    names: Sequence[Name],
    lines: Sequence[np.ndarray],
    marks: np.ndarray,
) -> None:
    """Writes names beside their points: over no other, inside the axes, off lines if it can.

    Args:
      renderer: of the figure, which is whole but for the names and laid out by
        `figure.draw_without_rendering()`.
      axes: where.
      names: the most important first.
      lines: float[K, 2] each, drawn in the data's coordinates: better not covered.
      marks: float[M, 2], likewise, still better not.
    """
    point = renderer.dpi / 72
    inside = axes.get_window_extent(renderer)
    covered = np.concatenate([_along(axes, line, _STEP * point) for line in lines] or [[]])
    marked = [_box(middle, *[2 * _MARK * point] * 2) for middle in axes.transData.transform(marks)]
    taken: list[Bbox] = []
    for name in names:
        note = axes.annotate(
            name.text, (name.x, name.y), (0, 0), textcoords="offset points", ha="center",
            va="center", color=name.colour, fontsize=name.size, weight=name.weight, zorder=9,
        )  # fmt: skip
        note.set_in_layout(False)
        size = note.get_window_extent(renderer)
        mark = axes.transData.transform((name.x, name.y))
        best = None
        for (rank, reach), (dx, dy) in itertools.product(enumerate(_REACH), _SIDES):
            middle = mark + point * reach * np.array([dx, dy])
            middle += np.array([dx * size.width, dy * size.height]) / 2
            box = _box(middle, size.width + point, size.height + point)
            if any(box.overlaps(other) for other in taken) or not _holds(inside, box):
                continue
            cost = rank + _inside(box, covered) + 2 * sum(map(box.overlaps, marked))
            if best is None or cost < best[0]:
                best = cost, middle, box, rank
        if best is None:  # A crowd that leaves no room: the tables have every name.
            note.remove()
            continue
        _, middle, box, rank = best
        note.set_position(tuple((middle - mark) / point))
        taken.append(box)
        if rank > 1:
            line = axes.annotate(
                "", (name.x, name.y), tuple((middle - mark) / point), textcoords="offset points",
                arrowprops=dict(
                    arrowstyle="-", lw=0.5, color=style.PALE, shrinkA=0.6 * name.size, shrinkB=2
                ), zorder=8,
            )  # fmt: skip
            line.set_in_layout(False)


def _along(axes: Axes, line: np.ndarray, step: float) -> np.ndarray:
    """Returns float[P, 2], pixels at most `step` apart along a line."""
    pixels = axes.transData.transform(np.asarray(line, float).reshape(-1, 2))
    parts = [pixels]
    for start, end in itertools.pairwise(pixels):
        count = int(np.hypot(*(end - start)) // step)
        parts.append(start + (end - start) * np.linspace(0, 1, count + 2)[1:-1, None])
    return np.concatenate(parts)


def _box(middle: np.ndarray, width: float, height: float) -> Bbox:
    return Bbox.from_bounds(middle[0] - width / 2, middle[1] - height / 2, width, height)


def _holds(outer: Bbox, inner: Bbox) -> bool:
    return (
        outer.x0 <= inner.x0
        and inner.x1 <= outer.x1
        and outer.y0 <= inner.y0
        and inner.y1 <= outer.y1
    )


def _inside(box: Bbox, points: np.ndarray) -> int:
    if not len(points):
        return 0
    x, y = points.T
    return int(((box.x0 <= x) & (x <= box.x1) & (box.y0 <= y) & (y <= box.y1)).sum())
