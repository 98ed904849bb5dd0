"""Gap and AUC along n on the page, and only where a study has sizes."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest

from jaxbias.report import figures, numbers, page, sizes, style
from tests.report.answers import ROLES, TASKS
from tests.report.parsed import Parsed

PLACES = (16, 64, 256, 1024, 4096, 8192, 16384)


def curves():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        [
            dict(
                task=task, population="natural", base=base, role=role, curation="natural",
                kind="natural", level=float("nan"), n=n, metric=metric, group="all",
                marked="at chance" if n == 16 and base == "Scratch" else "",
                value=(value := start + rng.normal(0, 0.01) + slope * np.log(n)),
                low=value - 0.03, high=value + 0.03, checkpoints=5, draws=5,
            )
            for task, (base, role), n, (metric, start, slope) in itertools.product(
                TASKS, ROLES.items(), PLACES, (("fpr_gap", 0.3, -0.03), ("auc", 0.6, 0.03))
            )
        ]
    )  # fmt: skip


def differences():
    return pd.DataFrame(
        [
            dict(
                task=task, base="Gendered", against=other, metric=metric, n=n, checkpoints=5,
                draws=5, difference=0.1, low=0.05, high=0.15, low_all=0.03, high_all=0.17,
                left_out="",
            )
            for task, other, metric, n in itertools.product(
                TASKS, list(ROLES)[1:], ("fpr_gap", "auc"), PLACES
            )
        ]
    )  # fmt: skip


def meeting():
    keys = ["task", "base", "against", "metric"]
    rows = differences()[keys].drop_duplicates()
    return rows.assign(
        bound=0.05, sizes=7, smallest=16, largest=16384, met_from=1024.0, apart_to=float("nan")
    )


@pytest.fixture
def sized(answer):
    whole = pd.concat([answer.curves, curves()], ignore_index=True)
    return dataclasses.replace(answer, curves=whole, sizes=differences(), meeting=meeting())


def test_every_natural_draw_is_drawn_at_its_size(sized):
    shown = dataclasses.replace(sized, curves=curves())
    with style.drawing():
        figure = sizes.sizes(shown)
    rows = curves()
    for axes, (task, metric) in zip(
        figure.axes, itertools.product(TASKS, ("fpr_gap", "auc")), strict=True
    ):
        mine = rows[(rows["task"] == task) & (rows["metric"] == metric)]
        drawn = [y for line in axes.lines for y in line.get_ydata()]
        assert set(mine["value"]) <= set(drawn)
        assert axes.get_xscale() == "log"
        hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
        marked = mine.loc[mine["marked"] != "", "value"]
        assert {y for line in hollow for y in line.get_ydata()} == set(marked)


def test_the_page_says_from_where_on(sized, tmp_path):
    read = Parsed(page.render(sized, figures.draw(sized, tmp_path)))
    rows = read.rows("Surely from n")
    assert len(rows) == len(meeting())
    assert {(row["Surely from n"], row["Surely apart to n"]) for row in rows} == {
        ("1,024", numbers.MISSING)
    }
    assert len(read.rows("For all sizes and bases")) == len(differences())


def test_a_study_of_few_sizes_has_no_such_section(answer):
    with style.drawing():
        assert sizes.sizes(answer) is None
    assert not sizes.section(answer)
