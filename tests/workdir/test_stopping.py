"""Stopping: what SIGTERM leaves of a process that is deep in a program."""

import json
import signal
import time

from jaxbias.files.claims import Claims
from jaxbias.files.objects import Objects
from jaxbias.workdir import stopping
from tests.processes import start, wait_for

# As a program on the devices does, this holds the main thread for minutes and no lock of Python's.
DEEP = """
import hashlib, sys
from pathlib import Path
from jaxbias.files.claims import Claims
from jaxbias.files.objects import Objects
from jaxbias.workdir.stopping import give_back_and_end, on_sigterm

claims = Claims(Objects(Path(sys.argv[1])))
with on_sigterm(give_back_and_end), claims.take("a"), claims.take("b"):
    print("deep", flush=True)
    hashlib.pbkdf2_hmac("sha512", b"", b"", 2_000_000_000)
"""


def test_sigterm_gives_claims_back_at_once_and_ends_with_143(tmp_path):
    child = start(DEEP, tmp_path)
    held = lambda: len([*tmp_path.glob("*.json")]) == 2  # noqa: E731
    wait_for(held, child)
    wait_for(lambda: Claims(Objects(tmp_path)).is_held("b"), child)
    child.send_signal(signal.SIGTERM)
    assert child.wait(30) == 143
    bodies = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    assert [body["held"] for body in bodies] == [False, False]


def test_who_saves_first_is_left_to_it(tmp_path):
    claims, seen = Claims(Objects(tmp_path)), []
    with stopping.on_sigterm(stopping.give_back_and_end), claims.take("a"):
        before = signal.signal(signal.SIGTERM, lambda *_: seen.append("saved"))
        signal.raise_signal(signal.SIGTERM)
        time.sleep(0.5)  # Whoever saves does so before it lets go of the signal.
        signal.signal(signal.SIGTERM, before)
        assert claims.is_held("a")
    assert seen == ["saved"]


def test_afterwards_signals_are_as_they_were():
    before = signal.getsignal(signal.SIGTERM)
    with stopping.on_sigterm(stopping.give_back_and_end):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.set_wakeup_fd(-1) == -1
