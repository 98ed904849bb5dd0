"""Batch normalisation of narrow images: the layer's own numbers, and no less exact than those."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import Mesh, PartitionSpec

from jaxbias.models.batch_statistics import normalise, normalise_pooled
from jaxbias.models.layers import BatchNorm

SHAPE, EPSILON = (8, 4, 3, 5), 1e-5


def given(dtype=np.float64):
    rng = np.random.default_rng(0)
    x, slopes = (rng.normal(3, 2, SHAPE), rng.normal(size=SHAPE))
    return (*(jnp.asarray(v, dtype) for v in (x, slopes)), *rng.normal(1, 0.3, (3, 5)))


def plainly(x, scale, bias):
    """As `BatchNorm` computes what is no narrower than its parameters."""
    mean = x.mean(axis=(0, 1, 2))[None, None, None]
    var = jnp.square(x - mean).mean(axis=(0, 1, 2))
    factor = (scale * jax.lax.rsqrt(var + EPSILON))[None, None, None]
    return x * factor + bias[None, None, None] - mean * factor


def changes(function, x, slopes, *params):
    """The result, and the gradients of x, scale and bias."""
    y, back = jax.vjp(function, x, *params)
    return y, *back(slopes.astype(y.dtype))


def test_one_pass_has_the_values_and_the_gradients_of_three():
    with jax.enable_x64(True):
        x, slopes, scale, bias, about = given()

        def one(x, scale, bias):
            return normalise(x, scale, bias, about, EPSILON, 1)[0]

        got = changes(one, x, slopes, scale, bias)
        expected = changes(plainly, x, slopes, scale, bias)
        _, mean, var = normalise(x, scale, bias, about, EPSILON, 1)
        for one_pass, three in zip(got, expected, strict=True):
            np.testing.assert_allclose(one_pass, three, rtol=1e-9, atol=1e-9)
        flat = np.asarray(x).reshape(-1, 5)
        np.testing.assert_allclose((mean, var), (flat.mean(0), flat.var(0)), rtol=1e-9)


@pytest.mark.parametrize("norm", [normalise, normalise_pooled])
def test_parts_of_a_batch_on_several_devices_are_one_batch(norm):
    with jax.enable_x64(True):
        x, slopes, scale, bias, about = given()
        if norm is normalise_pooled:
            slopes = slopes[:, :2, :2]
        mesh = Mesh(np.array(jax.devices()[:2]), ("data",))
        part, whole = PartitionSpec("data"), PartitionSpec()

        def on(devices, x, slopes):
            def one(x, scale, bias):
                return norm(x, scale, bias, about, EPSILON, devices)[0]

            y, of_x, *of_params = changes(one, x, slopes, scale, bias)
            sums = of_params if devices == 1 else jax.lax.psum(of_params, "data")
            return y, of_x, *sums

        split = jax.shard_map(
            functools.partial(on, 2),
            mesh=mesh,
            in_specs=(part, part),
            out_specs=(part, part, whole, whole),
            check_vma=False,
        )
        for got, expected in zip(split(x, slopes), on(1, x, slopes), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


def test_in_bfloat16_nothing_is_less_exact_than_by_three_passes():
    """Against float64 on the same bfloat16 images, with channels whose mean is 30 deviations."""
    rng = np.random.default_rng(1)
    means, narrow = np.array([0, 1, -3, 10, 60]), jnp.bfloat16
    x = jnp.asarray(rng.normal(means, 2, (64, 8, 8, 5)), narrow)
    slopes = jnp.asarray(rng.normal(size=x.shape), narrow)
    scale, bias = rng.normal(1, 0.3, (2, 5)).astype(np.float32)
    about = (0.9 * means).astype(np.float32)

    def three(x, scale, bias):
        return plainly(x.astype(jnp.float32), scale, bias).astype(narrow)

    def one(x, scale, bias):
        return normalise(x, scale, bias, about, EPSILON, 1)[0]

    got, before = (changes(function, x, slopes, scale, bias) for function in (one, three))
    with jax.enable_x64(True):
        wide = [jnp.asarray(v, jnp.float64) for v in (x, slopes, scale, bias)]
        truth = [np.asarray(v) for v in changes(plainly, *wide)]
    for now, then, true in zip(got, before, truth, strict=True):
        axes = tuple(range(now.ndim - 1))
        errors = [
            np.sqrt(np.square(np.asarray(v, np.float64) - true).mean(axes)) for v in (now, then)
        ]
        size = np.sqrt(np.square(true).mean(axes))
        assert np.all(errors[0] <= 1.02 * errors[1] + 1e-5 * size)


def test_the_layer_records_the_same_statistics_of_narrow_images():
    x, *_ = given(np.float32)
    narrow = x.astype(jnp.bfloat16)
    found = []
    for images in (narrow, narrow.astype(jnp.float32)):
        norm = BatchNorm(5)
        norm.training = True
        assert norm(images).dtype == images.dtype
        found.append(jax.tree.leaves(nnx.to_pure_dict(nnx.state(norm, nnx.BatchStat))))
    np.testing.assert_allclose(*found, rtol=1e-5)
