"""The kernels of attention, as Pallas interprets them: the numbers of the plain one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from jaxbias import targets
from jaxbias.models import attention_kernel, layers, make_network
from jaxbias.models.attention import attend
from jaxbias.models.attention_kernel import attend_packed, cycles, fits
from jaxbias.parallel import make_mesh
from jaxbias.study import ModelSpec

BATCH, HEADS, TOKENS, SIZE = 3, 2, 21, 64
WIDTH = HEADS * SIZE


@pytest.fixture(autouse=True)
def interpreted(monkeypatch):
    call = functools.partial(attention_kernel.pl.pallas_call, interpret=True)
    monkeypatch.setattr(attention_kernel.pl, "pallas_call", call)


def arrays(dtype, leading=(BATCH,)):
    rng = np.random.default_rng(0)
    shapes = (*leading, TOKENS, 3 * WIDTH), (*leading[:-1], 3 * WIDTH), (*leading, TOKENS, WIDTH)
    return [jnp.asarray(rng.normal(0, 1.2, shape), dtype) for shape in shapes]


def by_heads(attention):
    """The same of arrays that are laid out head by head."""

    def packed(made, bias):
        parts = (made + bias).reshape(*made.shape[:2], 3, HEADS, SIZE)
        seen = attention(*(parts[:, :, i].swapaxes(1, 2) for i in range(3)))
        return seen.swapaxes(1, 2).reshape(*made.shape[:2], WIDTH)

    return packed


def plainly(query, key, value):
    affinity = jnp.einsum("bhqe,bhke->bhqk", query, key) / np.sqrt(SIZE)
    return jnp.einsum("bhqk,bhke->bhqe", jax.nn.softmax(affinity, axis=-1), value)


def with_gradients(function, made, bias, slopes):
    y, back = jax.vjp(function, made, bias)
    return [np.asarray(x, np.float64) for x in (y, *back(slopes.astype(y.dtype)))]


def truth_of(given):
    with jax.enable_x64(True), jax.numpy_rank_promotion("allow"):
        return with_gradients(by_heads(plainly), *(jnp.asarray(x, jnp.float64) for x in given))


def test_values_and_gradients_are_those_of_the_plain_one():
    given = arrays(jnp.float32)
    got = with_gradients(functools.partial(attend_packed, HEADS), *given)
    for now, true in zip(got, truth_of(given), strict=True):
        np.testing.assert_allclose(now, true, rtol=1e-4, atol=1e-4)


def test_in_bfloat16_it_is_as_exact_as_head_by_head():
    """By the root mean square of the errors against float64 on the same bfloat16 arrays."""
    given = arrays(jnp.bfloat16)
    got = with_gradients(functools.partial(attend_packed, HEADS), *given)
    with jax.numpy_rank_promotion("allow"):
        before = with_gradients(by_heads(attend), *given)
    for now, then, true in zip(got, before, truth_of(given), strict=True):
        errors = [np.sqrt(np.square(x - true).mean()) for x in (now, then)]
        assert errors[0] < 1.05 * errors[1]


def mapped(function):
    return lambda *arrays: jax.lax.map(lambda each: function(*each), arrays)


@pytest.mark.parametrize("lifted", [jax.vmap, mapped])
def test_members_of_a_pack_are_apart(lifted):
    """Sums over the images of a member begin anew with each."""
    one = functools.partial(with_gradients_of, functools.partial(attend_packed, HEADS))
    given = arrays(jnp.float32, (2, BATCH))
    got = jax.jit(lifted(one))(*given)
    for i in range(2):
        for now, alone in zip(got, one(*(x[i] for x in given)), strict=True):
            np.testing.assert_allclose(now[i], alone, rtol=1e-5, atol=1e-5)


def with_gradients_of(function, made, bias, slopes):
    y, back = jax.vjp(function, made, bias)
    return y, *back(slopes)


def test_a_tpu_computes_the_same_network_on_its_own_part(monkeypatch):
    """Logits by the kernel, under `shard_map`, and without, against those of float32."""
    network, wide = (
        make_network(ModelSpec(name="vit_ti_16", compute_dtype=dtype), 32, 2)
        for dtype in ("bfloat16", "float32")
    )
    params = network.init(jax.random.key(0))
    params["head"]["kernel"] = jax.random.normal(jax.random.key(1), (192, 2)) / 4
    images = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), np.uint8)
    true, before = wide.logits(params, images), network.logits(params, images)
    tpu = targets.Unattached("v5e:2x2", targets.KINDS["v5e"], (2, 2))
    called = []
    of_kernel = attention_kernel._call
    monkeypatch.setattr(layers, "target", lambda: tpu)
    monkeypatch.setattr(
        attention_kernel, "_call", lambda *args: called.append(args) or of_kernel(*args)
    )
    apart = network.logits(params, images)
    assert not called
    whole, mesh = PartitionSpec(), make_mesh(1)
    specs = {"in_specs": (whole, whole), "out_specs": whole, "check_vma": False}
    found = jax.jit(jax.shard_map(network.logits, mesh=mesh, **specs))(params, images)
    assert len(called) == 11  # The last block has no use for it.
    errors = [np.sqrt(np.square(x - true).mean()) for x in (before, apart, found)]
    assert max(errors[1:]) < 1.2 * errors[0]


def test_cycles_are_told_up_to_the_most_tokens():
    assert fits(257, 64)
    assert not fits(258, 64)
    assert not fits(197, 32)
    assert cycles(197, 6) == (3430, 8180)
    assert cycles(146, 6) == cycles(197, 6)
    assert cycles(1, 3) == cycles(17, 3)
