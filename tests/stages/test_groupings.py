"""Groupings added to a finished study: answered from its scores, and nothing is trained."""

import shutil

import pandas as pd
import pytest

import jaxbias
from jaxbias.errors import InputError
from jaxbias.stages import train
from jaxbias.study import make_study
from tests.tiny import tiny_config

pytestmark = pytest.mark.usefixtures("in_memory")
GROUPINGS = {"other": {"column": "other"}, "group x other": {"crossed": ("group", "other")}}


def packs(workdir):
    return {path.name: path.read_bytes() for path in (workdir / "packs").iterdir()}


def test_a_report_answers_them_and_a_run_keeps_them(finished, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    before, recorded = packs(workdir), (workdir / "study.json").read_bytes()
    asked = make_study(tiny_config(groupings=GROUPINGS))
    answer, page = train.write_report(workdir, asked)
    assert set(answer.grouping_rates["grouping"]) == set(GROUPINGS)
    assert set(answer.grouping_ranges["grouping"]) == {"other"}  # Of 100 four groups are few.
    (said,) = (one for one in answer.sentences if one.startswith("Grouping group x other"))
    assert "Left out: a, other=0 (target: too few: " in said
    assert "Other groupings" in page.read_text()
    assert pd.read_csv(workdir / "report" / "grouping_ranges.csv")["range"].between(0, 1).all()
    assert (workdir / "study.json").read_bytes() == recorded  # It was only asked.
    assert train.write_report(workdir)[0].grouping_ranges.empty
    assert not (workdir / "report" / "grouping_ranges.csv").exists()

    jaxbias.run(tiny_config(groupings=GROUPINGS), workdir)
    assert packs(workdir) == before
    again, _ = train.write_report(workdir)
    pd.testing.assert_frame_equal(again.grouping_ranges, answer.grouping_ranges)


def test_a_report_of_another_study_is_refused(finished):
    other = make_study(tiny_config(groupings=GROUPINGS, targets=("other",)))
    with pytest.raises(InputError, match="belongs to a study with targets"):
        train.write_report(finished[0], other)
