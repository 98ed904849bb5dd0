"""Images from the host, chunk by chunk: the same bits as from the device, whatever the chunks."""

import dataclasses
import threading

import numpy as np
import pytest

from jaxbias.engine import feed
from jaxbias.engine.feed import chunk_steps, prefetched
from jaxbias.parallel import make_mesh
from jaxbias.training import Schedule
from tests.engine.run_all import run_all
from tests.tiny import tiny_study

BASES = {"Grouped": {"role": "studied", "target": "group"}, "Scratch": {"role": "scratch"}}


def study(mode="full", **curations):
    return tiny_study(
        bases=BASES,
        pretrain={"n": 40, "epochs": 2, "batch": 8},
        finetune={"n": (20,), "epochs": 4, "batch": 8, "seeds": 2, "mode": mode},
        curations=curations,
        grid={"memory_mib": 64},
    )


def assert_same_bits(one, other):
    assert one.keys() == other.keys()
    for id, row in one.items():
        for name in ("test_scores", "validation_scores", "loss", "status"):
            np.testing.assert_array_equal(row[name], other[id][name])


MITIGATIONS = {"dfr": True, "group_dro": True, "reweight": True}


@pytest.fixture(scope="module")
def on_device():
    return run_all(3, study(**MITIGATIONS))


def aliased(runner):
    """Bytes of results that take the place of arguments, by the name of the program."""
    return {
        type(program).__name__: compiled.memory_analysis().alias_size_in_bytes
        for (program, _), compiled in runner.executor.programs.items()
        if program.donated
    }


@pytest.mark.parametrize(("mode", "steps"), [("full", 3), ("last_block", 1), ("head", 3)])
def test_the_host_gives_the_bits_of_the_device(mode, steps, on_device, monkeypatch):
    wanted = study(mode, **(MITIGATIONS if mode == "full" else {}))
    expected, resident = on_device if mode == "full" else run_all(3, wanted)
    # Ten steps in chunks of 3, the last of which has one step, or in chunks of 1.
    chunk = (steps + 0.5) * 2 * 8 * 8 * 8 * 3
    monkeypatch.setattr(feed, "SHARE", 2 * chunk / (64 * 2**20))
    found, runner = run_all(3, wanted, store="host")
    assert runner.feed.chunk_bytes == pytest.approx(chunk)
    assert "images" not in vars(runner.starts)  # The store was never put on a device.
    assert_same_bits(found, expected)
    # States make room for those that follow, and parameters for those that are kept.
    assert aliased(runner)["Advanced"] > 0
    assert aliased(resident)["Networks"] > 0


def test_a_diverging_run_ends_as_on_the_device():
    def rows(**layout):
        settings = {"n": (20,), "epochs": 4, "batch": 8, "seeds": 1}
        mild = tiny_study(bases={"Scratch": {"role": "scratch"}}, finetune=settings)
        wild = dataclasses.replace(mild.finetune, learning_rate=1e30)
        return run_all(4, dataclasses.replace(mild, finetune=wild), **layout)[0]

    expected = rows()
    assert all(row["status"].startswith("diverged at step") for row in expected.values())
    assert_same_bits(rows(store="host"), expected)


def test_chunks_fill_their_budget_evenly():
    schedule = Schedule(n=100, epochs=1, batch=10, momentum=0.9)
    mesh, each = make_mesh(2), 3 * 10 * 12  # Six members on two devices.
    assert chunk_steps(schedule, 6, 12, mesh, chunk=100 * each) == 10
    assert chunk_steps(schedule, 6, 12, mesh, chunk=9 * each) == 5
    assert chunk_steps(schedule, 6, 12, mesh, chunk=each / 2) == 1


def test_the_next_chunk_is_made_while_this_one_is_used():
    made = [threading.Event() for _ in range(3)]
    jobs = [lambda i=i: made[i].set() or i for i in range(3)]
    for i in prefetched(jobs):
        if i < 2:
            assert made[i + 1].wait(5)
    with pytest.raises(ZeroDivisionError):
        list(prefetched([lambda: 1, lambda: 1 / 0]))
    assert not [t for t in threading.enumerate() if t.name.startswith("feed")]
