"""The answer on made-up scores whose truth is known: verdicts, choices, costs and signs."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from jaxbias.analysis import make_answer
from jaxbias.analysis.costs import cost
from jaxbias.analysis.estimates import difference, estimate
from jaxbias.analysis.panels import Panel
from jaxbias.analysis.uncertainty import interval, p_value
from jaxbias.errors import InputError
from jaxbias.study import Curation
from tests.analysis.made_up import SEEDS, made_up
from tests.curation.made_up import CELLS


def panel(units, draws, values, replicates=None):
    values = np.asarray(values, np.float64)
    replicates = np.zeros((len(values), 10)) if replicates is None else replicates
    return Panel(np.asarray(units), np.asarray(draws), values, replicates)


def spoken(answer):
    return " ".join(answer.sentences)


BIASED = {
    ("Grouped", "studied", "natural"): 2.0,
    ("Grouped", "studied", "correlation 2"): 1.5,
    ("Grouped", "studied", "correlation 4"): 0.0,
    ("Grouped", "studied", "correlation 8"): -2.0,
    ("Control", "control", "natural"): 0.3,
    ("Scratch", "scratch", "natural"): 0.2,
}


@pytest.fixture(scope="module")
def biased():
    return make_answer(*made_up(BIASED))


def test_inherited_is_yes_with_the_right_sign(biased):
    verdict = biased.inherited_verdicts.iloc[0]
    assert (verdict["verdict"], verdict["direction"]) == ("yes", 1)
    assert (biased.inherited["difference"] > 0.1).all()
    assert (biased.inherited["low_family"] > 0).all()
    assert "Inherited: yes" in biased.sentences[0]


def test_inherited_is_no_when_bases_do_not_differ():
    same = {key: 0.5 for key in BIASED if key[2] == "natural"}
    answer = make_answer(*made_up(same))
    assert answer.inherited_verdicts["verdict"].tolist() == ["no"]


def test_inherited_is_undecided_when_repeats_scatter():
    same = {key: 0.5 for key in BIASED if key[2] == "natural"}
    answer = make_answer(*made_up(same, noise=0.6))
    assert answer.inherited_verdicts["verdict"].tolist() == ["undecided"]


def test_overwritten_levels_and_gap_reduction(biased):
    rows = biased.overwritten.set_index(["base", "curation"])
    assert rows.loc[("Grouped", "natural"), "verdict"] == "gap"
    assert rows.loc[("Grouped", "correlation 4"), "verdict"] == "no gap"
    assert rows.loc[("Grouped", "correlation 8"), "verdict"] == "gap"
    assert rows.loc[("Grouped", "correlation 8"), "gap"] < 0
    reduced = rows.loc[("Grouped", "correlation 4")]
    assert reduced["gap_reduction_low"] > 0
    assert reduced["gap_reduction"] == pytest.approx(
        rows.loc[("Grouped", "natural"), "gap"] - abs(reduced["gap"])
    )


def test_smallest_fix_is_found_with_its_cost_and_brackets(biased):
    fix = biased.smallest_fix.iloc[0]
    assert (fix["curation"], fix["verdict"]) == ("correlation 4", "confirmed")
    assert (fix["below"], fix["above"]) == ("correlation 2", "correlation 8")
    assert fix["fpr_first_before"] > fix["fpr_first_after"]
    assert fix["gap_before"] > 0.2 > abs(fix["gap_after"])
    assert f"{fix['images_changed']:.0f} of 100 images" in biased.sentences[0]


def test_none_of_those_tried_is_an_answer():
    only = {k: v for k, v in BIASED.items() if k[2] != "correlation 4"}
    fix = make_answer(*made_up(only)).smallest_fix.iloc[0]
    assert fix["curation"] == ""
    assert fix["verdict"] == "none"
    assert fix["nearest"] == "correlation 2"


def test_a_wide_interval_is_undecided_and_says_what_would_decide_it():
    answer = make_answer(*made_up(BIASED, count=900, answer={"epsilon": 0.05}))
    fix = answer.smallest_fix.iloc[0]
    assert (fix["verdict"], fix["curation"], fix["nearest"]) == ("undecided", "", "correlation 4")
    assert fix["examples_needed"] > 2 * fix["examples"]
    assert f"{fix['examples_needed']:,.0f} test examples (now {fix['examples']}" in spoken(answer)


def test_fix_costs_by_hand():
    # Natural 40, 38, 17, 5 of 100; level 5 wants 25 each: 8 + 20 more than expected.
    got = cost(Curation("correlation", 5, 0.5), CELLS, 100)
    assert got["images_changed"] == pytest.approx(28)
    # 25 of the 5 % cell, and 25 of the 17 % cell, each with 97.5 % certainty: 95 % together.
    assert got["images_screened"] == 25 + stats.nbinom.ppf(0.975, 25, 0.05)
    assert stats.binom.sf(24, got["images_screened"], 0.05) >= 0.975
    assert got["oversampling"] == pytest.approx(25 / 5)
    assert cost(Curation("add_minority", k=7), CELLS, 100)["images_changed"] == pytest.approx(7)
    # Nothing is collected for what is dropped.
    dropped = cost(Curation("drop", k=9, table="t"), CELLS, 100)
    assert (dropped["images_changed"], dropped["images_screened"]) == (0, 100)
    # Half natural (20, 19, 9, 2 of 50) and half balanced (13, 12, 13, 12): of the last cell 14.
    mixed = cost(Curation("mixture", 5, 0.5, share=0.5), CELLS, 100)
    assert mixed["images_changed"] == 14
    # Level 4 from level 2 is 10, 15, 15, 10: of these a natural draw has but 5 of the last cell.
    removed = cost(Curation("reduce_only", 4, 0.5, start=2), CELLS, 100)
    assert removed["images_changed"] == 5
    assert removed["images_screened"] == 10 + stats.nbinom.ppf(0.95, 10, 0.05)
    # Half positive at the natural correlation is 19.3, 5.7 of the 50 left: 2.3 and 0.7 more than
    # 17 and 5; the last cell then needs 4.3 more than that.
    assert removed["images_for_prevalence"] == 3
    assert removed["images_for_correlation"] == 4
    assert cost(Curation("natural"), CELLS, 100)["images_changed"] == pytest.approx(0)


def test_diverged_variants_are_left_out_and_named():
    study, dataset, scores = made_up(BIASED)
    variants = scores.variants.copy()
    variants.loc[0, "status"] = "diverged at step 3"
    answer = make_answer(study, dataset, dataclasses.replace(scores, variants=variants))
    assert len(answer.failures) == 1
    assert "diverged at step 3" in answer.failures[0]
    assert answer.inherited["checkpoints"].tolist() == [SEEDS - 1] * 2
    assert "Lost to divergence: checkpoints Grouped 0" in spoken(answer)


def test_one_repeat_decides_nothing():
    study, dataset, scores = made_up(BIASED, count=900, answer={"epsilon": 0.02})
    one = (scores.variants["seed"] == 0).to_numpy()
    answer = make_answer(study, dataset, scores.only(one))
    assert answer.inherited_verdicts["verdict"].tolist() == ["undecided"]
    assert answer.smallest_fix["verdict"].tolist() == ["undecided"]
    assert "one checkpoint and one draw do not tell" in spoken(answer)
    assert "1 checkpoint, 1 draw, 300 test examples" in spoken(answer)
    assert "nan" not in spoken(answer)


def test_without_a_natural_draw_inheritance_is_not_answered():
    curated = {key: shift for key, shift in BIASED.items() if key[2] != "natural"}
    answer = make_answer(*made_up(curated))
    assert answer.inherited_verdicts.empty
    assert any("Inherited: not answered" in sentence for sentence in answer.sentences)
    assert answer.overwritten["verdict"].isin(["gap", "no gap", "undecided"]).all()


def test_nothing_is_answered_when_everything_diverged():
    study, dataset, scores = made_up(BIASED)
    variants = scores.variants.assign(status="diverged at step 3")
    with pytest.raises(InputError, match=r"all 30 models diverged .*finetune.learning_rate"):
        make_answer(study, dataset, dataclasses.replace(scores, variants=variants))


def test_rules_changed_after_scores_existed_are_reported():
    study, dataset, scores = made_up(BIASED)
    first = {**{f.name: getattr(study.answer, f.name) for f in dataclasses.fields(study.answer)}}
    answer = make_answer(study, dataset, scores, first_rule={**first, "epsilon": 0.01})
    assert any("answer.epsilon was 0.01" in line for line in answer.deviations)


def test_panels_pair_by_unit_and_draw():
    a = panel([0, 1, 3], [0, 1, 3], [1.0, 2.0, 3.0])
    b = panel([1, 3, 5], [1, 3, 5], [0.5, 0.5, 9.0])
    found = difference(a, b)
    assert found.labels.tolist() == [1, 3]
    assert found.value == pytest.approx(2.0)
    assert (found.units, found.scope) == (2, "kind")


def test_intervals_over_checkpoints_alone_are_students_t():
    values = np.array([0.1, 0.2, 0.4, 0.3, 0.0])
    found = estimate(panel(range(5), range(5), values))
    one = interval(found, 0.05)
    expected = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    np.testing.assert_allclose((one.low, one.high), expected, rtol=1e-6)
    assert p_value(found) == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
