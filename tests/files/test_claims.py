"""Claims: one holder at a time, what a dead or silent one leaves is taken over, and losers stop."""

import contextlib
import errno
import json
import os
import secrets
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jaxbias.errors import InputError
from jaxbias.files import claims as module
from jaxbias.files import holder as holder_module
from jaxbias.files.claims import Claims, Lost
from jaxbias.files.holder import Holder
from jaxbias.files.objects import Objects

ROOT = Path(__file__).parents[2]


class FakeClock:
    def __init__(self, now=5.0):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture(params=["disk", pytest.param("bucket", marks=pytest.mark.engines)])
def place(request, tmp_path):
    """Where most is tested; the rules are the same."""
    if request.param == "disk":
        return tmp_path / "claims"
    return f"{request.getfixturevalue('bucket')}/{secrets.token_hex(8)}"


@pytest.fixture
def claims(place, clock):
    return Claims(Objects(place), seconds=60.0, clock=clock)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "folder"


@pytest.fixture
def on_disk(folder, clock):
    return Claims(Objects(folder), seconds=60.0, clock=clock)


def observer(claims, now=1e12):
    """Another process's look at the same claims, with a clock of its own."""
    return Claims(Objects(claims.objects.place), claims.seconds, FakeClock(now))


def elsewhere(monkeypatch, host="far/pid:[1]"):
    """From now on this process is one of another host."""
    monkeypatch.setattr(holder_module, "_host", lambda: host)


def body_of(claims, name="pack"):
    return json.loads(claims.objects.read(f"{name}.json").value)


def write(claims, text, name="pack"):
    found = claims.objects.read(f"{name}.json")
    assert claims.objects.write(f"{name}.json", text, found.generation)


def test_a_claim_is_held_by_one_and_free_again_after_its_work(claims):
    assert claims.holder("pack") is None
    with claims.take("pack"):
        assert claims.take("pack") is None
        assert claims.take("other") is not None
        assert claims.holder("pack") == claims.seen_holder("pack") == Holder.myself()
        assert f"process {os.getpid()} on " in str(claims.holder("pack"))
    assert claims.seen_holder("pack") and not claims.is_held("pack")
    assert claims.seen_holder("pack") is None
    assert claims.take("pack") is not None


def test_what_is_asked_of_a_free_claim_is_asked_before_it_is_taken(claims):
    """With whether its holders can have left anything; whoever takes it meanwhile has it."""
    asked, rivals = [], []

    def late(held_before):
        rivals.append(observer(claims).take("pack"))
        asked.append(held_before)
        return False

    assert claims.take("pack", unless=lambda held_before: asked.append(held_before) or True) is None
    assert claims.objects.read("pack.json").value is None
    assert claims.take("pack", unless=late) is None
    with rivals.pop():
        assert claims.take("pack", unless=late) is None
    assert claims.take("pack", unless=lambda held_before: asked.append(held_before)) is not None
    assert asked == [False, False, True]
    assert rivals == []


def test_a_claim_is_free_after_work_that_failed(claims):
    with pytest.raises(ZeroDivisionError), claims.take("pack"):
        1 / 0  # noqa: B018
    assert claims.take("pack") is not None


def test_a_claim_given_back_is_still_there_and_says_so(on_disk, folder):
    with on_disk.take("pack"):
        assert body_of(on_disk)["held"]
    body = body_of(on_disk)
    assert (body["held"], body["pid"]) == (False, os.getpid())
    assert [path.name for path in folder.iterdir()] == ["pack.json"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_claim_that_could_not_be_given_back_is_free_for_its_own_process(
    claims, monkeypatch, number
):
    """On a disk that is full or read-only by then."""

    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch, claims.take("pack"):
        assert claims.take("pack") is None
        patch.setattr(Objects, "write", fail)
    assert body_of(claims)["held"]
    assert claims.take("pack") is not None


def test_another_hosts_claim_is_taken_over_only_once_expired(claims, monkeypatch):
    assert claims.take("pack")
    elsewhere(monkeypatch)
    other = observer(claims)
    assert other.take("pack") is None
    other.clock.now += 59.9
    assert other.take("pack") is None
    other.clock.now += 0.2
    assert other.take("pack") is not None
    assert other.take("pack") is None


@pytest.mark.parametrize("offset", [-1e12, 0.0, 1e12])
def test_time_is_what_passes_for_whoever_looks(claims, clock, monkeypatch, offset):
    """Clocks millennia apart, and whatever passed before the first look, say nothing."""
    claim = claims.take("pack")
    clock.now += 1e9
    elsewhere(monkeypatch)
    other = observer(claims, clock.now + offset)
    for _ in range(3):
        assert other.take("pack") is None
        other.clock.now += 59
        claim.renew()
    write(claims, json.dumps({**body_of(claims), "time": "1970-01-01T00:00:00+00:00"}).encode())
    assert other.take("pack") is None
    other.clock.now += 61
    assert other.take("pack") is not None


def test_a_thread_renews_while_the_work_runs(place):
    claims = Claims(Objects(place), seconds=0.2)
    threads = threading.active_count()
    with claims.take("pack"):
        before = body_of(claims)["beat"]
        for _ in range(400):
            threading.Event().wait(0.01)
            if body_of(claims)["beat"] > before + 1:
                break
        else:
            pytest.fail("nobody renewed the claim")
    assert threading.active_count() == threads


def test_no_two_bodies_are_alike(claims):
    """The generation of a bucket's object is a hash of its content."""
    seen = []
    for _ in range(2):
        claim = claims.take("pack")
        seen.append(claims.objects.read("pack.json").value)
        with claim:
            claim.renew()
            seen.append(claims.objects.read("pack.json").value)
        seen.append(claims.objects.read("pack.json").value)
    assert len({*seen}) == 6


def test_a_dead_process_of_this_host_loses_its_claim_at_once(claims, place):
    code = """
import sys; sys.path.insert(0, sys.argv[2])
from pathlib import Path
from jaxbias.files.claims import Claims
from jaxbias.files.objects import Objects
place = sys.argv[1]
Claims(Objects(place if place.startswith("s3://") else Path(place))).take("pack")
"""
    command = [sys.executable, "-c", code, str(place), str(ROOT)]
    assert subprocess.run(command, timeout=60).returncode == 0
    body = body_of(claims)
    assert body["held"] and body["pid"] != os.getpid()
    assert claims.take("pack") is not None


def test_a_process_id_used_again_is_not_the_holder(claims):
    assert claims.take("pack")
    write(claims, json.dumps({**body_of(claims), "born": "1"}).encode())
    assert claims.take("pack") is not None


def test_of_many_who_want_a_claim_one_gets_it(claims, clock):
    for round in range(200 if isinstance(claims.objects.place, Path) else 20):
        name = f"pack{round % 2}"
        claims.holder(name)  # Since now it is the same.
        clock.now += 61
        start = threading.Barrier(8)
        got = []

        def want(name=name, start=start, got=got):
            start.wait()
            if claim := claims.take(name):
                got.append(claim)

        threads = [threading.Thread(target=want) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(got) == 1


def test_a_lock_waits_for_its_holder_and_says_so(claims, capsys, monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    claim = claims.take("plan")
    order = []

    def second():
        with claims.lock("plan"):
            order.append("second")

    thread = threading.Thread(target=second)
    with claim:
        thread.start()
        thread.join(0.3)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert "waiting for the plan, held by process" in capsys.readouterr().err


STRAY = [
    b"", b"{}", b"null", b"[" * 100_000, b"\xff",
    b'{"host": 1, "pid": "x", "born": [], "token": 0, "held": 1}',
]  # fmt: skip


@pytest.mark.parametrize("text", STRAY)
def test_what_is_no_claim_is_taken_at_once(claims, text):
    """Writes are whole, so nobody is about to finish it."""
    write(claims, text)
    write(claims, text, "pack.json.0")
    assert claims.holder("pack") is None
    assert claims.take("pack") is not None
    assert claims.objects.read("pack.json.0.json").value == text


def test_a_directory_in_the_place_of_a_claim_is_named(on_disk, folder):
    (folder / "pack.json").mkdir(parents=True)
    with pytest.raises(InputError, match=r"pack\.json \(Is a directory\); delete what is in its"):
        on_disk.take("pack")


def test_claims_that_are_a_file_are_named(tmp_path):
    (tmp_path / "claims").write_text("stray")
    message = r"claims/pack\.json \(Not a directory\); delete what is in its way and run again"
    with pytest.raises(InputError, match=message):
        Claims(Objects(tmp_path / "claims")).take("pack")


# Lost claims.


def test_a_claim_that_was_taken_over_is_lost_and_stays_the_others(claims, monkeypatch):
    claim, other = claims.take("pack"), observer(claims)
    with monkeypatch.context() as patch:
        elsewhere(patch)
        assert other.take("pack") is None
        other.clock.now += 61
        theirs = other.take("pack")
    now = body_of(claims)
    assert not claim.is_lost  # It does not know yet.
    with claim:
        assert not claim.confirm()
        with pytest.raises(Lost, match=r"pack\.json was taken over by another process"):
            claim.check()
        claim.renew()
    assert body_of(claims) == now  # Neither renewed nor given back behind its holder's back.
    assert theirs.confirm()


def test_a_claim_whose_object_is_gone_is_lost_and_not_made_again(claims):
    claim = claims.take("pack")
    claims.objects.remove("pack.json")
    with claim:
        claim.renew()
        assert claim.is_lost
    assert claims.objects.read("pack.json").value is None
    assert claims.take("pack") is not None


def test_a_claim_that_cannot_be_renewed_is_lost_before_anybody_may_take_it(
    claims, clock, monkeypatch
):
    def fail(*arguments):
        raise OSError(errno.EIO, "unreachable")

    claim, other = claims.take("pack"), observer(claims)
    with monkeypatch.context() as patch:
        elsewhere(patch)
        assert other.take("pack") is None  # It looks when the holder has just written.
        patch.setattr(Objects, "write", fail)
        clock.now += 59.9
        other.clock.now += 59.9
        assert claim.confirm()
        assert other.holder("pack")
        clock.now += 0.2
        other.clock.now += 0.2
        assert not claim.confirm()
        assert other.holder("pack") is None
    claim.renew()  # Nobody took it meanwhile.
    assert claim.confirm()


class Slow(Objects):
    """Writes wait, once they have begun, until they are let go."""

    def __init__(self, place):
        super().__init__(place)
        self.began, self.go = threading.Event(), threading.Event()
        self.go.set()

    def write(self, *arguments):
        self.began.set()
        assert self.go.wait(60)
        return super().write(*arguments)


def test_a_claim_given_back_while_it_is_being_renewed_is_free(place):
    objects = Slow(place)
    claims = Claims(objects, seconds=0.04)
    claim = claims.take("pack")
    objects.go.clear()
    objects.began.clear()
    leaving = threading.Event()

    def leave():
        with claim:
            assert objects.began.wait(60)  # The thread is in the middle of a renewal.
            leaving.set()

    thread = threading.Thread(target=leave)
    thread.start()
    assert leaving.wait(60)
    thread.join(0.1)
    assert thread.is_alive()
    objects.go.set()
    thread.join()
    body = body_of(claims)
    assert not body["held"]
    threading.Event().wait(0.1)
    assert body_of(claims) == body  # No renewal came after.
    assert not claims.is_held("pack")


def test_who_read_that_there_is_none_loses_to_who_made_it_meanwhile(claims, monkeypatch):
    """A read may answer 404 although the object is there by the time it is written."""
    other, winners = observer(claims), []

    def late(key):
        found = Objects.read(other.objects, key)
        winners.append(claims.take("pack"))
        return found

    monkeypatch.setattr(other.objects, "read", late)
    assert other.take("pack") is None
    assert winners[0].confirm()


@pytest.mark.parametrize("answer", ["none", "an error", "the condition failed"])
def test_a_write_that_came_through_unanswered_is_ours(claims, monkeypatch, answer):
    """TensorStore repeats what is not answered, and its second try finds the first one's write."""
    really = Objects.write

    def unanswered(self, *arguments):
        really(self, *arguments)
        if answer == "the condition failed":
            return None
        raise TimeoutError("none") if answer == "none" else OSError(errno.EIO, "error")

    claim = claims.take("pack")
    with claim:
        with monkeypatch.context() as patch:
            patch.setattr(claims.objects, "write", _once(unanswered, really, claims.objects))
            claim.renew()
        assert claim.confirm()
    assert not claims.is_held("pack")


def _once(first, then, objects):
    calls = iter([first])
    return lambda *arguments: next(calls, then)(objects, *arguments)


def test_a_take_whose_answer_is_lost_blocks_nobody(claims, monkeypatch):
    def unanswered(self, *arguments, really=Objects.write):
        really(self, *arguments)
        raise OSError(errno.EIO, "no answer")

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "write", unanswered)
        with contextlib.suppress(InputError):
            claims.take("pack")
    assert body_of(claims)["held"]
    assert claims.take("pack") is not None
