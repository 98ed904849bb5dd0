"""Further groupings on the page: the picture's numbers, the tables, and only where asked."""

import dataclasses

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from jaxbias.report import figures, groupings, numbers, page, style
from tests.report.parsed import Parsed

NAME, GROUPS = "gender x race", [f"{g}, {r}" for g in "fm" for r in "ABCDEFG"]
CURATIONS = [("natural", "natural", np.nan)]
CURATIONS += [(f"correlation {k}", "correlation", float(k)) for k in range(11)]
FIX = "correlation 5"


def arms(task, curations):
    for place, (curation, kind, level) in enumerate(CURATIONS[:curations]):
        yield place, dict(
            task=task, population="natural", grouping=NAME, base="Gendered", role="studied",
            curation=curation, kind=kind, level=level, n=512, metric="fpr",
        )  # fmt: skip


def frames(tasks, curations):
    rates, ranges, fixes, changes = [], [], [], []
    for task in tasks:
        for place, arm in arms(task, curations):
            values = 0.1 + 0.01 * np.arange(14) + 0.005 * place
            rates += [
                arm | dict(group=group, positives=50, negatives=60, left_out="", value=value)
                for group, value in zip(GROUPS, values, strict=True)
            ]
            rates.append(arm | dict(group="x, H", left_out="too few", value=np.nan))
            ranges.append(
                arm
                | dict(
                    groups=14, checkpoints=5, draws=5, range=0.13, low=0.06, high=0.2, chance=0.05
                )
                | dict(low_family=0.055, high_family=0.21, highest="m, G", lowest="f, A")
                | dict(marked="", verdict="range")
            )
        keys = dict(task=task, population="natural", grouping=NAME, base="Gendered", n=512)
        keys |= dict(metric="fpr", curation=FIX, confirmed=True)
        fixes.append(
            keys
            | dict(before=0.13, after=0.2, change=0.07, low=0.02, high=0.12, low_family=0.01)
            | dict(high_family=0.13, highest_after="m, G", lowest_after="f, A", verdict="larger")
        )
        changes += [
            keys
            | dict(group=group, before=0.1, after=0.2, change=0.1, change_low=0.05)
            | dict(change_high=0.15, low_family=0.02, high_family=0.18)
            for group in GROUPS
        ]
    tables = {"rates": rates, "ranges": ranges, "fixes": fixes, "changes": changes}
    return {f"grouping_{name}": pd.DataFrame(rows) for name, rows in tables.items()}


def with_groupings(answer, tasks=("Wearing_Earrings",), curations=None):
    study = answer.study | {"groupings": {NAME: {"crossed": ["group", "race"]}}}
    study["targets"] = list(dict.fromkeys([*study["targets"], *tasks]))
    return dataclasses.replace(answer, study=study, **frames(tasks, curations))


def texts(figure):
    return [text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_text()]


@pytest.fixture
def grouped(empty_answer):
    return with_groupings(empty_answer)


def test_the_picture_has_a_number_for_every_group_and_curation(grouped):
    assert groupings.names(grouped) == {NAME: "grouping_1_gender_x_race"}
    with style.drawing():
        figure = groupings.draw(grouped, NAME)
    found = texts(figure)
    for group in GROUPS:
        assert group in found
    axes = figure.axes[0]
    cells = {
        tuple(np.round(text.get_position(), 3)): text.get_text()
        for text in axes.texts
        if text.get_text().isdigit() and text.get_fontsize() == 7
    }
    rows = sorted({y for _, y in cells}, reverse=True)
    assert len(cells) == 12 * (14 + 3)
    assert [cells[0.5, y] for y in rows[:14]] == [str(10 + i) for i in range(14)]
    assert [cells[0.5, y] for y in rows[14:]] == ["13", "6", "20"]
    ring = [p for p in axes.patches if p.get_facecolor()[3] == 0]
    assert [(p.get_x(), p.get_linestyle()) for p in ring] == [(6, "-")]  # Natural, 0 to 5.


def test_letters_are_large_enough_on_a_wide_screen_and_where_it_scrolls(grouped):
    with style.drawing():
        figure = groupings.draw(grouped, NAME)
    wide = 44 * 16 / style.WIDTH  # Pixels per inch, at the least that the page gives it.
    sizes = [t.get_fontsize() for t in figure.findobj(mpl.text.Text) if t.get_text()]
    assert min(sizes) * wide / 72 >= 8
    assert figure.get_figheight() < 6


def test_of_many_panels_the_widest_are_drawn_and_the_caption_says_so(empty_answer):
    tasks = [f"Task_{i}" for i in range(10)]
    many = with_groupings(empty_answer, tasks, curations=8)
    own = many.grouping_ranges["task"].isin(tasks[:2])
    many.grouping_ranges.loc[own, "range"] = 0.01
    with style.drawing():
        found = texts(groupings.draw(many, NAME))
    assert [f"Task {i}: Gendered" in found for i in range(10)] == [False] * 2 + [True] * 8
    assert "The 8 of 10 with the largest ranges" in groupings.caption(many, NAME)


def test_the_page_has_the_tables(grouped, tmp_path):
    read = Parsed(page.render(grouped, figures.draw(grouped, tmp_path)))
    assert (tmp_path / "grouping_1_gender_x_race.pdf").stat().st_size > 1000
    assert "figure-grouping_1_gender_x_race" in {a.get("id") for _, a in read.elements}
    (natural,) = read.rows("By chance")
    assert natural["Range [95 %]"] == numbers.estimate(0.13, 0.06, 0.2, numbers.plain)
    assert (natural["Highest"], natural["Verdict"]) == ("m, G", "surely above ε")
    (fix,) = read.rows("Range before")
    assert (fix["Finetuned on"], fix["Verdict"]) == (FIX, "larger")
    each = read.rows("Change of the rate [95 %]")
    assert [row["Group"] for row in each] == GROUPS


def test_a_study_without_groupings_has_no_such_section(empty_answer):
    assert groupings.names(empty_answer) == {}
    assert "Other groupings" not in page.render(empty_answer, {})
