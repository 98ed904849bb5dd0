"""Parts of packs: programs fit the memory by their own analysis, and results are the same."""

import json
import time

import numpy as np
import pytest

from jaxbias.engine import executor
from jaxbias.engine.layout import Layout
from jaxbias.engine.memory import Room, program_bytes
from jaxbias.engine.runner import Runner
from jaxbias.errors import InputError
from jaxbias.plan.packs import Plan, extend_plan
from jaxbias.plan.variants import expand
from jaxbias.training import stored_bytes
from tests.tiny import tiny_dataset, tiny_study

SIZE = 20
FINETUNE = {"n": (20,), "epochs": 1, "batch": 16, "seeds": 6}


def planned(mib, mode="vmap", finetune=FINETUNE, most=64, devices=2, **layout):
    """A study of 18 finetunes from random starts, and its plan."""
    study = tiny_study(
        data={"name": "tiny", "image_size": SIZE},
        bases={"Scratch": {"role": "scratch"}},
        finetune=finetune,
        grid={"memory_mib": mib},
    )
    dataset = tiny_dataset(size=SIZE)
    runner = Runner(study, dataset, Layout(mode, devices, **layout), lambda *_: None)
    variants = expand(study, dataset.fingerprint)
    signatures = runner.catalog.signatures(variants)
    return runner, extend_plan(Plan("d"), variants, signatures, lambda _: most)


def widths(rows):
    return {json.loads(row["layouts"])[0]["width"] for row in rows}


def test_a_pack_runs_whole_where_there_is_room():
    runner, plan = planned(mib=512)
    assert [(pack.width, len(pack.members)) for pack in plan.finetunes] == [(18, 18)]
    assert widths(runner.finetune(plan.finetunes[0])) == {18}
    assert len(runner.executor.programs) == 1  # What was analysed is what runs.


@pytest.mark.parametrize("mode", ["map", "vmap"])
def test_a_pack_that_does_not_fit_runs_in_parts_to_the_same_result(mode):
    runner, plan = planned(512, mode)
    (pack,) = plan.finetunes
    whole = runner.finetune(pack)
    (compiled,) = runner.executor.programs.values()
    budget = program_bytes(compiled) - 1

    tight, _ = planned(512, mode)
    tight.executor.room = Room(budget, budget)
    rows = tight.finetune(pack)
    (width,) = widths(rows)
    assert 2 <= width < 18
    needed = {of: program_bytes(each) for (_, of), each in tight.executor.programs.items()}
    assert needed[width] <= budget < needed[18]
    for row, other in zip(rows, whole, strict=True):
        assert row["status"] == other["status"] == "ok"
        np.testing.assert_array_equal(row["ids"], other["ids"])
        # Few float32 steps: by "map" no bit depends on the width, by "vmap" they agree closely.
        close = 0 if mode == "map" else 1e-5
        np.testing.assert_allclose(row["test_scores"], other["test_scores"], rtol=0, atol=close)


def test_a_pack_is_rounded_up_to_the_devices():
    runner, plan = planned(mib=512, mode="map", most=6, devices=4)
    assert [pack.width for pack in plan.finetunes] == [6, 6, 6]
    rows = [row for pack in plan.finetunes for row in runner.finetune(pack)]
    assert widths(rows) == {8}
    assert len({row["variant"] for row in rows}) == 18


def test_what_does_not_fit_one_by_one_is_refused():
    runner, plan = planned(mib=1)
    with pytest.raises(InputError, match=r"2 trainings at once need [\d.]+ MiB .* has 1.0; use"):
        runner.finetune(plan.finetunes[0])


def test_without_an_analysis_small_programs_are_run(monkeypatch, capsys):
    runs = []
    monkeypatch.setattr(executor, "program_bytes", lambda compiled: None)
    monkeypatch.setattr(executor, "_peak_resident", lambda work: runs.append(work()) or 2**20)
    runner, plan = planned(mib=512, mode="map")
    program = runner.catalog.finetune(plan.variants[0])
    assert runner.catalog.part_width(program, 18) == 18
    assert [len(out["scores"]) for out in runs] == [2, 4]
    monkeypatch.setattr(executor, "_peak_resident", lambda work: None)
    for _ in range(2):  # It is said once.
        runner, plan = planned(mib=512, mode="map")
        assert widths(runner.finetune(plan.finetunes[0])) == {2}
    assert capsys.readouterr().err.count("cannot be told here, so 2 are trained at once") == 1


def test_the_resident_set_is_watched_while_a_program_runs():
    def work():
        held = np.ones(2**25)  # 256 MiB, let go again.
        time.sleep(0.05)
        return held[0]

    assert 2**28 * 0.9 < executor._peak_resident(work) < 2**28 * 1.5


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_heads_run_beside_the_images_they_are_not_trained_on(solver):
    runner, plan = planned(mib=64, finetune={**FINETUNE, "mode": "head", "solver": solver})
    program, width = runner.catalog.finetune(plan.variants[0]), 64
    whole = program_bytes(runner.executor.compiled(program, width))
    images = runner.curator.dataset.images
    both = whole + stored_bytes(images.shape, images.dtype)
    for room, fits in ((both, True), (both - 1, False)):
        runner.executor.room = Room(room, 2 * room)
        runner.catalog.part_width.cache_clear()
        assert (runner.catalog.part_width(program, width) == width) == fits


def test_parts_fed_from_the_host_leave_room_for_their_chunks():
    runner, plan = planned(mib=4, store="host")
    (width,) = widths(runner.finetune(plan.finetunes[0]))
    needed = {
        type(program).__name__: program_bytes(compiled)
        for (program, of), compiled in runner.executor.programs.items()
        if of == width
    }
    # The chunk that is worked on is an argument; the next one lies beside it.
    _, beside = runner.feed.held(runner.catalog.finetune(plan.variants[0]), width)
    assert 0 < beside <= runner.feed.chunk_bytes
    assert needed["Advanced"] + beside <= 4 * 2**20
