"""Holders: which process made something, and whether it is surely gone."""

import dataclasses
import os
import socket
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Holder:
    """A process: its host, its id there, and when it started, for ids are used again."""

    host: str
    pid: int
    born: str

    @classmethod
    def myself(cls) -> "Holder":
        """Returns this process."""
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> "Holder":
        """Returns a process of this host."""
        return cls(_host(), pid, _born(pid))

    def is_dead(self) -> bool:
        """Whether it surely runs no more; of another host nothing is known."""
        if self.host != _host():
            return False
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, OverflowError):  # The latter is no process's id.
            return True
        except PermissionError:
            pass  # It runs, as another user.
        return _born(self.pid) != self.born

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host.split('/')[0]}"


def _host() -> str:
    """The host's name and, for containers that share one, where its process ids are counted."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return f"{socket.gethostname()}/{namespace}"


def _born(pid: int) -> str:
    """When a process started, in ticks since boot; empty where that cannot be told or it ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
