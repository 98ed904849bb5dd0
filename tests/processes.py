"""Processes that train a tiny study in one directory, and what they leave there."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from jaxbias.workdir.results import ResultDirectory

ROOT = Path(__file__).parents[1]


def start(code, *arguments, **popen):
    """Runs code, whose arguments begin at sys.argv[1]; what it imports is found from here."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, **popen)


def wait_for(there, child):
    """Waits until something is there, which a child is at work on."""
    end = time.monotonic() + 300
    while not there():
        assert child.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)


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
