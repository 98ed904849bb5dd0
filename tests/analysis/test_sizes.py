"""Where bases meet along n, on scores that differ up to a known size."""

import numpy as np
import pandas as pd
import pytest

from jaxbias.analysis import make_answer
from jaxbias.analysis.sizes import meeting
from jaxbias.study import AnswerSpec
from tests.analysis.made_up import several

SIZES = (16, 64, 256, 1024)
ROLES = {"Gendered": "studied", "Control": "control", "Scratch": "scratch"}


def score(arm, repeat, target, first, rng):
    """The studied base's bias is gone from 256 on; scratch, at 16, knows nothing."""
    _, base, _, _, n = arm
    shift = 1.5 if base == "Gendered" and n < 256 else 0.0
    own = 0.0 if base == "Scratch" and n == 16 else 2.0
    # Models that look alike differ little on the same example.
    common = np.random.default_rng(0).normal(0, 1, len(target))
    return own * target + shift * first + common + rng.normal(0, 0.2, len(target))


def study_of(sizes=SIZES):
    arms = [("target", b, r, "natural", n) for b, r in ROLES.items() for n in sizes]
    study = several(arms, score, {"target": (0.5, 0.2)}, count=6000, seeds=8)
    return study


@pytest.fixture(scope="module")
def answered():
    return make_answer(*study_of())


def test_bases_meet_where_the_bias_ends(answered):
    rows = answered.meeting.set_index(["against", "metric"])
    gap = rows.loc[("Control", "fpr_gap")]
    assert (gap["met_from"], gap["apart_to"]) == (256, 64)
    assert (gap["smallest"], gap["largest"], gap["bound"]) == (16, 1024, 0.05)
    assert rows.loc[("Scratch", "fpr_gap"), "met_from"] == 256
    (said,) = (one for one in answered.sentences if one.startswith("Size"))
    assert "Gendered meets in FPR gap (±0.05) Control surely from n = 256 on" in said


def test_differences_are_those_of_the_curves_and_bounds_are_wider_together(answered):
    rows = answered.sizes
    curves = answered.curves[answered.curves["group"] == "all"]
    values = curves.set_index(["base", "n", "metric"])["value"]
    for row in rows[rows["left_out"] == ""].itertuples():
        own, other = (values[base, row.n, row.metric] for base in (row.base, row.against))
        assert row.difference == pytest.approx(own - other)  # Positives are the first group's.
        assert row.low_all <= row.low <= row.difference <= row.high <= row.high_all


def test_a_model_at_chance_has_not_met_anybody(answered):
    rows = answered.sizes.set_index(["against", "metric", "n"])
    at_chance = rows.loc[("Scratch", "fpr_gap", 16)]
    assert "Scratch" in at_chance["left_out"]
    assert np.isnan(at_chance["difference"])


def test_two_sizes_are_no_course():
    answer = make_answer(*study_of(SIZES[-2:]))
    assert answer.sizes.empty
    assert answer.meeting.empty


def test_meeting_by_hand():
    rows = pd.DataFrame(
        [
            (16, 0.2, 0.4),
            (64, 0.01, 0.04),
            (256, -0.02, 0.06),
            (1024, -0.03, 0.03),
            (4096, -0.01, 0.02),
        ],
        columns=["n", "low_all", "high_all"],
    )
    rows = rows.assign(task="t", base="G", against="C", metric="fpr_gap", difference=0.0)
    (found,) = meeting(rows, AnswerSpec()).itertuples()
    assert (found.met_from, found.apart_to) == (1024, 64)
    missing = rows.assign(high_all=[*rows["high_all"][:-1], float("nan")])
    (found,) = meeting(missing, AnswerSpec()).itertuples()
    assert np.isnan(found.met_from)
    (found,) = meeting(rows.assign(metric="auc", high_all=0.025), AnswerSpec()).itertuples()
    assert (found.met_from, found.bound) == (4096, 0.03)
