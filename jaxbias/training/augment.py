"""Augmentation of contrastive learning: crops and colours, drawn per image, on the device."""

import jax
import jax.numpy as jnp

# SimCLR's for small images (Chen et al., 2020, appendix B.9): no blur, colours at half strength.
_SMALLEST_AREA = 0.2
_RATIO = 4 / 3
_BRIGHTNESS = _CONTRAST = _SATURATION = 0.4
_HUE = 0.1  # Of a whole turn.
_JITTER, _GREY = 0.8, 0.2  # Probabilities.
_LUMA = (0.299, 0.587, 0.114)
# To and from the YIQ colour space, where a change of hue is a rotation.
_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))
_RGB = ((1.0, 0.956, 0.619), (1.0, -0.272, -0.647), (1.0, -1.106, 1.703))


def random_views(images: jax.Array, keys: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """Returns one randomly cropped, mirrored and recoloured view of each image.

    Args:
      images: uint8[B, S, S, 3].
      keys: keys[B]; a view depends on its image and key alone, whatever else is in the batch.
      dtype: of the result.

    Returns:
      float[B, S, S, 3] in [0, 255].
    """
    return jax.vmap(_view)(images.astype(dtype) / 255, keys) * 255


def _view(image: jax.Array, key: jax.Array) -> jax.Array:
    crop, mirror, jitter, colours, grey = jax.random.split(key, 5)
    image = _resized_crop(image, crop)
    image = jnp.where(jax.random.bernoulli(mirror), image[:, ::-1], image)
    image = jnp.where(jax.random.bernoulli(jitter, _JITTER), _recolour(image, colours), image)
    luma = jnp.broadcast_to(_luma(image), image.shape)
    return jnp.where(jax.random.bernoulli(grey, _GREY), luma, image)


def _resized_crop(image: jax.Array, key: jax.Array) -> jax.Array:
    """A part of random area, shape and place, blown up to the size of the whole."""
    side, dtype = image.shape[0], image.dtype
    area_key, ratio_key, place_key = jax.random.split(key, 3)
    area = jax.random.uniform(area_key, (), dtype, _SMALLEST_AREA, 1.0)
    limit = jnp.log(jnp.asarray(_RATIO, dtype))
    root = jnp.exp(jax.random.uniform(ratio_key, (), dtype, -limit, limit) / 2)
    part = jnp.minimum(jnp.sqrt(area) * jnp.stack([1 / root, root]), 1)  # Height, width.
    start = jax.random.uniform(place_key, (2,), dtype) * (1 - part)
    return jax.image.scale_and_translate(
        image, image.shape, (0, 1), 1 / part, -start * side / part, "linear", antialias=False
    )


def _recolour(image: jax.Array, key: jax.Array) -> jax.Array:
    """Brightness, contrast, saturation and hue, all affine, as one matrix and one shift."""
    dtype = image.dtype
    brightness, contrast, saturation, hue = jax.random.uniform(key, (4,), dtype, -1.0, 1.0)
    angle = 2 * jnp.pi * _HUE * hue
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    one, zero = jnp.ones((), dtype), jnp.zeros((), dtype)
    turn = jnp.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos]).reshape(3, 3)
    to, back = jnp.asarray(_YIQ, dtype), jnp.asarray(_RGB, dtype)
    grey = jnp.broadcast_to(jnp.asarray(_LUMA, dtype)[None, :], (3, 3))
    strength = 1 + _SATURATION * saturation
    matrix = back @ turn @ to @ (strength * jnp.eye(3, dtype=dtype) + (1 - strength) * grey)
    brighter, stronger = 1 + _BRIGHTNESS * brightness, 1 + _CONTRAST * contrast
    mean = brighter * _luma(image).mean()
    shift = (1 - stronger) * mean * matrix.sum(axis=1)
    return jnp.clip(_mixed(image, brighter * stronger * matrix) + shift[None, None, :], 0, 1)


def _luma(image: jax.Array) -> jax.Array:
    return _mixed(image, jnp.asarray((_LUMA,), image.dtype))


def _mixed(image: jax.Array, matrix: jax.Array) -> jax.Array:
    """Image @ matrix.T; on CPU a product with so few columns takes four times as long as sums."""
    channels = [image[..., i] for i in range(3)]
    return jnp.stack([sum(w * x for w, x in zip(row, channels, strict=True)) for row in matrix], -1)
