"""Eyes, brows, nose and mouth."""

import jax
import jax.numpy as jnp

from jaxbias.data.faces import shapes
from jaxbias.data.faces.canvas import WHITE, Canvas
from jaxbias.data.faces.head import EYE_Y, MOUTH_Y, NOSE_Y
from jaxbias.data.faces.traits import Face


def paint_eyes(canvas: Canvas, face: Face, fx: jax.Array, fy: jax.Array) -> None:
    """Eyes, their lids, and the bags under them."""
    gap = 0.205 * jnp.exp(0.05 * face.eye_gap)
    size = jnp.exp(0.09 * face.eye_size)
    open_ = jnp.clip(1.0 - 0.55 * face.narrow, 0.18, 1.2)
    ex, ey = jnp.abs(fx) - gap, fy - EYE_Y
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


def paint_brows(canvas: Canvas, face: Face, fx: jax.Array, fy: jax.Array) -> None:
    """Eyebrows in the colour of the hair."""
    gap = 0.205 * jnp.exp(0.05 * face.eye_gap)
    height = EYE_Y - 0.165 + 0.022 * face.brow_drop
    arch = -0.045 + 0.018 * face.brow_flat
    thick = 0.020 * jnp.exp(0.24 * face.brow_thick)
    brow = shapes.arc(jnp.abs(fx) - gap - 0.005, fy - height + 0.5 * arch, 0.115, arch, thick)
    canvas.fill(brow, face.hair * 0.6 + 0.06, 0.92)


def paint_nose(canvas: Canvas, face: Face, fx: jax.Array, fy: jax.Array) -> None:
    """The bridge, the tip and the line under it."""
    width = 0.062 * jnp.exp(0.16 * face.nose_width)
    tip = NOSE_Y + 0.015 * face.nose_length
    bridge = shapes.segment(fx - 0.025, fy, (0.0, -0.05), (0.012, tip - 0.03), 0.016)
    canvas.wash(shapes.glow(bridge, 0.03), face.skin_shade, 0.35)
    ball = shapes.ellipse(fx, fy - tip + 0.02, width, 0.045)
    canvas.wash(shapes.glow(ball, 0.02), face.skin * 1.08, 0.5)
    base = shapes.arc(fx, fy - tip - 0.01, width, 0.028, 0.011)
    canvas.fill(base, face.skin_shade * 0.8, 0.9)


def paint_mouth(canvas: Canvas, face: Face, fx: jax.Array, fy: jax.Array) -> None:
    """Lips, closed or around an open mouth, and the dimples of a smile."""
    smile, open_ = face.smile, jnp.clip(face.mouth_open, 0.0, 1.6)
    y = fy - MOUTH_Y - 0.012 * face.mouth_height
    half = 0.145 * jnp.exp(0.07 * face.mouth_width) * (1.0 + 0.28 * jnp.clip(smile, -0.5, 1.5))
    curve = 0.004 + 0.10 * smile
    full = 0.027 * jnp.exp(0.22 * face.lip_full)
    t = jnp.clip(fx / half, -1.0, 1.0)
    profile = jnp.sqrt(1.0 - t * t * 0.98)
    # Height over the line between the lips, which curves up at the corners for a smile.
    line = y + 0.5 * curve - curve * (1.0 - t * t)
    beyond = jnp.maximum(jnp.abs(fx) - half, 0.0)
    gap = 0.075 * open_ * profile
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
