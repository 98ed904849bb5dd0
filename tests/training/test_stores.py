"""Stores: images come out as they went in, nothing is held twice, and numbers do not change."""

import functools
import importlib.util

import jax
import numpy as np
import pytest

from jaxbias.training import Store, black, stored, stored_bytes
from tests.compiled import apart, store_sizes
from tests.training.tiny_run import members, one, pictures

# Whole lines of 128, and not; and what a trunk makes of images.
SHAPES = [(7, 16, 16, 3), (7, 8, 8, 3), (7, 10, 10, 3), (3, 2, 7, 7, 24), (0, 8, 8, 3)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_images_come_out_as_they_went_in(shape, dtype):
    images = np.random.default_rng(0).integers(0, 256, shape).astype(dtype)
    store = stored(images)
    assert store.lines.shape[2] == 128
    assert store.lines.nbytes == stored_bytes(shape, dtype)
    padding = store.lines.size - images.size
    assert 0 <= padding <= 127 * len(images)
    assert black(shape, dtype).lines.shape == store.lines.shape
    np.testing.assert_array_equal(store.images, images, strict=True)
    if not len(images):
        return
    rows = np.array([[2, 0], [1, 2]])
    taken = jax.jit(Store.__getitem__)(store, rows)
    np.testing.assert_array_equal(taken, images[rows], strict=True)
    apart_by_two = stored(images[rows], leading=2)
    np.testing.assert_array_equal(apart_by_two.images, images[rows], strict=True)


def test_whole_lines_are_the_images_themselves():
    images = pictures(size=16)
    assert np.shares_memory(stored(images).lines, images)


def test_a_run_has_the_bits_of_one_on_images_as_they_are():
    runs, images = members(2), pictures()
    lifted = jax.jit(jax.vmap(one, (0, None)))
    found = [lifted(runs, each) for each in (stored(images), images)]
    jax.tree.map(functools.partial(np.testing.assert_array_equal, strict=True), *found)


@pytest.mark.targets
@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="needs jax[tpu]")
@pytest.mark.parametrize("mode", ["map", "vmap"])
def test_no_program_of_a_tpu_copies_its_store(mode):
    (few, some), (many, same) = apart(store_sizes, "v5e:2x2", mode, (1000, 20_000))
    # Bytes of arguments, all of which the store's 19,000 images of 64² more are; of temporaries.
    more = stored_bytes((19_000, 64, 64, 3), np.uint8)
    assert more <= many - few <= 1.01 * more
    assert same <= some + 2**20
