"""Salience on the page: its order, its numbers, and only where a study asks."""

import dataclasses

import matplotlib as mpl
import pandas as pd
import pytest

from jaxbias.report import figures, numbers, page, salience, style
from tests.report.parsed import Parsed


def row(task, value, more):
    return dict(
        task=task, base="Scratch", n=1024, checkpoints=5, draws=5, auc_group=0.9,
        auc_target=1.4 - value, agreeing=value + 0.01, disagreeing=value - 0.01, salience=value,
        low=value - 0.02, high=value + 0.02, low_family=value - 0.04, high_family=value + 0.04,
        more_salient=more,
    )  # fmt: skip


ROWS = [
    row("Bags_Under_Eyes", 0.71, "group"), row("Eyeglasses", 0.32, "target"),
    row("Smiling", 0.49, "undecided"), row("Wearing_Earrings", 0.83, "group"),
]  # fmt: skip
ORDER = ["Eyeglasses", "Smiling", "Bags_Under_Eyes", "Wearing_Earrings"]


@pytest.fixture
def salient(answer):
    return dataclasses.replace(answer, salience=pd.DataFrame(ROWS))


def test_the_picture_is_in_order_of_salience(salient):
    with style.drawing():
        figure = salience.salience(salient)
    texts = [text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_text()]
    names = [style.label(task) for task in ORDER]
    assert [text for text in texts if text in names] == names
    (axes,) = figure.axes
    marks = [line for line in axes.lines if line.get_markersize() == 5.5]
    assert [line.get_xdata()[0] for line in marks] == [0.32, 0.49, 0.71, 0.83]
    assert [line.get_ydata()[0] for line in marks] == [-1, -2, -3, -4]
    assert [line.get_markerfacecolor() == "white" for line in marks] == [False, True, False, False]


def test_the_page_has_the_table_in_order(salient, tmp_path):
    read = Parsed(page.render(salient, figures.draw(salient, tmp_path)))
    rows = read.rows("Salience [95 %]")
    assert [one["Attribute"] for one in rows] == ORDER
    assert rows[0]["Salience [95 %]"] == numbers.estimate(0.32, 0.3, 0.34, numbers.plain)
    assert rows[0]["For all attributes"] == "[0.280, 0.360]"
    assert [one["More salient"] for one in rows] == ["Eyeglasses", "undecided", "Male", "Male"]
    assert "figure-salience" in {attributes.get("id") for _, attributes in read.elements}


def test_a_study_that_does_not_ask_has_no_such_section(answer):
    with style.drawing():
        assert salience.salience(answer) is None
    assert not salience.section(answer)
