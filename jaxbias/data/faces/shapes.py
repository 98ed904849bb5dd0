"""Signed distances (negative inside) in the plane, and the soft coverage of a pixel by a shape.

Distances follow Quilez, "2D distance functions" (iquilezles.org/articles/distfunctions2d); the
ellipse is a first-order approximation, exact enough where its edge is drawn.
"""

import jax
import jax.numpy as jnp

Distance = jax.Array  # float32[H, W], negative inside, in face units.


def ellipse(x: jax.Array, y: jax.Array, a: jax.Array | float, b: jax.Array | float) -> Distance:
    """Approximate distance to an ellipse around the origin with half axes a and b."""
    k = jnp.sqrt((x / a) ** 2 + (y / b) ** 2)
    gradient = jnp.sqrt((x / a**2) ** 2 + (y / b**2) ** 2)
    return k * (k - 1.0) / jnp.maximum(gradient, 1e-3)


def circle(x: jax.Array, y: jax.Array, radius: jax.Array | float) -> Distance:
    """Distance to a disc around the origin."""
    return jnp.sqrt(x**2 + y**2) - radius


def box(
    x: jax.Array,
    y: jax.Array,
    a: jax.Array | float,
    b: jax.Array | float,
    round_: jax.Array | float = 0.0,
) -> Distance:
    """Distance to a box around the origin with half sides a and b and corners of radius round_."""
    qx, qy = jnp.abs(x) - a + round_, jnp.abs(y) - b + round_
    outside = jnp.sqrt(jnp.maximum(qx, 0.0) ** 2 + jnp.maximum(qy, 0.0) ** 2)
    return outside + jnp.minimum(jnp.maximum(qx, qy), 0.0) - round_


def segment(
    x: jax.Array,
    y: jax.Array,
    start: tuple[jax.Array | float, jax.Array | float],
    end: tuple[jax.Array | float, jax.Array | float],
    radius: jax.Array | float,
) -> Distance:
    """Distance to a line from start to end, thick by twice the radius, with round ends."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = ((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy + 1e-9)
    along = jnp.clip(along, 0.0, 1.0)
    return jnp.sqrt((x - start[0] - along * dx) ** 2 + (y - start[1] - along * dy) ** 2) - radius


def arc(
    x: jax.Array,
    y: jax.Array,
    half_width: jax.Array | float,
    sag: jax.Array | float,
    radius: jax.Array | float,
) -> Distance:
    """Distance to a parabola's arc through (±half_width, 0) and (0, sag), thick by 2·radius.

    The vertical distance divided by the curve's steepness, capped by the distance to the ends.
    """
    t = jnp.clip(x / half_width, -1.0, 1.0)
    slope = 2.0 * sag * t / half_width
    vertical = (y - sag * (1.0 - t**2)) / jnp.sqrt(1.0 + slope**2)
    beyond = jnp.maximum(jnp.abs(x) - half_width, 0.0)
    return jnp.sqrt(vertical**2 + beyond**2) - radius


def union(first: Distance, second: Distance, blend: float = 0.0) -> Distance:
    """Distance to either shape; `blend` > 0 rounds the seam over about that length."""
    if blend == 0.0:
        return jnp.minimum(first, second)
    h = jnp.maximum(blend - jnp.abs(first - second), 0.0) / blend
    return jnp.minimum(first, second) - h * h * blend * 0.25


def coverage(distance: Distance, pixel: jax.Array | float) -> jax.Array:
    """Share of a pixel that a shape covers, 0..1, for an edge as soft as `pixel` is wide."""
    return jnp.clip(0.5 - distance / pixel, 0.0, 1.0)


def glow(distance: Distance, width: jax.Array | float) -> jax.Array:
    """A smooth bump: 1 well inside the shape, 0 further out than `width`."""
    t = jnp.clip(0.5 - 0.5 * distance / width, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)
