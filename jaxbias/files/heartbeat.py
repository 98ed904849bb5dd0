"""Heartbeats: something done again and again while a piece of work runs."""

import contextlib
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def every(seconds: float, beat: Callable[[], None]) -> Iterator[None]:
    """Calls something every so many seconds while the block runs, in a thread of its own.

    One call that has begun when the block ends is waited for; none comes after.
    """
    end = threading.Event()

    def keep() -> None:
        while not end.wait(seconds):
            beat()

    thread = threading.Thread(target=keep, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
