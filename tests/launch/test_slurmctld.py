"""Slurm as it is: a study by an array on two nodes, preempted for good, and one node lost."""

import time
from pathlib import Path

import pytest

from jaxbias.cli import command
from jaxbias.workdir.overview import look
from launch.__main__ import LAUNCH
from tests.launch.processes import wait_for
from tests.launch.slurm_cluster import Cluster, missing

ROOT = Path(__file__).parents[2]
WHERE = (
    *("--engine=slurm", f"--config={ROOT}/configs/quickstart.py:smoke"),
    *("--launch.workers=2", "--launch.retry_seconds=0.1"),
)
pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(bool(missing()), reason="Slurm is not installed: make test-engines"),
]


@pytest.fixture
def cluster(tmp_path):
    with Cluster(tmp_path / "cluster") as found:
        yield found


@pytest.fixture
def launch(capsys):
    def call(*words):
        try:
            command.main(["launch", *words], LAUNCH)
        except SystemExit as stop:
            raise AssertionError(capsys.readouterr().err) from stop
        return capsys.readouterr().out

    return call


def states(cluster):
    words = ("squeue", "--noheader", "--array", "--format=%T")
    return sorted(cluster.ask(*words).split())


def test_a_study_that_is_preempted_submitted_again_and_loses_a_node(
    cluster, launch, tmp_path, monkeypatch
):
    monkeypatch.chdir(ROOT)
    workdir = tmp_path / "run"
    where = (*WHERE, f"--workdir={workdir}")
    assert "2 workers submitted" in launch("submit", *where)
    # MaxArraySize is 2.
    assert (workdir / "launch/slurm/submit.sh").read_text().count("--array=0-1") == 1
    wait_for(lambda: states(cluster) == ["RUNNING"] * 2)
    assert "nothing is missing" in launch("resubmit", *where)
    wait_for(lambda: (workdir / "plan.json").exists())

    # Whoever pays more takes both nodes: with PreemptMode=CANCEL, nothing comes back by itself.
    cluster.ask("sbatch", "--partition=high", "--array=0-1", "--time=1", "--wrap=sleep 3")
    wait_for(lambda: states(cluster) == [])
    assert "waiting" in launch("status", f"--workdir={workdir}")
    assert not look(workdir).is_done
    assert "2 workers submitted" in launch("resubmit", *where)
    wait_for(lambda: sum(host.running for host in look(workdir).hosts) == 2, 300)

    # A node is gone: its worker waits for another node by itself, the other goes on.
    cluster.kill_node("n1")
    wait_for(lambda: "down" in cluster.ask("sinfo", "--noheader", "--format=%T"), 300)
    wait_for(lambda: (workdir / "report/report.html").exists(), 600)
    assert look(workdir).is_done
    wait_for(lambda: states(cluster) == [], 300)
    assert launch("logs", "--engine=slurm", f"--workdir={workdir}").count("done") >= 1
    assert "nothing is missing" in launch("resubmit", *where)


def test_cancelled_workers_leave_nothing_behind(cluster, launch, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    where = (*WHERE, f"--workdir={tmp_path}/run")
    launch("submit", *where)
    wait_for(lambda: "RUNNING" in states(cluster))
    launch("cancel", "--engine=slurm", f"--workdir={tmp_path}/run")
    wait_for(lambda: states(cluster) == [])
    time.sleep(1)
    assert not [*(tmp_path / "run").glob("packs/*")]
