"""AdamW, cosine and warm-up against optax's own, alone and packed."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxbias.parallel import map_variants
from jaxbias.training import Hyper, batches_of
from jaxbias.training.schedule import learning_rate
from tests.training.tiny_run import NETWORK, SCHEDULE, members, one, pictures

STEPS = SCHEDULE.steps


def rates(curve, peak, warm):
    """Optax's schedule: a rise over the first `warm` steps, then down to 0, or a drop at 0.75."""
    if curve == "cosine":
        later = optax.cosine_decay_schedule(peak, STEPS - warm)
    else:
        later = optax.piecewise_constant_schedule(peak, {math.ceil(0.75 * STEPS) - warm: 0.1})
    if not warm:
        return later
    rise = optax.linear_schedule(peak / warm, peak, warm - 1)
    return optax.join_schedules([rise, later], [warm])


@pytest.mark.parametrize("curve", ["step", "cosine"])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.3, 0.25])
def test_learning_rates_are_those_of_optax(curve, warmup):
    schedule = dataclasses.replace(SCHEDULE, curve=curve)
    hyper = Hyper(*map(np.float32, (0.2, 0, 0.75, 0, warmup)))
    found = [learning_rate(schedule, hyper, np.int32(i)) for i in range(STEPS)]
    expected = rates(curve, 0.2, math.ceil(warmup * STEPS))
    np.testing.assert_allclose(found, [expected(i) for i in range(STEPS)], rtol=1e-6)


def reference(member, images, optimizer):
    """Trains by an optimiser of optax in a plain loop; returns the parameters."""
    params, examples, _, data = member
    key = jax.random.wrap_key_data(data)
    _, flip_key = jax.random.split(key)
    state = optimizer.init(params)

    @jax.jit
    def update(params, state, x, y, w):
        def loss_of(p):
            z = NETWORK.logits(p, x)[:, 0]
            return jnp.sum(w * (jnp.log1p(jnp.exp(-z)) * y + jnp.log1p(jnp.exp(z)) * (1 - y)))

        with jax.numpy_dtype_promotion("standard"):
            updates, state = optimizer.update(jax.grad(loss_of)(params), state, params)
            return optax.apply_updates(params, updates), state

    for step, batch in enumerate(np.asarray(batches_of(key, SCHEDULE))):
        flips = jax.random.bernoulli(jax.random.fold_in(flip_key, step), shape=(8, 1, 1, 1))
        x = images[examples.ids[batch]]
        x = np.where(np.asarray(flips), x[:, :, ::-1], x)
        w = examples.weights[batch].astype(np.float64)
        y = examples.labels[batch, 0].astype(np.float64)
        params, state = update(params, state, x, y, w / w.sum())
    return params


@pytest.mark.parametrize("mode", ["alone", "vmap", "map"])
@pytest.mark.parametrize(("curve", "warmup"), [("cosine", 0.3), ("cosine", 0.0), ("step", 0.2)])
def test_adamw_is_that_of_optax(curve, warmup, mode):
    schedule = dataclasses.replace(SCHEDULE, optimizer="adamw", curve=curve)
    with jax.enable_x64(True):
        stacked, images = members(2, np.float64), pictures()
        hyper = stacked[2]._replace(
            learning_rate=np.array([0.01, 0.003], np.float32),
            weight_decay=np.array([0.1, 0.01], np.float32),
            warmup=np.full(2, warmup, np.float32),
        )
        weights = np.random.default_rng(3).uniform(0.5, 2, (2, 20)).astype(np.float32)
        stacked = (stacked[0], stacked[1]._replace(weights=weights), hyper, stacked[3])
        run = functools.partial(one, schedule=schedule)
        each = [jax.tree.map(lambda x, i=i: x[i], stacked) for i in range(2)]
        if mode == "alone":
            found = [jax.jit(run)(member, images)[0].params for member in each]
        else:
            packed = jax.jit(map_variants(run, mode))(stacked, images)[0].params
            found = [jax.tree.map(lambda x, i=i: x[i], packed) for i in range(2)]
        for got, member in zip(found, each, strict=True):
            # Hyperparameters are float32 numbers in both.
            peak, decay = float(member[2].learning_rate), float(member[2].weight_decay)
            curves = rates(curve, peak, math.ceil(warmup * STEPS))
            optimizer = optax.adamw(curves, weight_decay=decay)
            expected = reference(member, images, optimizer)
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-8), got, expected)
