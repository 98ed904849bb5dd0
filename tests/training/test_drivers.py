"""Whatever drives the step: the same parameters from a pack, rungs, fed chunks and the loop."""

import contextlib

import jax
import numpy as np
import pytest

from jaxbias.engine.executor import Executor
from jaxbias.engine.feed import Feed
from jaxbias.engine.programs import Networks, Rung
from jaxbias.files.claims import Lost
from jaxbias.models import Network, make_network
from jaxbias.parallel import make_data_mesh, make_mesh, replicate
from jaxbias.study import ModelSpec
from jaxbias.training import Hyper, Schedule, Step, TrainingSet, batches_of, stored
from jaxbias.training.feeds import Batches, Curated
from jaxbias.training.loop import fit
from jaxbias.training.saves import Saves

N, BATCH, SIZE = 20, 8, 8
SINGLE = make_network(ModelSpec(widths=(4, 8)), SIZE, 1)
IMAGES = np.random.default_rng(0).integers(0, 256, (40, SIZE, SIZE, 3), np.uint8)
SCORED = np.arange(12, dtype=np.int32)


class Double(Network):
    """A network that begins with float64, so that all programs of it are of float64."""

    def init(self, key):
        return jax.tree.map(lambda x: x.astype(np.float64), super().init(key))


def double(outputs):
    return Double(SINGLE.spec, SINGLE.preprocessing, outputs)


DOUBLE = double(SINGLE.outputs)


def members(network, warmup, columns=1):
    """Two runs: their parameters, examples, numbers and keys."""
    rng = np.random.default_rng(1)
    for seed in range(2):
        if columns == network.outputs:  # Of several labels some are unknown.
            labels = rng.integers(-int(columns > 1), 2, (N, columns)).astype(np.float32)
        else:
            labels = rng.integers(0, network.outputs, (N, 1)).astype(np.int32)
        examples = TrainingSet(
            ids=rng.permutation(40)[:N].astype(np.int32),
            labels=labels,
            weights=rng.uniform(0.5, 2, N).astype(np.float32),
            cells=np.resize(np.arange(4), N).astype(np.int32),
            balanced=np.resize(rng.permutation(N)[:8], N).astype(np.int32),
        )
        hyper = Hyper(*map(np.float32, (0.02 * (seed + 1), 1e-3, 0.75, 0.5, warmup)))
        yield (
            jax.tree.map(np.asarray, network.init(jax.random.key(seed))),
            examples,
            hyper,
            np.asarray(jax.random.key_data(jax.random.key(7 + seed))),
        )


def program_of(network, schedule):
    return Networks(network, len(SCORED), IMAGES.shape, schedule, keep=True)


def packed(network, schedule, runs):
    executor = Executor(make_mesh(2), "vmap", None)
    return executor.run(program_of(network, schedule), runs, 2, (SCORED, stored(IMAGES)))


def in_rungs(network, schedule, runs):
    """Of one epoch, of none, and of the rest."""
    executor = Executor(make_mesh(1), "map", None)
    begin = jax.jit(Step(network, schedule).begin)
    states = [jax.tree.map(np.asarray, begin(params)) for params, *_ in runs]
    for first, last in ((0, 1), (1, 1), (1, schedule.epochs)):
        each = [(state, *run[1:]) for state, run in zip(states, runs, strict=True)]
        shared = (SCORED, stored(IMAGES), np.array([first, last], np.int32))
        out = executor.run(Rung(program_of(network, schedule)), each, 2, shared)
        states = [jax.tree.map(lambda x, i=i: x[i], out["state"]) for i in range(2)]
    return {**out, "params": out["state"].params, "scores": out["scores"][:, -1]}


def fed(network, schedule, runs):
    """In chunks of three steps."""
    feed = Feed(Executor(make_mesh(2), "map", None), IMAGES)
    feed.chunk_bytes = 3.5 * BATCH * feed.image_bytes
    return feed.train(program_of(network, schedule), runs, 2, SCORED)


def loop(network, schedule, run, directory, **more):
    """Step by step on four devices, with a checkpoint after every four."""
    params, examples, hyper, key = run
    mesh, step, saves = make_data_mesh(4), Step(network, schedule), Saves(directory, 1, {}, {})
    curated = Curated(examples.ids, examples.labels, examples.weights)
    source = Batches(curated, np.asarray(batches_of(key, schedule)), 1, None)
    begin = jax.jit(step.begin)
    with contextlib.closing(saves):
        return fit(
            "run", step, lambda: begin(params), source, hyper, key, mesh, "shard_map", saves, 4,
            store=replicate(stored(IMAGES), mesh), **more,
        )  # fmt: skip


def looped(network, schedule, runs, directory):
    """One after another."""
    ends = []
    for place, run in enumerate(runs):
        ended = loop(network, schedule, run, directory / str(place))
        ends.append((ended.state.params, ended.state.loss, ended.state.diverged_at))
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *ends)
    return dict(zip(("params", "loss", "diverged_at"), stacked, strict=True))


@pytest.mark.parametrize(
    ("optimizer", "curve", "warmup"), [("sgd", "step", 0.0), ("adamw", "cosine", 0.3)]
)
@pytest.mark.parametrize(
    ("objective", "outputs", "columns"),
    [("erm", 1, 1), ("group_dro", 1, 1), ("dfr", 1, 1), ("dfr", 3, 1), ("erm", 3, 3)],
)
def test_every_driver_trains_the_same(
    objective, outputs, columns, optimizer, curve, warmup, tmp_path
):
    schedule = Schedule(N, 4, BATCH, 0.9, "full", objective, 4, optimizer, curve, labels=columns)
    with jax.enable_x64(True):
        network = double(outputs)
        runs = list(members(network, warmup, columns))
        expected = packed(network, schedule, runs)
        found = {"fed": fed(network, schedule, runs)}
        if objective != "dfr":
            found["rungs"] = in_rungs(network, schedule, runs)
        if objective == "erm":
            found["loop"] = looped(network, schedule, runs, tmp_path)
    starts = jax.tree.map(lambda *leaves: np.stack(leaves), *[params for params, *_ in runs])
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max() > 1e-3, starts, expected["params"])
    assert all(jax.tree.leaves(moved))
    for out in found.values():
        for name, values in out.items():
            if name != "state":
                jax.tree.map(
                    lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-9),
                    values,
                    expected[name],
                )


def test_a_loop_whose_claim_is_lost_stops_at_the_next_step_and_saves_nothing(tmp_path):
    schedule, asked = Schedule(N, 4, BATCH, 0.9, "full", "erm", 4), []

    def is_lost():
        asked.append(len(asked) + 1)
        return asked[-1] == 8

    run = next(iter(members(SINGLE, 0.0)))
    with pytest.raises(Lost, match="the pretraining of run was taken over by another process"):
        loop(SINGLE, schedule, run, tmp_path, is_lost=is_lost)
    assert asked == [*range(1, 9)]  # The eighth step was done, and would have been saved.
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["4"]
    ended = loop(SINGLE, schedule, run, tmp_path)
    whole = loop(SINGLE, schedule, run, tmp_path / "whole")
    jax.tree.map(np.testing.assert_array_equal, ended.state.params, whole.state.params)


@pytest.mark.parametrize("objective", ["erm", "group_dro", "dfr"])
def test_every_driver_marks_what_diverges(objective, tmp_path):
    """Alike, at the same step, and leaves the others alone."""
    schedule = Schedule(N, 4, BATCH, 0.9, "full", objective, 4)
    runs = list(members(SINGLE, 0.0))
    healthy = packed(SINGLE, schedule, runs)
    runs[1] = (*runs[1][:2], runs[1][2]._replace(learning_rate=np.float32(1e30)), runs[1][3])
    found = [packed(SINGLE, schedule, runs), fed(SINGLE, schedule, runs)]
    if objective != "dfr":
        found.append(in_rungs(SINGLE, schedule, runs))
    if objective == "erm":
        found.append(looped(SINGLE, schedule, runs, tmp_path))
    for out in found:
        assert out["diverged_at"].tolist() == found[0]["diverged_at"].tolist()
        assert out["diverged_at"][0] == -1 < out["diverged_at"][1]
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(out["params"]))
    jax.tree.map(
        lambda a, b: np.testing.assert_array_equal(a[0], b[0]),
        found[0]["params"],
        healthy["params"],
    )
