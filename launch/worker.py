"""One worker: runs a command, and again where it fails, after a while and not for ever.

python -m launch.worker WORKDIR FAILURES SECONDS COMMAND ...

Ends with 0 when the command did, with 2 when that was asked for something wrong, with 143 on
SIGTERM, and with 1 when it failed FAILURES times in a row and finished no pack meanwhile. To be
told to stop is no failure of the command.

To be killed at a pack (for want of memory, or by a fault of a library) is a failure of that pack,
noted in WORKDIR as what it raises is; where it happened before, it is none of the worker's.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import FrameType

from jaxbias.errors import InputError
from jaxbias.workdir.whereabouts import VARIABLE, Whereabouts, told

_WRONG_INPUT = 2
_STOPPED = 128 + signal.SIGTERM
# What is told to stop may save first.
_GRACE = 30.0


def main(argv: Sequence[str]) -> int:
    """Runs the command until it is done or given up; returns how the worker ends."""
    workdir, most, seconds, command = argv[0], int(argv[1]), float(argv[2]), list(argv[3:])
    signal.signal(signal.SIGTERM, _stop)
    failed, noted = 0, set()
    while True:
        code, at = _run(command)
        if code == 0:
            _forget(workdir, noted)
        if code in (0, _WRONG_INPUT):
            _tell("done" if code == 0 else "wrong input, which no other try would mend")
            return code
        failed = 0 if at.done else failed
        noted |= {*at.packs} if code > 128 and code != _STOPPED else set()
        if code == _STOPPED:
            _tell("stopped by somebody else; starting again")
        elif code > 128 and at.packs and _note(workdir, at.packs, code) > 1:
            _tell(f"killed (exit {code}) at pack {', '.join(at.packs)}, which failed before")
        else:
            failed += 1
            _tell(f"failed (exit {code}), {failed} of {most} times")
            if failed >= most:
                return 1
        # Never all workers of a cluster at once.
        time.sleep(seconds * 2 ** max(failed - 1, 0) * random.uniform(0.5, 1.5))


def environment(inherited: Mapping[str, str], whereabouts: Path) -> dict[str, str]:
    """Returns the environment of a worker, which is of no gang, whatever ran here before.

    What an earlier gang left in MEGASCALE_* makes JAX wait for peers that are gone.
    """
    own = {name: text for name, text in inherited.items() if not name.startswith("MEGASCALE_")}
    return {**own, VARIABLE: str(whereabouts)}


def _run(command: Sequence[str]) -> tuple[int, Whereabouts]:
    """Runs the command; where this process is told to stop, so is that.

    Returns:
      Its exit status as a shell has it, and at what it ended.
    """
    with tempfile.TemporaryDirectory(prefix="jaxbias-") as folder:
        whereabouts = Path(folder) / "whereabouts.json"
        child = subprocess.Popen(command, env=environment(os.environ, whereabouts))
        try:
            _tell(f"process {child.pid} started")
            return _status(child.wait()), told(whereabouts)
        except SystemExit:
            child.terminate()
            try:
                child.wait(_GRACE)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            _tell(f"told to stop; the command ended with {_status(child.returncode)}")
            raise


def _status(code: int) -> int:
    return 128 - code if code < 0 else code


def _note(workdir: str, packs: Sequence[str], code: int) -> int:
    """Notes that a process was killed at packs; returns how often one has failed by now."""
    # Only now: they bring what reaches into buckets.
    from jaxbias.workdir.failures import Failures
    from jaxbias.workdir.places import place_of

    failures = Failures(place_of(workdir).objects("failures"))
    perhaps = ", perhaps for want of memory" if code == 128 + signal.SIGKILL else ""
    error = RuntimeError(f"its process was killed by signal {code - 128}{perhaps}")
    try:
        return max([failures.add(pack, error) for pack in packs])
    except InputError as unwritten:
        _tell(str(unwritten))
        return 0


def _forget(workdir: str, noted: Collection[str]) -> None:
    """Drops what was noted of packs that another process was at, or past, by then."""
    if not noted:
        return
    from jaxbias.workdir.failures import Failures
    from jaxbias.workdir.places import place_of

    place = place_of(workdir)
    for pack in noted:
        if place.has(f"packs/{pack}.parquet"):
            Failures(place.objects("failures")).forget(pack)


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(_STOPPED)


def _tell(what: str) -> None:
    print(f"worker: {time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
