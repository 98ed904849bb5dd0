"""Several processes on one result directory: killed, sharing, taking over; the same bits always."""

import itertools
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jaxbias.workdir.results import ResultDirectory

_CHILD = """
import sys; sys.path.insert(0, sys.argv[2])
import jax; jax.config.update("jax_num_cpu_devices", 2)
from jaxbias import data
from jaxbias.stages import train
from jaxbias.study import make_study
from tests.tiny import tiny_config, tiny_dataset
data.load = lambda spec, check=None: tiny_dataset()
"""
_TRAIN = "train.train(make_study(tiny_config()), sys.argv[1])\n"
# Both processes have the plan before either takes a pack.
_TOGETHER = """
import os, time
from pathlib import Path
agree, meeting = train.Planner.agree, Path(sys.argv[1]).parent / "meeting"
def meet(planner):
    agreed = agree(planner)
    meeting.mkdir(exist_ok=True)
    (meeting / str(os.getpid())).touch()
    while len(list(meeting.iterdir())) < 2:
        time.sleep(0.005)
    return agreed
train.Planner.agree = meet
"""
# The process stops for good in the middle of the first pack of a stage that it takes.
_STUCK = """
def stuck(self, pack):
    (meeting.parent / "stuck").touch()
    time.sleep(600)
from jaxbias.engine.runner import Runner
Runner.{stage} = stuck
"""


def start(workdir, *before, train=_TRAIN):
    code = "".join((_CHILD, *before, train))
    root = Path(__file__).parents[2]
    return subprocess.Popen([sys.executable, "-c", code, str(workdir), str(root)])


def wait_for(there, child):
    end = time.monotonic() + 120
    while not there():
        assert child.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)


def packs(workdir):
    return sorted((workdir / "packs").glob("*.parquet"))


def kill(child):
    child.send_signal(signal.SIGKILL)
    child.wait()


def events(workdir):
    """Events of each process, by its id."""
    return {
        int(path.name.rsplit("-", 2)[1]): list(map(json.loads, path.read_text().splitlines()))
        for path in (workdir / "events").glob("*.jsonl")
    }


def finished(events):
    return [event["pack"] for event in events if event["event"] == "pack finished"]


def assert_same_bits(got, expected):
    """The same plan, and the same scores, rows and quotas of every variant and base."""
    ours, theirs = ResultDirectory(got), ResultDirectory(expected)
    plan = ours.plan()
    assert plan == theirs.plan()
    a, b = ours.scores(), theirs.scores()
    np.testing.assert_array_equal(a.test, b.test)
    np.testing.assert_array_equal(a.validation, b.validation)
    for one, other in ((a.variants, b.variants), (ours.base_rows(plan), theirs.base_rows(plan))):
        drop = ["train_seconds", "ids"]
        assert one.drop(columns=drop, errors="ignore").equals(
            other.drop(columns=drop, errors="ignore")
        )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The study done by one process."""
    workdir = tmp_path_factory.mktemp("whole") / "run"
    assert start(workdir).wait(timeout=300) == 0
    return workdir


def test_killed_anywhere_and_run_again_gives_the_same_bits(whole, tmp_path):
    """SIGKILL after the first finished pack; the second run ends as if nothing had happened."""
    killed = tmp_path / "killed"
    child = start(killed)
    wait_for(lambda: packs(killed), child)
    kill(child)
    assert len(packs(killed)) < len(packs(whole))
    left = {path.name: path.stat().st_mtime_ns for path in packs(killed)}
    assert start(killed).wait(timeout=300) == 0
    for name, stamp in left.items():
        assert (killed / "packs" / name).stat().st_mtime_ns == stamp
    assert_same_bits(killed, whole)
    assert json.loads((killed / "plan.json").read_text())["devices"] == 2


def test_two_processes_do_every_pack_once_and_end_with_one_result(whole, tmp_path):
    workdir = tmp_path / "shared"
    children = [start(workdir, _TOGETHER) for _ in range(2)]
    assert [child.wait(timeout=300) for child in children] == [0, 0]
    assert_same_bits(workdir, whole)
    by_process = events(workdir)
    assert by_process.keys() == {child.pid for child in children}
    done = [finished(events) for events in by_process.values()]
    assert all(done), "one process did everything"
    assert sorted(itertools.chain(*done)) == sorted(path.stem for path in packs(workdir))
    assert not [path for path in (workdir / "leases").iterdir() if path.stem != "plan"]


@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
def test_one_of_two_killed_in_a_pack_and_the_other_finishes(whole, tmp_path, stage):
    workdir = tmp_path / "shared"
    victim = start(workdir, _TOGETHER, _STUCK.format(stage=stage))
    survivor = start(workdir, _TOGETHER)
    wait_for((tmp_path / "stuck").exists, victim)
    (lease,) = [
        path for path in (workdir / "leases").iterdir() if str(victim.pid) in path.read_text()
        and path.stem != "plan"
    ]  # fmt: skip
    # It waits for the other's pack as long as that may still come.
    wait_for(lambda: len(packs(workdir)) == len(packs(whole)) - 1 or stage == "pretrain", survivor)
    time.sleep(0.6)
    assert survivor.poll() is None
    assert lease.exists()
    kill(victim)
    assert survivor.wait(timeout=300) == 0
    assert_same_bits(workdir, whole)
    done = finished(events(workdir)[survivor.pid])
    assert lease.stem in done
    assert len(done) == len(set(done))
