"""Shifted pieces against XLA's grouped convolution, also with one kernel per variant."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.models.depthwise import depthwise


def drawn(shape, size):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal(shape, np.float32))
    return x, jnp.asarray(rng.standard_normal((size, size, 1, shape[-1]), np.float32))


def gradients(method, stride, same):
    def loss(x, kernel):
        return jnp.mean(depthwise(x, kernel, stride, method, same) ** 3)

    return jax.value_and_grad(loss, (0, 1))


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize("shape", [(2, 8, 6, 3), (3, 7, 9, 2)])
@pytest.mark.parametrize(("size", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_shifted_pieces_are_xlas_grouped_convolution(shape, size, stride, same):
    x, kernel = drawn(shape, size)
    got, expected = (depthwise(x, kernel, stride, m, same) for m in ("patches", "conv"))
    assert got.shape == (shape[0], -(-shape[1] // stride), -(-shape[2] // stride), shape[3])
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4),
        gradients("patches", stride, same)(x, kernel),
        gradients("conv", stride, same)(x, kernel),
    )


def test_variants_with_kernels_of_their_own():
    x, kernel = drawn((2, 9, 8, 3), 5)
    kernels = jnp.stack([kernel, -2 * kernel])
    packed = jax.vmap(gradients("patches", 2, True), (None, 0))(x, kernels)
    for i, one in enumerate(kernels):
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-4, atol=1e-4),
            packed,
            gradients("conv", 2, True)(x, one),
        )


def test_halves_are_added_up_in_float32():
    x, kernel = (value.astype(jnp.bfloat16) for value in drawn((8, 16, 16, 2), 3))
    wide = [value.astype(jnp.float32) for value in (x, kernel)]

    def changed(x, kernel):
        return jnp.sum(depthwise(x, kernel, 1, "patches").astype(jnp.float32))

    got = jax.grad(changed, 1)(x, kernel)
    assert got.dtype == jnp.bfloat16
    expected = jax.grad(changed, 1)(*wide)
    np.testing.assert_allclose(got.astype(jnp.float32), expected, rtol=1e-2, atol=0.05)
