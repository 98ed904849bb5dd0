"""Many images decoded at once: by threads where they are few, by processes where they are many.

Every process is a fresh interpreter. Those of `multiprocessing` would run the user's script again
(which need not guard itself against that), would outlive a parent that is killed, and would end
the whole pool where one crashes on a hostile file.
"""

import contextlib
import dataclasses
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jaxbias.data import decode

# Below this many images the interpreters would take longer to start than they save.
_WORTH_PROCESSES = 20_000
CRASHED = "the decoder crashed on it"

Span = tuple[int, int]  # First row and the row after the last.


@dataclasses.dataclass(frozen=True)
class Job:
    """What every worker needs to know, once.

    Attributes:
      read: the encoded bytes of a row.
      path: the file the pixels go into, in place: row i at `offset` + i · size · size · 3.
      offset: bytes before the first row.
      size: side of the squares in pixels.
    """

    read: Callable[[int], bytes]
    path: Path
    offset: int
    size: int

    def decode(self, span: Span) -> list[tuple[int, str]]:
        """Decodes rows and writes them to their place; returns the bad ones with the reason."""
        start, stop = span
        pixels = np.zeros((stop - start, self.size, self.size, 3), np.uint8)
        bad = []
        for row in range(start, stop):
            try:
                pixels[row - start] = decode.decode(self.read(row), self.size)
            except decode.BadImageError as error:
                bad.append((row, str(error)))
            except OSError as error:
                bad.append((row, error.strerror or str(error)))
        with self.path.open("r+b") as file:
            file.seek(self.offset + start * pixels[0].nbytes)
            file.write(pixels.data)
        return bad


def run(job: Job, spans: Sequence[Span]) -> Iterator[tuple[Span, list[tuple[int, str]]]]:
    """Decodes spans of rows, one worker per core.

    Args:
      job: what to decode and where to.
      spans: rows of one go; what is in memory is one span per worker.

    Yields:
      Every span once it is written, in any order, with its bad rows and their reasons.

    Raises:
      OSError: the pixels cannot be written.
    """
    workers = min(_cores(), len(spans))
    many = sum(stop - start for start, stop in spans) >= _WORTH_PROCESSES
    pickled = _pickled(job) if many and workers > 1 else None
    if pickled is None:
        yield from _threads(job, spans, workers)
    else:
        yield from _processes(pickled, spans, workers)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _pickled(job: Job) -> bytes | None:
    """Returns a job as bytes, None where its reader lives in this process alone."""
    try:
        return pickle.dumps(job)
    except (pickle.PicklingError, AttributeError, TypeError):
        return None


def _threads(
    job: Job, spans: Sequence[Span], workers: int
) -> Iterator[tuple[Span, list[tuple[int, str]]]]:
    """Pillow releases the interpreter lock while it decodes and resizes."""
    with ThreadPoolExecutor(workers) as pool:
        try:
            yield from zip(spans, pool.map(job.decode, spans), strict=True)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _processes(
    job: bytes, spans: Sequence[Span], workers: int
) -> Iterator[tuple[Span, list[tuple[int, str]]]]:
    waiting: queue.SimpleQueue = queue.SimpleQueue()
    for span in spans:
        waiting.put(span)
    done: queue.SimpleQueue = queue.SimpleQueue()
    stopping, running = threading.Event(), set()
    threads = [
        threading.Thread(target=_serve, args=(job, waiting, done, stopping, running), daemon=True)
        for _ in range(workers)
    ]
    for thread in threads:
        thread.start()
    try:
        left = sum(stop - start for start, stop in spans)
        while left:
            result = done.get()
            if isinstance(result, BaseException):
                raise result
            yield result
            (start, stop), _ = result
            left -= stop - start
    finally:
        stopping.set()
        for process in tuple(running):
            process.kill()  # What it was writing is not noted as done.
        for thread in threads:
            thread.join()


def _serve(
    job: bytes,
    waiting: queue.SimpleQueue,
    done: queue.SimpleQueue,
    stopping: threading.Event,
    running: set[subprocess.Popen],
) -> None:
    """Feeds one process; where it crashes, finds out on which row, in another."""
    process = None
    try:
        while not stopping.is_set():
            try:
                span = waiting.get_nowait()
            except queue.Empty:
                return
            if process is None:
                process = _start(job)
                running.add(process)
            found = _ask(process, span)
            if found is not None:
                done.put((span, found) if isinstance(found, list) else found)
                continue
            running.discard(process)
            _end(process)
            process = None
            start, stop = span
            if stop - start == 1:
                done.put((span, [(start, CRASHED)]))
            else:
                for row in range(start, stop):
                    waiting.put((row, row + 1))
    except BaseException as error:
        done.put(error)
    finally:
        if process is not None:
            running.discard(process)
            _end(process)


def _start(job: bytes) -> subprocess.Popen:
    paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    process = subprocess.Popen(
        [sys.executable, "-c", "from jaxbias.data.workers import work; work()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
        process_group=0,  # Ctrl-C is for the parent; these end when it closes their pipe.
    )
    try:
        process.stdin.write(job)
        process.stdin.flush()
        pickle.load(process.stdout)
    except (OSError, EOFError) as error:
        _end(process)
        raise RuntimeError(
            f"a process that decodes images did not start (exit {process.returncode})"
        ) from error
    return process


def _ask(process: subprocess.Popen, span: Span) -> list[tuple[int, str]] | Exception | None:
    """Returns the bad rows of a span, the worker's error, or None where the worker has died."""
    try:
        _say(process.stdin, span)
        return pickle.load(process.stdout)
    except (OSError, EOFError, pickle.UnpicklingError):
        return None


def _end(process: subprocess.Popen) -> None:
    with contextlib.suppress(OSError):
        process.stdin.close()
    process.stdout.close()
    process.wait()


def work() -> None:
    """The life of a process: a job, then spans of rows until the parent is gone."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # What a library prints is no answer.
    asked = sys.stdin.buffer
    with contextlib.suppress(EOFError, BrokenPipeError):
        job = pickle.load(asked)
        _say(answers, "ready")
        while True:
            span = pickle.load(asked)
            try:
                answer = job.decode(span)
            except Exception as error:
                answer = error
            _say(answers, answer)


def _say(file: BinaryIO, what: Any) -> None:
    pickle.dump(what, file)
    file.flush()
