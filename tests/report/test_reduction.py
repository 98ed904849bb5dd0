"""Removal alone on the page, and only where a study has it."""

import dataclasses
import itertools

import pandas as pd
import pytest

from jaxbias.report import figures, numbers, page, reduction, style
from jaxbias.report.select import level_tasks
from tests.report.answers import ROLES, TASKS
from tests.report.parsed import Parsed

LEFT = {1: 910, 3: 682, 4: 512, 5: 409, 8: 256}


def rows():
    return pd.DataFrame(
        [
            dict(
                base=base, role=role, task=task, curation=f"reduce_only {level} from 2",
                level=float(level), start=2, n_full=1024, n=n, gap=0.1 - 0.03 * level + 0.01 * i,
                gap_full=0.09 - 0.03 * level + 0.01 * i, auc=0.8 - 0.00005 * (1024 - n) - i / 50,
                auc_full=0.81 - i / 50, gap_change=0.01, gap_change_low=-0.02,
                gap_change_high=0.04, auc_change=-0.01 - 0.00005 * (1024 - n),
                auc_change_low=-0.03 - 0.00005 * (1024 - n), auc_change_high=0.01,
                verdict="as good" if n > 600 else "undecided", marked="",
            )
            for task, (i, (base, role)), (level, n) in itertools.product(
                TASKS, enumerate(ROLES.items()), LEFT.items()
            )
        ]
    )  # fmt: skip


@pytest.fixture
def removed(answer):
    return dataclasses.replace(answer, reduction=rows())


def test_both_sizes_are_drawn_at_their_level(removed):
    with style.drawing():
        figure = reduction.reduction(removed)
    for axes, (task, name) in zip(
        figure.axes, itertools.product(TASKS, ("gap", "auc")), strict=True
    ):
        mine = rows()[rows()["task"] == task]
        drawn = {y for line in axes.lines for y in line.get_ydata()}
        assert {*mine[name], *mine[f"{name}_full"]} <= drawn
        assert [tick.get_text() for tick in axes.get_xticklabels()] == [
            f"{level}\n{n}" for level, n in LEFT.items()
        ]


def test_the_page_has_every_level(removed, tmp_path):
    read = Parsed(page.render(removed, figures.draw(removed, tmp_path)))
    found = read.rows("n by removal")
    assert len(found) == len(rows())
    assert found[0]["Change of gap [95 %]"] == numbers.estimate(0.01, -0.02, 0.04)
    assert found[0]["Verdict"] == "as good"


def test_a_size_of_one_level_is_no_course_beside_one_of_several():
    table = pd.DataFrame(
        [
            ("a", 8, "correlation", "x"),
            ("a", 8, "correlation", "y"),
            ("a", 4, "correlation", "x"),
            ("a", 8, "natural", "natural"),
            ("a", 4, "natural", "natural"),
            ("b", 4, "correlation", "x"),
            ("b", 2, "natural", "natural"),
        ],
        columns=["task", "n", "kind", "curation"],
    )
    assert level_tasks(table).index.tolist() == [0, 1, 3, 5]


def test_a_study_without_it_has_no_such_section(answer):
    with style.drawing():
        assert reduction.reduction(answer) is None
    assert not reduction.section(answer)
