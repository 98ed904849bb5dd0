"""A tiny network and schedule, made-up pictures and inputs of runs, and one run of them."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias.models import make_network
from jaxbias.study import ModelSpec
from jaxbias.training import Hyper, Schedule, TrainingSet, make_score, make_train

NETWORK = make_network(ModelSpec(widths=(4, 8)), 8, 1)
SCHEDULE = Schedule(n=20, epochs=4, batch=8, momentum=0.9)


def pictures(count=40, size=8):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


def members(count, dtype=np.float32, rate=0.05):
    """Stacked inputs of `count` different runs."""
    rng = np.random.default_rng(1)
    each = []
    for seed in range(count):
        params = jax.tree.map(
            lambda x: np.asarray(x).astype(dtype), NETWORK.init(jax.random.key(seed))
        )
        ids = rng.permutation(40)[:20].astype(np.int32)
        examples = TrainingSet(
            ids,
            rng.integers(0, 2, (20, 1)).astype(np.float32),
            np.ones(20, np.float32),
            np.repeat(np.arange(4), 5).astype(np.int32),
            np.arange(20, dtype=np.int32),
        )
        hyper = Hyper(*map(np.float32, (rate * (seed + 1), 1e-3, 0.75, 0.5)))
        each.append((params, examples, hyper, jax.random.key_data(jax.random.key(7 + seed))))
    return jax.tree.map(lambda *x: np.stack(x), *each)


def one(member, images, schedule=SCHEDULE):
    params, examples, hyper, key = member
    trained = make_train(NETWORK, schedule)(
        params, examples, hyper, jax.random.wrap_key_data(key), images
    )
    scores = make_score(NETWORK)(trained.params, jnp.arange(40, dtype=jnp.int32), images)
    return trained, scores
