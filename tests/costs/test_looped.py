"""Bases trained step by step on a target: memory, pieces and time of one step, by its compiler."""

import pytest

from jaxbias.costs.looped import looped_seconds
from jaxbias.costs.prediction import CYCLES, ROOFLINE
from jaxbias.costs.texts import misfits
from jaxbias.engine.instructions import Instructions, Work
from jaxbias.engine.unattached import FULLY, Analysis, UnattachedExecutor
from jaxbias.targets import KINDS
from tests.costs.stand_in import SCRATCH, StandIn, found_on

# A head of a few steps is all that is finetuned.
LOOPED = {**SCRATCH, "pretrain": {"engine": "loop", "n": 40, "batch": 16}, "bases": {
    "Grouped": {"role": "studied", "target": "group", "curation": "class_balanced"},
}}  # fmt: skip


def looped_rate(found):
    (rate,) = [rate for rate in found.rates.values() if rate.pieces or rate.misfit]
    return rate


def test_a_step_on_all_devices_is_compiled_for_them(aimed):
    _, found, text = found_on(aimed(make=StandIn), **LOOPED)
    rate = looped_rate(found)
    assert (rate.pieces, rate.misfit, rate.basis) == (1, "", ROOFLINE)
    assert rate.memory > 0
    assert "a batch is computed in 1 piece." in text and misfits(found) == ""


def told(held):
    """Analyses of a step: what it holds by its pieces, as its text says how many there are."""

    def analysed(self, lowered, effort):
        pieces = next(n for n in held if f"tensor<{n}x{16 // n}xi32>" in lowered.as_text())
        done = Instructions(Work(3e6, 4e6), (), {"all-reduce": 2}, 8e6)
        assert effort != FULLY or held[pieces] <= 90
        return Analysis(held[pieces], held[pieces], True, done, 1.0)

    return analysed


def aimed_at_tpu(aimed, monkeypatch, held):
    changes = {"platform": "tpu", "clock": 1e9, "bandwidth": 1e9, "memory": 100}
    at = aimed(make=StandIn, kind="v5e", **changes)
    monkeypatch.setattr(UnattachedExecutor, "told", told(held))
    found = Analysis(5, 7, True, Instructions(Work(1e6), (), {}), 1.0)
    monkeypatch.setattr(UnattachedExecutor, "_analysis", lambda *_: found)
    return at


def test_pieces_are_chosen_and_what_crosses_the_chips_is_waited_for(aimed, monkeypatch):
    at = aimed_at_tpu(aimed, monkeypatch, {1: 95, 2: 91, 4: 80, 8: 70})
    _, found, text = found_on(at, **LOOPED)
    rate = looped_rate(found)
    assert (rate.pieces, rate.memory, rate.basis) == (4, 80, CYCLES)
    assert rate.unit_seconds == pytest.approx(3e-3 + 4e-3 + 8e6 / 200e9)
    assert "computed in 4 pieces; 8 MB of each chip are summed over all, at the 200 GB/s" in text


def test_what_fits_in_no_pieces_is_told_with_the_way_out(aimed, monkeypatch):
    at = aimed_at_tpu(aimed, monkeypatch, {1: 99, 2: 98, 4: 97, 8: 96})
    _, found, text = found_on(at, **LOOPED)
    assert "does not fit" in text
    assert misfits(found).startswith("pretraining base 'Grouped' needs ")
    assert "even one example in each piece needs" in misfits(found)


def test_every_kind_with_a_clock_has_links():
    assert all(bool(kind.link) == bool(kind.clock) for kind in KINDS.values())


def test_one_chip_waits_for_nobody():
    done = Instructions(Work(1.5e9), (), {}, 1e9)
    assert looped_seconds(done, KINDS["v5e"], 1) == 1
    assert looped_seconds(done, KINDS["v5e"], 4) == 1 + 2 * 1e9 * 3 / 4 / 200e9
