"""Rungs one after another are the uninterrupted run, whatever the batch makes of an epoch."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.models import Head, make_network
from jaxbias.parallel import map_variants
from jaxbias.study import ModelSpec
from jaxbias.training import (
    Hyper,
    Schedule,
    Step,
    TrainingSet,
    make_rung,
    make_score,
    make_train,
)

NETWORK = make_network(ModelSpec(widths=(4,)), 8, 1)
HEAD = Head(64)  # Of this network's features.
SCORED = np.arange(12, dtype=np.int32)


def members(network, schedule, count=2, dtype=np.float32, rate=0.05):
    """Stacked states at the beginning, examples, hyperparameters and keys."""
    rng, each = np.random.default_rng(1), []
    for seed in range(count):
        params = NETWORK.init(jax.random.key(seed))
        if isinstance(network, Head):
            params = {"head": params["head"]}
        params = jax.tree.map(lambda x: np.asarray(x).astype(dtype), params)
        state = Step(network, schedule).begin(params)
        n = schedule.n
        examples = TrainingSet(
            rng.permutation(40)[:n].astype(np.int32),
            rng.integers(0, 2, (n, 1)).astype(np.float32),
            np.ones(n, np.float32),
            np.zeros(n, np.int32),
            np.arange(n, dtype=np.int32),
        )
        hyper = Hyper(*map(np.float32, (rate * (seed + 1), 1e-3, 1.0, 0.0)))
        each.append((state, examples, hyper, jax.random.key_data(jax.random.key(7 + seed))))
    return jax.tree.map(lambda *x: np.stack([np.asarray(a) for a in x]), *each)


def compiled(network, schedule, mode="map"):
    """A pack's rungs: `rungs(members, (scored, images, span))`."""
    rung = make_rung(network, schedule)

    def one(member, shared):
        state, examples, hyper, key = member
        return rung(state, examples, hyper, jax.random.wrap_key_data(key), *shared)

    return jax.jit(map_variants(one, mode))


def train(rungs, cuts, stacked, images):
    """Trains a pack through rungs that end at `cuts`; returns the states and all scores."""
    scores = []
    for first, last in itertools.pairwise((0, *cuts)):
        states, found = rungs(stacked, (SCORED, images, np.array([first, last], np.int32)))
        stacked = (jax.tree.map(np.asarray, states), *stacked[1:])
        scores.append(np.asarray(found)[:, first:last])
    return stacked[0], np.concatenate(scores, axis=1)


def pictures(network=NETWORK):
    rng = np.random.default_rng(0)
    if isinstance(network, Head):
        return rng.standard_normal((40, network.inputs)).astype(np.float32)
    return rng.integers(0, 256, (40, 8, 8, 3), np.uint8)


def assert_same_bits(got, expected):
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)


# Epochs of 2.5 steps; of heads 2, and 0.4: a rung of a single step among them, and of none.
@pytest.mark.parametrize(
    ("network", "trains", "n", "epochs", "mode"),
    [
        (NETWORK, "full", 20, 5, "map"),
        (HEAD, "head", 16, 5, "vmap"),
        (HEAD, "head", 3, 7, "map"),
    ],
)
def test_rungs_are_the_uninterrupted_run_bit_for_bit(network, trains, n, epochs, mode):
    schedule = Schedule(n=n, epochs=epochs, batch=8, momentum=0.9, mode=trains)
    stacked, images = members(network, schedule), pictures(network)
    rungs = compiled(network, schedule, mode)
    whole = train(rungs, (epochs,), stacked, images)
    assert whole[1].shape == (2, epochs, 12, 1)
    assert np.ptp(whole[1][:, [0, -1]], axis=1).min() > 0  # It has learnt something.
    for cut in range(1, epochs):
        assert_same_bits(train(rungs, (cut, epochs), stacked, images), whole)
    every = tuple(range(1, epochs + 1))
    assert_same_bits(train(rungs, every, stacked, images), whole)
    # Of fewer steps XLA makes another program, which may round otherwise: there is none.
    assert rungs._cache_size() == 1
    if mode == "map":  # Nor does it matter who else is in the pack: rungs are ever narrower.
        alone = jax.tree.map(lambda leaf: leaf[:1], stacked)
        first = jax.tree.map(lambda leaf: np.asarray(leaf)[:1], whole)
        assert_same_bits(train(rungs, (1, epochs), alone, images), first)


def test_scores_after_each_epoch_are_those_of_runs_that_end_there():
    """A trial is the beginning of any longer one, and stopping there is an ordinary finetune."""
    with jax.enable_x64(True):
        schedule = Schedule(n=20, epochs=3, batch=8, momentum=0.9)
        stacked, images = members(NETWORK, schedule, count=1, dtype=np.float64), pictures()
        _, scores = train(compiled(NETWORK, schedule), (3,), stacked, images)
        state, examples, hyper, key = jax.tree.map(lambda x: x[0], stacked)
        for epochs in (1, 3):
            shorter = dataclasses.replace(schedule, epochs=epochs)
            trained = jax.jit(make_train(NETWORK, shorter))(
                state.params, examples, hyper, jax.random.wrap_key_data(key), jnp.asarray(images)
            )
            expected = make_score(NETWORK)(trained.params, SCORED, jnp.asarray(images))
            np.testing.assert_allclose(scores[0, epochs - 1], expected, atol=1e-9)


def test_a_diverged_trial_is_frozen_and_leaves_its_neighbours_alone():
    schedule = Schedule(n=20, epochs=2, batch=8, momentum=0.9)
    stacked, images = members(NETWORK, schedule), pictures()
    rungs = compiled(NETWORK, schedule)
    _, healthy = train(rungs, (2,), stacked, images)
    rates = stacked[2].learning_rate.copy()
    rates[1] = 1e30
    sick = (*stacked[:2], stacked[2]._replace(learning_rate=rates), stacked[3])
    state, scores = train(rungs, (2,), sick, images)
    assert (state.diverged_at >= 0).tolist() == [False, True]
    np.testing.assert_array_equal(scores[0], healthy[0])
