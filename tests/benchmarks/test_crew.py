"""The simulation of a large grid, small: it counts what happens, and the same every time."""

import pytest

from benchmarks import crew
from jaxbias.workdir.failures import MOST


@pytest.fixture
def unsafe(monkeypatch):
    """Deaths and poison that a few packs meet."""
    monkeypatch.setattr(crew, "LIFE", 900.0)
    monkeypatch.setattr(crew, "POISONED", 0.05)


@pytest.mark.usefixtures("unsafe")
def test_every_pack_is_done_or_quarantined_whoever_dies():
    found = crew.compared(workers=8, packs=120, seed=0)
    assert crew.compared(workers=8, packs=120, seed=0) == found
    ours, best = found["shared"], found["at_once"]
    assert ours["deaths"] > 10 and best["deaths"] > 10
    assert ours["failures"] == best["failures"] == MOST * 6
    assert ours["computed"] - ours["discarded"] == 114
    assert ours["gave_up"] == 0
    assert 0 < found["lost_to_coordination"] < 0.25
    assert found["discarded"] < 0.02
    assert ours["most_keys_listed_at_once"]["list failures"] == MOST * 6
    # A claim, three looks and four writes at least, and a renewal every quarter of a minute.
    assert ours["requests"]["write results"] == 114 + ours["written_twice"]
    assert ours["requests"]["write claims"] > 3 * 114 + 114 * 300 / 15


def test_alone_and_unharmed_nothing_is_lost_but_the_time_of_requests(monkeypatch):
    monkeypatch.setattr(crew, "LIFE", 1e9)
    found = crew.compared(workers=1, packs=30, seed=1)
    ours, best = found["shared"], found["at_once"]
    assert (ours["deaths"], ours["discarded"], best["deaths"]) == (0, 0, 0)
    seconds = 3600 * (ours["makespan_hours"] - best["makespan_hours"])
    assert 0.5 < seconds / 30 < 6  # Six requests one after another, of half a second on average.


def test_without_latency_and_death_both_take_the_same(monkeypatch):
    monkeypatch.setattr(crew, "LIFE", 1e9)
    monkeypatch.setattr(crew, "POISONED", 0.0)
    monkeypatch.setattr("benchmarks.crew_world.LATENCY", (1e-6, 1e-6))
    found = crew.compared(workers=1, packs=20, seed=2)
    assert abs(found["lost_to_coordination"]) < 1e-3
