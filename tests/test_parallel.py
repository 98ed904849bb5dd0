"""What devices exchange: the moments of their parts, and steps whose states are used up."""

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.models import make_network
from jaxbias.parallel import DATA, lift, make_data_mesh, moments_of_parts, replicate, split_batch
from jaxbias.study import ModelSpec
from tests.collectives import collectives
from tests.compiled import apart, looped_step
from tests.models.architectures import tiny_architectures  # noqa: F401


@pytest.mark.parametrize("around", [0.0, 1000.0])
def test_moments_of_parts_are_those_of_the_whole(around):
    """Of four parts that differ, far from zero: to all digits where what is near is known."""
    values = np.random.default_rng(0).normal(1000, 1, (4, 500)) + np.arange(4)[:, None]
    parts = [jnp.asarray(x, jnp.float32)[:, None] for x in (values.mean(1), values.var(1))]

    def whole(mean, var):
        return moments_of_parts(mean, var, jnp.full((1,), around, jnp.float32), 4)

    mean, var = jax.vmap(whole, axis_name=DATA, out_axes=None)(*parts)
    np.testing.assert_allclose(mean, [values.mean()], rtol=1e-6)
    np.testing.assert_allclose(var, [values.var()], rtol=1e-3 if around else 0.2)


def test_a_variance_is_not_negative_where_digits_are_lost():
    mean, zero = jnp.full((4, 64), 12345.678, jnp.float32), jnp.zeros((4, 64), jnp.float32)
    whole = lambda m, v: moments_of_parts(m, v, jnp.zeros(64, jnp.float32), 4)[1]  # noqa: E731
    assert (jax.vmap(whole, axis_name=DATA, out_axes=None)(mean, zero) >= 0).all()


@pytest.mark.parametrize("kind", ["jit", "shard_map", "pmap"])
def test_a_step_takes_the_place_of_its_state(kind):
    mesh = make_data_mesh(4)

    def step(state, batch, key, store, parts):
        total = batch.sum() if parts == 1 else jax.lax.psum(batch.sum(), DATA)
        return {name: x + total for name, x in state.items()}, total

    run = lift(step, mesh, kind)
    numbers = np.arange(16, dtype=np.float32).reshape(2, 8)
    shapes = {"a": 1000, "b": (), "c": (2, 3)}
    state = replicate({name: np.zeros(x, np.float32) for name, x in shapes.items()}, mesh)
    arguments = split_batch(numbers, mesh), replicate(np.zeros(2, np.uint32), mesh), None
    found = run.lower(state, *arguments).compile().memory_analysis()
    assert found.alias_size_in_bytes == 4 * 1007
    after, total = run(state, *arguments)
    assert all(leaf.is_deleted() for leaf in state.values())
    assert float(total) == after["a"][0] == after["b"] == 120
    assert not jax.tree.leaves(arguments[0])[0].is_deleted()


def norms_of(network):
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    return sum(path[-1].key == "var" for path, _ in jax.tree.leaves_with_path(shapes))


def test_a_norm_is_one_exchange_there_and_one_back():
    """Beside the statistics, a loss is one; all are of float32, whatever is computed in."""
    spec = ModelSpec(name="resnet_block", compute_dtype="bfloat16", convolution="conv")
    network, mesh = make_network(spec, 8, 1), make_data_mesh(2)

    def slopes(state, batch, key, store, parts):
        def loss(trained):
            now = state._replace(trained=trained)
            logits, statistics = network.train_logits(now, batch[0], "full", parts)
            return jnp.square(logits).sum(), statistics

        return jax.lax.psum(jax.grad(loss, has_aux=True)(state.trained), DATA), jnp.float32(0)

    state = jax.eval_shape(lambda: network.partition(network.init(jax.random.key(0)), "full"))
    batch = jax.ShapeDtypeStruct((1, 4, 8, 8, 3), np.uint8)
    text = lift(slopes, mesh, "shard_map").lower(state, batch, None, None).compile().as_text()
    exchanged = collectives(text)
    assert {name for name, _ in exchanged} == {"all-reduce"}
    assert len(exchanged) <= 2 * norms_of(network) + 1
    assert "bf16" not in "".join(x for x in text.splitlines() if " all-reduce(" in x)


LIBTPU = importlib.util.find_spec("libtpu")
# Of ResNet-18: where a block has a norm beside its last, both shifts have one gradient, that of
# their sum, and it is added up once.
SHARED = 4 * (128 + 256 + 512)


@pytest.mark.targets
@pytest.mark.skipif(LIBTPU is None, reason="libtpu is not installed: make test-targets")
@pytest.mark.parametrize(
    ("target", "kind"), [("v5e:4x4", "shard_map"), ("v5e:16x16", "shard_map"), ("v5e:4x4", "jit")]
)
def test_gradients_cross_the_chips_once_and_in_float32(target, kind):
    """Beside them the loss, the weights of the examples, and two moments of a norm each way."""
    found = apart(looped_step, target, "resnet18", kind, 4)
    assert found["dtypes"] == {"f32"}
    assert found["collectives"].keys() == {"all-reduce"}
    moments = 2 * 2 * 4 * found["channels"]
    if kind == "shard_map":
        assert found["exchanged"] == found["parameters"] - SHARED + moments + 8
        assert found["collectives"]["all-reduce"] <= 2 * found["norms"] + 1
    else:
        assert found["parameters"] - SHARED < found["exchanged"]
        assert found["exchanged"] <= found["parameters"] + moments + 8
