"""The page of two studies: its tables, files and refusal of what is not plain text."""

import dataclasses
import itertools

import pandas as pd
import pytest

from jaxbias.analysis.beside import Beside
from jaxbias.analysis.sides import SIZE
from jaxbias.report import beside, numbers
from tests.report.answers import HOSTILE, TASKS, study
from tests.report.parsed import Parsed

BASES = ("Gendered", "Scratch")


def differences():
    return pd.DataFrame(
        [
            dict(
                task=task, base=base, n_first=512, n_second=1024, metric=metric, first=0.15,
                second=0.05, difference=-0.1, difference_low=-0.12, difference_high=-0.08,
                difference_low_all=-0.13, difference_high_all=-0.07, paired=True,
                left_out="runs/b: not all of its models are trained yet" * (base == "Scratch"),
            )
            for metric, task, base in itertools.product(("fpr_gap", SIZE, "auc"), TASKS, BASES)
        ]
    )  # fmt: skip


def verdicts():
    return pd.DataFrame(
        [
            dict(task=task, base="Gendered", n_first=512, n_second=1024)
            | dict(inherited_first="yes", inherited_second="undecided", fix_first="confirmed")
            | dict(curation_first="correlation 5", images_changed_first=164.0, fix_second="none")
            | dict(curation_second="", images_changed_second=float("nan"))
            | dict(gap_after_first=0.02, gap_after_second=0.1)
            for task in TASKS
        ]
    )


def made():
    first, second = study(), study()
    second["finetune"] = second["finetune"] | {"n": [1024]}
    return Beside(
        ("runs/a", "runs/b"), (first, second), ["runs/b is not finished."], differences(),
        verdicts(), ["Wearing_Earrings, Gendered: surely."], 0.95,
    )  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    directory = tmp_path_factory.mktemp("compared")
    return beside.write(made(), directory / "new"), directory / "new"


def test_every_table_is_on_the_page_and_in_files(written):
    page, directory = written
    read = Parsed(page.read_text())
    rows = read.rows("Difference [95 %]")
    assert len(rows) == len(differences())
    assert rows[0]["Difference [95 %]"] == numbers.estimate(-0.1, -0.12, -0.08)
    assert rows[0]["n"] == "512, 1,024"
    (changed,) = read.rows("Setting")
    assert changed == {"Setting": "finetune.n", "runs/a": "[512]", "runs/b": "[1024]"}
    first = read.rows("Smallest fix, runs/a")[0]
    assert (first["Smallest fix, runs/a"], first["Smallest fix, runs/b"]) == (
        "correlation 5", "none",
    )  # fmt: skip
    names = {path.name for path in directory.iterdir()}
    assert names == {
        "comparison.html", "differences.csv", "differences.pdf", "differences.png", "latex",
        "settings.csv", "verdicts.csv",
    }  # fmt: skip
    assert {path.stem for path in (directory / "latex").iterdir()} == {
        "differences", "verdicts", "settings",
    }  # fmt: skip
    assert len(pd.read_csv(directory / "differences.csv")) == len(differences())


def test_warnings_come_first_and_sentences_are_there(written):
    read = Parsed(written[0].read_text())
    assert "runs/b is not finished." in read.text["p"]
    assert made().sentences[0] in read.text["li"]
    assert all(image["alt"] for image in read.find("img"))


def test_the_picture_leaves_open_what_is_not_compared():
    figure = beside.differences(made())
    said = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert said.count("not compared") == 2 * len(TASKS)
    for axes in figure.axes:
        marks = [line for line in axes.lines if line.get_marker() == "o"]
        assert [line.get_xdata()[0] for line in marks] == [-0.1] * len(TASKS)
        assert all(line.get_markerfacecolor() != "white" for line in marks)


def test_the_same_settings_are_said_to_be(tmp_path):
    alike = dataclasses.replace(made(), studies=(study(), study()), verdicts=pd.DataFrame())
    read = Parsed(beside.write(alike, tmp_path).read_text())
    assert "None: the settings are the same." in read.text["p"]
    assert not read.rows("Setting")
    assert read.rows("Not compared")
    assert pd.read_csv(tmp_path / "settings.csv").empty
    assert not (tmp_path / "verdicts.csv").exists()
    whole = dataclasses.replace(alike, differences=differences().assign(left_out=""))
    assert not Parsed(beside.write(whole, tmp_path).read_text()).rows("Not compared")


def test_hostile_names_are_text(tmp_path):
    names = (HOSTILE["Control_Hat"], HOSTILE["Gendered"])
    found = dataclasses.replace(made(), names=names, sentences=[HOSTILE["female"]])
    read = Parsed(beside.write(found, tmp_path).read_text())
    assert [tag for tag, _ in read.elements].count("script") == 1
    assert "onerror" not in {name for _, attributes in read.elements for name in attributes}
    assert HOSTILE["female"] in read.text["li"]
