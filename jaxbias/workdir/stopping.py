"""Stopping: SIGTERM is acted on at once, deep in a program as a process may be."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from jaxbias.files import claims

_STATUS = 128 + signal.SIGTERM


@contextlib.contextmanager
def on_sigterm(act: Callable[[], None]) -> Iterator[None]:
    """Inside, calls something as soon as SIGTERM comes, in a thread of its own.

    A handler of Python's would run when the program on the devices has ended, minutes later; so a
    thread is woken by the signal itself. Where another handler is set meanwhile, as by training
    step by step, which saves first, it is left to that. Outside the main thread, which alone may
    mind signals, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    told, wake = os.pipe()
    os.set_blocking(wake, False)

    def minded(*_: Any) -> None:
        """Keeps the signal from killing, and is known again."""

    def watch() -> None:
        while number := os.read(told, 1):
            if number[0] == signal.SIGTERM and signal.getsignal(signal.SIGTERM) is minded:
                act()
        os.close(told)

    before = signal.signal(signal.SIGTERM, minded)
    woken = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    threading.Thread(target=watch, name="stopping", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(woken)
        signal.signal(signal.SIGTERM, before)
        os.close(wake)  # Which ends the thread.


def give_back_and_end() -> None:
    """Gives back what this process holds, and ends it with 143."""
    claims.give_back_all()
    sys.stderr.flush()
    os._exit(_STATUS)
