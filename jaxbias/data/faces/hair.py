"""Hair behind and in front of the head; length and style say nothing about any attribute."""

import jax
import jax.numpy as jnp

from jaxbias.data.faces import shapes
from jaxbias.data.faces.canvas import WHITE, Canvas
from jaxbias.data.faces.head import CROWN, half_width
from jaxbias.data.faces.traits import Face


def hair_shape(face: Face, x: jax.Array, y: jax.Array) -> shapes.Distance:
    """Distance to all hair: a cap over the skull that goes on straight down from the temples."""
    ripple = 0.03 * face.hair_wave * jnp.sin(16.0 * y + 9.0 * face.hair_part)
    volume = 0.07 + 0.018 * face.hair_volume
    width = half_width(face) + volume
    skull = shapes.ellipse(x, y, width, CROWN + volume + 0.03)
    sides = jnp.abs(x) - width - ripple * jnp.clip(2.0 * y, 0.0, 1.0)
    return jnp.where(y > 0.0, sides, skull)


def paint_hair_behind(canvas: Canvas, face: Face, hair: shapes.Distance) -> None:
    """Hair that falls to somewhere between the ears and the shoulders."""
    low = 0.02 + 0.80 * face.hair_length
    distance = -shapes.union(-hair, low - canvas.y, 0.12)
    canvas.fill(distance - 0.018, face.hair * 0.5)
    canvas.fill(distance, face.hair * 0.84)


def paint_hair_front(canvas: Canvas, face: Face, hair: shapes.Distance) -> None:
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
