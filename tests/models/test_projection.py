"""A wide 1×1 convolution with its norm: the gradients of both, without the outputs of either."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import Mesh, PartitionSpec

from jaxbias.models import layers
from jaxbias.models.batch_statistics import normalise
from jaxbias.models.folding import fold
from jaxbias.models.layers import BatchNorm, Conv
from jaxbias.models.projection import normalise_projected

EPSILON, SHAPE, WIDE = 1e-5, (4, 4, 6, 5), 12


def given(seed=0):
    """Inputs as a ReLU leaves them, a kernel, scales, biases, and what is near the means."""
    rng = np.random.default_rng(seed)
    x, kernel = np.maximum(rng.normal(1, 2, SHAPE), 0), rng.normal(size=(SHAPE[-1], WIDE))
    about = x.mean((0, 1, 2)) @ kernel + rng.normal(0, 0.1, WIDE)
    return *(jnp.asarray(v) for v in (x, kernel, *rng.normal(1, 0.3, (2, WIDE)))), about


def plainly(x, kernel, scale, bias):
    outputs = jnp.einsum("bhwk,kc->bhwc", x, kernel)
    mean, var = outputs.mean((0, 1, 2)), outputs.var((0, 1, 2))
    factor = scale * jax.lax.rsqrt(var + EPSILON)
    return (outputs - mean[None, None, None]) * factor[None, None, None] + bias[None, None, None]


def changes(function, slopes, *arguments):
    y, back = jax.vjp(function, *arguments)
    return y, *back(slopes.astype(y.dtype))


@pytest.mark.parametrize("folds", [False, True])
def test_it_has_the_values_and_gradients_of_a_convolution_and_a_norm(folds):
    with jax.enable_x64(True):
        *arguments, about = given()
        slopes = jnp.asarray(np.random.default_rng(1).normal(1, 1, (*SHAPE[:3], WIDE)))

        def projected(x, *params):
            y, *_ = normalise_projected(fold(x) if folds else x, *params, about, EPSILON, 1)
            return y.reshape(slopes.shape)

        got = changes(projected, slopes, *arguments)
        expected = changes(plainly, slopes, *arguments)
        for one, other in zip(got, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
        x, kernel, *rest = arguments
        _, mean, var = normalise_projected(x, kernel, *rest, about, EPSILON, 1)
        outputs = np.asarray(x @ kernel).reshape(-1, WIDE)
        np.testing.assert_allclose((mean, var), (outputs.mean(0), outputs.var(0)), rtol=1e-9)


def test_parts_of_a_batch_on_several_devices_are_one_batch():
    with jax.enable_x64(True):
        x, *params, about = given()
        slopes = jnp.asarray(np.random.default_rng(1).normal(1, 1, (*SHAPE[:3], WIDE)))
        mesh = Mesh(np.array(jax.devices()[:2]), ("data",))
        part, whole = PartitionSpec("data"), PartitionSpec()

        def on(devices, x, slopes):
            def projected(x, *params):
                return normalise_projected(x, *params, about, EPSILON, devices)[0]

            y, of_x, *of_params = changes(projected, slopes, x, *params)
            return y, of_x, *(of_params if devices == 1 else jax.lax.psum(of_params, "data"))

        split = jax.shard_map(
            functools.partial(on, 2),
            mesh=mesh,
            in_specs=(part, part),
            out_specs=(part, part, whole, whole, whole),
            check_vma=False,
        )
        for got, expected in zip(split(x, slopes), on(1, x, slopes), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("inside", "level"), [(0.3, 0.0), (0.3, 3.0), (10.0, 0.0)])
def test_in_bfloat16_nothing_is_less_exact_than_by_a_convolution_and_a_norm(inside, level):
    """Against float64 on the same arrays, of inputs and changes about 0 and far from it."""
    rng = np.random.default_rng(2)
    narrow, inputs, outputs = jnp.bfloat16, 16, 64
    x = jnp.asarray(np.maximum(rng.normal(inside, 1, (32, 8, 8, inputs)), 0), narrow)
    kernel = jnp.asarray(rng.normal(0, 0.2, (inputs, outputs)), narrow).astype(np.float32)
    slopes = jnp.asarray(rng.normal(level, 1, (32, 8, 8, outputs)), narrow)
    scale, bias = rng.normal(1, 0.3, (2, outputs)).astype(np.float32)
    about = np.zeros(outputs, np.float32)

    def apart(x, kernel, scale, bias):
        y = jnp.einsum("bhwk,kc->bhwc", x, kernel.astype(narrow))
        return normalise(y, scale, bias, about, EPSILON, 1)[0]

    def projected(*arguments):
        return normalise_projected(*arguments, about, EPSILON, 1)[0]

    arguments = x, kernel, scale, bias
    got, before = (changes(function, slopes, *arguments) for function in (projected, apart))
    with jax.enable_x64(True):
        wide = [jnp.asarray(v, jnp.float64) for v in arguments]
        truth = changes(plainly, jnp.asarray(slopes, jnp.float64), *wide)
        truth = [np.asarray(v) for v in truth]
    for now, then, true in zip(got, before, truth, strict=True):
        errors = [np.sqrt(np.square(np.asarray(v, float) - true).mean()) for v in (now, then)]
        assert errors[0] <= 1.02 * errors[1] + 1e-5 * np.sqrt(np.square(true).mean()), errors


def test_a_layer_computes_and_records_the_same(monkeypatch):
    rng = np.random.default_rng(3)
    x = jnp.asarray(np.maximum(rng.normal(1, 2, SHAPE), 0), jnp.bfloat16)

    def told():
        conv, norm = Conv(SHAPE[-1], WIDE, 1, 1, method="conv", rngs=nnx.Rngs(0)), BatchNorm(WIDE)
        norm.training = True
        y = norm.after(conv, x)
        return np.asarray(y, float), norm.mean[...], norm.var[...]

    plain, called = told(), []

    def noting(*arguments):
        called.append(arguments)
        return normalise_projected(*arguments)

    monkeypatch.setattr(layers, "normalise_projected", noting)
    told()
    assert not called
    monkeypatch.setattr(layers, "narrow_on_tpu", lambda x: True)
    for got, expected in zip(told(), plain, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-2, atol=1e-2)
    assert len(called) == 1
