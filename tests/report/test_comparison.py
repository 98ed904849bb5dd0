"""Bases side by side on the page, and only where a study has several."""

import dataclasses
import itertools

import matplotlib as mpl
import pandas as pd
import pytest

from jaxbias.report import comparison, figures, numbers, page, style
from tests.report.answers import ROLES, TASKS
from tests.report.parsed import Parsed

CURATIONS = {"natural": ("natural", float("nan")), "group_balanced": ("group_balanced", 0)} | {
    f"correlation {k}": ("correlation", float(k)) for k in range(11)
}
KEYS = ["task", "n", "curation", "metric"]
SIZES = (128, 512)


def rows():
    """Gendered the best, Scratch at chance; the controls are not told apart."""
    bounds = {"Gendered": (1, 1), "Control_Hat": (2, 3), "Control_Bangs": (2, 3)}
    return pd.DataFrame(
        [
            dict(
                task=task, population="natural", n=n, curation=curation, kind=kind, level=level,
                metric=metric, base=base, role=role,
                value=float("nan") if base == "Scratch" else 0.1 * place * (-1) ** place + 0.05,
                value_low=-0.5, value_high=0.5,
                rank_low=bounds.get(base, (float("nan"),))[0],
                rank_high=bounds.get(base, (float("nan"),))[-1], bases=3,
                left_out="5 of 5 checkpoints degenerate" if base == "Scratch" else "",
            )
            for task, n, (curation, (kind, level)), metric, (place, (base, role))
            in itertools.product(
                TASKS, SIZES, CURATIONS.items(), ("fpr_gap", "auc"), enumerate(ROLES.items())
            )
        ]
    )  # fmt: skip


def pairs():
    return pd.DataFrame(
        [
            dict(zip(KEYS, key, strict=True))
            | dict(population="natural", kind=part["kind"].iloc[0], base=a, against=b)
            | dict(difference=-0.1, difference_low=-0.2, difference_high=0.0123)
            for key, part in rows().groupby(KEYS, sort=False)
            for a, b in itertools.combinations(list(ROLES)[:3], 2)
        ]
    )


@pytest.fixture
def compared(answer):
    return dataclasses.replace(answer, comparison=rows(), comparison_pairs=pairs())


def texts(figure):
    return [text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_text()]


def test_bases_are_in_order_of_their_gap_with_their_ranks(compared):
    with style.drawing():
        figure = comparison.comparison(compared)
    said = texts(figure)
    names = [style.label(base) for base in ROLES]
    # |gap|: .05, .05, .25, unknown.
    assert [text for text in said if text in names] == names * len(TASKS) * len(SIZES)
    assert said.count("1 of 3") == 2 * len(TASKS) * len(SIZES)
    assert said.count("2 to 3 of 3") == 4 * len(TASKS) * len(SIZES)
    assert said.count(numbers.MISSING) == 2 * len(TASKS) * len(SIZES)


def test_every_bar_of_ranks_is_drawn_once(compared):
    with style.drawing():
        figure = comparison.ranks(compared)
    assert len(figure.axes) == 2 * len(TASKS) * len(SIZES)
    for axes in figure.axes:
        bars = [tuple(map(int, line.get_ydata())) for line in axes.lines if line.get_ls() == "-"]
        assert sorted(bars) == sorted([(1, 1), (2, 3), (2, 3)] * len(CURATIONS))
        assert axes.get_ylim() == (3.5, 0.5)
        ticks = [tick.get_text() for tick in axes.get_xticklabels()]
        assert ticks == ["N", *map(str, range(11)), "group balanced"]


def test_the_page_has_fixes_ranks_and_pairs(compared, empty_answer, tmp_path):
    few = rows()[rows()["n"] == SIZES[0]]  # And no other figure: they are drawn elsewhere.
    pictures = figures.draw(dataclasses.replace(empty_answer, comparison=few), tmp_path)
    read = Parsed(page.render(compared, pictures))
    assert list(pictures) == ["comparison", "ranks"]
    assert [image["alt"] for image in read.find("img")] == [one.alt for one in pictures.values()]
    found = read.rows("Rank by |gap|")
    assert len(found) == len(TASKS) * len(SIZES) * len(ROLES)
    first = next(row for row in found if row["n"] == "512")
    assert (first["Base"], first["Rank by |gap|"], first["Rank by AUC"]) == ("Gendered", "1", "1")
    assert (first["Smallest fix"], first["Images changed"]) == ("correlation 5", "164")
    assert found[3]["Not ranked"] == "5 of 5 checkpoints degenerate"
    every = read.rows("Control_Hat")
    assert len(every) == len(TASKS) * len(SIZES) * 2 * len(CURATIONS)
    assert every[0] == {
        "Finetuned on": "natural", "Gendered": "+0.050 (1)", "Control_Hat": "−0.050 (2 to 3)",
        "Control_Bangs": "+0.250 (2 to 3)", "Scratch": numbers.MISSING,
    }  # fmt: skip
    differences = read.rows("For all pairs")
    assert len(differences) == len(TASKS) * len(SIZES) * 2 * 3
    assert differences[0]["For all pairs"] == "[−0.200, +0.012]"


def test_a_study_of_one_base_has_no_such_section(answer):
    with style.drawing():
        assert comparison.comparison(answer) is None
        assert comparison.ranks(answer) is None
    assert not comparison.section(answer)


def test_natural_draws_alone_need_no_second_picture(compared):
    natural = rows()[rows()["kind"] == "natural"]
    alone = dataclasses.replace(compared, comparison=natural)
    with style.drawing():
        assert comparison.comparison(alone) is not None
        assert comparison.ranks(alone) is None
    assert "Every curation" not in str(comparison.section(alone))
