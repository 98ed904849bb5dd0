"""Ray as it is: two workers on two nodes, one of which is killed; a worker killed; cancelled."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jaxbias.workdir.overview import look
from tests.launch.processes import has_ended, signal_each, standing_still, wait_for
from tests.launch.ray_cluster import Cluster
from tests.processes import assert_same_bits, events

ROOT = Path(__file__).parents[2]
QUICK = f"--config={ROOT}/configs/quickstart.py:smoke"
RAY = shutil.which("ray", path=str(Path(sys.executable).parent))
pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(not RAY, reason="Ray is not installed: make test-engines"),
]


@pytest.fixture
def cluster(programs):
    (programs.folder / "ray").unlink()  # No stand-in, but the real one.
    with Cluster() as found:
        yield found


@pytest.fixture
def words(cluster, tmp_path, monkeypatch):
    """Words that find the study's workers; and those that submit it, from nowhere near the code."""
    monkeypatch.chdir(tmp_path)
    found = ("--engine=ray", f"--workdir={tmp_path}/run", f"--launch.ray.address={cluster.address}")
    return found, (*found, QUICK, "--launch.retry_seconds=0.1")


def at_work(workdir):
    return sum(host.running for host in look(workdir).hosts) if workdir.is_dir() else 0


def workers(cluster):
    """Of each worker, whether Ray sees it alive, and how often it was started again."""
    found = cluster.ask("list", "actors", "--filter=class_name=Worker", "--detail")
    return sorted((each["state"], int(each["num_restarts"])) for each in found)


def statuses(cluster):
    return sorted(each["status"] for each in cluster.ask("list", "jobs", "--detail"))


def test_a_study_by_two_workers_one_of_which_loses_its_node(cluster, launch, words, tmp_path):
    workdir = tmp_path / "run"
    where, submit = words
    submit = (*submit, "--launch.workers=2")
    code, out, err = launch("submit", *submit)
    assert (code, err) == (0, "")
    assert "2 workers submitted" in out
    code, _, err = launch("submit", *submit)
    assert code == 2 and "has 2 workers already" in err
    wait_for(lambda: at_work(workdir) == 2 == len(events(workdir)), 300)

    # One worker waits for a node, and is none that is missing; the other goes on. It stands still
    # until Ray has noticed, or else it might be done by then.
    both = [*events(workdir)]
    signal_each(both, signal.SIGSTOP)
    cluster.kill_node()
    wait_for(lambda: workers(cluster) == [("ALIVE", 0), ("RESTARTING", 1)])
    assert "nothing is missing" in launch("resubmit", *submit)[1]
    signal_each(both, signal.SIGCONT)
    wait_for(lambda: statuses(cluster) == ["SUCCEEDED"], 600)
    assert workers(cluster) == [("DEAD", 0), ("DEAD", 1)]
    assert "all that is planned is done" in launch("status", f"--workdir={workdir}")[1]
    assert "worker: " in launch("logs", *where)[1]
    assert "is done: nothing is missing" in launch("resubmit", *submit)[1]

    alone = [sys.executable, "-m", "jaxbias", "run", QUICK, f"--workdir={tmp_path}/alone"]
    one = {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run(alone, env={**os.environ, **one}, check=True, capture_output=True)
    assert_same_bits(workdir, tmp_path / "alone")


def test_whatever_ends_an_actor_ends_what_it_runs(cluster, launch, words, tmp_path):
    workdir = tmp_path / "run"
    where, submit = words
    assert launch("submit", *submit)[0] == 0
    wait_for(lambda: at_work(workdir), 300)
    [first] = events(workdir)
    [actor] = cluster.ask("list", "actors", "--filter=class_name=Worker")
    with standing_still(first):
        os.kill(actor["pid"], signal.SIGKILL)  # As Ray does where a node is short of memory.
    wait_for(lambda: has_ended(first))
    wait_for(lambda: workers(cluster) == [("ALIVE", 1)])
    wait_for(lambda: len(events(workdir)) == 2, 300)
    [second] = events(workdir).keys() - {first}

    with standing_still(second):
        assert launch("cancel", *where) == (0, "", "")
    assert statuses(cluster) == ["STOPPED"]
    wait_for(lambda: has_ended(second))
    assert not look(workdir).is_done
    assert "1 worker submitted" in launch("resubmit", *submit)[1]
    assert "nothing is missing" in launch("resubmit", *submit)[1]
    assert launch("cancel", *where)[0] == 0
