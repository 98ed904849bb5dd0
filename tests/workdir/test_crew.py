"""Crews: who does which packs, who waits; kill, share, take over, and leave alone what fails.

The work is fake (`crewed`): what a pack computes is not a crew's business.
"""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxbias.errors import InputError
from jaxbias.files.claims import Lost
from jaxbias.workdir import crew as module
from jaxbias.workdir.crew import Bases
from tests.processes import events, finished, kill, wait_for
from tests.workdir.crewed import ALL, BASES, PACKS, content_of, crew_of, work_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(module, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.0)


@pytest.fixture
def crew(tmp_path):
    return crew_of(tmp_path)


def held_in(workdir):
    bodies = {path.stem: json.loads(path.read_text()) for path in (workdir / "claims").iterdir()}
    return sorted(name for name, body in bodies.items() if body["held"])


def told(workdir, kind):
    found = (event for told in events(workdir).values() for event in told)
    return [event for event in found if event["event"] == kind]


def test_what_has_no_result_is_done_in_order_and_told(crew, tmp_path):
    crew.directory.write_pack(PACKS[1])
    stamp = crew.directory.pack_path(PACKS[1]).stat().st_mtime_ns
    assert crew.share(work_of(crew, PACKS)) == sum(len(p.members) for p in PACKS) - 2
    done = [PACKS[0], *PACKS[2:]]
    assert [event["pack"] for event in told(tmp_path, "pack started")] == [p.id for p in done]
    ends = told(tmp_path, "pack finished")
    assert [(e["stage"], e["pack"], e["members"]) for e in ends] == [
        ("finetune", pack.id, len(pack.members)) for pack in done
    ]
    assert crew.directory.pack_path(PACKS[1]).stat().st_mtime_ns == stamp
    assert held_in(tmp_path) == []
    assert crew.share(work_of(crew, PACKS)) == 0


def test_what_is_not_ready_comes_later_and_each_wait_is_announced(crew):
    looks = []

    def needs(pack):
        return [] if pack is PACKS[1] or len(looks) == 3 else BASES[:1]

    work = work_of(crew, PACKS[:2], needs=needs)
    assert crew.share(work, meanwhile=lambda: looks.append(0)) == 3
    assert len(looks) == 3
    assert crew.clock.seconds["wait"] > 0


def test_what_others_do_is_left_or_waited_for_and_taken_over(crew):
    with crew.claims.take(PACKS[0].id):
        assert crew.share(work_of(crew, PACKS[:3]), wait=False) == 3
        assert not crew.directory.has(PACKS[0])
        assert not crew.directory.path.joinpath(f"doing-{PACKS[0].id}").exists()
    assert crew.share(work_of(crew, PACKS[:3])) == 1


def test_a_pack_that_another_finishes_meanwhile_is_not_done_here(crew):
    with contextlib.ExitStack() as another:
        another.enter_context(crew.claims.take(PACKS[0].id))

        def finish():
            crew.directory.write_pack(PACKS[0])
            another.close()

        assert crew.share(work_of(crew, PACKS[:1]), meanwhile=finish) == 0


def test_a_pack_finished_between_the_look_and_the_claim_is_not_done_again(crew, monkeypatch):
    take = crew.claims.take

    def late(name, unless):
        crew.directory.write_pack(PACKS[0])
        return take(name, unless)

    monkeypatch.setattr(crew.claims, "take", late)
    assert crew.share(work_of(crew, PACKS[:1])) == 0
    assert told(crew.directory.path, "pack started") == []
    assert not (crew.directory.path / "claims").exists()


def test_work_that_fails_is_told_and_free_for_the_next(crew, tmp_path):
    def fail(pack):
        raise InputError("no space left")

    work = work_of(crew, PACKS[:1])
    with pytest.raises(InputError, match="no space left"):
        crew.share(module.Work("finetune", "", "", PACKS[:1], fail))
    (event,) = told(tmp_path, "pack failed")
    assert (event["pack"], event["error"]) == (PACKS[0].id, "InputError: no space left")
    assert not crew.claims.is_held(PACKS[0].id)
    assert crew.share(work) == 1


def lose(crew, pack):
    """Another process takes the claim over, as if this one had been silent for long."""
    objects = crew.claims.objects
    found = objects.read(f"{pack.id}.json")
    body = {**json.loads(found.value), "host": "far/pid:[1]", "token": "theirs"}
    objects.write(f"{pack.id}.json", json.dumps(body).encode(), found.generation)
    return body


def test_a_pack_whose_claim_is_lost_is_not_saved_and_waited_for(crew, tmp_path):
    bodies = []

    def do(packs):
        bodies.append(lose(crew, *packs))
        return lambda: pytest.fail("the loser saves nothing")

    assert crew.share(module.Work("finetune", "", "", PACKS[:1], do), wait=False) == 0
    assert not crew.directory.has(PACKS[0])
    assert json.loads((tmp_path / "claims/pack0.json").read_text()) == bodies[0]
    (event,) = told(tmp_path, "pack lost")
    assert (event["pack"], told(tmp_path, "pack failed")) == (PACKS[0].id, [])

    def finish():
        crew.directory.write_pack(PACKS[0])
        given_back = json.dumps({**bodies[0], "held": False}).encode()
        found = crew.claims.objects.read("pack0.json")
        crew.claims.objects.write("pack0.json", given_back, found.generation)

    assert crew.share(work_of(crew, PACKS[:1]), meanwhile=finish) == 0


def test_packs_that_fit_are_done_together_and_told_of_once(crew, tmp_path):
    def at_most_three(packs, other):
        return len(packs) < 3

    with crew.claims.take(PACKS[1].id):
        assert crew.share(work_of(crew, PACKS, fits=at_most_three), wait=False) == 7
    ends = told(tmp_path, "pack finished")
    assert [(end["pack"], end.get("beside")) for end in ends] == [
        ("pack0", ["pack2", "pack3"]),
        ("pack4", ["pack5"]),
    ]
    assert [end["members"] for end in ends] == [4, 3]
    assert held_in(tmp_path) == []
    assert not crew.directory.has(PACKS[1])


def test_packs_done_together_are_all_left_where_one_is_lost(crew):
    def do(packs):
        lose(crew, packs[1])
        return lambda: pytest.fail("the loser saves nothing")

    work = module.Work("finetune", "", "", PACKS[:2], do, fits=lambda packs, other: True)
    assert crew.share(work, wait=False) == 0
    assert held_in(crew.directory.path) == [PACKS[1].id]


def test_packs_that_go_wrong_together_are_done_alone_and_the_bad_one_is_found(crew, tmp_path):
    work = work_of(crew, PACKS[:3], bad=["pack1"], fits=lambda packs, other: True)
    assert crew.share(work) == 2
    failed = [event.get("beside") for event in told(tmp_path, "pack failed")]
    assert failed == [["pack1", "pack2"], None, None, None]
    assert crew.directory.failures.quarantined() == ["pack1"]


def test_work_can_ask_whether_its_claim_is_lost(crew):
    asked = []

    def do(packs):
        asked.append(crew.has_lost_claim())
        lose(crew, *packs)
        for _ in range(400):  # Until it is to be renewed.
            time.sleep(0.01)
            if crew.has_lost_claim():
                raise Lost("taken over")
        pytest.fail("nobody told")

    crew.claims.seconds = 0.4
    assert crew.share(module.Work("finetune", "", "", PACKS[:1], do), wait=False) == 0
    assert asked == [False]


def test_a_pack_that_fails_three_times_is_quarantined_and_the_rest_goes_on(crew, tmp_path, capsys):
    assert crew.share(work_of(crew, PACKS, bad=["pack1"])) == sum(len(p.members) for p in PACKS) - 2
    assert [event["pack"] for event in told(tmp_path, "pack failed")] == ["pack1"] * 3
    # At once to the others: a failure holds nothing up.
    assert [e["pack"] for e in told(tmp_path, "pack finished")] == ["pack0", *ALL[4:]]
    assert crew.directory.failures.quarantined() == ["pack1"]
    first, *_ = known = crew.directory.failures.of("pack1")
    assert [each["error"] for each in known] == ["RuntimeError: pack1 is poisoned"] * 3
    assert f"process {os.getpid()} on " in first["by"]
    assert "in do\n" in first["traceback"]
    err = capsys.readouterr().err
    lines = [line for line in err.splitlines() if line.startswith("jaxbias: ")]
    assert [f"pack pack1 failed ({i} of 3" in line for i, line in enumerate(lines, 1)] == [True] * 3
    assert lines[2].endswith("; quarantined")
    assert not crew.claims.is_held("pack1")
    sentence = crew.directory.failures.sentence()
    assert "1 pack failed 3 times and is quarantined: pack1 (RuntimeError: pack1" in sentence
    # Whoever comes later leaves it alone too, until its record is deleted.
    later = crew_of(tmp_path)
    assert later.share(work_of(later, PACKS)) == 0
    for path in (tmp_path / "failures").glob("pack1.*"):
        path.unlink()
    later = crew_of(tmp_path)
    assert later.share(work_of(later, PACKS)) == 2
    assert later.directory.failures.sentence() == ""


def test_what_failed_twice_and_is_done_then_leaves_no_record(crew, tmp_path):
    bad = ["pack0", "pack0"]
    work = work_of(crew, PACKS[:2])

    def do(packs):
        if packs[0].id in bad:
            bad.remove(packs[0].id)
            raise ValueError("by chance")
        return work.do(packs)

    assert crew.share(dataclasses.replace(work, do=do)) == 3
    assert len(told(tmp_path, "pack failed")) == 2
    assert list((tmp_path / "failures").iterdir()) == []


def test_after_a_failure_a_process_waits_longer_each_time_and_never_the_same(
    crew, tmp_path, monkeypatch
):
    """Another process may try once it has done the others: on its machine it may go well."""
    monkeypatch.setattr(module, "_RETRY_SECONDS", 1000.0)
    fails = work_of(crew, PACKS[:1], bad=["pack0"])
    waits = []
    for _ in range(3):
        now = time.monotonic()
        assert crew.share(fails, wait=False) == 0
        waits.append(crew._not_before["pack0"] - now)
        assert crew.share(fails, wait=False) == 0  # Not yet.
        crew._not_before.clear()
    assert len(crew.directory.failures.of("pack0")) == 3
    for wait, mean in zip(waits, (1000, 2000, 4000), strict=True):
        assert 0.5 * mean <= wait <= 1.5 * mean + 1
    crew.directory.failures.forget("pack0")
    assert crew.share(fails, wait=False) == 0
    other = crew_of(tmp_path)
    assert other.share(work_of(other, PACKS[:1]), wait=False) == 0  # It looks for others first.
    assert other.share(work_of(other, PACKS[:1]), wait=False) == 1


def test_a_process_at_fault_ends_before_it_spoils_what_others_can_do(crew, tmp_path):
    work = work_of(crew, PACKS, bad=[pack.id for pack in PACKS])
    with pytest.raises(RuntimeError, match="pack2 is poisoned"):
        crew.share(work)
    assert [event["pack"] for event in told(tmp_path, "pack failed")] == ["pack0", "pack1", "pack2"]
    assert crew.directory.failures.quarantined() == []
    # What has failed elsewhere too is the pack's own fault: one more process goes through them.
    other = crew_of(tmp_path)
    work = work_of(other, PACKS, bad=["pack0", "pack1", "pack2"])
    assert other.share(work) == sum(len(pack.members) for pack in PACKS[3:])
    assert other.directory.failures.quarantined() == ["pack0", "pack1", "pack2"]


def test_a_pack_that_others_quarantined_meanwhile_is_left_alone(crew, monkeypatch):
    take = crew.claims.take

    def late(name, unless):
        for _ in range(3):
            with take(name):
                crew.directory.failures.add(name, ValueError("elsewhere"))
        return take(name, unless)

    monkeypatch.setattr(crew.claims, "take", late)
    assert crew.share(work_of(crew, PACKS[:1])) == 0
    assert held_in(crew.directory.path) == []


def test_what_needs_a_quarantined_base_is_left_out(crew, tmp_path):
    pretraining = work_of(crew, BASES, "pretrain", bad=["base1"])
    bases = Bases(crew, pretraining, elsewhere=False)
    crew.share(pretraining, wait=False)
    work = work_of(crew, PACKS, needs=bases.missing)
    done = [pack for pack in PACKS if pack.members[0].base.name == "b0"]
    count = crew.share(work, meanwhile=lambda: bases.look_after(PACKS))
    assert count == sum(len(pack.members) for pack in done)
    assert crew.directory.failures.quarantined() == ["base1"]
    # Nor is it asked of whoever is to make bases.
    elsewhere = Bases(crew, pretraining, elsewhere=True)
    elsewhere.look_after(PACKS)
    assert crew.share(work_of(crew, PACKS, needs=elsewhere.missing)) == 0


@pytest.mark.parametrize("content", ["", "[", '{"error": "x"}', '["x", 1, null, 2]'])
def test_a_damaged_record_counts_and_stops_nobody(crew, tmp_path, content):
    (tmp_path / "failures").mkdir()
    (tmp_path / "failures/pack0.1.json").write_text(content)
    crew = crew_of(tmp_path)
    assert len(crew.directory.failures.of("pack0")) == 1
    assert crew.share(work_of(crew, PACKS[:1])) == 1
    assert list((tmp_path / "failures").iterdir()) == []


def test_whoever_leads_a_gang_has_all_do_what_it_does(tmp_path):
    order = []

    def lead(work):
        def do(packs):
            order.append([pack.id for pack in packs])
            write = work.do(packs)
            return lambda: (order.append("write"), write())

        return dataclasses.replace(work, do=do)

    crew = crew_of(tmp_path, lead=lead)
    crew.directory.write_pack(PACKS[2])
    with crew.claims.take(PACKS[1].id):
        assert crew.share(work_of(crew, PACKS[:4]), wait=False) == 3
    assert order == [[PACKS[0].id], "write", [PACKS[3].id], "write"]


def test_a_gang_ends_where_one_fails(tmp_path):
    crew = crew_of(tmp_path, lead=lambda work: work)
    with pytest.raises(RuntimeError, match="pack0 is poisoned"):
        crew.share(work_of(crew, PACKS, bad=["pack0"]))
    assert len(crew.directory.failures.of("pack0")) == 1


def test_bases_are_missing_until_their_packs_are_done(crew):
    bases = Bases(crew, work_of(crew, BASES, "pretrain"), elsewhere=False)
    assert bases.missing(PACKS[0]) == [BASES[0]]
    crew.directory.write_pack(BASES[0])
    assert bases.missing(PACKS[0]) == []
    assert bases.missing(PACKS[1]) == [BASES[1]]
    bases.look_after(PACKS)
    assert bases.missing(PACKS[1]) == []


def test_bases_that_nobody_makes_are_refused_where_others_are_to_make_them(crew):
    bases = Bases(crew, work_of(crew, BASES, "pretrain"), elsewhere=True)
    crew.directory.write_pack(BASES[0])
    bases.look_after([PACKS[0]])
    message = r"pack pack1 starts from bases that are not pretrained \(b1 seed 0\); run --stage=pr"
    with pytest.raises(InputError, match=message):
        bases.look_after(PACKS)
    with crew.claims.take(BASES[1].id):
        bases.look_after(PACKS)
    crew.directory.write_pack(PACKS[1])
    bases.look_after([PACKS[1]])  # Done: it needs none.


def start(workdir, *stuck):
    command = [sys.executable, "-m", "tests.workdir.crewed", str(workdir), *stuck]
    return subprocess.Popen(command, cwd=ROOT)


def begin(workdir, children):
    """Lets children begin at once, when all are there."""
    meeting = workdir / "meeting"
    there = len(children)
    wait_for(lambda: meeting.exists() and len(list(meeting.iterdir())) == there, children[0])
    (workdir / "go").touch()


def assert_whole(workdir):
    contents = {path.name: path.read_text() for path in (workdir / "packs").iterdir()}
    assert contents == {pack.id: content_of(pack) for pack in (*BASES, *PACKS)}
    assert not [path for path in workdir.rglob("*") if ".part" in path.name]


def test_killed_in_a_pack_and_run_again_goes_on_from_there(tmp_path):
    child = start(tmp_path, "pack2")
    begin(tmp_path, [child])
    wait_for((tmp_path / "doing-pack2").exists, child)
    kill(child)
    left = {path: path.stat().st_mtime_ns for path in (tmp_path / "packs").iterdir()}
    assert sorted(path.name for path in left) == sorted([*ALL[:2], "pack0", "pack1"])
    assert held_in(tmp_path) == ["pack2"]
    assert start(tmp_path).wait(timeout=60) == 0
    assert {path: path.stat().st_mtime_ns for path in left} == left
    assert_whole(tmp_path)
    assert held_in(tmp_path) == []


def test_two_share_do_every_pack_once_and_end_together(tmp_path):
    children = [start(tmp_path) for _ in range(2)]
    begin(tmp_path, children)
    assert [child.wait(timeout=60) for child in children] == [0, 0]
    by_process = events(tmp_path)
    assert by_process.keys() == {child.pid for child in children}
    done = [finished(events) for events in by_process.values()]
    assert all(done), "one process did everything"
    assert sorted(done[0] + done[1]) == sorted(ALL)
    assert held_in(tmp_path) == []
    assert_whole(tmp_path)


def test_two_share_and_both_leave_a_poisoned_pack_alone(tmp_path):
    children = [start(tmp_path, "bad:pack3", "bad:base1") for _ in range(2)]
    begin(tmp_path, children)
    assert [child.wait(timeout=60) for child in children] == [0, 0]
    done = {path.name for path in (tmp_path / "packs").iterdir()}
    assert done == {"base0", "pack0", "pack2", "pack4"}
    failed = [event["pack"] for event in told(tmp_path, "pack failed")]
    # Nobody got to the poisoned finetune, whose base is not there; one may be tried once too often.
    assert {*failed} == {"base1"} and len(failed) in (3, 4)


@pytest.mark.parametrize("stuck", ["base0", "pack3"])
def test_one_of_two_is_killed_in_a_pack_and_the_other_takes_it_over(tmp_path, stuck):
    victim = start(tmp_path, stuck)
    begin(tmp_path, [victim])
    wait_for((tmp_path / f"doing-{stuck}").exists, victim)
    survivor = start(tmp_path)
    left = {stuck} | ({"pack0", "pack2", "pack4"} if stuck == "base0" else set())
    packs = tmp_path / "packs"
    wait_for(lambda: {path.name for path in packs.iterdir()} >= {*ALL} - left, survivor)
    time.sleep(0.1)
    assert survivor.poll() is None  # It waits as long as that pack may still come.
    kill(victim)
    assert survivor.wait(timeout=60) == 0
    assert_whole(tmp_path)
    done = finished(events(tmp_path)[survivor.pid])
    assert left <= {*done}
    assert len(done) == len({*done})
