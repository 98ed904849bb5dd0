"""What `status` prints."""

import dataclasses

from jaxbias.workdir.overview import Host, Overview, Stage
from launch import status

STATES = ("done", "running", "waiting", "quarantined")


def stage(name, seconds, *counts):
    packs = dict(zip(STATES, counts, strict=True))
    members = {state: 4 * count for state, count in packs.items()}
    return Stage(name, packs, members, seconds, None if seconds is None else 4 * seconds, {})


FOUND = Overview(
    stages=(stage("pretrain", 20.0, 3, 0, 0, 0), stage("finetune", 3.25, 1200, 2, 10, 1)),
    hosts=(
        Host("node1", 2, 4000, 1, 3, seconds=9000.0, device_seconds=36000.0, span=7200.0),
        Host("node2", 0, 812, 0, 0, seconds=1800.0, device_seconds=7200.0, span=3600.0),
    ),
    quarantine="1 pack failed: 00ff (ValueError: no)",
    now=0.0,
)


def test_stages_hosts_and_what_is_left_in_hours_and_money():
    lines = [" ".join(line.split()) for line in status.text(FOUND, 2.5).splitlines()]
    assert "pretrain 3 0 0 0 3 packs, 12 bases 20.0" in lines
    assert "finetune 1,200 2 10 1 1,213 packs, 4,852 models 3.2" in lines
    assert "node1 2 4,000 2,000 1 3 2.50" in lines
    assert "node2 0 812 812 0 0 0.50" in lines
    assert (
        "spent 12.00 device hours (30.00 at 2.5 an hour); "
        "left 0.17 device hours (0.43 at 2.5 an hour)" in lines
    )
    assert "at the present pace done in 1 min" in lines
    assert lines[-1] == "1 pack failed: 00ff (ValueError: no)"
    assert "an hour" not in status.text(FOUND, 0.0)


def test_what_is_not_known_and_who_is_not_there_is_said():
    waiting = dataclasses.replace(FOUND, stages=(stage("finetune", None, 0, 0, 9, 0),), hosts=())
    text = status.text(waiting, 0.0)
    assert "left unknown: a stage has no result yet" in text
    assert "nobody is at work" in text
    assert status.text(dataclasses.replace(FOUND, stages=()), 0.0).startswith("No plan yet")


def test_watching_ends_when_all_is_done(monkeypatch, capsys, tmp_path):
    done = dataclasses.replace(FOUND, stages=(stage("finetune", 1.0, 9, 0, 0, 0),))
    looks = [FOUND, FOUND, done]
    monkeypatch.setattr(status, "look", lambda workdir, claims: looks.pop(0))
    monkeypatch.setattr(status, "_WATCH_SECONDS", 0.0)
    status.watch(tmp_path, 0.0)
    out = capsys.readouterr().out
    assert out.count("stage ") == 3
    assert out.rstrip().splitlines()[-3] == "all that is planned is done"
