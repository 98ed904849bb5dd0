"""Draws one face as layers of soft-edged shapes, from the back of the picture to the front.

Face coordinates: the origin between the eyes and the nose, x to the right, y down, a head about 1
wide. Nothing is measured in pixels, so the same face can be drawn at any size.
"""

import jax
import jax.numpy as jnp

from jaxbias.data.faces import shapes
from jaxbias.data.faces.traits import Colour, Face, Scalar

WHITE, BLACK = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)
_EYE_Y, _NOSE_Y, _MOUTH_Y = -0.04, 0.17, 0.34
_CROWN, _CHIN = 0.58, 0.60  # Extent of an average head above and below the origin.


class Canvas:
    """A picture under construction: each layer is a coverage and one colour."""

    def __init__(self, x: jax.Array, y: jax.Array, pixel: Scalar) -> None:
        self.x, self.y, self.pixel = x, y, pixel
        self._layers: list[tuple[jax.Array, jax.Array]] = []

    def fill(
        self,
        distance: shapes.Distance,
        colour: Colour | tuple[float, ...],
        opacity: Scalar | float = 1.0,
    ) -> None:
        """Paints a shape with an edge one pixel soft."""
        self.wash(shapes.coverage(distance, self.pixel), colour, opacity)

    def wash(
        self,
        coverage: jax.Array,
        colour: Colour | tuple[float, ...],
        opacity: Scalar | float = 1.0,
    ) -> None:
        """Paints where `coverage` (0..1, float32[H, W]) says."""
        self._layers.append((coverage * opacity, jnp.asarray(colour, jnp.float32)))

    def image(self) -> jax.Array:
        """Returns all layers on top of one another, float32[3, H, W]."""
        coverages, colours = (jnp.stack(parts) for parts in zip(*self._layers, strict=True))

        # A scan keeps XLA from recomputing every shape for every channel: 6 times faster on a CPU
        # than the same sum unrolled.
        def paint(image: jax.Array, layer: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
            coverage, colour = layer
            return image + coverage[None] * (colour[:, None, None] - image), None

        blank = jnp.zeros((3, *self.x.shape), jnp.float32)
        return jax.lax.scan(paint, blank, (coverages, colours))[0]


def draw(face: Face, size: int) -> jax.Array:
    """Draws a face.

    Args:
      face: its traits.
      size: height and width of the picture in pixels.

    Returns:
      float32[3, size, size], sRGB, before the sensor's noise; 0..1 up to the light's factor.
    """
    along = (jnp.arange(size, dtype=jnp.float32) + 0.5) * (2.0 / size) - 1.0
    u, v = jnp.meshgrid(along, along)
    x0, y0 = (u - face.shift[0]) / face.zoom, (v - face.shift[1]) / face.zoom
    cos, sin = jnp.cos(face.tilt), jnp.sin(face.tilt)
    x, y = cos * x0 + sin * y0, cos * y0 - sin * x0 - 0.02
    canvas = Canvas(x, y, 2.0 / size / face.zoom)
    # Features slide over the head as it turns.
    fx, fy = x - 0.07 * face.yaw, y - 0.04 * face.pitch

    _background(canvas, face, u, v)
    head = _head_shape(face, x, y)
    hair = _hair_outline(face, x, y)
    _hair_behind(canvas, face, hair)
    _body(canvas, face)
    _head(canvas, face, head, fx, fy)
    _age(canvas, face, fx, fy)
    _eyes(canvas, face, fx, fy)
    _brows(canvas, face, fx, fy)
    _nose(canvas, face, fx, fy)
    _mouth(canvas, face, fx, fy)
    _hair_front(canvas, face, hair)
    _glasses(canvas, face, fx, fy)
    _hat(canvas, face)
    _earrings(canvas, face)
    image = canvas.image()
    shading = face.light * (1.0 + face.light_side * u)
    return image * shading[None] * face.tint[:, None, None]


def _background(canvas: Canvas, face: Face, u: jax.Array, v: jax.Array) -> None:
    canvas.wash(jnp.ones_like(u), face.backdrop[0])
    canvas.wash(0.5 + 0.5 * v, face.backdrop[1])
    for blob, colour in zip(face.blobs, face.blob_colours, strict=True):
        distance = shapes.circle(u - blob[0], v - blob[1], blob[2])
        canvas.wash(shapes.glow(distance, 0.35 * blob[2]), colour, 0.45)


def _half_width(face: Face) -> Scalar:
    return 0.49 * jnp.exp(0.045 * face.head_width)


def _length(face: Face) -> Scalar:
    return _CHIN * jnp.exp(0.045 * face.face_length)


def _head_shape(face: Face, x: jax.Array, y: jax.Array) -> shapes.Distance:
    """Distance to a skull's half ellipse over a jaw that tapers more or less squarely."""
    down = jnp.clip(y / _length(face), 0.0, 1.5)
    taper = 0.30 - 0.065 * face.jaw_width
    cheeks = 1.0 + 0.20 * face.chubby * 4.0 * jnp.clip(down * (1.0 - 0.9 * down), 0.0, 1.0)
    width = _half_width(face) * (1.0 - taper * jnp.minimum(down, 1.0) ** 2) * cheeks
    power = 2.35 * jnp.exp(0.11 * face.jaw_square + 0.12 * face.chubby)
    q = (jnp.abs(x) / width) ** power + down**power
    jaw = (q ** (1.0 / power) - 1.0) * 0.46
    skull = shapes.ellipse(x, y, _half_width(face), _CROWN)
    return jnp.where(y > 0.0, jaw, skull)


def _hair_outline(face: Face, x: jax.Array, y: jax.Array) -> shapes.Distance:
    """Distance to all hair: a cap over the skull that goes on straight down from the temples."""
    ripple = 0.03 * face.hair_wave * jnp.sin(16.0 * y + 9.0 * face.hair_part)
    volume = 0.07 + 0.018 * face.hair_volume
    width = _half_width(face) + volume
    skull = shapes.ellipse(x, y, width, _CROWN + volume + 0.03)
    sides = jnp.abs(x) - width - ripple * jnp.clip(2.0 * y, 0.0, 1.0)
    return jnp.where(y > 0.0, sides, skull)


def _hair_behind(canvas: Canvas, face: Face, hair: shapes.Distance) -> None:
    """Hair that falls to somewhere between the ears and the shoulders."""
    low = 0.02 + 0.80 * face.hair_length
    distance = -shapes.union(-hair, low - canvas.y, 0.12)
    canvas.fill(distance - 0.018, face.hair * 0.5)
    canvas.fill(distance, face.hair * 0.84)


def _body(canvas: Canvas, face: Face) -> None:
    x, y = canvas.x, canvas.y
    neck_width = 0.205 * jnp.exp(0.11 * face.neck_width)
    neck = shapes.box(x, y - 0.66, neck_width, 0.30, 0.05)
    canvas.fill(neck - 0.012, face.skin_shade * 0.8)
    canvas.fill(neck, face.skin * 0.86)
    shoulders = shapes.ellipse(x, y - 1.28, 0.86, 0.46)
    canvas.fill(shoulders - 0.015, face.clothes * 0.55)
    canvas.fill(shoulders, face.clothes)
    collar = shapes.ellipse(x, y - 0.86, neck_width + 0.04, 0.13)
    canvas.fill(collar, face.skin * 0.90)


def _head(canvas: Canvas, face: Face, head: shapes.Distance, fx: jax.Array, fy: jax.Array) -> None:
    ax = jnp.abs(canvas.x)
    size = jnp.exp(0.1 * face.ear_size)
    ear = shapes.ellipse(ax - _half_width(face) - 0.02, canvas.y - 0.03, 0.075 * size, 0.125 * size)
    canvas.fill(ear - 0.012, face.skin_shade * 0.8)
    canvas.fill(ear, face.skin * 0.95)
    canvas.fill(ear + 0.045, face.skin_shade, 0.5)
    canvas.fill(head - 0.014, face.skin_shade * 0.75)
    canvas.fill(head, face.skin)
    # A soft shadow along the edge of the face makes it round.
    canvas.wash(
        shapes.coverage(head, canvas.pixel) * shapes.glow(-head - 0.02, 0.16), face.skin_shade, 0.30
    )
    cheeks = shapes.ellipse(jnp.abs(fx) - 0.27, fy - 0.17, 0.12, 0.09)
    canvas.wash(shapes.glow(cheeks, 0.08), (0.90, 0.38, 0.36), 0.16)
    _cheekbones(canvas, face, fx, fy)
    chin = shapes.arc(canvas.x, canvas.y - _length(face) + 0.10, 0.20, 0.045, 0.012)
    canvas.fill(chin, face.skin_shade, 0.55 * jnp.clip(face.chubby, 0.0, 1.0))


def _cheekbones(canvas: Canvas, face: Face, fx: jax.Array, fy: jax.Array) -> None:
    """A highlight high on the cheek over a hollow."""
    ax, strength = jnp.abs(fx), jnp.clip(face.cheekbones, 0.0, 1.6)
    slant = fy + 0.45 * (ax - 0.3)
    highlight = shapes.ellipse(ax - 0.30, slant - 0.115, 0.10, 0.035)
    canvas.wash(shapes.glow(highlight, 0.035), WHITE, 0.33 * strength)
    hollow = shapes.ellipse(ax - 0.31, slant - 0.25, 0.10, 0.04)
    canvas.wash(shapes.glow(hollow, 0.05), face.skin_shade, 0.38 * strength)


def _age(canvas: Canvas, face: Face, fx: jax.Array, fy: jax.Array) -> None:
    """Lines on the forehead, beside the nose and beside the eyes."""
    ax, strength = jnp.abs(fx), jnp.clip(face.age, 0.0, 1.5)
    fold = shapes.segment(ax, fy, (0.115, 0.19), (0.205, 0.36), 0.016)
    canvas.fill(fold, face.skin_shade, 0.75 * strength)
    for height in (-0.31, -0.38):
        line = shapes.arc(fx, fy - height, 0.22, -0.02, 0.012)
        canvas.fill(line, face.skin_shade, 0.6 * strength)
    crow = shapes.segment(ax, fy, (0.355, -0.03), (0.42, 0.0), 0.008)
    crow = jnp.minimum(crow, shapes.segment(ax, fy, (0.355, -0.06), (0.42, -0.075), 0.008))
    canvas.fill(crow, face.skin_shade, 0.65 * strength)


def _eyes(canvas: Canvas, face: Face, fx: jax.Array, fy: jax.Array) -> None:
    gap = 0.205 * jnp.exp(0.05 * face.eye_gap)
    size = jnp.exp(0.09 * face.eye_size)
    open_ = jnp.clip(1.0 - 0.55 * face.narrow, 0.18, 1.2)
    ex, ey = jnp.abs(fx) - gap, fy - _EYE_Y
    half, tall = 0.105 * size, 0.078 * size * open_

    strength = jnp.clip(face.bags, 0.0, 1.5)
    drop = 0.075 + 0.008 * face.bags_drop
    bag = shapes.arc(ex, ey - drop, 0.10, 0.045, 0.030)
    violet = jnp.asarray([0.62, 0.60, 0.95], jnp.float32)
    canvas.wash(shapes.glow(bag, 0.03), face.skin_shade * violet, 0.85 * strength)

    white = shapes.ellipse(ex, ey, half, tall)
    inside = shapes.coverage(white, canvas.pixel)
    canvas.fill(white - 0.012, face.skin_shade * 0.6)
    canvas.wash(inside, (0.97, 0.97, 0.96))
    iris = shapes.circle(ex, ey, 0.066 * size)
    canvas.wash(inside * shapes.coverage(iris, canvas.pixel), face.iris)
    canvas.wash(inside * shapes.coverage(iris + 0.030 * size, canvas.pixel), (0.04, 0.03, 0.04))
    # One light, so the highlight sits on the same side of both eyes.
    side = jnp.sign(fx)
    shine = shapes.circle(ex + 0.024 * size * side, ey + 0.026 * size, 0.019)
    canvas.wash(inside * shapes.coverage(shine, canvas.pixel), WHITE, 0.95)
    lid = shapes.arc(ex, ey, half * 1.05, -tall, 0.015)
    canvas.fill(lid, face.skin_shade * 0.35)


def _brows(canvas: Canvas, face: Face, fx: jax.Array, fy: jax.Array) -> None:
    gap = 0.205 * jnp.exp(0.05 * face.eye_gap)
    height = _EYE_Y - 0.165 + 0.022 * face.brow_drop
    arch = -0.045 + 0.018 * face.brow_flat
    thick = 0.020 * jnp.exp(0.24 * face.brow_thick)
    brow = shapes.arc(jnp.abs(fx) - gap - 0.005, fy - height + 0.5 * arch, 0.115, arch, thick)
    canvas.fill(brow, face.hair * 0.6 + 0.06, 0.92)


def _nose(canvas: Canvas, face: Face, fx: jax.Array, fy: jax.Array) -> None:
    width = 0.062 * jnp.exp(0.16 * face.nose_width)
    tip = _NOSE_Y + 0.015 * face.nose_length
    bridge = shapes.segment(fx - 0.025, fy, (0.0, -0.05), (0.012, tip - 0.03), 0.016)
    canvas.wash(shapes.glow(bridge, 0.03), face.skin_shade, 0.35)
    ball = shapes.ellipse(fx, fy - tip + 0.02, width, 0.045)
    canvas.wash(shapes.glow(ball, 0.02), face.skin * 1.08, 0.5)
    base = shapes.arc(fx, fy - tip - 0.01, width, 0.028, 0.011)
    canvas.fill(base, face.skin_shade * 0.8, 0.9)


def _mouth(canvas: Canvas, face: Face, fx: jax.Array, fy: jax.Array) -> None:
    smile, open_ = face.smile, jnp.clip(face.mouth_open, 0.0, 1.6)
    y = fy - _MOUTH_Y - 0.012 * face.mouth_height
    half = 0.135 * jnp.exp(0.07 * face.mouth_width) * (1.0 + 0.22 * jnp.clip(smile, -0.5, 1.5))
    curve = 0.006 + 0.062 * smile
    full = 0.027 * jnp.exp(0.22 * face.lip_full)
    t = jnp.clip(fx / half, -1.0, 1.0)
    profile = jnp.sqrt(1.0 - t * t * 0.98)
    # Height over the line between the lips, which curves up at the corners for a smile.
    line = y + 0.5 * curve - curve * (1.0 - t * t)
    beyond = jnp.maximum(jnp.abs(fx) - half, 0.0)
    gap = 0.042 * open_ * profile
    upper = jnp.maximum(line - 0.004, -line - full * profile - 0.2 * gap) + beyond
    lower = jnp.maximum(-line, line - gap - 1.25 * full * profile) + beyond
    canvas.fill(jnp.minimum(upper, lower) - 0.008, face.skin_shade * 0.8, 0.8)
    canvas.fill(lower, face.lips)
    canvas.fill(upper, face.lips * 0.88)
    inside = jnp.maximum(-line - 0.15 * gap, line - gap) + beyond
    canvas.fill(inside, (0.30, 0.06, 0.08), jnp.minimum(open_ * 2.0, 1.0))
    canvas.fill(jnp.maximum(inside, line - 0.4 * gap) + 0.004, WHITE, 0.9 * jnp.minimum(open_, 1.0))
    seam = jnp.abs(line) - 0.006 + beyond
    canvas.fill(seam, face.lips * 0.45, 0.9 * jnp.clip(1.0 - 2.0 * open_, 0.0, 1.0))
    corner = y + 0.5 * curve
    dimple = shapes.ellipse(jnp.abs(fx) - half - 0.012, corner + 0.005, 0.012, 0.030)
    canvas.fill(dimple, face.skin_shade, 0.7 * jnp.clip(smile, 0.0, 1.0))


def _hair_front(canvas: Canvas, face: Face, hair: shapes.Distance) -> None:
    """Hair over the skull, parted, and the fringe where there are bangs."""
    x, y = canvas.x, canvas.y
    part = jnp.abs(x - face.hair_part)
    waves = 0.02 * face.hair_wave * jnp.sin(25.0 * x)
    hairline = -0.40 + 0.75 * jnp.minimum(part, 0.5) ** 2 + waves
    front = -shapes.union(-hair, hairline - y, 0.05)
    canvas.fill(jnp.maximum(front - 0.014, hair), face.hair * 0.55)
    canvas.fill(front, face.hair)
    sheen = shapes.arc(x + 0.1, y + 0.50, 0.28, -0.07, 0.02)
    canvas.wash(shapes.glow(sheen, 0.04), WHITE, 0.18)
    strands = 0.025 * jnp.abs(jnp.sin(19.0 * (x - face.hair_part)))
    edge = -0.155 - 0.25 * (1.0 - jnp.clip(face.bangs, 0.0, 1.3)) - strands + 0.16 * x * x
    bangs = jnp.maximum(hair + 0.07, y - edge)
    present = jnp.clip(4.0 * face.bangs, 0.0, 1.0)
    canvas.fill(bangs - 0.014, face.hair * 0.55, present)
    canvas.fill(bangs, face.hair * 0.96, present)


def _glasses(canvas: Canvas, face: Face, fx: jax.Array, fy: jax.Array) -> None:
    present = jnp.minimum(face.glasses, 1.0)
    thick = 0.014 * jnp.clip(face.glasses, 0.5, 2.0)
    ax, y = jnp.abs(fx), fy - _EYE_Y - 0.01
    lens = shapes.box(ax - 0.212, y, 0.150, 0.118, 0.05 + 0.065 * face.glasses_round)
    canvas.fill(lens, (0.85, 0.93, 1.0), 0.16 * present)
    bridge = shapes.segment(ax, y, (0.0, -0.02), (0.07, -0.02), thick)
    temple = shapes.segment(ax, y, (0.36, -0.03), (0.49, -0.05), thick)
    frame = jnp.minimum(jnp.minimum(jnp.abs(lens) - thick, bridge), temple)
    canvas.fill(frame, face.glasses_colour, present)


def _hat(canvas: Canvas, face: Face) -> None:
    """A cap or a brimmed hat high on the skull: the hair shows beneath and beside it."""
    x, y = canvas.x, canvas.y
    present, size = jnp.minimum(face.hat, 1.0), jnp.clip(face.hat, 0.6, 1.6)
    brim_y = -0.40 - 0.03 * size
    dome = shapes.ellipse(x, y - brim_y, _half_width(face) + 0.07, 0.33 * size + 0.03)
    crown = jnp.maximum(dome, y - brim_y)
    brim_width = _half_width(face) + 0.09 + 0.26 * face.hat_brim
    brim = shapes.box(x, y - brim_y - 0.012 * x * x, brim_width, 0.045, 0.04)
    hat = shapes.union(crown, brim)
    canvas.fill(hat - 0.016, face.hat_colour * 0.45, present)
    canvas.fill(crown, face.hat_colour, present)
    band = jnp.maximum(crown, jnp.abs(y - brim_y + 0.09) - 0.035)
    canvas.fill(band, 1.0 - face.hat_colour, 0.7 * present)
    canvas.fill(brim, face.hat_colour * 0.85, present)


def _earrings(canvas: Canvas, face: Face) -> None:
    """A stud or a longer drop under each ear, in front of any hair."""
    strength = jnp.clip(face.earrings, 0.0, 2.0)
    size = 0.072 * jnp.exp(0.14 * face.earring_size) * jnp.sqrt(strength + 1e-6)
    long = 1.0 + 1.1 * face.earring_drop
    ax = jnp.abs(canvas.x) - _half_width(face) - 0.035
    ring = shapes.ellipse(ax, canvas.y - 0.15 - size * long, size, size * long)
    present = jnp.clip(1.6 * strength, 0.0, 1.0)
    canvas.fill(ring - 0.010, face.earring_colour * 0.4, present)
    canvas.fill(ring, face.earring_colour, present)
    canvas.fill(
        shapes.circle(ax + 0.3 * size, canvas.y - 0.15 - 0.6 * size * long, 0.3 * size),
        WHITE,
        0.8 * present,
    )
