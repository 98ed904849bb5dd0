"""Unfinished files: those of killed processes are removed, and nobody else's."""

import os
import subprocess
import sys
import time

import pytest

from jaxbias.files import atomic as module
from jaxbias.files.atomic import remove_leftovers, replacing

KILLED = """
import os, sys
from pathlib import Path
from jaxbias.files.atomic import replacing
with replacing(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os._exit(9)
"""


def parts(directory):
    return [path for path in directory.rglob("*") if path.name.endswith(".part")]


def test_what_a_killed_process_left_is_removed(tmp_path):
    (tmp_path / "packs").mkdir()
    target = tmp_path / "packs/a.b.parquet"
    assert subprocess.run([sys.executable, "-c", KILLED, target], check=False).returncode == 9
    assert len(parts(tmp_path)) == 1
    with replacing(tmp_path / "mine.txt") as temporary:
        temporary.write_text("whole")
        remove_leftovers(tmp_path)
        assert parts(tmp_path) == [temporary]
    assert (tmp_path / "mine.txt").read_text() == "whole"
    assert not target.exists()


def test_of_other_hosts_only_old_ones_go(tmp_path):
    young, old, odd = (tmp_path / f".{n}.part" for n in ("x.0123-7-8-ff", "y.0123-7-8-ff", "z"))
    for path in (young, old, odd):
        path.touch()
    os.utime(old, (time.time() - 90_000,) * 2)
    remove_leftovers(tmp_path)
    assert sorted(parts(tmp_path)) == sorted([young, odd])
    remove_leftovers(tmp_path / "nowhere")


HALF_A_BASE = """
import os, sys
from pathlib import Path
import numpy as np
from orbax.checkpoint import v1 as ocp
from jaxbias.weights import checkpoint
checkpoint._put = lambda *a: os._exit(9)
checkpoint.save(Path(sys.argv[1]), {"head": np.ones(3, np.float32)})
"""
IN_ORBAX = """
from orbax.checkpoint._src.path import atomicity
atomicity.AtomicRenameTemporaryPath.finalize = lambda *a, **k: os._exit(9)
"""


@pytest.mark.parametrize("when", ["", IN_ORBAX])
def test_half_a_base_of_a_killed_process_is_removed(tmp_path, when):
    """Cut before it is moved to its place, or inside Orbax, which has names of its own."""
    code = HALF_A_BASE.replace("checkpoint.save(", when + "checkpoint.save(")
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "bases/a1"], check=False)
    assert done.returncode == 9
    (left,) = (tmp_path / "bases").iterdir()
    assert left.is_dir() and ("orbax-checkpoint-tmp" in left.name) == bool(when)
    remove_leftovers(tmp_path)
    assert list((tmp_path / "bases").iterdir()) == []


def test_a_stray_name_is_no_process(tmp_path):
    mark = module._mark(module.Holder.myself()).split("-")[0]
    strange = [tmp_path / f".x.{mark}-{pid}-7.part" for pid in ("9" * 15, "²", "-1", "")]
    for path in strange:
        path.touch()
    remove_leftovers(tmp_path)
    assert sorted(parts(tmp_path)) == sorted(strange[1:])  # No process has the first's number.
