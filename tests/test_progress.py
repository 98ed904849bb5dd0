"""Progress lines: what a log file gets."""

import pytest

from jaxbias import progress as module


@pytest.mark.parametrize(
    ("units", "rate"), [(20_000, "5,000 images/s"), (200, "50 images/s"), (3, "0.75 images/s")]
)
def test_the_last_line_says_how_fast_it_went(monkeypatch, capsys, units, rate):
    clock = iter([0.0, 1.0, 4.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    with module.progress(units, "decoding", "images") as advance:
        advance(units)
    assert capsys.readouterr().err == f"decoding: {units} in 4.0 s, {rate}\n"
