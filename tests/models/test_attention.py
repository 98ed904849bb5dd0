"""Attention head by head: the numbers of the plain one, and no less exact in bfloat16."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias import targets
from jaxbias.models import layers, make_network, vit
from jaxbias.models.attention import attend, attention_of_first
from jaxbias.study import ModelSpec
from tests.models.architectures import tiny_architectures  # noqa: F401

BATCH, HEADS, TOKENS, WIDTH = 2, 3, 40, 8


def plainly(query, key, value):
    affinity = jnp.einsum("bhqe,bhke->bhqk", query, key) / np.sqrt(WIDTH)
    return jnp.einsum("bhqk,bhke->bhqe", jax.nn.softmax(affinity, axis=-1), value)


def as_it_was(query, key, value):
    """The vision transformer's own, elsewhere than on a TPU."""
    return vit._attend(*(x.swapaxes(1, 2) for x in (query, key, value))).swapaxes(1, 2)


def with_gradients(function, arrays, slopes):
    y, back = jax.vjp(function, *arrays)
    return [np.asarray(x, np.float64) for x in (y, *back(slopes.astype(y.dtype)))]


def test_in_bfloat16_it_is_as_exact_as_with_the_table_kept():
    """By the root mean square of the errors against float64 on the same bfloat16 arrays."""
    rng = np.random.default_rng(0)
    shape = (BATCH, HEADS, TOKENS, WIDTH)
    *arrays, slopes = (jnp.asarray(rng.normal(0, 1.5, shape), jnp.bfloat16) for _ in range(4))
    got, before = (with_gradients(function, arrays, slopes) for function in (attend, as_it_was))
    with jax.enable_x64(True):
        wide = [jnp.asarray(x, jnp.float64) for x in (*arrays, slopes)]
        truth = with_gradients(plainly, wide[:3], wide[3])
    for now, then, true in zip(got, before, truth, strict=True):
        errors = [np.sqrt(np.square(x - true).mean()) for x in (now, then)]
        assert errors[0] < 1.001 * errors[1]


def test_a_tpu_computes_the_same_network(monkeypatch):
    """Logits of bfloat16 tokens both ways, from the same parameters."""
    network = make_network(ModelSpec(name="vit_tiny", compute_dtype="bfloat16"), 8, 2)
    params = network.init(jax.random.key(0))
    kernel = np.random.default_rng(0).normal(0, 0.3, (8, 2)).astype(np.float32)
    params["head"]["kernel"] = kernel
    images = np.random.default_rng(1).integers(0, 256, (4, 8, 8, 3), np.uint8)
    expected = network.logits(params, images)
    tpu = targets.Unattached("v5e:2x2", targets.KINDS["v5e"], (2, 2))
    monkeypatch.setattr(layers, "target", lambda: tpu)
    np.testing.assert_allclose(network.logits(params, images), expected, atol=0.02)


def first_of_all(x, kernel, bias, out_kernel, out_bias):
    """The plain one of all tokens, of which the first is taken."""
    parts = (x @ kernel + bias).reshape(*x.shape[:2], 3, HEADS, WIDTH)
    seen = plainly(*(parts[:, :, i].swapaxes(1, 2) for i in range(3)))
    return (seen.swapaxes(1, 2).reshape(x.shape) @ out_kernel + out_bias)[:, 0]


def test_of_the_first_token_it_says_what_it_says_of_all():
    """Values and gradients in float32, against float64; that of the keys' bias is 0 of both."""
    rng = np.random.default_rng(0)
    all_of = HEADS * WIDTH
    shapes = (BATCH, TOKENS, all_of), (all_of, 3 * all_of), (3 * all_of,), (all_of,) * 2, (all_of,)
    arrays = [rng.normal(0, 0.4, shape).astype(np.float32) for shape in shapes]
    slopes = rng.normal(0, 1, (BATCH, all_of)).astype(np.float32)
    one = lambda *given: attention_of_first(*given, HEADS)  # noqa: E731
    got = with_gradients(one, [jnp.asarray(x) for x in arrays], jnp.asarray(slopes))
    with jax.enable_x64(True), jax.numpy_rank_promotion("allow"):
        wide = [jnp.asarray(x, jnp.float64) for x in (*arrays, slopes)]
        truth = with_gradients(first_of_all, wide[:-1], wide[-1])
    for now, true in zip(got, truth, strict=True):
        np.testing.assert_allclose(now, true, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(truth[3][all_of : 2 * all_of], 0, atol=1e-12)
