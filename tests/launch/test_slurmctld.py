"""Slurm as it is: studies by arrays on two nodes, preempted for good, out of time, a node lost."""

import time
from pathlib import Path

import pytest

from jaxbias.cli import command
from jaxbias.workdir.overview import look
from launch.__main__ import LAUNCH
from tests.launch.processes import standing_still, wait_for
from tests.launch.slurm_cluster import Cluster, missing
from tests.processes import events, finished

ROOT = Path(__file__).parents[2]
WHERE = (
    *("--engine=slurm", f"--config={ROOT}/configs/quickstart.py:smoke"),
    *("--launch.workers=2", "--launch.retry_seconds=0.1"),
    "--config.finetune.seeds=4",  # Enough for a worker to find its partner at work.
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
def launch(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)

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


def results(workdir):
    """When each result was written."""
    return {path.stem: path.stat().st_mtime_ns for path in workdir.glob("packs/*.parquet")}


def assert_cut(workdir, kept=0):
    """Work has begun and is not done, and whoever was told to stop stopped by itself."""
    assert not look(workdir).is_done
    assert len(results(workdir)) >= kept
    assert not any(host.running for host in look(workdir).hosts)
    logs = [path.read_text() for path in (workdir / "launch/slurm").glob("*.log")]
    assert all("told to stop; the command ended with 143" in text for text in logs)


def assert_answered(workdir, before):
    """All is done, each pack once, and what was done before is as it was."""
    assert look(workdir).is_done
    done = results(workdir)
    assert before.items() <= done.items()
    packs = [pack for process in events(workdir).values() for pack in finished(process)]
    assert sorted(packs) == sorted(done)


def test_a_study_that_is_preempted_submitted_again_and_loses_a_node(cluster, launch, tmp_path):
    workdir = tmp_path / "run"
    where = (*WHERE, f"--workdir={workdir}")
    assert "2 workers submitted" in launch("submit", *where)
    wait_for(lambda: states(cluster) == ["RUNNING"] * 2)
    assert "nothing is missing" in launch("resubmit", *where)
    wait_for(lambda: any(map(finished, events(workdir).values())))

    # Whoever pays more takes both nodes: with PreemptMode=CANCEL, nothing comes back by itself.
    with standing_still(*events(workdir)):
        cluster.run("high", "sleep 3")
    wait_for(lambda: states(cluster) == [])
    assert len(cluster.jobs(JobState="PREEMPTED", Partition="low", Requeue="1")) == 2
    assert len(cluster.jobs(JobState="COMPLETED", Partition="high")) == 2
    assert_cut(workdir, kept=1)
    assert "waiting" in launch("status", f"--workdir={workdir}")
    before = results(workdir)
    assert "2 workers submitted" in launch("resubmit", *where)
    wait_for(lambda: sum(host.running for host in look(workdir).hosts) == 2, 300)

    # A node is gone: its worker waits for another node by itself, the other goes on.
    cluster.kill_node("n1")
    wait_for(lambda: "down" in cluster.ask("sinfo", "--noheader", "--format=%T"), 300)
    wait_for(lambda: (workdir / "report/report.html").exists(), 600)
    assert_answered(workdir, before)
    wait_for(lambda: states(cluster) == [], 300)
    assert launch("logs", "--engine=slurm", f"--workdir={workdir}").count("done") >= 1
    assert "nothing is missing" in launch("resubmit", *where)


def test_a_study_whose_workers_run_out_of_time(cluster, launch, tmp_path):
    workdir = tmp_path / "run"
    where = (*WHERE, f"--workdir={workdir}")
    limited = ("--launch.workers=1", "--launch.slurm.minutes=60")
    assert "1 worker × 1 h × 1 device: 1.00 device hours" in launch("submit", *where, *limited)
    wait_for(lambda: any(map(finished, events(workdir).values())))
    (job,) = cluster.jobs(TimeLimit="01:00:00")
    with standing_still(*events(workdir)):  # Slurm looks for limits twice a minute.
        cluster.ask("scontrol", "update", f"JobId={job['JobId']}", "EndTime=now")
    wait_for(lambda: states(cluster) == [])
    assert len(cluster.jobs(JobState="TIMEOUT", Requeue="1")) == 1
    assert_cut(workdir, kept=1)

    before = results(workdir)
    time.sleep(3)
    assert states(cluster) == []
    assert "2 workers submitted" in launch("resubmit", *where)
    wait_for(lambda: (workdir / "report/report.html").exists(), 600)
    wait_for(lambda: states(cluster) == [], 300)
    assert_answered(workdir, before)


def test_cancelled_workers_leave_nothing_behind(cluster, launch, tmp_path):
    where = (*WHERE, f"--workdir={tmp_path}/run", "--launch.workers=3")
    assert "3 workers submitted" in launch("submit", *where)
    # MaxArraySize is 2.
    arrays = (tmp_path / "run/launch/slurm/submit.sh").read_text()
    assert [arrays.count(f"--array={each}") for each in ("0-1", "0-0")] == [1, 1]
    wait_for(lambda: states(cluster) == ["PENDING", "RUNNING", "RUNNING"])
    assert "nothing is missing" in launch("resubmit", *where)
    launch("cancel", "--engine=slurm", f"--workdir={tmp_path}/run")
    wait_for(lambda: states(cluster) == [])
    time.sleep(1)
    assert not [*(tmp_path / "run").glob("packs/*")]
