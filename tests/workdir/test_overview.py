"""Overviews: what a directory says of itself, whoever works on it."""

import json
import os
import socket
import time
from types import SimpleNamespace

import pytest

from jaxbias.errors import InputError
from jaxbias.files.claims import Claims
from jaxbias.files.objects import Objects
from jaxbias.plan.packs import Pack, Plan
from jaxbias.workdir import overview as module
from jaxbias.workdir.failures import MOST, Failures
from jaxbias.workdir.overview import look

HERE = socket.gethostname()


def packs(first, count, members):
    return tuple(
        Pack(f"{first + i:016x}", members, (SimpleNamespace(id="a"),) * members)
        for i in range(count)
    )


PLAN = Plan("", bases=packs(0, 2, 3), finetunes=packs(16, 5, 4))
BASES, TUNED = PLAN.bases, PLAN.finetunes


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_plan", lambda place: PLAN)
    (tmp_path / "packs").mkdir()
    (tmp_path / "events").mkdir()
    return tmp_path


def tell(workdir, host, pid, *events):
    """Events of a process; each is (seconds, kind, stage, pack, more)."""
    lines = [
        {"time": at, "event": f"pack {kind}", "stage": stage, "pack": pack.id,
         "members": len(pack.members), **more}
        for at, kind, stage, pack, more in events
    ]  # fmt: skip
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (workdir / "events" / f"{host}-{pid}-0a1b2c3d.jsonl").write_text(text)


def done(workdir, *packs):
    for pack in packs:
        (workdir / "packs" / f"{pack.id}.parquet").touch()


def test_stages_hosts_rates_and_what_is_left(workdir):
    done(workdir, *BASES, TUNED[0])
    tell(
        workdir, "far-away", 7,
        (1000, "started", "pretrain", BASES[0], {"devices": 4}),
        (1060, "finished", "pretrain", BASES[0], {"seconds": 60}),
        (1060, "started", "pretrain", BASES[1], {"devices": 4}),
        (1090, "finished", "pretrain", BASES[1], {"seconds": 30}),
        (1100, "started", "finetune", TUNED[1], {"devices": 4}),  # And killed.
    )  # fmt: skip
    tell(
        workdir, HERE, os.getpid(),
        (1000, "started", "finetune", TUNED[0], {"devices": 2}),
        (1020, "finished", "finetune", TUNED[0], {"seconds": 20}),
        (1020, "started", "finetune", TUNED[2], {"devices": 2}),
        (1025, "failed", "finetune", TUNED[2], {"error": "ValueError: x"}),
        (1025, "started", "finetune", TUNED[4], {"devices": 2}),
        (1030, "stopped", "finetune", TUNED[4], {"error": "KeyboardInterrupt: "}),
        (1080, "started", "finetune", TUNED[3], {"devices": 2}),
    )  # fmt: skip
    for _ in range(MOST):
        Failures(Objects(workdir / "failures")).add(TUNED[2].id, ValueError("x"))
    claims = Claims(Objects(workdir / "claims"))
    with claims.take(TUNED[3].id), claims.take("plan"):
        found = look(workdir)
        assert abs(found.now - time.time()) < 60
    pretrain, finetune = found.stages
    assert (pretrain.name, finetune.name) == ("pretrain", "finetune")
    assert pretrain.packs == {"done": 2, "running": 0, "waiting": 0, "quarantined": 0}
    assert finetune.packs == {"done": 1, "running": 1, "waiting": 2, "quarantined": 1}
    assert finetune.members == {"done": 4, "running": 4, "waiting": 8, "quarantined": 4}
    assert (pretrain.seconds, finetune.seconds) == (90 / 6, 20 / 4)
    far, here = sorted(found.hosts, key=lambda host: host.name != "far-away")
    assert (far.name, far.running, far.done, far.failed, far.lost) == ("far-away", 0, 6, 0, 1)
    assert (here.name, here.running, here.done, here.failed, here.lost) == (HERE, 1, 4, 1, 1)
    assert (far.seconds, here.seconds) == (90, 30)
    assert here.hourly == 4 / 80 * 3600
    assert f"quarantined: {TUNED[2].id} (ValueError: x)" in found.quarantine
    assert found.device_hours == (90 * 4 + 30 * 2) / 3600
    # Twelve finetunes are to come, by one process.
    assert found.device_hours_left == 12 * 5 * 2 / 3600
    assert found.seconds_left == 60
    assert not found.is_done


def test_where_nothing_is_known_nothing_is_guessed(workdir):
    found = look(workdir)
    assert found.hosts == ()
    assert found.device_hours == 0
    assert found.device_hours_left is None and found.seconds_left is None
    done(workdir, *BASES)
    tell(workdir, "a", 1, (0, "started", "pretrain", BASES[0], {}))
    assert look(workdir).device_hours_left is None  # No finetune has told how long it takes.


def test_all_is_done_when_the_rest_is_quarantined(workdir):
    done(workdir, *BASES, *TUNED[1:])
    assert not look(workdir).is_done
    for _ in range(MOST):
        Failures(Objects(workdir / "failures")).add(TUNED[0].id, ValueError("x"))
    found = look(workdir)
    assert found.is_done
    assert found.device_hours_left == 0


def test_events_that_are_cut_or_of_nobody_are_passed_over(workdir):
    tell(workdir, "a", 1, (5, "started", "pretrain", BASES[0], {}))
    path = next((workdir / "events").iterdir())
    path.write_text(path.read_text() + '[1]\n{"time": 6}\n{"time": 7, "ev')
    (workdir / "events" / "notes.jsonl").write_text("mine")
    (workdir / "events" / "b-2-ff.jsonl").write_text("")
    found = look(workdir)
    assert [(host.name, host.lost) for host in found.hosts] == [("a", 1), ("b", 0)]


def test_a_directory_without_a_plan_has_no_stages(tmp_path):
    assert look(tmp_path).stages == ()
    assert not look(tmp_path).is_done
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(InputError, match=r"plan\.json is damaged"):
        look(tmp_path)
