"""The pretraining step: every lift and number of devices, accumulation, and the packed engine."""

import jax
import numpy as np
import pytest

from jaxbias.models import make_network
from jaxbias.parallel import lift, make_data_mesh, replicate, split_batch
from jaxbias.study import ModelSpec
from jaxbias.training import Examples, Hyper, Phase, Schedule, Steps, batches_of
from jaxbias.training.step import Batch, Course, Step
from tests.models.architectures import tiny_architectures  # noqa: F401

SIZE, BATCH, STEPS = 8, 16, 3


def course(**changes):
    settings = {
        "objective": "supervised", "steps": STEPS, "batch": BATCH, "accumulate": 1,
        "optimizer": "sgd", "schedule": "step", "learning_rate": 0.1, "warmup": 0.0,
        "drop_at": 0.6, "weight_decay": 1e-3, "momentum": 0.9, "temperature": 0.5,
        "projection": 8,
    }  # fmt: skip
    return Course(**{**settings, **changes})


def data(labels=1):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, SIZE, SIZE, 3), np.uint8)
    known = rng.integers(-(labels > 1), 2, (40, labels)).astype(np.int32)
    return images, known, rng.uniform(0.5, 2, 40).astype(np.float32)


def batch_of(places, pieces, arrays):
    images, labels, weights = arrays
    at = np.arange(BATCH, dtype=np.int32)
    whole = Batch(images[places], labels[places], weights[places], at)
    return jax.tree.map(lambda x: x.reshape(pieces, BATCH // pieces, *x.shape[1:]), whole)


def trained(name, kind="jit", devices=1, labels=1, **changes):
    """All steps of a run in float64: its parameters, and the loss of each step."""
    with jax.enable_x64(True):
        network = make_network(ModelSpec(name=name, widths=(4,)), SIZE, labels)
        step = Step(network, course(**changes))
        key = jax.random.key_data(jax.random.key(3))
        fresh = jax.tree.map(
            lambda x: x.astype(np.float64), jax.jit(network.init)(jax.random.key(0))
        )
        state = jax.jit(step.begin)(fresh, key)
        mesh = make_data_mesh(devices)
        state, key = replicate((state, key), mesh)
        lifted, losses = lift(step, mesh, kind), []
        order = np.asarray(batches_of(key, Schedule(40, 2, BATCH, 0.9)))
        for places in order[:STEPS]:
            batch = split_batch(batch_of(places, step.course.accumulate, data(labels)), mesh)
            state, metrics = lifted(state, batch, key, None)
            losses.append(float(metrics.loss))
            assert metrics.finite
        return jax.tree.map(np.asarray, step.params_of(state, fresh)), np.array(losses)


def assert_same(got, expected, tolerance=1e-9):
    np.testing.assert_allclose(got[1], expected[1], rtol=tolerance, atol=tolerance)
    for a, b in zip(jax.tree.leaves(got[0]), jax.tree.leaves(expected[0]), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "objective"),
    [("convnet", "supervised"), ("resnet_block", "supervised"), ("convnet", "simclr")],
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


def test_several_labels_some_unknown():
    alone = trained("convnet", labels=3, objective="multilabel", optimizer="adamw")
    assert_same(
        trained("convnet", "jit", 8, labels=3, objective="multilabel", optimizer="adamw"), alone
    )


@pytest.mark.parametrize("name", ["convnet"])
def test_the_step_again_and_again_is_the_run_of_a_pack(name):
    """The same draws, flips and rates as the engine that trains whole runs in one program."""
    images, labels, weights = map(jax.numpy.asarray, data())
    schedule = Schedule(40, 2, BATCH, 0.9)
    got = trained(name, steps=schedule.steps)[0]
    with jax.enable_x64(True):
        network = make_network(ModelSpec(name=name, widths=(4,)), SIZE, 1)
        fresh = jax.tree.map(
            lambda x: x.astype(np.float64), jax.jit(network.init)(jax.random.key(0))
        )
        key = jax.random.key_data(jax.random.key(3))
        ids = jax.numpy.arange(40, dtype=np.int32)
        examples = Examples(ids, labels[:, 0], weights, ids * 0, ids)
        hyper = Hyper(*map(np.float64, (0.1, 1e-3, 0.6, 0)))
        phase = Phase(network, schedule, "full")
        index = jax.numpy.arange(STEPS, dtype=np.int32)
        steps = Steps(index, batches_of(key, schedule)[:STEPS])
        end = phase.advance(phase.begin(fresh), steps, (0, STEPS), examples, hyper, key, images)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(end.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
