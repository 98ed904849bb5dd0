"""Leases: one holder at a time, and what a dead or silent one leaves is taken over."""

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jaxbias.errors import InputError
from jaxbias.files import holder as holder_module
from jaxbias.files import leases as module
from jaxbias.files.holder import Holder
from jaxbias.files.leases import Leases

ROOT = Path(__file__).parents[2]


class FakeClock:
    def __init__(self, now=1e9):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def leases(tmp_path, clock):
    return Leases(tmp_path / "leases", seconds=60.0, clock=clock)


def elsewhere(monkeypatch, host="far/pid:[1]"):
    """From now on this process is one of another host."""
    monkeypatch.setattr(holder_module, "_host", lambda: host)


def test_a_lease_is_held_by_one_and_free_again_after_its_work(leases):
    assert leases.holder("pack") is None
    with leases.take("pack"):
        assert leases.take("pack") is None
        assert leases.take("other") is not None
        assert leases.holder("pack") == Holder.myself()
        assert f"process {os.getpid()} on " in str(leases.holder("pack"))
    assert not leases.is_held("pack")
    assert leases.take("pack") is not None


def test_a_lease_is_free_after_work_that_failed(leases):
    with pytest.raises(ZeroDivisionError), leases.take("pack"):
        1 / 0  # noqa: B018
    assert leases.take("pack") is not None


def test_a_lease_that_could_not_be_given_back_is_free_for_its_own_process(leases, monkeypatch):
    lease = leases.take("pack")
    with monkeypatch.context() as patch, lease:
        patch.setattr(module.Lease, "_stamp", lambda self, when: None)
        assert leases.take("pack") is None
        lease.__exit__()
        patch.setattr(module.Lease, "__exit__", lambda self, *error: None)
    assert leases.take("pack") is not None


def test_another_hosts_lease_is_taken_over_only_once_expired(leases, clock, monkeypatch):
    assert leases.take("pack")
    elsewhere(monkeypatch)
    clock.now += 59.9
    assert leases.take("pack") is None
    clock.now += 0.2
    assert leases.take("pack") is not None
    assert leases.take("pack") is None
    assert [path.name for path in leases.directory.iterdir()] == ["pack.1"]


def test_a_renewed_lease_does_not_expire(leases, clock, monkeypatch):
    lease = leases.take("pack")
    elsewhere(monkeypatch)
    for _ in range(5):
        clock.now += 50
        lease.renew()
        assert leases.take("pack") is None


def test_a_thread_renews_while_the_work_runs(tmp_path):
    leases = Leases(tmp_path, seconds=0.2)
    threading_before = threading.active_count()
    with leases.take("pack"):
        path = tmp_path / "pack.0"
        before = path.stat().st_mtime_ns
        for _ in range(400):
            threading.Event().wait(0.01)
            if path.stat().st_mtime_ns > before:
                break
        else:
            pytest.fail("nobody renewed the lease")
    assert threading.active_count() == threading_before


def test_a_dead_process_of_this_host_loses_its_lease_at_once(leases):
    code = """
import sys; sys.path.insert(0, sys.argv[2])
from pathlib import Path
from jaxbias.files.leases import Leases
Leases(Path(sys.argv[1]), clock=lambda: 1e9).take("pack")
"""
    command = [sys.executable, "-c", code, str(leases.directory), str(ROOT)]
    assert subprocess.run(command, timeout=60).returncode == 0
    assert json.loads((leases.directory / "pack.0").read_text())["pid"] != os.getpid()
    assert leases.take("pack") is not None


def test_a_process_id_used_again_is_not_the_holder(leases, monkeypatch):
    assert leases.take("pack")
    record = leases.directory / "pack.0"
    held = json.loads(record.read_text())
    stamp = record.stat().st_mtime
    record.write_text(json.dumps({**held, "born": "1"}))
    os.utime(record, (stamp, stamp))
    assert leases.take("pack") is not None


def test_a_lease_caught_before_it_is_written_is_held_until_it_expires(leases, clock):
    leases.directory.mkdir()
    path = leases.directory / "pack.0"
    path.touch()
    os.utime(path, (clock.now, clock.now))
    assert leases.take("pack") is None
    assert leases.holder("pack") is None
    clock.now += 61
    assert leases.take("pack") is not None


def test_who_saw_an_older_generation_expire_does_not_displace_the_present_one(leases, clock):
    """The slow one looks when 0 has expired; before it acts, others have taken 1 and then 2."""
    leases.take("pack")
    for _ in range(2):
        clock.now += 61
        assert leases.take("pack") is not None
    slow = Leases(leases.directory, clock=clock)
    looks = iter(([0], [1, 2]))
    slow._generations = lambda name: next(looks)
    assert slow.take("pack") is None
    assert [path.name for path in leases.directory.iterdir()] == ["pack.2"]
    assert leases.is_held("pack")


def test_a_lease_is_seen_whole_and_stamped_or_not_at_all(leases, clock, monkeypatch):
    """Clocks of the disk and of the process are decades apart here."""
    seen = []

    def link(draft, path, really=os.link):
        really(draft, path)
        monkeypatch.setattr(os, "link", really)
        threading.Thread(target=lambda: seen.append(leases.take("pack"))).start()
        seen.append((Path(path).stat().st_mtime, json.loads(Path(path).read_text())["pid"]))

    monkeypatch.setattr(os, "link", link)
    assert leases.take("pack") is not None
    while len(seen) < 2:
        threading.Event().wait(0.01)
    assert sorted(seen, key=str) == [(clock.now, os.getpid()), None]


def test_a_disk_without_hard_links_has_leases_too(leases, clock, monkeypatch):
    def link(*paths):
        raise OSError(errno.EOPNOTSUPP, "no hard links")

    monkeypatch.setattr(os, "link", link)
    assert leases.take("pack") is not None
    assert leases.take("pack") is None
    assert leases.holder("pack") == Holder.myself()
    assert [path.name for path in leases.directory.iterdir()] == ["pack.0"]
    clock.now += 61
    elsewhere(monkeypatch)
    assert leases.take("pack") is not None


def test_of_many_who_want_a_lease_one_gets_it(leases, clock):
    for round in range(200):
        name = f"pack{round % 2}"
        clock.now += 61
        start = threading.Barrier(8)
        got = []

        def want(name=name, start=start, got=got):
            start.wait()
            if lease := leases.take(name):
                got.append(lease)

        threads = [threading.Thread(target=want) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(got) == 1


def test_a_lock_waits_for_its_holder_and_says_so(leases, capsys, monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    lease = leases.take("plan")
    order = []

    def second():
        with leases.lock("plan"):
            order.append("second")

    thread = threading.Thread(target=second)
    with lease:
        thread.start()
        thread.join(0.3)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert "waiting for the plan, held by process" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot make the directory .*leases"):
        Leases(tmp_path / "file" / "leases").take("pack")


@pytest.mark.parametrize("name", ["pack.²", "pack.٣", "pack.x", "pack.", "pack", "pack.0x1", ".9"])
def test_a_stray_file_is_no_lease(leases, name):
    leases.directory.mkdir()
    (leases.directory / name).write_text("stray")
    with leases.take("pack"):
        assert leases.take("pack") is None
    assert leases.take("pack") is not None
    assert (leases.directory / name).read_text() == "stray"


STRAY = ["", "{}", "[" * 100_000, '{"host": 1, "pid": "x", "born": []}', "\udcff"]


@pytest.mark.parametrize("text", STRAY)
def test_what_cannot_be_read_as_a_lease_is_waited_for_a_minute_at_most(leases, clock, text):
    leases.directory.mkdir()
    path = leases.directory / "pack.3"
    path.write_bytes(text.encode(errors="surrogateescape"))
    os.utime(path, (clock.now, clock.now))
    assert leases.take("pack") is None
    assert leases.holder("pack") is None
    clock.now += 60
    assert leases.take("pack") is not None
    assert [path.name for path in leases.directory.iterdir()] == ["pack.4"]


def test_a_directory_and_a_time_in_the_far_future_hold_nothing_for_ever(leases, clock):
    (leases.directory / "pack.3").mkdir(parents=True)
    os.utime(leases.directory / "pack.3", (clock.now - 61,) * 2)
    (leases.directory / "plan.3").touch()
    os.utime(leases.directory / "plan.3", (clock.now + 1e8,) * 2)
    assert leases.take("pack") is not None
    assert leases.take("plan") is not None


def test_leases_that_are_a_file_are_named(tmp_path):
    (tmp_path / "leases").write_text("stray")
    message = r"leases \((Not a directory|File exists)\); delete what is in its way and run again"
    with pytest.raises(InputError, match=message):
        Leases(tmp_path / "leases").take("pack")
