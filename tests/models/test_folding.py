"""Columns folded into channels: the same convolutions, norms and networks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxbias.models import batch_statistics, layers, resnet
from jaxbias.models.convolution import convolve
from jaxbias.models.folding import convolve_folded, fold
from jaxbias.models.layers import BatchNorm


def drawn(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(1, 2, shape))


def with_gradients(function, *arguments):
    y, back = jax.vjp(function, *arguments)
    return y, *back(drawn(*y.shape, seed=9).astype(y.dtype))


@pytest.mark.parametrize("size", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("height", [6, 5])
def test_a_folded_convolution_has_the_values_and_gradients_of_one(size, stride, height):
    with jax.enable_x64(True):
        x, kernel = drawn(2, height, 8, 3), drawn(size, size, 3, 4)

        def folded(x, kernel):
            y = convolve_folded(fold(x), kernel, stride)
            return y.reshape(2, y.shape[1], -1, 4)

        def apart(x, kernel):
            return convolve(x, kernel, stride, "conv")

        for got, expected in zip(
            with_gradients(folded, x, kernel), with_gradients(apart, x, kernel), strict=True
        ):
            np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("training", [True, False])
def test_a_norm_of_folded_images_is_that_of_the_images(training):
    with jax.enable_x64(True):
        x, start = drawn(4, 6, 8, 5).astype(jnp.float32), BatchNorm(5)
        for name, values in nnx.to_pure_dict(nnx.state(start)).items():
            getattr(start, name).set_value(jnp.abs(drawn(*values.shape, seed=len(name))))
        start.training = training
        graph, state = nnx.split(start)

        def normalised(folds, x, state):
            norm = nnx.merge(graph, state)
            y = norm(fold(x) if folds else x).reshape(x.shape)
            return y, nnx.state(norm, nnx.BatchStat)

        def told(folds):
            y, back, statistics = jax.vjp(
                functools.partial(normalised, folds), x, state, has_aux=True
            )
            return jax.tree.leaves((y, statistics, back(drawn(*y.shape, seed=9).astype(y.dtype))))

        for got, expected in zip(told(True), told(False), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("bottleneck", [True, False])
@pytest.mark.parametrize("stem", ["imagenet", "small"])
def test_a_network_folded_is_the_network(bottleneck, stem, monkeypatch):
    """Of float32 images and float64 parameters, which are what narrow ones are on a TPU."""
    with jax.enable_x64(True):
        words = dict(width=4, bottleneck=bottleneck, stem=stem, method="conv", dtype=jnp.float64)
        made = resnet.ResNet((2, 1, 1), 2, **words, rngs=nnx.Rngs(0))
        graph, params, rest = nnx.split(made, nnx.Param, ...)
        params, rest = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), (params, rest))
        x = drawn(4, 32, 32, 3).astype(jnp.float32)

        def told():
            folded = []

            def noting(x):
                folded.append(x.shape)
                return fold(x)

            def network(params, x, rest):
                module = nnx.merge(graph, params, rest)
                for _, each in nnx.iter_graph(module):
                    if isinstance(each, BatchNorm):
                        each.training = True
                y = module(x)
                return y, nnx.state(module, nnx.BatchStat)

            for module in (batch_statistics, resnet):
                monkeypatch.setattr(module, "fold", noting)
            y, back, statistics = jax.vjp(network, params, x, rest, has_aux=True)
            return (y, back(jnp.ones_like(y))[:2], statistics), len(folded)

        expected, apart = told()
        for module in (layers, resnet):
            monkeypatch.setattr(module, "narrow_on_tpu", lambda x: True)
        got, times = told()
        assert apart == 0 < times
        for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
            size = np.abs(np.asarray(other)).max()
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4 * size)
