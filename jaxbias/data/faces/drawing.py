"""Draws one face as layers of soft-edged shapes, from the back of the picture to the front.

Face coordinates: the origin between the eyes and the nose, x to the right, y down, a head about 1
wide. Nothing is measured in pixels, so the same face can be drawn at any size.
"""

import jax
import jax.numpy as jnp

from jaxbias.data.faces import shapes
from jaxbias.data.faces.canvas import Canvas
from jaxbias.data.faces.features import paint_brows, paint_eyes, paint_mouth, paint_nose
from jaxbias.data.faces.hair import hair_shape, paint_hair_behind, paint_hair_front
from jaxbias.data.faces.head import head_shape, paint_age, paint_body, paint_head
from jaxbias.data.faces.traits import Face
from jaxbias.data.faces.worn import paint_earrings, paint_glasses, paint_hat


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
    head = head_shape(face, x, y)
    hair = hair_shape(face, x, y)
    paint_hair_behind(canvas, face, hair)
    paint_body(canvas, face)
    paint_head(canvas, face, head, fx, fy)
    paint_age(canvas, face, fx, fy)
    paint_eyes(canvas, face, fx, fy)
    paint_brows(canvas, face, fx, fy)
    paint_nose(canvas, face, fx, fy)
    paint_mouth(canvas, face, fx, fy)
    paint_hair_front(canvas, face, hair)
    paint_glasses(canvas, face, fx, fy)
    paint_hat(canvas, face)
    paint_earrings(canvas, face)
    image = canvas.image()
    shading = face.light * (1.0 + face.light_side * u)
    return image * shading[None] * face.tint[:, None, None]


def _background(canvas: Canvas, face: Face, u: jax.Array, v: jax.Array) -> None:
    canvas.wash(jnp.ones_like(u), face.backdrop[0])
    canvas.wash(0.5 + 0.5 * v, face.backdrop[1])
    for blob, colour in zip(face.blobs, face.blob_colours, strict=True):
        distance = shapes.circle(u - blob[0], v - blob[1], blob[2])
        canvas.wash(shapes.glow(distance, 0.35 * blob[2]), colour, 0.45)
