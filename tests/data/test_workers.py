"""Decoding by processes: the same pixels, a crash is one bad image, a kill costs seconds."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from jaxbias.data import files, store, workers
from jaxbias.data.source import Source

COUNT = 600


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for i in range(COUNT):
        noise = rng.integers(0, 256, (20, 24, 3), np.uint8)
        Image.fromarray(noise).save(root / f"{i}.jpg")
    (root / "13.jpg").write_bytes(b"no image")
    return root


def make_source(root, read=None) -> Source:
    names = [f"{i}.jpg" for i in range(COUNT)]
    table = pd.DataFrame({"id": names, "split": "test"})
    return Source("pictures", "key", table, read or files.Reader(root, names))


def test_processes_write_what_threads_write(pictures, tmp_path, monkeypatch):
    by_threads = store.open_store(make_source(pictures), 16, "skip")
    monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path / "other"))
    monkeypatch.setattr(workers, "_WORTH_PROCESSES", 1)
    monkeypatch.setattr(workers, "_threads", None)
    by_processes = store.open_store(make_source(pictures), 16, "skip")
    assert by_processes.built
    assert by_processes.checksum == by_threads.checksum
    assert by_processes.skipped == by_threads.skipped
    np.testing.assert_array_equal(by_processes.rows, np.delete(np.arange(COUNT), 13))


def test_a_crash_of_the_decoder_is_one_bad_image(pictures, tmp_path, monkeypatch):
    (tmp_path / "hostile.py").write_text(
        textwrap.dedent(
            """
            import dataclasses, os, signal
            @dataclasses.dataclass
            class Read:
                read: object
                def __call__(self, row):
                    if row == 333:
                        os.kill(os.getpid(), signal.SIGSEGV)
                    return self.read(row)
            """
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(workers, "_WORTH_PROCESSES", 1)
    from hostile import Read

    source = make_source(pictures)
    opened = store.open_store(make_source(pictures, Read(source.read)), 4, "skip")
    assert [bad["id"] for bad in opened.skipped] == ["13.jpg", "333.jpg"]
    assert opened.skipped[1]["reason"] == workers.CRASHED
    assert len(opened.images) == COUNT - 2


BUILD = """
import sys, time
from pathlib import Path
import pandas as pd
from jaxbias.data import draft, files, store, workers
from jaxbias.data.source import Source

root, pause, count, size = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
draft._SYNC_SECONDS, draft._MOST_ROWS = 0.05, 16
names = [f"{i % 600}.jpg" for i in range(count)]
read, log = files.Reader(root, names), open(sys.argv[5], "a", buffering=1)

def slowly(row):
    log.write(f"{row}\\n")
    time.sleep(pause)
    return read(row)

table = pd.DataFrame({"id": [str(i) for i in range(count)], "split": "test"})
print("building", flush=True)
made = store.open_store(Source("pictures", "key", table, slowly if pause else read), size, "skip")
print(made.checksum, len(made.images), len(made.skipped))
"""


def build(root, log, pause=0.0, count=COUNT, size=16) -> subprocess.Popen:
    command = [sys.executable, "-c", BUILD, root, pause, count, size, log]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(
        [str(word) for word in command], env=env, stdout=subprocess.PIPE, text=True
    )


def test_a_killed_build_goes_on_and_ends_in_the_same_bits(pictures, tmp_path, monkeypatch):
    log = tmp_path / "log"
    process = build(pictures, log, pause=0.002)
    stores = tmp_path / "home" / "stores"
    while not any(
        len(journal.read_text().splitlines()) > 8
        for journal in stores.glob("*.partial/journal.jsonl")
    ):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    before = len(log.read_text().splitlines())
    assert 0 < before < COUNT
    log.unlink()
    again = build(pictures, log, pause=0.0001)
    output, _ = again.communicate(timeout=60)
    read = {int(row) for row in log.read_text().splitlines()}
    assert len(read) <= COUNT - 8 * 16 + 1  # All that the journal had, but the bad image.
    monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path / "other"))
    uninterrupted, _ = build(pictures, log).communicate(timeout=60)
    assert output == uninterrupted


def test_memory_stays_far_below_the_size_of_the_store(pictures, tmp_path):
    """A stand-in for 200,000 images of 224²: 4,000 of 128², 197 MB, in 100 MB above the start."""
    script = "import resource\n" + BUILD.replace(
        'print("building", flush=True)',
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss",
    )
    script += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    command = [sys.executable, "-c", script, pictures, "0", "4000", "128", tmp_path / "log"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    output = subprocess.run(
        [str(word) for word in command], env=env, capture_output=True, text=True, check=True
    ).stdout.split()
    assert output[1] == "3993"
    assert int(output[-1]) < 100 * 1024
