"""Faces as arrays: keys and labels in, uint8 images out, the same bits whatever the batch."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias.data.faces.drawing import draw
from jaxbias.data.faces.traits import draw_face

# Always the same compiled program, so an image never depends on how many are asked for. Small
# blocks stay in the processor's cache (8: twice as fast as 64 on a CPU).
CHUNK = 256
_BLOCK = 8


def render(keys: np.ndarray, labels: np.ndarray, salience: np.ndarray, size: int) -> jax.Array:
    """Renders up to CHUNK faces; returns before they are ready.

    Args:
      keys: uint32[N, 2], one threefry key per image, N <= CHUNK.
      labels: bool[N, A] in the order of ATTRIBUTES.
      salience: float32[A], 1 = the standard cue.
      size: height and width in pixels.

    Returns:
      uint8[CHUNK, size, size, 3]; rows from N on are padding.
    """
    rows = np.minimum(np.arange(CHUNK), len(labels) - 1)
    return _render_chunk(keys[rows], labels[rows], salience, size=size)


@functools.partial(jax.jit, static_argnames="size")
def _render_chunk(
    keys: jax.Array, labels: jax.Array, salience: jax.Array, *, size: int
) -> jax.Array:
    def one(example: tuple[jax.Array, jax.Array]) -> jax.Array:
        return render_one(*example, salience, size)

    keys = jax.random.wrap_key_data(keys, impl="threefry2x32")
    return jax.lax.map(one, (keys, labels), batch_size=_BLOCK)


def render_one(key: jax.Array, labels: jax.Array, salience: jax.Array, size: int) -> jax.Array:
    """Renders one face: key[], bool[A], float32[A] -> uint8[size, size, 3]."""
    face_key, noise_key = jax.random.split(jax.random.fold_in(key, 1))
    face = draw_face(face_key, labels, salience)
    noise = face.noise * jax.random.normal(noise_key, (size, size))
    image = jnp.clip(draw(face, size) + noise[None], 0.0, 1.0)
    return jnp.moveaxis(jnp.round(image * 255.0).astype(jnp.uint8), 0, -1)
