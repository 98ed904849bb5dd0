"""The head: its proportions, its outline, and what is painted straight onto it."""

import jax
import jax.numpy as jnp

from jaxbias.data.faces import shapes
from jaxbias.data.faces.canvas import WHITE, Canvas
from jaxbias.data.faces.traits import Face, Scalar

EYE_Y, NOSE_Y, MOUTH_Y = -0.04, 0.17, 0.34
CROWN, CHIN = 0.58, 0.60  # Extent of an average head above and below the origin.


def half_width(face: Face) -> Scalar:
    """Half the width of the skull."""
    return 0.49 * jnp.exp(0.045 * face.head_width)


def face_length(face: Face) -> Scalar:
    """From the origin to the tip of the chin."""
    return CHIN * jnp.exp(0.045 * face.face_length)


def head_shape(face: Face, x: jax.Array, y: jax.Array) -> shapes.Distance:
    """Distance to a skull's half ellipse over a jaw that tapers more or less squarely."""
    down = jnp.clip(y / face_length(face), 0.0, 1.5)
    taper = 0.30 - 0.065 * face.jaw_width
    cheeks = 1.0 + 0.27 * face.chubby * 4.0 * jnp.clip(down * (1.0 - 0.9 * down), 0.0, 1.0)
    width = half_width(face) * (1.0 - taper * jnp.minimum(down, 1.0) ** 2) * cheeks
    power = 2.35 * jnp.exp(0.11 * face.jaw_square + 0.12 * face.chubby)
    q = (jnp.abs(x) / width) ** power + down**power
    jaw = (q ** (1.0 / power) - 1.0) * 0.46
    skull = shapes.ellipse(x, y, half_width(face), CROWN)
    return jnp.where(y > 0.0, jaw, skull)


def paint_body(canvas: Canvas, face: Face) -> None:
    """Neck, shoulders and collar."""
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


def paint_head(
    canvas: Canvas, face: Face, head: shapes.Distance, fx: jax.Array, fy: jax.Array
) -> None:
    """Ears, the head with its shading, cheeks and chin."""
    ax = jnp.abs(canvas.x)
    size = jnp.exp(0.1 * face.ear_size)
    ear = shapes.ellipse(ax - half_width(face) - 0.02, canvas.y - 0.03, 0.075 * size, 0.125 * size)
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
    blush = 0.32 * jnp.clip(1.0 - face.age, 0.0, 1.0)  # Cheeks pale with age.
    canvas.wash(shapes.glow(cheeks, 0.08), (0.90, 0.38, 0.36), blush)
    _cheekbones(canvas, face, fx, fy)
    chin = shapes.arc(canvas.x, canvas.y - face_length(face) + 0.10, 0.20, 0.045, 0.012)
    canvas.fill(chin, face.skin_shade, 0.55 * jnp.clip(face.chubby, 0.0, 1.0))


def _cheekbones(canvas: Canvas, face: Face, fx: jax.Array, fy: jax.Array) -> None:
    """A highlight high on the cheek over a hollow."""
    ax, strength = jnp.abs(fx), jnp.clip(face.cheekbones, 0.0, 1.6)
    slant = fy + 0.45 * (ax - 0.3)
    highlight = shapes.ellipse(ax - 0.30, slant - 0.115, 0.10, 0.035)
    canvas.wash(shapes.glow(highlight, 0.035), WHITE, 0.33 * strength)
    hollow = shapes.ellipse(ax - 0.31, slant - 0.25, 0.10, 0.04)
    canvas.wash(shapes.glow(hollow, 0.05), face.skin_shade, 0.38 * strength)


def paint_age(canvas: Canvas, face: Face, fx: jax.Array, fy: jax.Array) -> None:
    """Lines on the forehead, beside the nose and beside the eyes."""
    ax, strength = jnp.abs(fx), jnp.clip(face.age, 0.0, 1.5)
    fold = shapes.segment(ax, fy, (0.115, 0.19), (0.205, 0.36), 0.016)
    canvas.fill(fold, face.skin_shade * 0.8, 0.85 * strength)
    for height in (-0.26, -0.32, -0.38):
        line = shapes.arc(fx, fy - height, 0.22, -0.02, 0.012)
        canvas.fill(line, face.skin_shade * 0.85, 0.75 * strength)
    crow = shapes.segment(ax, fy, (0.355, -0.03), (0.42, 0.0), 0.008)
    crow = jnp.minimum(crow, shapes.segment(ax, fy, (0.355, -0.06), (0.42, -0.075), 0.008))
    canvas.fill(crow, face.skin_shade, 0.65 * strength)
