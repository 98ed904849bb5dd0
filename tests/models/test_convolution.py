"""Patches and convolutions: the quick way to the same numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias import targets
from jaxbias.models import convolution
from jaxbias.models.convolution import convolve, convolve_batch_last, max_pool, patches


def slices(x, size, stride, same=False):
    """Patches by their definition, one after the other."""
    around = [((size - 1) // 2,) * 2] * 2
    if same:
        around = jax.lax.padtype_to_pads(x.shape[1:3], (size, size), (stride, stride), "SAME")
    padded = np.pad(x, ((0, 0), *around, (0, 0)))
    rows, columns = (range(0, x.shape[axis], stride) for axis in (1, 2))
    return np.stack(
        [
            np.stack(
                [padded[:, i : i + size, j : j + size].reshape(len(x), -1) for j in columns], axis=1
            )
            for i in rows
        ],
        axis=1,
    )


@pytest.mark.parametrize("shape", [(2, 8, 6, 3), (2, 7, 6, 3), (1, 2, 2, 1)])
@pytest.mark.parametrize(("size", "stride"), [(3, 2), (3, 1), (1, 2), (5, 2)])
@pytest.mark.parametrize("same", [False, True])
def test_patches_are_what_each_output_sees(shape, size, stride, same):
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    np.testing.assert_array_equal(
        patches(jnp.asarray(x), size, stride, same), slices(x, size, stride, same)
    )


@pytest.mark.parametrize("same", [False, True])
def test_patches_and_xlas_convolution_have_the_same_gradients(same):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((2, 8, 6, 3), np.float32))
    kernel = jnp.asarray(rng.standard_normal((3, 3, 3, 4), np.float32))

    def gradients(method):
        def loss(x, kernel):
            return jnp.sum(convolve(x, kernel, 2, method, same) ** 3)

        return jax.vmap(jax.grad(loss, (0, 1)), in_axes=(0, None))(x[None], kernel)

    for got, expected in zip(gradients("patches"), gradients("conv"), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("size", "stride", "same"),
    [(3, 1, False), (3, 2, False), (1, 2, False), (7, 2, False), (3, 2, True)],
)
def test_the_gradient_image_by_image_is_xlas(size, stride, same):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((2, 33, 36, 3), np.float32))
    kernel = jnp.asarray(rng.standard_normal((size, size, 3, 4), np.float32))

    def gradients(method):
        def loss(x, kernel):
            return jnp.mean(convolve(x, kernel, stride, method, same) ** 3)

        assert loss(x, kernel) == jnp.mean(convolve(x, kernel, stride, "conv", same) ** 3)
        return jax.grad(loss, (0, 1))(x, kernel)

    for got, expected in zip(gradients("by_image"), gradients("conv"), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["patches", "conv"])
def test_the_batch_may_come_last(method):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((2, 7, 6, 3), np.float32))
    kernel = jnp.asarray(rng.standard_normal((3, 3, 3, 4), np.float32))
    last = convolve_batch_last(x.transpose(3, 1, 2, 0), kernel, 2, method)
    np.testing.assert_allclose(
        last.transpose(3, 1, 2, 0), convolve(x, kernel, 2, "conv"), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("shape", [(2, 8, 6, 3), (1, 7, 5, 2)])
def test_a_tpu_pools_alike_and_the_first_of_equals_learns(monkeypatch, shape):
    """Where maxima are apart both gradients are one; where all are equal, the first has it."""
    rng = np.random.default_rng(0)
    count = np.prod(shape)
    images = jnp.asarray(rng.permutation(count).reshape(shape).astype(np.float32))
    slopes = rng.standard_normal((shape[0], -(-shape[1] // 2), -(-shape[2] // 2), shape[3]))

    def pooled(x):
        y, back = jax.vjp(lambda x: max_pool(x, 3, 2), x)
        return y, back(jnp.asarray(slopes, jnp.float32))[0]

    everywhere = pooled(images)
    tpu = targets.Unattached("v5e:2x2", targets.KINDS["v5e"], (2, 2))
    monkeypatch.setattr(convolution, "target", lambda: tpu)
    for got, expected in zip(pooled(images), everywhere, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6)
    _, change = pooled(jnp.zeros(shape))
    first = np.zeros(shape)
    for i, j in np.ndindex(*slopes.shape[1:3]):
        first[:, max(2 * i - 1, 0), max(2 * j - 1, 0)] += slopes[:, i, j]
    np.testing.assert_allclose(change, first, rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 8, 6, 3), (2, 7, 5, 3)])
def test_on_a_tpu_strided_1x1_convolutions_have_the_same_values_and_gradients(shape, monkeypatch):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal(shape, np.float32))
    kernel = jnp.asarray(rng.standard_normal((1, 1, 3, 4), np.float32))

    def told():
        y, back = jax.vjp(lambda x, kernel: convolve(x, kernel, 2, "conv"), x, kernel)
        return y, *back(jnp.sin(y)), str(jax.make_jaxpr(back)(y)).count("pad[")

    *plain, _ = told()
    tpu = targets.Unattached("v5e:2x2", targets.KINDS["v5e"], (2, 2))
    monkeypatch.setattr(convolution, "target", lambda: tpu)
    *got, apart = told()
    assert apart == 1
    for one, other in zip(got, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
