"""The section on a screen: heads beside what was confirmed, in figure and tables."""

import numpy as np
import pandas as pd
import pytest

from jaxbias import report
from jaxbias.report import levels, numbers, style
from tests.report.answers import make_answer
from tests.report.parsed import Parsed

KEPT = ("natural", "correlation 4", "correlation 5", "correlation 6")


def screened(overwritten):
    """Heads with gaps a half larger, and the finetuned beside them at a few levels."""
    table = overwritten[overwritten["role"] == "studied"].reset_index(drop=True)
    values = ["gap", "gap_low", "gap_high", "auc_change", "auc_change_low", "auc_change_high"]
    kept = table["curation"].isin(KEPT)
    beside = table[values].where(kept).add_suffix("_confirmed")
    heads = table.assign(**{name: 1.5 * table[name] for name in values[:3]}, confirmed=kept)
    return heads.join(beside).assign(verdict_confirmed=table["verdict"].where(kept, ""))


@pytest.fixture(scope="module")
def answer():
    verdicts = pd.DataFrame(
        [
            dict(
                task="Wearing_Earrings", base="Gendered", n=512, by_heads="correlation 5",
                heads_qualify=False, by_finetuning="correlation 4", finetuning_qualifies=True,
                doses_apart=1.0, confirmed=3, screened=11, inherited_by_heads="yes",
                inherited="undecided",
            )
        ]
    )  # fmt: skip
    plain = make_answer()
    return make_answer(screen=screened(plain.overwritten), screen_verdicts=verdicts)


def test_the_page_shows_the_screen_beside_what_was_confirmed(answer, tmp_path):
    page = Parsed(report.write(answer, tmp_path).read_text())
    assert (tmp_path / "screen.png").stat().st_size > 10_000
    (row,) = page.rows("Heads choose")
    assert row["Heads choose"] == "correlation 5 (smallest gap, no fix)"
    assert row["Finetuned choose"] == "correlation 4 (a fix)"
    assert (row["Apart"], row["Finetuned"], row["Inherited"]) == ("1", "3 of 11", "undecided")
    rows = page.rows("Gap of heads [95 %]")
    assert len(rows) == 2 * 12
    first = answer.screen[answer.screen["task"] == "Wearing_Earrings"].set_index("curation")
    for got in rows[:12]:
        expected = first.loc[got["Trained on"]]
        assert got["Gap of heads [95 %]"].startswith(numbers.signed(expected["gap"]))
        confirmed = got["Trained on"] in KEPT
        assert (got["Verdict finetuned"] == "not confirmed") == (not confirmed)
        assert (got["Gap finetuned [95 %]"] == numbers.MISSING) == (not confirmed)


def test_the_figure_draws_both_where_they_are(answer):
    with style.drawing():
        figure = levels.screen(answer)
    axes = figure.get_axes()[0]
    dashed, solid = (
        [line for line in axes.get_lines() if line.is_dashed() == dashes and len(line.get_xdata())]
        for dashes in (True, False)
    )
    table = answer.screen[answer.screen["task"] == "Wearing_Earrings"]
    heads = table.loc[table["kind"] == "correlation", "gap"].to_numpy()
    assert any(np.array_equal(line.get_ydata(), heads) for line in dashed)
    confirmed = table.loc[table["curation"].isin(KEPT[1:]), "gap_confirmed"].to_numpy()
    assert any(np.array_equal(line.get_ydata(), confirmed) for line in solid)
    assert levels.screen(make_answer()) is None
