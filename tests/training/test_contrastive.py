"""NT-Xent against the formula written out, and its augmentations."""

import jax
import numpy as np

from jaxbias.training.augment import random_views
from jaxbias.training.contrastive import nt_xent


def test_nt_xent_is_the_formula():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 5, 4)).astype(np.float32)
    z = np.concatenate([first, second]).astype(np.float64)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    losses = []
    for i in range(10):
        j = (i + 5) % 10
        others = [np.exp(z[i] @ z[k] / 0.3) for k in range(10) if k != i]
        losses.append(-np.log(np.exp(z[i] @ z[j] / 0.3) / sum(others)))
    np.testing.assert_allclose(nt_xent(first, second, 0.3), np.mean(losses), rtol=1e-5)


def test_a_view_depends_on_its_image_and_key_alone():
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
    keys = jax.random.split(jax.random.key(0), 6)
    views = np.asarray(random_views(images, keys, np.float32))
    assert views.shape == images.shape
    assert views.min() >= 0
    assert views.max() <= 255 * 1.001
    alone = random_views(images[3:4], keys[3:4], np.float32)
    np.testing.assert_allclose(alone[0], views[3], atol=1e-3)
    again = random_views(images, jax.random.split(jax.random.key(1), 6), np.float32)
    assert np.abs(np.asarray(again) - views).max(axis=(1, 2, 3)).min() > 1


def test_a_grey_image_stays_grey_of_any_hue():
    images = np.full((64, 8, 8, 3), 120, np.uint8)
    views = np.asarray(random_views(images, jax.random.split(jax.random.key(0), 64), np.float32))
    np.testing.assert_allclose(views - views.mean(axis=-1, keepdims=True), 0, atol=0.6)
