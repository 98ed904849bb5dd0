"""A picture as layers of one colour each, painted from back to front."""

import jax
import jax.numpy as jnp

from jaxbias.data.faces import shapes
from jaxbias.data.faces.traits import Colour, Scalar

WHITE = (1.0, 1.0, 1.0)


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
