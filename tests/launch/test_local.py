"""The local engine: a study by two workers, one killed; which devices each gets."""

import os
import signal
import time
from pathlib import Path

import pytest

from jaxbias.workdir.overview import look
from tests.launch.worked import examples
from tests.processes import events

ROOT = Path(__file__).parents[2]
QUICK = f"--config={ROOT}/configs/quickstart.py:smoke"


def until(there, workdir):
    end = time.monotonic() + 300
    while not there():
        assert time.monotonic() < end, texts(workdir)
        time.sleep(0.05)


def texts(workdir):
    return [log.read_text() for log in (workdir / "launch/local").glob("*.log")]


def at_work(workdir):
    return workdir.is_dir() and sum(host.running for host in look(workdir).hosts)


def test_a_study_by_two_workers_one_of_which_is_killed(launch, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    workdir = tmp_path / "smoke"
    submit, *after = examples(tmp_path)["On this machine"]
    submit = [*submit, "--launch.retry_seconds=0.1"]
    code, out, err = launch(*submit)
    assert (code, err) == (0, "")
    assert "2 workers submitted" in out
    try:
        code, _, err = launch(*submit)
        assert code == 2 and "has 2 workers already" in err
        until(lambda: at_work(workdir), workdir)
        killed, *_ = events(workdir)
        os.kill(killed, signal.SIGKILL)
        assert "nothing is missing" in launch("resubmit", *submit[1:])[1]
        for words in after:
            code, out, err = launch(*words)
            assert (code, err) == (0, "")
            if "--watch" in words:
                assert "all that is planned is done" in out
                until((workdir / "report/report.html").exists, workdir)
                until(lambda: all(text.endswith(" done\n") for text in texts(workdir)), workdir)
            if words[0] == "logs":
                assert out.count("==> ") == 2
        assert "nothing is missing" in launch("resubmit", *submit[1:])[1]
    finally:
        launch("cancel", "--engine=local", f"--workdir={workdir}")
    killed = ["failed (exit 137), 1 of 3 times" in text for text in texts(workdir)]
    assert sorted(killed) == [False, True]
    assert sum(text.count(" started") for text in texts(workdir)) == 3
    assert look(workdir).is_done
    # What was killed at a pack was noted, and is forgotten now that the pack is done.
    assert not [*(workdir / "failures").glob("*.json")]


def test_cancelling_ends_a_worker_and_what_it_runs(launch, tmp_path):
    words = ("--engine=local", f"--workdir={tmp_path}/run")
    assert launch("submit", *words, QUICK)[0] == 0
    log = tmp_path / "run/launch/local/worker-0.log"
    until(lambda: " started" in log.read_text(), tmp_path / "run")
    pid = int(log.read_text().partition("process ")[2].split()[0])
    assert launch("cancel", *words)[0] == 0

    def gone():
        try:
            return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
        except OSError:
            return True

    until(gone, tmp_path / "run")
    assert launch("cancel", *words) == (0, "", "")


@pytest.mark.parametrize(
    ("asked", "first", "second"),
    [
        (
            ("--launch.device=gpu", "--launch.devices=2"),
            {"CUDA_VISIBLE_DEVICES=0,1"},
            {"CUDA_VISIBLE_DEVICES=2,3"},
        ),
        (
            ("--launch.device=tpu", "--launch.devices=4"),
            {"TPU_VISIBLE_CHIPS=0,1,2,3", "TPU_PROCESS_BOUNDS=1,1,1"},
            {"TPU_VISIBLE_CHIPS=4,5,6,7", "TPU_CHIPS_PER_PROCESS_BOUNDS=2,2,1"},
        ),
        (
            ("--launch.devices=3",),
            {"CORES=4,5,6", "JAX_NUM_CPU_DEVICES=3", "JAX_PLATFORMS=cpu"},
            {"CORES=4,5,7"},  # Of four cores some are shared.
        ),
        (("--config.grid.devices=2",), {"CORES=4", "JAX_NUM_CPU_DEVICES=2"}, {"CORES=5"}),
    ],
)
def test_workers_get_devices_of_their_own(launch, tmp_path, monkeypatch, asked, first, second):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {4, 5, 6, 7})
    words = ("render", "--engine=local", QUICK, f"--workdir={tmp_path}/run", "--launch.workers=2")
    assert launch(*words, *asked)[0] == 0
    script = (tmp_path / "run/launch/local/worker.sh").read_text()
    cases = [part.split() for part in script.partition("case $1 in\n")[2].split(";;\n")]
    assert first <= set(cases[0]) and second <= set(cases[1])
    assert ("taskset --cpu-list" in script) is ("CORES=" in script)
