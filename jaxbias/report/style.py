"""The look of every figure: colour-blind safe colours, one marker per base, embedded fonts."""

import dataclasses
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import matplotlib as mpl
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from PIL import Image

WIDTH = 7.0  # Inches: the text width of a two-column paper.
FONT = "DejaVu Sans"  # Ships with matplotlib: the same picture on every machine.
SIZE = 8  # Points.
INK = "#222222"
PALE = "#8a8a8a"
MUTED = "#595959"
DEGENERATE = "degenerate"
_BAND = "#ebebeb"
_PALETTE = 128  # Colours of a PNG.
_LONGEST = 24  # Characters of a name.
_LEGEND = 100  # Characters across the text width, an entry's mark counting as six.

# Okabe & Ito (2008). Warm colours are the studied bases, cool ones the controls, grey is scratch:
# the role can be told apart before the legend is read.
_COLOURS = {
    "studied": ("#D55E00", "#E69F00"),
    "imported": ("#E69F00", "#D55E00", "#F0E442", "#000000"),
    "control": ("#0072B2", "#009E73", "#56B4E9", "#CC79A7"),
    "scratch": ("#6e6e6e",),
}
_MARKERS = {
    "studied": ("o", "p"),
    "imported": ("h", "P", "X", "*"),
    "control": ("s", "^", "v", "<"),
    "scratch": ("D",),
}

_RC = {
    "font.family": FONT,
    "font.size": SIZE,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "text.color": INK,
    "text.parse_math": False,  # A "$" in a column's name is a dollar sign.
    "axes.unicode_minus": True,
    "pdf.fonttype": 42,
    "figure.dpi": 200,
    "savefig.dpi": 200,
}


@dataclasses.dataclass(frozen=True)
class Look:
    """How one base is drawn, in every figure alike."""

    colour: str
    marker: str
    role: str

    @property
    def ink(self) -> str:
        """The colour, dark enough for small letters on white."""
        red, green, blue = mpl.colors.to_rgb(self.colour)
        dark = 0.55 if 0.3 * red + 0.59 * green + 0.11 * blue > 0.55 else 0.85
        return mpl.colors.to_hex((red * dark, green * dark, blue * dark))


@contextmanager
def drawing() -> Iterator[None]:
    """Applies the report's style to the figures made inside, and to nothing else."""
    with mpl.rc_context(_RC):
        yield


def looks(bases: Iterable[tuple[str, str]]) -> dict[str, Look]:
    """Gives every base its colour and marker.

    Args:
      bases: (name, role) pairs in any order, repeats allowed.

    Returns:
      name -> look, studied bases first, then imported ones, then controls, then scratch.

    >>> list(looks([("Scratch", "scratch"), ("Control_Hat", "control"), ("Gendered", "studied")]))
    ['Gendered', 'Control_Hat', 'Scratch']
    """
    found: dict[str, Look] = {}
    used = dict.fromkeys(_COLOURS, 0)
    order = list(_COLOURS)
    for name, role in sorted(dict(bases).items(), key=lambda pair: order.index(pair[1])):
        i = used[role]
        used[role] += 1
        colours, markers = _COLOURS[role], _MARKERS[role]
        # Roles share colours; past the palette, colours come round with another marker.
        taken = {look.colour for look in found.values()}
        free = [colour for colour in colours if colour not in taken]
        marker = markers[(i + i // len(colours)) % len(markers)]
        found[name] = Look(free[0] if free else colours[i % len(colours)], marker, role)
    return found


def label(name: str) -> str:
    """Returns a column's or base's name as a figure shows it, cut where there is no room.

    >>> label("Bags_Under_Eyes")
    'Bags Under Eyes'
    """
    name = name.replace("_", " ").strip() or name
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def panels(
    count: int, height: float, columns: int = 2, share: str = ""
) -> tuple[Figure, list[Axes]]:
    """Lays out `count` panels over the text width, `columns` in a row.

    Args:
      count: number of panels, at least 1.
      height: of one row, in inches.
      columns: most panels in a row.
      share: "x", "y", "xy" or "": the scales all panels have in common.

    Returns:
      The figure and its `count` axes in reading order.
    """
    columns = min(count, columns)
    rows = -(-count // columns)
    width = WIDTH if columns > 1 else 0.72 * WIDTH
    figure = Figure(figsize=(width, height * rows + 0.45), layout="constrained")
    grid = figure.subplots(
        rows, columns, squeeze=False, sharex="x" in share, sharey="y" in share
    ).ravel()
    for axes in grid:
        axes.tick_params(labelbottom=True)
    for spare in grid[count:]:
        spare.set_axis_off()
    return figure, list(grid[:count])


def legend(
    figure: Figure, bases: dict[str, Look], extra: Iterable[Artist] = (), marker: str = ""
) -> None:
    """Puts one legend for all panels above them.

    Args:
      figure: with constrained layout.
      bases: what to list, in order.
      extra: handles to list after the bases.
      marker: one marker for every base, where the figure does not use each base's own.
    """
    handles = [
        Line2D(
            [], [], color=look.colour, marker=marker or look.marker, ms=4.5, lw=1.2,
            label=label(name),
        )
        for name, look in bases.items()
    ]  # fmt: skip
    handles += list(extra)
    widths = [len(handle.get_label()) + 6 for handle in handles]
    most = int(_LEGEND * figure.get_figwidth() / WIDTH)
    columns = len(handles) if sum(widths) <= most else max(most // max(widths), 1)
    figure.legend(
        handles=handles, loc="outside upper center", ncols=columns, columnspacing=1.4,
        handlelength=1.9, handletextpad=0.5,
    )  # fmt: skip


def tolerance(axes: Axes, epsilon: float, along: str) -> None:
    """Shades the band of gaps that count as none and draws the line of no gap.

    Args:
      axes: where.
      epsilon: half-width of the band, a difference of rates.
      along: "x" or "y", the axis on which the gap is.
    """
    span, line = (axes.axvspan, axes.axvline) if along == "x" else (axes.axhspan, axes.axhline)
    span(-epsilon, epsilon, color=_BAND, lw=0, zorder=0)
    line(0, color=INK, lw=0.7, zorder=1)


def tolerance_handle(epsilon: float) -> Patch:
    """Returns the legend's entry for the band."""
    return Patch(facecolor=_BAND, edgecolor="none", label=f"±ε = ±{epsilon:g}")


def marked_handle() -> Line2D:
    """Returns the legend's entry for degenerate models, such as those at chance."""
    look = dict(marker="o", ms=4.5, mfc="white", mec=INK, mew=0.9)
    return Line2D([], [], ls="", label=DEGENERATE, **look)


def whiskers(frame: pd.DataFrame) -> list[list[float]]:
    """Returns distances from value to low and high as error bars want them, 0 where undefined."""
    below = (frame["value"] - frame["low"]).clip(lower=0).fillna(0.0)
    above = (frame["high"] - frame["value"]).clip(lower=0).fillna(0.0)
    return [below.tolist(), above.tolist()]


def render(figure: Figure, kind: str) -> bytes:
    """Returns a figure as the bytes of a "png" (200 dpi) or a "pdf" (TrueType fonts inside)."""
    buffer = io.BytesIO()
    with drawing():
        # No date in the file: the same answer gives the same bytes.
        metadata = {"CreationDate": None} if kind == "pdf" else {}
        figure.savefig(buffer, format=kind, metadata=metadata)
    figure.set_layout_engine("none")  # Laid out once; a second file keeps the places.
    return buffer.getvalue() if kind == "pdf" else _of_few_colours(buffer)


def _of_few_colours(picture: io.BytesIO) -> bytes:
    """A picture with a palette: a third of the size, and lines and letters look the same."""
    smaller = io.BytesIO()
    with Image.open(picture) as image:
        dpi = image.info["dpi"]
        image.convert("RGB").quantize(_PALETTE).save(smaller, "PNG", optimize=True, dpi=dpi)
    return smaller.getvalue()
