"""The supervisor: what a shell or a cluster sees of one process of a gang; without JAX.

A process of a gang cannot tell that another is gone: JAX's runtime aborts it, with pages of its
own. So the command starts itself again as a child, which joins the gang, and says in one line and
one exit code how that ended. The child has the terminal; what libraries write beside Python goes to
a file, which is shown where nothing else explains the end.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from typing import Any

# Exit codes: another process is gone, so all are to be started again; SIGTERM was obeyed.
LOST, TERMINATED = 75, 143
_LOST_LINE = (
    "another process of the gang was lost; start all of them again, and they go on from what is "
    "finished"
)
# Tells the child what it writes lines to.
_TERMINAL = "JAXBIAS_GANG_TERMINAL"
# What JAX's runtime says when it aborts for that.
_MARK = b"JAX distributed service detected fatal errors"
_EXPLAINED = (0, 2, LOST, 130, TERMINATED)


def is_child() -> bool:
    """Whether this process was started by a supervisor."""
    return _TERMINAL in os.environ


def supervise(name: str) -> int:
    """Runs this very command as a child that joins the gang.

    Args:
      name: of the program, for the line.

    Returns:
      The exit code.
    """
    asked = threading.Event()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(
            [sys.executable, *sys.orig_argv[1:]],
            env={**os.environ, _TERMINAL: str(terminal)},
            stdin=subprocess.PIPE,  # Ends when this process does, however it ends.
            stderr=log,
            pass_fds=(terminal,),
            start_new_session=True,  # It hears of signals from here, once.
        )

        def forward(number: int, frame: Any) -> None:
            del frame
            asked.set()
            child.send_signal(number)

        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, forward)
        code = child.wait()
        log.seek(0)
        told = log.read()
    if code == -signal.SIGABRT and _MARK in told:
        if not asked.is_set():
            print(f"{name}: {_LOST_LINE}", file=sys.stderr)
        return TERMINATED if asked.is_set() else LOST
    code = code if code >= 0 else 128 - code
    if code not in _EXPLAINED:
        sys.stderr.write(told.decode(errors="replace"))
    return code


def take_place() -> None:
    """In the child: writes to the terminal, and ends when the supervisor is gone."""
    terminal = int(os.environ.pop(_TERMINAL))
    sys.stderr = open(terminal, "w", buffering=1, errors="backslashreplace")  # noqa: SIM115
    threading.Thread(target=_end_with_supervisor, daemon=True).start()


def _end_with_supervisor() -> None:
    if not os.read(0, 1):
        os._exit(128 + signal.SIGKILL)
