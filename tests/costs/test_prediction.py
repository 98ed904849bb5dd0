"""Predictions: the roofline by hand, cycles by hand, what does not fit, and what is kept."""

import pytest

from jaxbias.costs import prediction
from jaxbias.costs.mode_table import user_table, write_table
from jaxbias.costs.texts import misfits
from jaxbias.costs.timing import SCORED
from jaxbias.engine import unattached
from jaxbias.engine.instructions import Instructions, Loop, Work
from jaxbias.engine.unattached import FULLY, Analysis, UnattachedExecutor
from tests.costs.stand_in import SCRATCH, StandIn, found_on
from tests.timed import timing


def test_without_a_compiler_a_step_takes_what_the_roofline_says(aimed):
    flops, bandwidth = 1e9, 1e9
    at = aimed(flops32=flops, bandwidth=bandwidth)
    _, found, text = found_on(at, price=36_000.0)
    for rate in found.rates.values():
        bound = max(rate.unit_flops / flops, rate.unit_traffic / bandwidth)
        assert rate.unit_seconds == bound / 2 > 0
        assert (rate.basis, rate.memory, rate.misfit) == (prediction.ROOFLINE, 0, "")
    costs = [found.finetunes, found.bases]
    assert all(cost.step_seconds > 0 and cost.images == 16 * cost.steps for cost in costs)
    # Seconds on 2 chips, at 10 a second.
    assert f"{found.seconds * 2 * 10:,.2f} at 36000 a chip and hour" in text
    for said in ("there:2: 2 chips (NVIDIA H100 80GB HBM3)", "not compiled", "≥ ", "lower bound"):
        assert said in text
    assert misfits(found) == ""


def test_where_a_run_was_timed_its_time_is_what_is_predicted(aimed, monkeypatch):
    """A hundred times the roofline, of the network on images of another size."""
    at = aimed(flops32=1e9, bandwidth=1e9)
    _, bound, _ = found_on(at)
    brief = next(kind for kind in bound.rates if kind.batch and kind.schedule.mode == "full")
    least = bound.rates[brief].unit_seconds * 2
    timed = timing(brief, 2 * brief.batch / (100 * least), device=at.device)
    write_table(user_table(), [timed])
    _, found, text = found_on(at)
    rate = found.rates[brief]
    assert rate.basis == prediction.CORRECTED
    assert rate.unit_seconds * 2 == pytest.approx(100 * least)
    assert rate.score_seconds == pytest.approx(100 * bound.rates[brief].score_seconds)
    assert found.finetunes.step_seconds > bound.finetunes.step_seconds
    assert "Of convnet times are 100 times those of the roofline, as convnet at 8² in" in text
    assert "2 × TPU v9" in text


def test_what_holds_what_is_told_by_the_compiler_once(aimed, tmp_path):
    at = aimed(make=StandIn)
    runner, found, text = found_on(at, **SCRATCH)
    assert isinstance(runner.executor, UnattachedExecutor)
    assert all(rate.memory > 0 and rate.width == 2 for rate in found.rates.values())
    assert "of 59.33 GiB" in text and "by the compiler" in text
    assert runner.executor.compiled_now == runner.executor.analysed > 0
    stored = sorted((tmp_path / "analyses").iterdir())
    stored[0].write_text("{")
    again, same, _ = found_on(at, **SCRATCH)
    assert again.executor.compiled_now == 1  # What is damaged is made again.
    assert same.rates == found.rates


def test_what_fits_no_chip_is_told_with_the_way_out(aimed):
    at = aimed(make=StandIn, memory=20_000)
    _, found, text = found_on(at, **SCRATCH)
    assert text.count("does not fit") == 1
    assert "one training of convnet at batch 16 needs " in misfits(found)
    assert "lower the batch" in misfits(found)


def test_cycles_of_a_step_and_of_a_score_are_seconds_by_the_clock(aimed, monkeypatch):
    clock, bandwidth = 2e9, 1e9
    at = aimed(make=StandIn, platform="tpu", clock=clock, bandwidth=bandwidth)
    asked = []

    def analysis(self, program, width, effort):
        asked.append((width, effort))
        turn = Work(4000.0, 3000.0)
        return Analysis(5, 7, True, Instructions(Work(1e6), (Loop(11, 1, turn),), {}), 1.0)

    monkeypatch.setattr(UnattachedExecutor, "_analysis", analysis)
    _, found, text = found_on(at, **SCRATCH)
    for rate in found.rates.values():
        # One member on each of two chips.
        assert rate.unit_seconds == (4000 / clock + 3000 / bandwidth) / 2
        assert rate.score_seconds == 1e6 / clock / (SCORED * 2)
        assert (rate.basis, rate.memory) == (prediction.CYCLES, 7)
    assert {width for width, effort in asked if effort == FULLY} == {2}
    assert "5 µs" in text and "at 2 GHz" in text and "≥" not in text


def test_what_a_compiler_refuses_is_told_by_its_own_number():
    told = "Ran out of memory on HBM, the total memory required for HLO temporaries (1.50G)"
    assert unattached.refused_bytes(f"RESOURCE_EXHAUSTED: {told} exceeds") == 1.5 * 2**30
    assert unattached.refused_bytes("RESOURCE_EXHAUSTED: nobody knows") == 0


def test_chips_that_have_nothing_to_train_are_told(aimed):
    at = aimed(flops32=1e9, bandwidth=1e9)
    _, found, text = found_on(at)
    assert found.finetunes.idle_seconds < 0.25 * found.seconds
    assert "nothing to train" not in text
    # One member for two chips.
    _, found, text = found_on(at, width=1, **SCRATCH)
    assert found.finetunes.idle_seconds == pytest.approx(found.finetunes.seconds / 2)
    said = "Of that 50% is of chips that have nothing to train: packs are narrower than 2 chips"
    assert said in text and "config.grid.pack_width=2 or more" in text
