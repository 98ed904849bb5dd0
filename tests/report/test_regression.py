"""The regression on the page: coefficients, residuals, and only where a study has them."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest

from jaxbias.analysis.regression import DIFFERENCE, KEPT, RATIO, TERMS
from jaxbias.report import figures, numbers, page, regression, style
from tests.report.parsed import Parsed

COEFFICIENTS = pd.DataFrame(
    [
        dict(base="Gendered", n=1024, model=model, term=term, value=0.3 * i - 0.2,
             low=0.3 * i - 0.6, high=0.3 * i + 0.2, p_value=0.04, df=8, sd_attributes=0.1,
             sd_rest=0.2, points=20 if model == KEPT else 22, attributes=11, set_to_0=1, set_to_5=1)
        for model, (i, term) in itertools.product((DIFFERENCE, RATIO, KEPT), enumerate(TERMS))
    ]
)  # fmt: skip


def points():
    rng = np.random.default_rng(0)
    rows = []
    for model, i, curation in itertools.product(
        (DIFFERENCE, RATIO, KEPT), range(11), ("natural", "correlation 2 at natural")
    ):
        opposite = i == 4
        if model == KEPT and opposite:
            continue
        scale = 0.05 if model == DIFFERENCE else 0.6
        rows.append(
            dict(task=f"t{i}", base="Gendered", n=1024, curation=curation, model=model,
                 opposite=opposite, salience=0.3 + 0.05 * i, fitted=scale * (1 + i / 5),
                 residual=scale * rng.normal())
        )  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture
def regressed(answer):
    return dataclasses.replace(answer, regression=COEFFICIENTS, regression_points=points())


def test_residuals_are_drawn_as_they_are(regressed):
    with style.drawing():
        figure = regression.residuals(regressed)
    rows = points()
    assert len(figure.axes) == 4
    for axes, (model, along) in zip(
        figure.axes, itertools.product((DIFFERENCE, RATIO), ("fitted", "salience")), strict=True
    ):
        drawn = {
            point
            for line in axes.lines
            if line.get_linestyle() == "None"
            for point in zip(line.get_xdata(), line.get_ydata(), strict=True)
        }
        mine = rows[rows["model"] == model]
        assert drawn == set(zip(mine[along], mine["residual"], strict=True))
        hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
        assert sum(len(line.get_xdata()) for line in hollow) == 2


def test_the_page_has_every_coefficient(regressed, tmp_path):
    read = Parsed(page.render(regressed, figures.draw(regressed, tmp_path)))
    rows = read.rows("Coefficient of")
    assert [row["Value [95 %]"] for row in rows] == [
        numbers.estimate(row.value, row.low, row.high) for row in COEFFICIENTS.itertuples()
    ]
    assert [row["Set to 0, to 5"] for row in rows] == ["–"] * 3 + ["1, 1"] * 3 + ["–"] * 3
    assert "figure-residuals" in {attributes.get("id") for _, attributes in read.elements}


def test_a_study_without_one_has_no_such_section(answer):
    with style.drawing():
        assert regression.residuals(answer) is None
    assert not regression.section(answer)
