"""What a shell sees of a process of a gang, however that ends."""

import signal
import subprocess
import time

import pytest

from jaxbias.stages.supervisor import LOST, TERMINATED
from tests.processes import start, wait_for

PROGRAM = """
import os, sys, time
from pathlib import Path
from jaxbias.stages import supervisor
if not supervisor.is_child():
    sys.exit(supervisor.supervise("jaxbias"))
supervisor.take_place()
assert "jax" not in sys.modules
Path(sys.argv[1]).write_text(str(os.getpid()))
os.write(2, b"pages of a library's own\\n")
print("said by Python", file=sys.stderr)
{action}
"""
ABORTED = (
    'os.write(2, b"... JAX distributed service detected fatal errors. This most likely ...\\n")\n'
    "os.abort()"
)


@pytest.fixture
def started(tmp_path):
    """Returns `started(action)`: the supervisor of a child that does it, and the child's id."""
    found = []

    def go(action):
        pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        found.append(start(PROGRAM.format(action=action), tmp_path / "id", **pipe))
        wait_for(lambda: (tmp_path / "id").exists() and (tmp_path / "id").read_text(), found[-1])
        return found[-1], int((tmp_path / "id").read_text())

    yield go
    for each in found:
        each.kill()
        each.communicate()


@pytest.mark.parametrize(
    ("action", "code", "last"),
    [
        ("print('done')", 0, "said by Python"),
        ("sys.exit(2)", 2, "said by Python"),
        ("os._exit(143)", TERMINATED, "said by Python"),
        (ABORTED, LOST, "jaxbias: another process of the gang was lost; start all of them again"),
        # Nothing else explains it.
        ("os.abort()", 134, "pages of a library's own"),
        ("os.kill(os.getpid(), 9)", 137, "pages of a library's own"),
        ("sys.exit(1)", 1, "pages of a library's own"),
    ],
)
def test_the_end_is_one_code_and_one_line(started, action, code, last):
    supervisor, _ = started(action)
    out, err = supervisor.communicate(timeout=60)
    assert supervisor.returncode == code
    assert out == ("done\n" if code == 0 else "")
    lines = err.splitlines()
    assert lines[0] == "said by Python"
    assert lines[-1].startswith(last)
    assert len(lines) <= 2


@pytest.mark.parametrize("minding", ["", f"signal.signal(15, print)\nsignal.pause()\n{ABORTED}"])
def test_who_is_told_to_stop_tells_the_child(started, minding):
    supervisor, _ = started(f"import signal\n{minding}\ntime.sleep(600)")
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(timeout=60) == TERMINATED


def test_a_child_does_not_outlive_its_supervisor(started, tmp_path):
    left = tmp_path / "left"
    supervisor, _ = started(f"time.sleep(3)\nPath({str(left)!r}).touch()")
    supervisor.kill()
    supervisor.wait()
    time.sleep(5)
    assert not left.exists()
