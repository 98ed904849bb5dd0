"""Stores: what networks take for images, as devices hold it, and how it is taken out again.

A TPU lays the last two axes of an array out in tiles, 128 numbers long. Of images as they are,
[N, S, S, 3], its programs make a padded copy first, of 4.8 GiB for the 4.2 of 30,000 of 224²; as
[N, S² · 3 / 128, 128] an image is whole tiles, from which batches are taken where they lie. Other
devices do not mind, so there is no other layout. What does not fill its last line is padded: such
sides, like 200 pixels, are rare, and a layout of their own would be copied again.
"""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.layout import Layout, with_layout_constraint

from jaxbias.targets import target

_LINE = 128


@functools.partial(jax.tree_util.register_dataclass, data_fields=["lines"], meta_fields=["shape"])
@dataclasses.dataclass(frozen=True)
class Store:
    """Images, or what trunks make of them.

    Attributes:
      lines: [..., L, 128] of any leading axes.
      shape: of one image, such as (S, S, 3).
    """

    lines: jax.Array
    shape: tuple[int, ...]

    def __getitem__(self, rows: jax.Array) -> jax.Array:
        """Returns the images in some rows of the first axis."""
        return dataclasses.replace(self, lines=self.lines[rows]).images

    @property
    def images(self) -> jax.Array:
        """All of them, [..., *shape]."""
        *leading, count, line = self.lines.shape
        flat = self.lines.reshape(*leading, count * line)[..., : math.prod(self.shape)]
        images = flat.reshape(*leading, *self.shape)
        if target().platform != "tpu" or images.dtype != jnp.uint8 or self.shape[1] >= _LINE:
            return images
        if not jax.sharding.get_abstract_mesh().manual_axes:
            return images  # Where the compiler shares work out, it would gather them for the hint.
        # Small images a TPU mirrors and converts faster colour by colour: a step of the convnet of
        # 64² by "map" takes 276,000 cycles of a v5e, by its compiler, and 298,000 if nothing is
        # said. Of 224² it takes 3.04 million if nothing is said, and 3.31 so.
        *before, rows, columns, colours = range(images.ndim)
        return with_layout_constraint(images, Layout((*before, colours, rows, columns)))


def stored(images: np.ndarray, leading: int = 1) -> Store:
    """Returns a store of images of the host, a view of them where their lines are full.

    Args:
      images: [..., *shape] in one piece.
      leading: how many axes are none of an image.
    """
    before, shape = images.shape[:leading], images.shape[leading:]
    flat = images.reshape(*before, math.prod(shape))
    missing = -flat.shape[-1] % _LINE
    if missing:
        flat = np.pad(flat, [(0, 0)] * leading + [(0, missing)])
    return Store(flat.reshape(_lines(images.shape, leading)), shape)


def black(shape: tuple[int, ...], dtype: np.dtype, leading: int = 1) -> Store:
    """Returns a store of zeros on the device, of images of a shape with so many leading axes."""
    return Store(jnp.zeros(_lines(shape, leading), dtype), shape[leading:])


def stored_bytes(shape: tuple[int, ...], dtype: np.dtype) -> int:
    """Returns the bytes of a store of images [N, ...], and so of those a device holds."""
    return math.prod(_lines(shape, 1)) * np.dtype(dtype).itemsize


def _lines(shape: tuple[int, ...], leading: int) -> tuple[int, ...]:
    return *shape[:leading], -(-math.prod(shape[leading:]) // _LINE), _LINE
