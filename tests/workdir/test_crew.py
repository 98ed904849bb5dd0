"""Crews: who does which packs, who waits; kill, share and take over.

The work is fake (`crewed`): what a pack computes is not a crew's business.
"""

import json
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
    work = work_of(crew, PACKS[:2], ready=lambda pack: pack is PACKS[1] or len(looks) == 3)
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
    with crew.claims.take(PACKS[0].id):
        counted = crew.share(
            work_of(crew, PACKS[:1]), meanwhile=lambda: crew.directory.write_pack(PACKS[0])
        )
    assert counted == 0


def test_a_pack_finished_between_the_look_and_the_claim_is_not_done_again(crew, monkeypatch):
    take = crew.claims.take

    def late(name):
        crew.directory.write_pack(PACKS[0])
        return take(name)

    monkeypatch.setattr(crew.claims, "take", late)
    assert crew.share(work_of(crew, PACKS[:1])) == 0
    assert told(crew.directory.path, "pack started") == []
    assert held_in(crew.directory.path) == []


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
    finish = lambda: crew.directory.write_pack(PACKS[0])  # noqa: E731
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


def test_of_a_gang_all_stop_when_the_first_has_lost_the_claim(tmp_path):
    answers = []

    def first(ask):
        answers.append(ask())
        return answers[-1]

    def do(packs):
        lose(crew, *packs)
        return lambda: pytest.fail("the loser saves nothing")

    crew = crew_of(tmp_path / "first", decide=first)
    assert crew.share(module.Work("finetune", "", "", PACKS[:1], do), wait=False) == 0
    heard = iter(answers)
    other = crew_of(tmp_path / "other", decide=lambda ask: next(heard))
    written = work_of(other, PACKS[:1])
    assert other.share(written, wait=False) == 0
    assert not other.directory.has(PACKS[0])
    assert next(heard, None) is None


def test_of_a_gang_the_first_looks_and_takes_and_all_do(tmp_path):
    """What the first answered, in its order, is all that the others go by."""
    answers = []

    def first(ask):
        answers.append(ask())
        return answers[-1]

    crew = crew_of(tmp_path / "first", decide=first)
    crew.directory.write_pack(PACKS[2])
    with crew.claims.take(PACKS[1].id):
        assert crew.share(work_of(crew, PACKS[:4]), wait=False) == 3
    crew.share(work_of(crew, PACKS[:4]))
    heard = iter(answers)
    other = crew_of(tmp_path / "other", decide=lambda ask: next(heard))
    assert other.share(work_of(other, PACKS[:4]), wait=False) == 3
    assert other.share(work_of(other, PACKS[:4])) == 2
    assert next(heard, None) is None
    assert [event["pack"] for event in told(tmp_path / "other", "pack finished")] == [
        PACKS[i].id for i in (0, 3, 1)
    ]
    assert not (tmp_path / "other/claims").exists()


def test_bases_are_there_once_their_packs_are(crew):
    bases = Bases(crew, work_of(crew, BASES, "pretrain"), elsewhere=False)
    assert not bases.are_there(PACKS[0])
    crew.directory.write_pack(BASES[0])
    assert bases.are_there(PACKS[0])
    assert not bases.are_there(PACKS[1])
    bases.look_after(PACKS)
    assert bases.are_there(PACKS[1])


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
