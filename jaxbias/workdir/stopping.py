"""Stopping: a process that is told to stop gives back what it holds, and ends at once."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

from jaxbias.files import claims

_STATUS = 128 + signal.SIGTERM


@contextlib.contextmanager
def gives_back() -> Iterator[None]:
    """Inside, SIGTERM ends the process with 143, once its claims are given back.

    A handler of Python's would run when the program on the devices has ended, minutes later; so a
    thread is woken by the signal itself. Where another handler is set meanwhile, as by training
    step by step, which saves first, that one is left to it. Only the main thread may ask for it.
    """
    told, wake = os.pipe()
    os.set_blocking(wake, False)
    before = signal.signal(signal.SIGTERM, _heard)
    woken = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(told,), name="stopping", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(woken)
        signal.signal(signal.SIGTERM, before)
        os.close(wake)  # Which ends the thread.


def _heard(*_: Any) -> None:
    """Lets the signal through to whoever is woken."""


def _watch(told: int) -> None:
    while number := os.read(told, 1):
        if number[0] == signal.SIGTERM and signal.getsignal(signal.SIGTERM) is _heard:
            claims.give_back_all()
            sys.stderr.flush()
            os._exit(_STATUS)
    os.close(told)
