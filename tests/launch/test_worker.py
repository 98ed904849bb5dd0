"""Workers: started again where they fail, not where that would change nothing, and not for ever."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from launch.worker import environment

ROOT = Path(__file__).parents[2]
# Ends as the words say, one of them each time that it is run.
COMMAND = """
import os, signal, sys
path, *ends = sys.argv[1:]
with open(path, "a") as file:
    file.write("x")
end = ends[min(os.path.getsize(path), len(ends)) - 1]
os.kill(os.getpid(), int(end[1:])) if end.startswith("-") else sys.exit(int(end))
"""


def run(tmp_path, *ends, most=3):
    """How a worker ends whose command ends so, how often that was run, and what it said."""
    path = tmp_path / "runs"
    command = [sys.executable, "-c", COMMAND, str(path), *ends]
    words = [sys.executable, "-m", "launch.worker", str(most), "0.001", *command]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    return done.returncode, len(path.read_text()), done.stderr


@pytest.mark.parametrize(
    ("ends", "code", "runs", "said"),
    [
        (("0",), 0, 1, "done"),
        (("1", "-9", "0"), 0, 3, "failed (exit -9), 2 of 3 times"),
        (("1", "-11", "134"), 1, 3, "failed (exit 134), 3 of 3 times"),
        (("2", "0"), 2, 1, "wrong input"),
    ],
)
def test_a_worker_is_started_again_until_it_is_done_or_given_up(tmp_path, ends, code, runs, said):
    ended, ran, told = run(tmp_path, *ends)
    assert (ended, ran) == (code, runs)
    assert said in told
    assert told.count("started") == runs


def test_to_be_stopped_by_somebody_else_is_no_failure(tmp_path):
    """As of a preempted process: it comes back however often that happens."""
    code, runs, told = run(tmp_path, "-15", "143", "-15", "143", "1", "0", most=2)
    assert (code, runs) == (0, 6)
    assert told.count("stopped by somebody else") == 4
    assert "failed (exit 1), 1 of 2 times" in told


def test_a_worker_that_is_told_to_stop_stops_what_it_runs(tmp_path):
    child = tmp_path / "child"
    program = f"import os, time; open({str(child)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    words = [sys.executable, "-m", "launch.worker", "3", "1", sys.executable, "-c", program]
    worker = subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not (child.exists() and child.read_text()):
        assert worker.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    worker.send_signal(signal.SIGTERM)
    told = worker.communicate(timeout=60)[1]
    assert worker.returncode == 143
    assert "told to stop; the command ended with 143" in told
    with pytest.raises(ProcessLookupError):
        os.kill(int(child.read_text()), 0)


def test_nothing_of_an_earlier_gang_is_inherited():
    found = environment({"MEGASCALE_COORDINATOR_ADDRESS": "gone", "HOME": "here"})
    assert found == {"HOME": "here"}
