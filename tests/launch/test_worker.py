"""Workers: started again where they fail, not where that would change nothing, and not for ever."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxbias.workdir.overview import look
from jaxbias.workdir.results import ResultDirectory
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
    words = [sys.executable, "-m", "launch.worker", str(tmp_path), str(most), "0.001", *command]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    return done.returncode, len(path.read_text()), done.stderr


@pytest.mark.parametrize(
    ("ends", "code", "runs", "said"),
    [
        (("0",), 0, 1, "done"),
        (("1", "-9", "0"), 0, 3, "failed (exit 137), 2 of 3 times"),
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
    words = [sys.executable, "-m", "launch.worker", ".", "3", "1", sys.executable, "-c", program]
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
    found = environment({"MEGASCALE_COORDINATOR_ADDRESS": "gone", "HOME": "here"}, Path("there"))
    assert found == {"HOME": "here", "JAXBIAS_WHEREABOUTS": "there"}


# A study in memory. Whoever comes to a pack that is poisoned is killed, as for want of memory.
KILLED = """
import os, signal, sys
from jaxbias import data
from jaxbias.engine.runner import Runner
from jaxbias.stages import train
from jaxbias.workdir import crew
from jaxbias.workdir.results import ResultDirectory
from tests.tiny import tiny_dataset, tiny_study

data.load = lambda spec, *_: tiny_dataset()
crew._RETRY_SECONDS = 1.0
study, workdir = tiny_study(grid={"pack_width": 4, "devices": 1}), sys.argv[1]
train.train(study, workdir, "plan")
packs = ResultDirectory(workdir).plan().finetunes[slice(*eval(sys.argv[2]))]
poisoned = {pack.id for pack in packs}
whole = Runner.finetune

def finetune(self, pack):
    if pack.id in poisoned:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(self, pack)

Runner.finetune = finetune
train.train(study, workdir)
"""


def run_killed(workdir, poisoned):
    command = [sys.executable, "-c", KILLED, str(workdir), repr(poisoned)]
    words = [sys.executable, "-m", "launch.worker", str(workdir), "3", "0.01", *command]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    return done.returncode, done.stderr


def test_a_pack_that_kills_whoever_comes_to_it_is_quarantined_and_the_rest_goes_on(tmp_path):
    code, told = run_killed(tmp_path, poisoned=(1, 2))
    assert code == 0, told
    overview, directory = look(tmp_path), ResultDirectory(tmp_path)
    (lost,) = directory.failures.quarantined()
    assert overview.is_done
    finetunes = directory.plan().finetunes
    assert overview.stages[-1].packs["done"] == len(finetunes) - 1 > 1
    assert lost == finetunes[1].id and lost in overview.quarantine
    error = "RuntimeError: its process was killed by signal 9, perhaps for want of memory"
    assert [each["error"] for each in directory.failures.of(lost)] == [error] * 3
    assert "failed (exit 137), 1 of 3 times" in told
    assert told.count(f"killed (exit 137) at pack {lost}, which failed before") == 2


def test_three_packs_in_a_row_that_kill_are_the_fault_of_the_machine(tmp_path):
    code, told = run_killed(tmp_path, poisoned=(0, None))
    assert code == 1
    assert "failed (exit 137), 3 of 3 times" in told and "failed before" not in told
    assert ResultDirectory(tmp_path).failures.quarantined() == []
