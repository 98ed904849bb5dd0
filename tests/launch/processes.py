"""Processes and ports of this machine, as clusters of tests use them."""

import contextlib
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
