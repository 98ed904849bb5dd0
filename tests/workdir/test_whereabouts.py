"""Whereabouts: what a process tells whoever looks after it."""

import pytest

from jaxbias.plan.packs import Pack
from jaxbias.workdir.telemetry import Telemetry
from jaxbias.workdir.whereabouts import VARIABLE, Whereabouts, told


class Interrupted(BaseException):
    pass


def test_packs_are_told_while_they_are_worked_on_and_counted_when_done(tmp_path, monkeypatch):
    path = tmp_path / "whereabouts.json"
    monkeypatch.setenv(VARIABLE, str(path))
    counters = {"trained_images": 1, "train_and_score_seconds": 1.0}
    telemetry = Telemetry(tmp_path / "events", lambda: counters, dict)
    packs = [Pack("a" * 16, 1, ("x",)), Pack("b" * 16, 1, ("y",))]
    assert told(path) == Whereabouts((), 0)
    with telemetry.pack("finetune", "models", *packs):
        assert told(path) == Whereabouts((packs[0].id, packs[1].id), 0)
    assert told(path) == Whereabouts((), 1)
    for error in (ValueError, Interrupted):
        with pytest.raises(error), telemetry.pack("finetune", "models", packs[0]):
            raise error
        assert told(path) == Whereabouts((), 1)


def test_nobody_is_told_where_nobody_asks_and_what_is_damaged_tells_nothing(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    counters = {"trained_images": 1, "train_and_score_seconds": 1.0}
    telemetry = Telemetry(tmp_path / "events", lambda: counters, dict)
    with telemetry.pack("finetune", "models", Pack("a" * 16, 1, ("x",))):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["events"]
    path = tmp_path / "whereabouts.json"
    for text in ("", "{", "[]", '{"packs": 3, "done": 1}', '{"packs": []}'):
        path.write_text(text)
        assert told(path) == Whereabouts()
