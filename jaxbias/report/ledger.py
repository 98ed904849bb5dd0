"""Figures that are read line by line: names at the left, one mark or bar per line."""

import dataclasses
import functools
import itertools
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from jaxbias.report import style

_EDGE, _INDENT, _CLEAR = 4, 10, 12  # Points: before a heading, under it, before the axes.
_BETWEEN = 1.4  # Lines from a block's last line to the next heading.


@dataclasses.dataclass(frozen=True)
class Block:
    """A heading and the names of the lines under it."""

    heading: str
    names: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Ledger:
    """Where every line of some blocks stands.

    Attributes:
      blocks: from top to bottom.
    """

    blocks: Sequence[Block]

    @functools.cached_property
    def lines(self) -> float:
        """Height of all blocks, in lines."""
        return sum(len(block.names) + _BETWEEN for block in self.blocks)

    @functools.cached_property
    def margin(self) -> float:
        """The share of the text width that the names take."""
        heads = [_points(block.heading, "bold") for block in self.blocks]
        names = [_INDENT + _points(name) for block in self.blocks for name in block.names if name]
        return (_EDGE + max(heads + names) + _CLEAR) / (72 * style.WIDTH)

    def places(self, block: int) -> tuple[float, list[float]]:
        """Returns y of a block's heading and of each line under it; y falls by one per line."""
        top = -self._above[block]
        return top, [top - 1 - i for i in range(len(self.blocks[block].names))]

    @functools.cached_property
    def _above(self) -> list[float]:
        """The height of all blocks above each, in lines."""
        heights = (len(block.names) + _BETWEEN for block in self.blocks)
        return list(itertools.accumulate(heights, initial=0))

    def frame(self, axes: Axes, names: bool = True) -> None:
        """Sets the axes' height, takes away what the names replace, and writes the names."""
        axes.set_ylim(-self.lines + _BETWEEN - 0.7, 0.7)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        for i, block in enumerate(self.blocks if names else ()):
            top, below = self.places(i)
            start = _EDGE - self.margin * 72 * style.WIDTH
            note(axes, 0, top, block.heading, start, "bold")
            for y, name in zip(below, block.names, strict=True):
                note(axes, 0, y, name, start + _INDENT)


def note(axes: Axes, x: int, y: float, text: str, shift: float, weight: str = "normal") -> None:
    """Writes text beside the axes.

    Args:
      axes: where.
      x: 0 for the left edge of the axes, 1 for the right.
      y: of the line.
      text: what to write, from its left.
      shift: from that edge to the right, in points.
      weight: of the font.
    """
    axes.annotate(
        text,
        (x, y),
        xycoords=("axes fraction", "data"),
        xytext=(shift, 0),
        textcoords="offset points",
        va="center",
        weight=weight,
        annotation_clip=False,
    )


def _points(text: str, weight: str = "normal") -> float:
    font = FontProperties(family=style.FONT, weight=weight)
    return TextPath((0, 0), text, size=style.SIZE, prop=font).get_extents().width
