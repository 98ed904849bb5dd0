"""The gelu of bfloat16 on a TPU against that of float64."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias.models.gelu import gelu

POINTS = np.concatenate([np.linspace(-40, 40, 20001), [-1e4, -1e20, 1e4, 1e20]])


def exact(x):
    return jax.nn.gelu(x, approximate=False)


def with_slope(function, x):
    y, back = jax.vjp(function, x)
    return [np.asarray(each, np.float64) for each in (y, *back(jnp.ones_like(y)))]


def truth_at(x):
    with jax.enable_x64(True):
        return with_slope(exact, jnp.asarray(np.asarray(x, np.float64)))


def test_values_and_slopes_are_near_those_of_the_normal_distribution():
    points = jnp.asarray(POINTS, jnp.float32)
    (y, slope), (true, true_slope) = with_slope(gelu, points), truth_at(points)
    np.testing.assert_allclose(y, true, rtol=1e-6, atol=2.8e-5)
    np.testing.assert_allclose(slope, true_slope, rtol=1e-6, atol=1.2e-4)


def test_in_bfloat16_it_is_more_exact_than_the_one_by_erf():
    x = jnp.asarray(POINTS[:-4], jnp.bfloat16)
    for now, then, true in zip(with_slope(gelu, x), with_slope(exact, x), truth_at(x), strict=True):
        assert np.sqrt(np.square(now - true).mean()) <= np.sqrt(np.square(then - true).mean())


def test_it_is_finite_wherever_its_input_is():
    x = jnp.asarray([-3e38, 3e38, 0.0], jnp.bfloat16)
    y, slope = with_slope(gelu, x)
    np.testing.assert_array_equal(y, np.asarray([0.0, x[1], 0.0], np.float64))
    np.testing.assert_array_equal(slope, [0.0, 1.0, 0.5])
