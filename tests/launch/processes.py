"""Processes and ports of this machine, as clusters of tests use them."""

import contextlib
import os
import signal
import socket
import time
from pathlib import Path


def wait_for(there, seconds=120):
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end
        time.sleep(0.2)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def below(pid):
    """Processes whose parent, or whose parent's parent and so on, is this one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # It has ended.
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            found.append((int(path.parent.name), parent))
    below, known = [], {pid}
    while new := [child for child, parent in found if parent in known and child not in known]:
        known |= {*new}
        below += new
    return below


def signal_each(pids, number):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # It has ended.
            os.kill(pid, number)


@contextlib.contextmanager
def standing_still(*pids):
    """Processes stand still inside the `with` block, lest they be done before it stops them.

    They go on, and end, once all of them have been told to.
    """
    signal_each(pids, signal.SIGSTOP)
    yield
    wait_for(lambda: all(map(_was_told_to_stop, pids)))
    signal_each(pids, signal.SIGCONT)


def has_ended(pid):
    words = Path(f"/proc/{pid}/cmdline")
    with contextlib.suppress(OSError):
        return not words.read_text()
    return True


def _was_told_to_stop(pid):
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        pending = next(int(line.split()[1], 16) for line in lines if line.startswith("ShdPnd:"))
        return has_ended(pid) or bool(pending >> (signal.SIGTERM - 1) & 1)
    return True
