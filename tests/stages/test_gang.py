"""Two processes of two devices do a study together: as one of four, or not at all."""

import json
import signal
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxbias.stages import gang
from jaxbias.stages.supervisor import LOST, TERMINATED
from jaxbias.weights import checkpoint
from jaxbias.workdir.results import ResultDirectory
from tests.disks import mounted
from tests.ganged import Gang
from tests.processes import assert_same_bits, events, finished, kill, wait_for

LOOPED = {
    "bases": {
        "Grouped": {"role": "studied", "target": "group", "curation": "class_balanced"},
        "Self": {"role": "control", "target": "other", "objective": "simclr"},
    },
    "pretrain": {"n": 40, "epochs": 6, "batch": 16, "engine": "loop", "save_every": 5},
    "finetune": {"n": (20,), "epochs": 1, "batch": 16, "seeds": 1},
}
# At its third pack of finetunes a process leaves a mark and goes no further.
HANGING = """
import time
from pathlib import Path
from jaxbias.engine.runner import Runner
finetune, begun = Runner.finetune, []
def hanging(self, pack):
    begun.append(pack)
    if len(begun) == 3:
        Path({mark!r}).touch()
        time.sleep(600)
    return finetune(self, pack)
Runner.finetune = hanging
"""
# It takes its time after every checkpoint.
SLOW = """
import time
from jaxbias.training.saves import Saves
save = Saves.save
Saves.save = lambda *arguments: (save(*arguments), time.sleep(1))
"""
# The seventh pack is written to a full disk.
FILLING = """
import contextlib
from jaxbias.workdir.results import ResultDirectory
write_pack = ResultDirectory.write_pack
def filling(self, pack, rows):
    if len(self.finished()) == 6:
        with contextlib.suppress(OSError), (self.path / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    write_pack(self, pack, rows)
ResultDirectory.write_pack = filling
"""


@pytest.fixture
def gang_of(tmp_path):
    """Returns `gang_of(changes)`, two processes on a tiny study so changed."""
    found = []

    def made(changes):
        found.append(Gang(tmp_path, changes))
        return found[-1]

    yield made
    for each in found:
        each.close()


@pytest.fixture(scope="session")
def alone(once, tmp_path_factory):
    """The tiny study as one process of four devices does it; nobody changes it."""

    def make(workdir):
        one = Gang(tmp_path_factory.mktemp("alone"), {})
        try:
            one.alone(workdir)
        finally:
            one.close()

    return once("alone-on-four", make)


def nothing_is_left_of(workdir):
    """Neither claims that are held, nor parts of packs, nor drafts."""
    claims = [json.loads(path.read_text()) for path in (workdir / "claims").iterdir()]
    parts = [*(workdir / "parts").glob("*")]
    return not (any(claim["held"] for claim in claims) or parts or [*workdir.rglob("*.part*")])


def test_two_processes_of_two_devices_are_one_of_four(gang_of, alone, tmp_path):
    both, workdir = gang_of({}), tmp_path / "run"
    assert both.ended(both.together(workdir)) == [0, 0], both.told(0) + both.told(1)
    assert_same_bits(workdir, alone)
    directory = ResultDirectory(workdir)
    plan = directory.plan()
    packs = [pack.id for pack in (*plan.bases, *plan.finetunes)]
    layouts = map(json.loads, directory.scores().variants["layouts"])
    assert {layout["devices"] for (layout,) in layouts} == {4}
    # One process tells what both have done.
    (done,) = (finished(told) for told in events(workdir).values())
    beside = [e.get("beside", []) for (told,) in [events(workdir).values()] for e in told
              if e["event"] == "pack finished"]  # fmt: skip
    assert sorted(sum(beside, done)) == sorted(packs)
    assert nothing_is_left_of(workdir)
    (page,) = [line for line in both.told(0).splitlines() if line.startswith("Report: ")]
    assert Path(page.removeprefix("Report: ")).is_file()
    assert "Report: " not in both.told(1)


def test_a_member_is_killed_or_told_to_stop_and_all_end_and_go_on(gang_of, alone, tmp_path):
    both, workdir = gang_of({}), tmp_path / "run"

    def hung(place):
        mark = tmp_path / f"hanging-{place}"
        more = ["", ""]
        more[place] = HANGING.format(mark=str(mark))
        children = both.together(workdir, more=more)
        wait_for(mark.exists, children[place])
        return children

    def lines(place):
        return [line for line in both.told(place).splitlines() if line.startswith("jaxbias:")]

    children = hung(1)
    kill(children[1])
    began = time.monotonic()
    assert children[0].wait(timeout=120) == LOST
    assert time.monotonic() - began < 60  # A heartbeat is 10 s.
    (line,) = lines(0)
    assert "was lost; start all of them again" in line
    assert "Traceback" not in both.told(0) and "Check failure" not in both.told(0)
    done = {path: path.stat().st_mtime_ns for path in (workdir / "packs").iterdir()}
    assert len(done) == 6  # Of 4 bases and 5 packs of finetunes.

    children = hung(0)
    children[1].send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert both.ended(children, 120) == [TERMINATED] * 2
    assert time.monotonic() - began < 9  # Nobody waits for a heartbeat.
    for place in range(2):
        (line,) = lines(place)
        assert line.endswith("told to stop (SIGTERM); the same command goes on from here")

    assert both.ended(both.together(workdir)) == [0, 0], both.told(0) + both.told(1)
    assert all(path.stat().st_mtime_ns == time_ for path, time_ in done.items())
    assert_same_bits(workdir, alone)
    assert nothing_is_left_of(workdir)


def test_bases_are_trained_step_by_step_together_and_saved_on_sigterm(gang_of, tmp_path):
    both, workdir, whole = gang_of(LOOPED), tmp_path / "run", tmp_path / "alone"
    children = both.together(workdir, "--stage=pretrain", more=(SLOW, SLOW))
    wait_for(lambda: [*workdir.glob("pretraining/*/5")], children[0])
    children[1].send_signal(signal.SIGTERM)
    assert both.ended(children) == [TERMINATED] * 2, both.told(0) + both.told(1)
    assert "Traceback" not in both.told(0) + both.told(1)
    assert [*workdir.glob("pretraining/*/*/_CHECKPOINT_METADATA")]
    assert not [*(workdir / "packs").iterdir()]

    assert both.ended(both.together(workdir, "--stage=pretrain")) == [0, 0], both.told(0)
    assert "going on from step" in both.told(0)
    both.alone(whole, "--stage=pretrain")
    ours, theirs = ResultDirectory(workdir), ResultDirectory(whole)
    bases = [base.id for pack in theirs.plan().bases for base in pack.members]
    assert len(bases) == 2
    for id in bases:
        got, expected = (checkpoint.load_any(x.base_path(id)) for x in (ours, theirs))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), got, expected)
    for pack in theirs.plan().bases:
        got, expected = (x.read_pack(pack).to_pylist()[0] for x in (ours, theirs))
        assert (got["status"], got["quotas"]) == ("ok", expected["quotas"])
        learnt = [json.loads(row["learnt"]) for row in (got, expected)]
        assert learnt[0] == pytest.approx(learnt[1], abs=1e-3)
    assert nothing_is_left_of(workdir)


def test_a_full_disk_of_the_first_ends_all_by_its_line(gang_of, tmp_path):
    both = gang_of({})
    with mounted(tmp_path / "disk", "4m") as disk:
        workdir = disk.path / "run"
        assert both.ended(both.together(workdir, more=(FILLING, ""))) == [2, 2]
        for place in range(2):
            (line,) = [x for x in both.told(place).splitlines() if x.startswith("jaxbias:")]
            assert "no space left on the disk); free some and run again" in line
            assert line.startswith("jaxbias: process 0 of the gang") == (place == 1)
        assert "Traceback" not in both.told(0) + both.told(1)


MORE = {
    "heads": {"finetune": {"n": (20,), "epochs": 2, "batch": 16, "seeds": 2, "mode": "head"}},
    "fitted heads": {"finetune": {"n": (20,), "seeds": 2, "mode": "head", "solver": "lbfgs"}},
    "a search": {
        "search": {"learning_rates": (0.01, 0.1), "first_epochs": 1, "max_epochs": 2},
        "finetune": {"n": (20,), "epochs": 1, "batch": 16, "seeds": 1},
    },
}


@pytest.mark.parametrize("what", MORE)
def test_so_are_they_in(what, gang_of, tmp_path):
    both = gang_of(MORE[what])
    assert both.ended(both.together(tmp_path / "run")) == [0, 0], both.told(0) + both.told(1)
    both.alone(tmp_path / "alone")
    assert_same_bits(tmp_path / "run", tmp_path / "alone")


def test_what_the_first_does_not_write_nobody_writes(monkeypatch, tmp_path):
    written, told = [], iter(['["finetune", "a"]', '["finetune", "b"]', "write", "done"])
    monkeypatch.setattr(gang.peers, "first_says", lambda: next(told))
    monkeypatch.setattr(gang, "_planned", lambda directory, stage, ids: ids)
    do = {"finetune": lambda packs: lambda: written.append(packs)}
    gang.follow(do, ResultDirectory(tmp_path))
    assert written == [["b"]]
