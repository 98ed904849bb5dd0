"""Layer norms of narrow tokens: the numbers of the plain one."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias import targets
from jaxbias.models import layers
from jaxbias.models.layers import LayerNorm
from jaxbias.models.row_statistics import normalise_rows

EPSILON = 1e-6


def arrays(dtype):
    rng = np.random.default_rng(0)
    x, slopes = (rng.normal(0.5, 2, (3, 7, 48)) for _ in range(2))
    scale, bias = rng.normal(1, 0.3, 48), rng.normal(0, 0.3, 48)
    return [jnp.asarray(x, dtype), *(jnp.asarray(v, jnp.float32) for v in (scale, bias)), slopes]


def plainly(x, scale, bias):
    off = x - x.mean(axis=-1, keepdims=True)
    off = off / jnp.sqrt(jnp.square(off).mean(axis=-1, keepdims=True) + EPSILON)
    return off * scale[None, None] + bias[None, None]


def with_gradients(function, x, scale, bias, slopes):
    y, back = jax.vjp(function, x, scale, bias)
    return [np.asarray(each, np.float64) for each in (y, *back(jnp.asarray(slopes, y.dtype)))]


def test_values_and_gradients_are_those_of_the_plain_one():
    for dtype, near in ((jnp.float32, 1e-5), (jnp.bfloat16, 0.02)):
        given = arrays(dtype)
        got = with_gradients(lambda *xs: normalise_rows(EPSILON, *xs), *given)
        with jax.enable_x64(True):
            given[3] = np.asarray(jnp.asarray(given[3], dtype))
            true = with_gradients(plainly, *(jnp.asarray(np.asarray(x, np.float64)) for x in given))
        for now, expected in zip(got, true, strict=True):
            np.testing.assert_allclose(now, expected, rtol=near, atol=near)


def test_a_row_of_one_value_is_its_bias():
    x = jnp.full((1, 2, 48), 300.0, jnp.bfloat16)
    _, scale, bias, _ = arrays(jnp.bfloat16)
    y = normalise_rows(EPSILON, x, scale, bias)
    np.testing.assert_allclose(y[0, 0], bias.astype(jnp.bfloat16), atol=0.05)


def test_a_tpu_computes_the_same_norm(monkeypatch):
    x, *_ = arrays(jnp.bfloat16)
    norm = LayerNorm(48, epsilon=EPSILON)
    expected = norm(x)
    tpu = targets.Unattached("v5e:2x2", targets.KINDS["v5e"], (2, 2))
    monkeypatch.setattr(layers, "target", lambda: tpu)
    got = norm(x)
    assert got.dtype == x.dtype
    np.testing.assert_allclose(
        got.astype(np.float32), expected.astype(np.float32), rtol=0.01, atol=0.01
    )
