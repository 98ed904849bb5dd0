"""Widths of packs: programs fit the budget by their own analysis, and are compiled once."""

import time

import numpy as np
import pytest

from jaxbias.costs.widths import pack_widths
from jaxbias.engine import executor
from jaxbias.engine.memory import program_bytes
from jaxbias.engine.runner import Runner
from jaxbias.errors import InputError
from jaxbias.plan.packs import Plan, extend_plan
from jaxbias.plan.variants import expand
from tests.tiny import tiny_dataset, tiny_study

SIZE = 20
FINETUNE = {"n": (20,), "epochs": 1, "batch": 16, "seeds": 6}


def planned(mib, mode="vmap", finetune=FINETUNE, width=0, **layout):
    """A study of 18 finetunes from random starts, laid out."""
    study = tiny_study(
        data={"name": "tiny", "image_size": SIZE},
        bases={"Scratch": {"role": "scratch"}},
        finetune=finetune,
        grid={"pack_width": width, "memory_mib": mib},
    )
    dataset = tiny_dataset(size=SIZE)
    runner = Runner(study, dataset, Plan(dataset.fingerprint, mode, 2, **layout), lambda *_: None)
    variants = expand(study, dataset.fingerprint)
    widths = lambda groups: pack_widths(runner.catalog, groups)  # noqa: E731
    return runner, extend_plan(runner.plan, variants, runner.catalog.signatures(variants), widths)


def test_a_pack_is_as_wide_as_its_group_where_there_is_room():
    runner, plan = planned(mib=512)
    assert [(pack.width, len(pack.members)) for pack in plan.finetunes] == [(18, 18)]
    runner.finetune(plan.finetunes[0])
    assert len(runner.executor.programs) == 1  # What was analysed is what runs.


def test_programs_stay_within_the_budget():
    mib = 2
    runner, plan = planned(mib)
    widths = {pack.width for pack in plan.finetunes}
    assert len(widths) == 1
    (width,) = widths
    assert 2 < width < 18
    for row in runner.finetune(plan.finetunes[0]):
        assert row["status"] == "ok"
    needed = {
        width: program_bytes(compiled) for (_, width), compiled in runner.executor.programs.items()
    }
    assert needed[width] <= mib * 2**20 < needed[18]


def test_a_width_that_was_given_is_kept_and_refused_where_it_does_not_fit():
    runner, plan = planned(mib=1, width=18)
    assert {pack.width for pack in plan.finetunes} == {18}
    with pytest.raises(InputError, match=r"a pack of 18 needs [\d.]+ MiB .*pack_width=0"):
        runner.finetune(plan.finetunes[0])
    with pytest.raises(InputError, match="a pack of 2 needs"):
        planned(mib=1)


def test_without_an_analysis_small_packs_are_run(monkeypatch, capsys):
    runs = []
    monkeypatch.setattr(executor, "program_bytes", lambda compiled: None)
    monkeypatch.setattr(executor, "_peak_resident", lambda work: runs.append(work()) or 2**20)
    _, plan = planned(mib=512, mode="map")
    assert {pack.width for pack in plan.finetunes} == {18}
    assert [len(out["scores"]) for out in runs] == [2, 4]
    monkeypatch.setattr(executor, "_peak_resident", lambda work: None)
    _, plan = planned(mib=512, mode="map")
    assert {pack.width for pack in plan.finetunes} == {2}
    assert "cannot be told here, so they hold 2" in capsys.readouterr().err


def test_the_resident_set_is_watched_while_a_program_runs():
    def work():
        held = np.ones(2**25)  # 256 MiB, let go again.
        time.sleep(0.05)
        return held[0]

    assert 2**28 * 0.9 < executor._peak_resident(work) < 2**28 * 1.5


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_heads_are_as_wide_as_the_memory_allows(solver):
    finetune = {**FINETUNE, "n": (20, 30), "seeds": 1, "mode": "head", "solver": solver}
    runner, plan = planned(mib=64, finetune=finetune, width=1)
    assert {len(pack.members) for pack in plan.finetunes} == {3}
    assert len(runner.executor.programs) == 1  # The smaller n needs no more memory.


def test_packs_fed_from_the_host_leave_room_for_their_chunks():
    runner, plan = planned(mib=4, store="host")
    (width,) = {pack.width for pack in plan.finetunes}
    runner.finetune(plan.finetunes[0])
    needed = {
        type(program).__name__: program_bytes(compiled)
        for (program, of), compiled in runner.executor.programs.items()
        if of == width
    }
    # The chunk that is worked on is an argument; the next one lies beside it.
    assert needed["Advanced"] + runner.feed.chunk_bytes <= 4 * 2**20
