"""Preprocessing belongs to a network: from the study's bytes to what its first layer expects."""

import dataclasses

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """How images become inputs.

    Attributes:
      size: side of the inputs in pixels.
      mean: of each channel, of values in [0, 1].
      std: of each channel, likewise.
      interpolation: of resizing: "bilinear" or "bicubic".
    """

    size: int
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    interpolation: str = "bilinear"

    def __call__(self, images: jax.Array, dtype: jnp.dtype) -> jax.Array:
        """Maps uint8[B, S, S, 3] to [B, size, size, 3] of a dtype.

        Images of another side are resized whole; smaller ones are made of smoothed larger ones,
        as Pillow does.
        """
        batch, side, _, channels = images.shape
        if self == Preprocessing(self.size) and side == self.size:
            return images.astype(dtype) * (2 / 255) - 1
        scale = jnp.asarray([1 / (255 * std) for std in self.std], dtype)
        shift = jnp.asarray(
            [-mean / std for mean, std in zip(self.mean, self.std, strict=True)], dtype
        )
        values = images.astype(dtype)
        if side != self.size:
            method = {"bilinear": "linear", "bicubic": "cubic"}[self.interpolation]
            shape = (batch, self.size, self.size, channels)
            values = jax.image.resize(values, shape, method, antialias=True)
        return values * scale[None, None, None, :] + shift[None, None, None, :]
