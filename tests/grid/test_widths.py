"""Widths of packs: programs fit the budget by their own analysis, and are compiled once."""

import pytest

from jaxbias.errors import InputError
from jaxbias.grid import Plan, Runner, executor, expand, extend_plan
from jaxbias.grid.memory import program_bytes
from jaxbias.grid.widths import pack_widths
from tests.tiny import tiny_dataset, tiny_study

SIZE = 16
FINETUNE = {"n": (20,), "epochs": 1, "batch": 16, "seeds": 6}


def planned(mib, mode="vmap", finetune=FINETUNE, width=0):
    """A study of 18 finetunes from random starts, laid out."""
    study = tiny_study(
        data={"name": "tiny", "image_size": SIZE},
        bases={"Scratch": {"role": "scratch"}},
        finetune=finetune,
        grid={"pack_width": width, "memory_mib": mib},
    )
    dataset = tiny_dataset(size=SIZE)
    runner = Runner(study, dataset, Plan(dataset.fingerprint, mode, 2), lambda *_: None)
    variants = expand(study, dataset.fingerprint)
    widths = lambda groups: pack_widths(runner, groups)  # noqa: E731
    return runner, extend_plan(runner.plan, variants, runner.signatures(variants), widths)


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
        shapes[0][0][0]: program_bytes(program)
        for (_, shapes), program in runner.executor.programs.items()
    }
    assert needed[width] <= mib * 2**20 < needed[18]


def test_a_width_that_was_given_is_kept_and_refused_where_it_does_not_fit():
    runner, plan = planned(mib=1, width=18)
    assert {pack.width for pack in plan.finetunes} == {18}
    with pytest.raises(InputError, match=r"a pack of 18 needs \d+ MiB .*pack_width=0"):
        runner.finetune(plan.finetunes[0])
    with pytest.raises(InputError, match="a pack of 2 needs"):
        planned(mib=1)


def test_without_an_analysis_small_packs_are_run(monkeypatch, capsys):
    monkeypatch.setattr(executor, "program_bytes", lambda compiled: None)
    _, plan = planned(mib=512, mode="map")
    assert {pack.width for pack in plan.finetunes} == {18}
    monkeypatch.setattr(executor, "_resident", lambda: None)
    _, plan = planned(mib=512, mode="map")
    assert {pack.width for pack in plan.finetunes} == {2}
    assert "cannot be told here, so they hold 2" in capsys.readouterr().err


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_heads_are_as_wide_as_the_memory_allows(solver):
    finetune = {**FINETUNE, "n": (20, 30), "seeds": 1, "mode": "head", "solver": solver}
    runner, plan = planned(mib=64, finetune=finetune, width=1)
    assert {len(pack.members) for pack in plan.finetunes} == {3}
    assert len(runner.executor.programs) == 1  # The smaller n needs no more memory.
