"""One worker: runs a command, and again where it fails, after a while and not for ever.

python -m launch.worker FAILURES SECONDS COMMAND ...

Ends with 0 when the command did, with 2 when that was asked for something wrong, with 143 on
SIGTERM, and with 1 when it failed FAILURES times. To be told to stop is no failure of the command.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from types import FrameType

_WRONG_INPUT = 2
_STOPPED = 128 + signal.SIGTERM
# Who fails after so many seconds had done something: it is counted anew.
_WORKED = 1800.0
# What is told to stop may save first.
_GRACE = 30.0


def main(argv: Sequence[str]) -> int:
    """Runs the command until it is done or given up; returns how the worker ends."""
    most, seconds, command = int(argv[0]), float(argv[1]), list(argv[2:])
    signal.signal(signal.SIGTERM, _stop)
    failed = 0
    while True:
        began = time.monotonic()
        code = _run(command)
        if code in (0, _WRONG_INPUT):
            _tell("done" if code == 0 else "wrong input, which no other try would mend")
            return code
        if code in (-signal.SIGTERM, _STOPPED):
            _tell("stopped by somebody else; starting again")
            wait = seconds
        else:
            failed = 1 if time.monotonic() - began > _WORKED else failed + 1
            _tell(f"failed (exit {code}), {failed} of {most} times")
            if failed >= most:
                return 1
            wait = seconds * 2 ** (failed - 1)
        # Never all workers of a cluster at once.
        time.sleep(wait * random.uniform(0.5, 1.5))


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment of a worker, which is of no gang, whatever ran here before.

    What an earlier gang left in MEGASCALE_* makes JAX wait for peers that are gone.
    """
    return {name: text for name, text in inherited.items() if not name.startswith("MEGASCALE_")}


def _run(command: Sequence[str]) -> int:
    """Runs the command; where this process is told to stop, so is that."""
    child = subprocess.Popen(command, env=environment(os.environ))
    try:
        _tell(f"process {child.pid} started")
        return child.wait()
    except SystemExit:
        child.terminate()
        try:
            child.wait(_GRACE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        code = child.returncode
        _tell(f"told to stop; the command ended with {128 - code if code < 0 else code}")
        raise


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(_STOPPED)


def _tell(what: str) -> None:
    print(f"worker: {time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
