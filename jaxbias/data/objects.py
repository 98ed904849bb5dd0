"""Built-in drawings of household objects in catalogues and in homes, for want of real photographs.

Catalogues show one make of an object on white. Homes show it between other things, in the light,
the colours and the wear that their income allows, and the poorer a home, the more often another
make of it: a network that knows catalogues alone is the worse, the poorer the home. No home, region
or income is a real one. docs/datasets.md says what is drawn, and how.
"""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from jaxbias.data.source import Source, with_labels
from jaxbias.study import DataSpec

SOURCES = ("catalogue", "home")
REGIONS = ("east", "north", "south", "west")
# Of homes, a month: three in each bin of round(ln(income) / 3).
INCOMES = (27, 45, 75, 150, 400, 1100, 2500, 5000, 10_000)
EACH = 6000  # Images of each source.

# Parts are (shape, tone, centre x, y, half width, half height) in a square of -1 to 1, y downwards;
# of a line (shape, tone, from x, y, to x, y). Tone 1 is the second colour. Painted in order.
_Part = tuple[str, int, float, float, float, float]
# Class -> its make in catalogues, and the other.
MAKES: dict[str, tuple[tuple[_Part, ...], tuple[_Part, ...]]] = {
    "bed": (
        (
            ("box", 0, 0, 0.25, 0.8, 0.2),
            ("box", 0, -0.8, 0, 0.08, 0.5),
            ("box", 1, -0.5, 0, 0.2, 0.1),
        ),
        (("box", 0, 0, 0.5, 0.85, 0.08), ("ellipse", 1, -0.55, 0.35, 0.25, 0.12)),
    ),
    "book": (
        (("box", 0, 0, 0, 0.45, 0.62), ("box", 1, 0.05, -0.25, 0.25, 0.08)),
        (
            ("box", 0, -0.36, 0.1, 0.34, 0.4),
            ("box", 0, 0.36, 0.1, 0.34, 0.4),
            ("box", 1, 0, 0.1, 0.03, 0.42),
        ),
    ),
    "bottle": (
        (
            ("box", 0, 0, 0.2, 0.24, 0.55),
            ("box", 0, 0, -0.5, 0.09, 0.25),
            ("box", 1, 0, 0.25, 0.24, 0.15),
        ),
        (
            ("ellipse", 0, 0, 0.25, 0.42, 0.48),
            ("box", 0, 0, -0.4, 0.14, 0.2),
            ("box", 1, 0, -0.6, 0.17, 0.07),
        ),
    ),
    "bowl": (
        (("half", 0, 0, -0.05, 0.75, 0.55), ("ellipse", 1, 0, -0.05, 0.75, 0.12)),
        (("half", 0, 0, 0.05, 0.5, 0.35), ("box", 1, 0, 0.42, 0.25, 0.06)),
    ),
    "chair": (
        (
            ("box", 0, 0, 0.15, 0.42, 0.08),
            ("box", 0, -0.36, -0.3, 0.07, 0.45),
            ("line", 1, -0.35, 0.2, -0.35, 0.75),
            ("line", 1, 0.35, 0.2, 0.35, 0.75),
        ),
        (
            ("box", 0, 0, 0, 0.42, 0.08),
            ("line", 1, -0.25, 0.05, -0.45, 0.7),
            ("line", 1, 0.25, 0.05, 0.45, 0.7),
        ),
    ),
    "clock": (
        (
            ("ellipse", 0, 0, 0, 0.62, 0.62),
            ("line", 1, 0, 0, 0, -0.45),
            ("line", 1, 0, 0, 0.32, 0.1),
        ),
        (
            ("box", 0, 0, 0, 0.6, 0.36),
            ("box", 1, -0.28, 0, 0.16, 0.2),
            ("box", 1, 0.28, 0, 0.16, 0.2),
        ),
    ),
    "cup": (
        (("ellipse", 1, 0.42, 0, 0.28, 0.28), ("box", 0, -0.05, 0, 0.38, 0.5)),
        (("half", 0, 0, -0.3, 0.42, 0.85), ("ellipse", 1, 0, -0.3, 0.42, 0.1)),
    ),
    "lamp": (
        (
            ("half", 0, 0, -0.7, 0.55, 0.5),
            ("box", 1, 0, 0.2, 0.05, 0.45),
            ("box", 1, 0, 0.65, 0.32, 0.07),
        ),
        (("line", 1, 0, -0.95, 0, -0.2), ("ellipse", 0, 0, 0, 0.24, 0.3)),
    ),
    "oven": (
        (
            ("box", 0, 0, 0, 0.6, 0.65),
            ("box", 1, 0, 0.18, 0.42, 0.3),
            ("line", 1, -0.4, -0.42, 0.4, -0.42),
        ),
        (
            ("half", 1, 0, -0.25, 0.4, 0.35),
            ("box", 0, 0, 0.4, 0.7, 0.18),
            ("line", 0, -0.6, 0.2, -0.6, 0.5),
        ),
    ),
    "sink": (
        (
            ("box", 0, 0, 0.2, 0.8, 0.2),
            ("ellipse", 1, 0, 0.1, 0.5, 0.1),
            ("line", 1, 0.3, 0, 0.3, -0.5),
            ("line", 1, 0.3, -0.5, 0, -0.5),
        ),
        (("half", 0, 0, 0.05, 0.65, 0.45), ("ellipse", 1, 0, 0.05, 0.6, 0.15)),
    ),
    "sofa": (
        (
            ("box", 0, 0, -0.15, 0.75, 0.25),
            ("box", 1, 0, 0.25, 0.7, 0.18),
            ("box", 0, -0.8, 0.15, 0.12, 0.3),
            ("box", 0, 0.8, 0.15, 0.12, 0.3),
        ),
        (
            ("box", 0, 0, 0.1, 0.85, 0.1),
            ("line", 1, -0.6, 0.2, -0.6, 0.55),
            ("line", 1, 0.6, 0.2, 0.6, 0.55),
        ),
    ),
    "television": (
        (
            ("box", 0, 0, -0.1, 0.8, 0.48),
            ("box", 1, 0, -0.1, 0.7, 0.38),
            ("box", 0, 0, 0.5, 0.3, 0.06),
        ),
        (
            ("box", 0, 0, 0.15, 0.55, 0.45),
            ("ellipse", 1, -0.1, 0.15, 0.35, 0.32),
            ("line", 0, 0, -0.3, -0.4, -0.8),
            ("line", 0, 0, -0.3, 0.4, -0.8),
        ),
    ),
}
# Red, green, blue of the walls of each region's homes.
_WALLS = np.array([(0.75, 0.6, 0.45), (0.5, 0.6, 0.7), (0.75, 0.65, 0.35), (0.55, 0.65, 0.5)])
_LINE = 0.06  # Half the width of a line.


def read(spec: DataSpec) -> Source:
    """Returns the drawings; each is a function of the seed and its number, drawn when asked for."""
    seed, size = spec.seed, spec.image_size
    drawn = roster(seed)
    text = json.dumps([size, seed]).encode() + Path(__file__).read_bytes()
    labels = {
        "object": pd.Series(pd.Categorical(drawn["object"], categories=list(MAKES))),
        **{name: pd.Series(drawn["object"] == name, dtype="boolean") for name in MAKES},
        "source": pd.Series(pd.Categorical(drawn["source"])),
        **{
            name: pd.Series(pd.Categorical(drawn[name].where(drawn["source"] == "home")))
            for name in ("region", "income", "income_bin")
        },
    }
    rows = drawn.to_dict("records")
    return Source(
        name="objects",
        key=hashlib.sha256(text).hexdigest(),
        table=with_labels([f"{row['source']}/{i}" for i, row in enumerate(rows)], "all", labels),
        read=lambda row: _encoded(draw(rows[row], np.random.default_rng([seed, row]), size)),
    )


def roster(seed: int) -> pd.DataFrame:
    """Returns what every image shows: object, source, region, income and income_bin, as text.

    Of catalogues the last three are of no home. Homes of the regions have different incomes.
    """
    rng = np.random.default_rng([seed, 2 * EACH])
    names = np.array(list(MAKES))
    region = rng.integers(len(REGIONS), size=2 * EACH)
    # From the poorest region to the richest, incomes move up by one step in nine each.
    place = np.clip(rng.normal(2.5 + region, 2.5), 0, len(INCOMES) - 1).round().astype(int)
    income = np.array(INCOMES)[place]
    return pd.DataFrame(
        {
            "object": names[rng.integers(len(names), size=2 * EACH)],
            "source": np.repeat(SOURCES, EACH),
            "region": np.array(REGIONS)[region],
            "income": income.astype(str),
            "income_bin": np.round(np.log(income) / 3).astype(int).astype(str),
        }
    )


def poverty(income: str) -> float:
    """Returns 0 for the highest income and 1 for the lowest, by logarithms."""
    low, high = np.log(INCOMES[0]), np.log(INCOMES[-1])
    return float((high - np.log(float(income))) / (high - low))


def draw(row: dict[str, str], rng: np.random.Generator, size: int) -> np.ndarray:
    """Draws what a row of `roster` says, uint8[size, size, 3]."""
    home = row["source"] == "home"
    poor = poverty(row["income"]) if home else 0.0
    along = (np.arange(size) + 0.5) * (2 / size) - 1
    x, y = np.meshgrid(along, along)
    image = np.ones((size, size, 3)) * rng.uniform(0.9, 1.0)
    main, second = rng.uniform(0.05, 0.95, (2, 3))
    if home:
        wall = _WALLS[REGIONS.index(row["region"])] + rng.normal(0, 0.08, 3)
        image = np.where((y > rng.uniform(0.3, 0.7))[..., None], wall * 0.7, wall)
        for _ in range(2 + round(4 * poor)):  # Other things.
            place, reach = rng.uniform(-1, 1, 2), rng.uniform(0.08, 0.3, 2)
            shape = ("box", "ellipse")[rng.integers(2)]
            _paint(image, _distance(x, y, shape, (*place, *reach)), rng.uniform(0, 1, 3), size)
        # Worn colours are nearer to the wall's.
        main, second = (colour + 0.45 * poor * (wall - colour) for colour in (main, second))
    scale = rng.uniform(0.5, 0.65) if home else rng.uniform(0.65, 0.8)
    reach = 0.25 if home else 0.08
    angle = rng.normal(0, 0.15 if home else 0.04)
    (dx, dy), mirrored = rng.uniform(-reach, reach, 2), rng.choice([-1, 1])
    across, down = mirrored * (x - dx) / scale, (y - dy) / scale
    turned = np.cos(angle) * across + np.sin(angle) * down
    upright = np.cos(angle) * down - np.sin(angle) * across
    other = home and rng.random() < poor
    for shape, tone, *numbers in MAKES[row["object"]][int(other)]:
        distance = scale * _distance(turned, upright, shape, numbers)
        _paint(image, distance, (main, second)[tone], size)
    light = rng.uniform(0.95, 1.0) - 0.35 * poor * rng.random()
    image = light * image + rng.normal(0, 0.02 + 0.04 * poor, image.shape)
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _distance(x: np.ndarray, y: np.ndarray, shape: str, numbers: tuple | list) -> np.ndarray:
    """How far outside a shape a point is, negative inside; float64[H, W]."""
    if shape == "line":
        x0, y0, x1, y1 = numbers
        dx, dy = x1 - x0, y1 - y0
        along = np.clip(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy), 0, 1)
        return np.hypot(x - x0 - along * dx, y - y0 - along * dy) - _LINE
    left, top, wide, high = numbers
    x, y = x - left, y - top
    if shape == "box":
        return np.maximum(np.abs(x) - wide, np.abs(y) - high)
    ellipse = (np.hypot(x / wide, y / high) - 1) * min(wide, high)
    return np.maximum(ellipse, -y) if shape == "half" else ellipse


def _paint(image: np.ndarray, distance: np.ndarray, colour: np.ndarray, size: int) -> None:
    """Lays a colour over an image where a shape is, with an edge one pixel soft."""
    covered = np.clip(0.5 - distance * size / 2, 0, 1)[..., None]
    image += covered * (colour - image)


def _encoded(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png", compress_level=1)
    return buffer.getvalue()
