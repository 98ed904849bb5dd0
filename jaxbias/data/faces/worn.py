"""What a face wears: glasses, a hat, earrings."""

import jax
import jax.numpy as jnp

from jaxbias.data.faces import shapes
from jaxbias.data.faces.canvas import WHITE, Canvas
from jaxbias.data.faces.head import EYE_Y, half_width
from jaxbias.data.faces.traits import Face


def paint_glasses(canvas: Canvas, face: Face, fx: jax.Array, fy: jax.Array) -> None:
    """Frames, with a faint reflection in the lenses."""
    present = jnp.minimum(face.glasses, 1.0)
    thick = 0.014 * jnp.clip(face.glasses, 0.5, 2.0)
    ax, y = jnp.abs(fx), fy - EYE_Y - 0.01
    lens = shapes.box(ax - 0.212, y, 0.150, 0.118, 0.05 + 0.065 * face.glasses_round)
    canvas.fill(lens, (0.85, 0.93, 1.0), 0.16 * present)
    bridge = shapes.segment(ax, y, (0.0, -0.02), (0.07, -0.02), thick)
    temple = shapes.segment(ax, y, (0.36, -0.03), (0.49, -0.05), thick)
    frame = jnp.minimum(jnp.minimum(jnp.abs(lens) - thick, bridge), temple)
    canvas.fill(frame, face.glasses_colour, present)


def paint_hat(canvas: Canvas, face: Face) -> None:
    """A cap or a brimmed hat high on the skull: the hair shows beneath and beside it."""
    x, y = canvas.x, canvas.y
    present, size = jnp.minimum(face.hat, 1.0), jnp.clip(face.hat, 0.6, 1.6)
    brim_y = -0.40 - 0.03 * size
    dome = shapes.ellipse(x, y - brim_y, half_width(face) + 0.07, 0.33 * size + 0.03)
    crown = jnp.maximum(dome, y - brim_y)
    brim_width = half_width(face) + 0.09 + 0.26 * face.hat_brim
    brim = shapes.box(x, y - brim_y - 0.012 * x * x, brim_width, 0.045, 0.04)
    hat = shapes.union(crown, brim)
    canvas.fill(hat - 0.016, face.hat_colour * 0.45, present)
    canvas.fill(crown, face.hat_colour, present)
    band = jnp.maximum(crown, jnp.abs(y - brim_y + 0.09) - 0.035)
    canvas.fill(band, 1.0 - face.hat_colour, 0.7 * present)
    canvas.fill(brim, face.hat_colour * 0.85, present)


def paint_earrings(canvas: Canvas, face: Face) -> None:
    """A stud or a longer drop under each ear, in front of any hair."""
    strength = jnp.clip(face.earrings, 0.0, 2.0)
    size = 0.072 * jnp.exp(0.14 * face.earring_size) * jnp.sqrt(strength + 1e-6)
    long = 1.0 + 1.1 * face.earring_drop
    ax = jnp.abs(canvas.x) - half_width(face) - 0.035
    ring = shapes.ellipse(ax, canvas.y - 0.15 - size * long, size, size * long)
    present = jnp.clip(1.6 * strength, 0.0, 1.0)
    canvas.fill(ring - 0.010, face.earring_colour * 0.4, present)
    canvas.fill(ring, face.earring_colour, present)
    canvas.fill(
        shapes.circle(ax + 0.3 * size, canvas.y - 0.15 - 0.6 * size * long, 0.3 * size),
        WHITE,
        0.8 * present,
    )
