"""The rules of the answer, on studies with hardly any noise: every verdict, every reason."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from benchmarks import verdict_studies as drawn
from jaxbias.analysis import inheritance, overwriting, smallest_fix
from jaxbias.analysis.costs import cost
from jaxbias.analysis.design import Design, progress_sentence, shrunk_sentence
from jaxbias.analysis.wording import paragraphs
from jaxbias.curation import quotas
from jaxbias.study import Curation
from tests.curation.made_up import CELLS

QUIET = drawn.Law(0.002, 0.002, 0.001, 0.002, 0.002, 0.001, 0.0005)
BASE, N, RULE, LEVELS = drawn.BASE, drawn.N, drawn.RULE, drawn.LEVELS
FIVE = drawn.Plan(5)
STEPS = {LEVELS[k]: 0.04 * (5 - k) for k in range(2, 8)}


def study(gaps, plan=FIVE, changes=None, seed=0, rule=RULE, law=QUIET):
    return drawn.draw(np.random.default_rng(seed), law, plan, gaps, changes)


def inherits(gaps, towards=drawn.TOWARDS, **how):
    one = study(gaps, **how)
    return inheritance.of_base(one.test, one.design, BASE, N, towards, RULE)


def fix(levels, natural=0.2, rule=RULE, **how):
    one = study(drawn.with_levels(natural, levels), **how)
    found, _ = smallest_fix.smallest_fix(one.validation, one.test, one.design, rule)
    return found.iloc[0]


@pytest.mark.parametrize(
    ("studied", "others", "verdict"),
    [
        (0.2, 0.1, "yes"),
        (0.13, 0.1, "practically none"),
        (0.1, 0.1, "no"),
        (0.0, 0.1, "reversed"),
        (0.2, {"Control_A": 0.1, "Control_B": 0.2, "Scratch": 0.1}, "undecided"),
    ],
)
def test_verdicts_on_inheritance(studied, others, verdict):
    rows, found = inherits(drawn.natural_gaps(studied, others), seed=1)
    assert found["verdict"] == verdict
    assert len(rows) == 3
    assert found["reason"] == ""


def test_without_a_direction_bias_of_either_sign_is_looked_for():
    smaller = drawn.natural_gaps(0.0, 0.1)
    assert inherits(smaller)[1]["verdict"] == "reversed"
    assert inherits(smaller, drawn.UNSURE)[1]["verdict"] == "yes"
    assert inherits(drawn.natural_gaps(0.1, 0.1), drawn.UNSURE, seed=1)[1]["verdict"] == "no"


def test_the_direction_is_that_of_the_labels_where_it_is_sure():
    cells = drawn.CELLS  # (0, a), (0, b), (1, a), (1, b)
    sure = inheritance.direction(cells, np.array([50, 80, 50, 20]))
    assert (sure.sign, sure.sure) == (1, True)
    assert inheritance.direction(cells, np.array([50, 50, 20, 50])).sign == -1
    assert not inheritance.direction(cells, np.array([5, 6, 5, 4])).sure
    assert not inheritance.direction(cells, np.array([5, 0, 5, 0])).sure


def test_one_checkpoint_is_judged_as_one_and_one_repeat_not_at_all():
    gaps = drawn.natural_gaps(0.2, 0.1)
    _, found = inherits(gaps, plan=drawn.Plan(5, studied=1))
    assert (found["verdict"], found["scope"]) == ("yes", "checkpoint")
    _, found = inherits(gaps, plan=drawn.Plan(1))
    assert (found["verdict"], found["reason"][:14]) == ("undecided", "one checkpoint")
    assert fix(STEPS, plan=drawn.Plan(1))["verdict"] == "undecided"


def test_a_degenerate_control_is_left_out_and_a_degenerate_base_decides_nothing():
    one = study(drawn.natural_gaps(0.2, 0.1))

    def marked(*bases, repeats=5):
        rows = one.test.variants
        bad = rows["base"].isin(bases) & (rows["seed"] < repeats)
        marks = np.where(bad, "predicts nothing; AUC 0.500, at least 0.4: no", "").astype(object)
        test = dataclasses.replace(one.test, marks=marks)
        design = dataclasses.replace(one.design, evaluation=test)
        return inheritance.of_base(test, design, BASE, N, drawn.TOWARDS, RULE)

    rows, found = marked("Control_A")
    assert (found["verdict"], len(rows)) == ("yes", 2)
    assert found["left_out"] == "Control_A: 5 of 5 checkpoints degenerate, predicts nothing"
    assert marked("Control_A", repeats=2)[1]["left_out"] == ""  # Not over half.
    _, found = marked("Control_A", "Control_B")
    assert (found["verdict"], found["reason"]) == (
        "undecided", "1 of 3 bases to compare with can be used",
    )  # fmt: skip
    _, found = marked(BASE)
    assert found["reason"] == f"{BASE}: 5 of 5 checkpoints degenerate, predicts nothing"


def test_what_is_not_trained_yet_can_change_a_verdict_so_there_is_none():
    gaps = drawn.with_levels(0.2, STEPS)
    one = study(gaps)
    late = one.design.planned["curation"].eq(LEVELS[3]) & one.design.planned["seed"].eq(4)
    late |= one.design.planned["base"].eq("Scratch")
    planned = one.design.planned.assign(status=np.where(late, "not trained", "ok"))
    design = Design("target", planned, 1, {}, one.test)
    _, found = inheritance.of_base(one.test, design, BASE, N, drawn.TOWARDS, RULE)
    assert found["verdict"] == "undecided"
    assert found["reason"] == "Scratch: 5 of 5 models not trained yet"
    row = smallest_fix.smallest_fix(one.validation, one.test, design, RULE)[0].iloc[0]
    assert (row["verdict"], row["reason"]) == (
        "undecided", "1 model of its curations not trained yet",
    )  # fmt: skip
    rows = overwriting.overwritten(one.test, design, RULE).set_index(["base", "curation"])
    assert rows.loc[(BASE, LEVELS[3]), "verdict"] == "not trained"
    assert overwriting.best_cut(rows) is None
    assert progress_sentence(planned).startswith("44 of 50 planned models are trained.")
    assert progress_sentence(one.design.planned) == ""


def test_the_fix_is_the_cheapest_that_holds_dose_by_dose():
    """Levels 4 to 6 are inside ±.05; fewest images change at the lowest."""
    found = fix(STEPS)
    assert (found["verdict"], found["curation"]) == ("confirmed", LEVELS[4])
    assert found["tested"].endswith(f"{LEVELS[3]} fails")
    assert found["gap_after_low"] > -RULE.epsilon < RULE.epsilon > found["gap_after_high"]


@pytest.mark.parametrize(
    ("natural", "levels", "changes", "verdict"),
    [
        (0.02, {LEVELS[5]: 0.0}, {}, "nothing to fix"),
        (0.2, {LEVELS[5]: 0.12, LEVELS[6]: -0.12}, {}, "none"),
        (0.2, {LEVELS[5]: 0.0}, {LEVELS[5]: -0.08}, "none"),  # The AUC is surely lost.
        (0.2, {LEVELS[5]: 0.0}, {LEVELS[5]: -0.03}, "undecided"),
        (0.2, {LEVELS[5]: -0.4}, {}, "none"),
    ],
)
def test_verdicts_on_the_smallest_fix(natural, levels, changes, verdict):
    found = fix(levels, natural, changes=changes)
    assert (found["verdict"], found["curation"]) == (verdict, "")
    # Nothing further from no gap than the natural draw is called the nearest to it.
    worse = abs(min(levels.values())) > natural
    assert found["all_worse"] == worse
    assert (found["nearest"] == "") == (worse or verdict == "nothing to fix")


def test_a_gap_that_is_not_shown_needs_no_fix():
    noisy = dataclasses.replace(QUIET, base=0.1, test=0.05)
    assert fix({LEVELS[5]: 0.0}, 0.03, law=noisy)["verdict"] == "no gap shown"


def test_every_gap_that_the_rule_names_must_be_closed():
    """The TPR gap is drawn as zero, so a rule that asks for it too holds."""
    both = dataclasses.replace(RULE, gaps=("fpr_gap", "tpr_gap"))
    assert fix(STEPS, rule=both)["verdict"] == "confirmed"


def test_gaps_relative_to_a_control_are_those_beyond_it():
    rule = dataclasses.replace(RULE, relative_to="Control_A")
    one = study(drawn.natural_gaps(0.2, 0.15))
    found = overwriting.gap(one.test, BASE, "natural", N, rule)
    assert found.value == pytest.approx(0.05, abs=0.01)


def test_no_cut_is_stated_where_there_is_no_sure_gap_to_cut():
    noisy = dataclasses.replace(QUIET, base=0.1)
    one = study(drawn.with_levels(0.0, STEPS), law=noisy)
    rows = overwriting.overwritten(one.test, one.design, RULE)
    assert rows["gap_reduction"].isna().all()


def test_costs_are_whole_ties_are_told_apart_and_parts_are_shown():
    """At a prevalence of 50 % several levels change as many images; the rarest cell decides."""
    every = [cost(Curation("correlation", k, 0.5), CELLS, 1024) for k in range(2, 7)]
    assert all(one["images_changed"].is_integer() for one in every)
    same = {one["images_changed"] for one in every}
    if len(same) < len(every):
        assert len({(one["images_changed"], one["images_screened"]) for one in every}) == len(every)
    mitigation = cost(Curation("reweight"), CELLS, 1024)
    assert (mitigation["images_changed"], mitigation["images_screened"]) == (0, 1024)
    one = cost(Curation("correlation", 5, 0.5), CELLS, 1000)
    natural = 1000 * CELLS.shares
    positive = CELLS.targets == 1
    at_half = 500 * np.where(positive, CELLS.shares / CELLS.shares[positive].sum(), 0)
    at_half += 500 * np.where(positive, 0, CELLS.shares / CELLS.shares[~positive].sum())
    assert one["images_for_prevalence"] == round(np.abs(at_half - natural).sum() / 2)
    q = quotas(Curation("correlation", 5, 0.5), CELLS, 1000)
    assert one["images_for_correlation"] == round(np.abs(q - at_half).sum() / 2)


def test_sets_that_were_shrunk_are_named_with_their_size():
    planned = drawn.table(drawn.Plan(2), (LEVELS[3],)).copy()
    assert shrunk_sentence(planned) == ""
    planned.loc[planned["curation"] == LEVELS[3], "realised_n"] = 217.0
    said = shrunk_sentence(planned)
    assert f"target, {LEVELS[3]}: 217 of n = 1,024" in said
    assert "a difference between them may be one of size" in said


def test_one_paragraph_per_question_says_what_it_rests_on():
    one = study(drawn.with_levels(0.2, STEPS))
    table, verdicts = inheritance.inherited(one.test, one.design, drawn.TOWARDS, RULE)
    rows = overwriting.overwritten(one.test, one.design, RULE)
    fixes, _ = smallest_fix.smallest_fix(one.validation, one.test, one.design, RULE)
    (said,) = paragraphs(verdicts, table, rows, fixes, RULE, {"target": 4000})
    assert said.startswith(
        f"target, {BASE}, n = 1,024 (5 checkpoints, 5 draws, 4,000 test examples). Inherited: yes."
    )
    assert f"Smallest fix: {LEVELS[4]}, ordered on validation and confirmed on test" in said
    assert "nan" not in said
    assert said.count("Overwritten: of 6 curations tried") == 1


def test_a_gap_that_moved_but_is_smaller_is_called_shifted():
    """−.03 beside −.10, where bias is positive: shifted by +.07, and no larger gap."""
    one = study(drawn.natural_gaps(-0.03, -0.1))
    table, verdicts = inheritance.inherited(one.test, one.design, drawn.TOWARDS, RULE)
    (said,) = paragraphs(verdicts, table, pd.DataFrame(), pd.DataFrame(), RULE, {"target": 4000})
    assert "shifted in the direction" in said
    assert "larger than" not in said.replace("not larger than", "")


def test_what_would_decide_is_more_than_there_is():
    few = drawn.Law(test=0.03, validation=0.04)
    found = fix({LEVELS[5]: 0.0, LEVELS[6]: -0.1}, law=few)
    assert (found["verdict"], found["reason"]) == ("undecided", "")
    assert found["examples_needed"] > 4000


def test_examples_are_no_advice_to_three_checkpoints():
    few = drawn.Law(test=0.03, validation=0.04)
    found = fix({LEVELS[5]: 0.0, LEVELS[6]: -0.1}, law=few, plan=drawn.Plan(3))
    assert (found["verdict"], found["reason"]) == ("undecided", "")
    assert np.isnan(found["examples_needed"])
    nothing = dict(found) | {"checkpoints_needed": np.nan}
    none = pd.DataFrame()
    for units, text in ((3, "64 checkpoints give no decision"), (5, "neither 64 checkpoints nor")):
        row = pd.DataFrame([nothing | {"checkpoints": units}])
        (said,) = paragraphs(none, none, none, row, RULE, {"target": 4000})
        assert text in said and ("64 times as many examples" in said) == (units == 5)
