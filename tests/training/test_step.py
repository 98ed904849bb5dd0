"""The step: every lift and number of devices, accumulation, weights, and what diverges."""

import jax
import numpy as np
import pytest

from jaxbias.models import make_network
from jaxbias.parallel import lift, make_data_mesh, replicate, split_batch
from jaxbias.study import ModelSpec
from jaxbias.training import Batch, Hyper, Schedule, Step, batches_of
from tests.models.architectures import tiny_architectures  # noqa: F401

SIZE, BATCH, STEPS = 8, 16, 3


HYPER = Hyper(*map(np.float32, (0.1, 1e-3, 0.6, 0.5)))


def lifted_of(step, mesh, kind):
    def run(state, batch, numbers, store, parts):
        state = step(state, batch, *numbers, parts)
        return state, (state.loss, state.diverged_at)

    return lift(run, mesh, kind)


def data(labels=1, classes=0):
    """Images, labels (one of several classes, or probabilities, -1 where unknown) and weights."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, SIZE, SIZE, 3), np.uint8)
    known = rng.integers(0, 2, (40, labels)).astype(np.float32)
    if classes:
        known = rng.integers(0, classes, (40, 1)).astype(np.int32)
    elif labels > 1:
        known = np.where(rng.random((40, labels)) < 0.3, -1, rng.random((40, labels)))
    return images, known, rng.uniform(0.5, 2, 40).astype(np.float32)


def batch_of(places, pieces, arrays):
    images, labels, weights = arrays
    at = np.arange(BATCH, dtype=np.int32)
    cells = places.astype(np.int32) % 4
    whole = Batch(images[places], labels[places], weights[places], at, cells)
    return jax.tree.map(lambda x: x.reshape(pieces, BATCH // pieces, *x.shape[1:]), whole)


def trained(name, kind="jit", devices=1, labels=1, accumulate=1, classes=0, **changes):
    """All steps of a run in float64: its parameters, and the loss of each step."""
    with jax.enable_x64(True):
        network = make_network(ModelSpec(name=name, widths=(4,)), SIZE, classes or labels)
        step = Step(network, Schedule(40, 2, BATCH, 0.9, cells=4, projection=8, **changes))
        key = jax.random.key_data(jax.random.key(3))
        fresh = jax.tree.map(
            lambda x: x.astype(np.float64), jax.jit(network.init)(jax.random.key(0))
        )
        state = jax.jit(step.begin)(fresh, key)
        mesh = make_data_mesh(devices)
        state, numbers = replicate((state, (HYPER, key)), mesh)
        lifted, losses = lifted_of(step, mesh, kind), []
        order = np.asarray(batches_of(key, step.schedule))
        for places in order[:STEPS]:
            batch = split_batch(batch_of(places, accumulate, data(labels, classes)), mesh)
            state, (loss, diverged_at) = lifted(state, batch, numbers, None)
            losses.append(float(loss))
            assert diverged_at == -1
        return jax.tree.map(np.asarray, state.params), np.array(losses)


def assert_same(got, expected, tolerance=1e-9):
    np.testing.assert_allclose(got[1], expected[1], rtol=tolerance, atol=tolerance)
    for a, b in zip(jax.tree.leaves(got[0]), jax.tree.leaves(expected[0]), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "objective"),
    [
        ("convnet", "erm"),
        ("convnet", "group_dro"),
        ("resnet_block", "erm"),
        ("convnet", "simclr"),
    ],
)
def test_every_lift_on_eight_devices_equals_one_device(name, objective):
    alone = trained(name, objective=objective)
    for kind in ("jit", "shard_map", "pmap"):
        assert_same(trained(name, kind, 8, objective=objective), alone)


def test_gradients_add_up_over_pieces_and_devices():
    whole = trained("convnet")
    assert_same(trained("convnet", accumulate=4), whole)
    assert_same(trained("convnet", "shard_map", 2, accumulate=4), whole)
    # Norms see a piece at a time, as everywhere else; but the devices share each.
    pieces = trained("resnet_block", accumulate=2)
    assert_same(trained("resnet_block", "jit", 8, accumulate=2), pieces)


@pytest.mark.parametrize(
    ("learnt", "kind"),
    [({"labels": 3, "optimizer": "adamw"}, "jit"), ({"classes": 5}, "shard_map")],
)
def test_probabilities_some_unknown_and_classes_on_eight_devices(learnt, kind):
    assert_same(trained("convnet", kind, 8, **learnt), trained("convnet", **learnt))


def one_step(change=lambda state: state, weights=1.0):
    """A state and the one after it, in float32."""
    network = make_network(ModelSpec(widths=(4,)), SIZE, 1)
    step = Step(network, Schedule(40, 2, BATCH, 0.9))
    batch = batch_of(np.arange(BATCH), 1, data())
    batch = batch._replace(weights=np.full((1, BATCH), weights, np.float32))
    before = change(jax.jit(step.begin)(network.init(jax.random.key(0))))
    return before, jax.jit(step)(before, batch, HYPER, jax.random.key(3))


def test_a_batch_of_no_weight_is_decayed_alone():
    before, after = one_step(weights=0.0)
    assert after.loss == 0
    for path, x in before.parts.trained.items():
        np.testing.assert_allclose(after.parts.trained[path], x * (1 - 0.1 * 1e-3), rtol=1e-6)


def huge(state):
    """A state whose loss is finite, and whose next parameters are not."""
    inf = jax.tree.map(lambda x: x + np.float32(np.inf), state.optimizer)
    return state._replace(optimizer=inf)


def test_parameters_that_turn_infinite_are_told_at_their_step_and_not_kept():
    before, after = one_step(huge)
    assert np.isfinite(after.loss)
    assert (after.diverged_at, after.index) == (0, 1)
    jax.tree.map(np.testing.assert_array_equal, after.parts, before.parts)
