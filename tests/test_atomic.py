"""Unfinished files: those of killed processes are removed, and nobody else's."""

import os
import subprocess
import sys
import time

from jaxbias.atomic import remove_leftovers, replacing

KILLED = """
import os, sys
from pathlib import Path
from jaxbias.atomic import replacing
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
