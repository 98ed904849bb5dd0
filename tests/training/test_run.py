"""One run: batches, divergence, parity with a plain loop, equality across layouts and devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.parallel import make_mesh, map_variants, replicate, shard_variants, split_variants
from jaxbias.training import Schedule, batches_of, make_score
from jaxbias.training.objectives import example_losses
from tests.collectives import collectives
from tests.training.tiny_run import NETWORK, SCHEDULE, members, one, pictures


def test_steps_and_batches_pass_over_the_examples_evenly():
    assert SCHEDULE.steps == 10
    order = np.asarray(batches_of(jax.random.key(0), SCHEDULE)).reshape(-1)
    for epoch in range(4):
        assert sorted(order[20 * epoch : 20 * epoch + 20]) == list(range(20))
    tiny = Schedule(n=3, epochs=1, batch=8, momentum=0.9)
    assert batches_of(jax.random.key(0), tiny).shape == (1, 8)


def test_a_run_equals_a_plain_loop_written_out():
    """An independent loop: explicit momentum, decay and learning-rate drop, no optax."""
    with jax.enable_x64(True):
        params, examples, hyper, key = jax.tree.map(lambda x: x[0], members(1, np.float64))
        images = pictures()
        wrapped = jax.random.wrap_key_data(key)
        _, flip_key = jax.random.split(wrapped)
        velocity = jax.tree.map(np.zeros_like, params)

        @jax.jit
        @jax.grad
        def gradient_of(p, x, y):
            z = NETWORK.logits(p, x)[:, 0]
            return jnp.mean(jnp.log1p(jnp.exp(-z)) * y + jnp.log1p(jnp.exp(z)) * (1 - y))

        expected = params
        for step, batch in enumerate(np.asarray(batches_of(wrapped, SCHEDULE))):
            flips = jax.random.bernoulli(jax.random.fold_in(flip_key, step), shape=(8, 1, 1, 1))
            x = images[examples.ids[batch]]
            x = np.where(np.asarray(flips), x[:, :, ::-1], x)
            y = examples.labels[batch, 0].astype(np.float64)

            gradient = gradient_of(expected, x, y)
            rate = float(hyper.learning_rate) * (0.1 if step >= 7.5 else 1.0)
            decay = float(hyper.weight_decay)
            velocity = jax.tree.map(
                lambda v, g, p, decay=decay: 0.9 * v + g + decay * p, velocity, gradient, expected
            )
            expected = jax.tree.map(lambda p, v, rate=rate: p - rate * v, expected, velocity)
        trained, _ = jax.jit(one)((params, examples, hyper, key), images)
    for got, want in zip(jax.tree.leaves(trained.params), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-9)


@pytest.fixture(scope="module")
def alone():
    """Loss and scores of runs that are each a program of their own."""
    with jax.enable_x64(True):
        stacked, images = members(8, np.float64), pictures()
        run = jax.jit(one)
        each = [run(jax.tree.map(lambda x, i=i: x[i], stacked), images) for i in range(8)]
        return [(np.asarray(trained.loss), np.asarray(scores)) for trained, scores in each]


@pytest.mark.parametrize(
    ("mode", "devices"),
    [("map", 1), ("map", 2), ("map", 8), ("vmap", 1), ("vmap", 2), ("unroll", 4)],
)
def test_layouts_agree_in_float64(mode, devices, alone):
    """A whole run alone, packed and sharded: equal to 1e-9, as float32 runs cannot be."""
    with jax.enable_x64(True):
        stacked, images = members(8, np.float64), pictures()
        mesh = make_mesh(devices)
        packed = jax.jit(shard_variants(map_variants(one, mode), mesh))
        trained, scores = packed(split_variants(stacked, mesh), replicate(images, mesh))
        for i, (loss, expected) in enumerate(alone):
            np.testing.assert_allclose(scores[i], expected, atol=1e-9)
            np.testing.assert_allclose(trained.loss[i], loss, atol=1e-9)


def test_no_collective_crosses_the_variant_axis():
    mesh = make_mesh(8)
    packed = jax.jit(shard_variants(map_variants(one, "map"), mesh))
    arguments = split_variants(members(8), mesh), replicate(pictures(), mesh)
    assert collectives(packed.lower(*arguments).compile().as_text()) == []


def test_a_diverging_run_stops_and_leaves_its_neighbours_alone():
    stacked, images = members(3), pictures()
    healthy = jax.jit(map_variants(one, "map"))(stacked, images)[1]
    rates = stacked[2].learning_rate.copy()
    rates[1] = 1e30
    sick = (*stacked[:2], stacked[2]._replace(learning_rate=rates), stacked[3])
    trained, scores = jax.jit(map_variants(one, "map"))(sick, images)
    assert np.asarray(trained.diverged_at).tolist()[::2] == [-1, -1]
    assert trained.diverged_at[1] >= 0
    np.testing.assert_array_equal(scores[0], healthy[0])
    np.testing.assert_array_equal(scores[2], healthy[2])


def test_losses_by_hand():
    logits = np.array([[2.0], [-1.0]], np.float32)
    labels = np.array([[1], [1]], np.float32)
    got = example_losses(jnp.asarray(logits), jnp.asarray(labels))
    np.testing.assert_allclose(got, np.log1p(np.exp([-2.0, 1.0])), rtol=1e-6)
    many = jnp.asarray([[1.0, 2.0, 0.5]], jnp.float32)
    np.testing.assert_allclose(
        example_losses(many, jnp.asarray([[1]], jnp.int32)),
        -jax.nn.log_softmax(many)[0, 1:2],
        rtol=1e-6,
    )


def test_scores_do_not_depend_on_padding():
    params, images = NETWORK.init(jax.random.key(0)), pictures()
    ids = jnp.asarray([5, 1, 39], jnp.int32)
    scores = make_score(NETWORK)(params, ids, jnp.asarray(images))
    np.testing.assert_allclose(scores, NETWORK.logits(params, images[np.asarray(ids)]), atol=1e-6)
