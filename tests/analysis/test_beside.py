"""Two studies side by side, on scores whose truth is known."""

import dataclasses
import itertools

import numpy as np
import pytest
from scipy import stats

from jaxbias.analysis import make_answer
from jaxbias.analysis.beside import beside
from jaxbias.analysis.estimates import independent
from jaxbias.analysis.panels import Panel
from jaxbias.analysis.sides import SIZE, Side
from jaxbias.analysis.uncertainty import interval
from jaxbias.errors import InputError
from tests.analysis.made_up import made_up

PULL = {"Gendered": 1.2, "Control": 0.1}


def side(name, pull=PULL, seed=0, **changes):
    """A study; of the same seed all have the same examples, and of another order other models."""
    arms = {(base, "studied" if base == "Gendered" else "control", "natural"): shift
            for base, shift in pull.items()}  # fmt: skip
    study, dataset, scores = made_up(arms, count=2400, seed=seed, **changes)
    return Side(name, study, dataset, scores, make_answer(study, dataset, scores))


@pytest.fixture(scope="module")
def before():
    return side("before")


@pytest.fixture(scope="module")
def after():
    return side("after", {"Control": 0.1, "Gendered": 0.3})


@pytest.fixture(scope="module")
def elsewhere():
    return side("elsewhere", {"Control": 0.1, "Gendered": 0.3}, seed=1)


def by_key(found):
    return found.differences.set_index(["base", "metric"])


def curve(one, base, metric):
    curves = one.answer.curves
    mine = curves[(curves["base"] == base) & (curves["group"] == "all")]
    return mine.set_index("metric").loc[metric]


def test_differences_are_those_of_the_curves(before, after):
    found = beside(before, after)
    assert found.warnings == []
    rows = by_key(found)
    for (base, metric), row in rows.iterrows():
        values = [curve(one, base, metric.strip("|"))["value"] for one in (before, after)]
        values = np.abs(values) if metric == SIZE else values
        assert (row["first"], row["second"]) == pytest.approx(tuple(values))
        assert row["difference"] == pytest.approx(values[1] - values[0])
        assert row["difference_low_all"] <= row["difference_low"] < row["difference"]
        assert row["difference"] < row["difference_high"] <= row["difference_high_all"]
    assert rows["paired"].all()
    assert rows.loc[("Gendered", SIZE), "difference_high_all"] < 0
    assert rows.loc[("Control", SIZE), "difference_high"] > 0
    said = {one.split(":")[0]: one for one in found.sentences}
    assert "|FPR gap| surely smaller in after" in said["target, Gendered, natural draw of n = 100"]
    assert "|FPR gap| not surely other" in said["target, Control, natural draw of n = 100"]


def test_the_same_examples_make_intervals_narrower(before, after, elsewhere):
    rows, apart = by_key(beside(before, after)), by_key(beside(before, elsewhere))
    assert not apart["paired"].any()
    widths = [(r["difference_high"] - r["difference_low"]) for r in (rows, apart)]
    assert (widths[0] < widths[1]).all()
    # Errors of independent samples add as squares.
    for base, metric in itertools.product(PULL, ("fpr_gap", "auc")):
        errors = [curve(one, base, metric)["high"] - curve(one, base, metric)["low"]
                  for one in (before, elsewhere)]  # fmt: skip
        assert widths[1][base, metric] == pytest.approx(np.hypot(*errors), rel=0.05)


def test_other_examples_are_warned_of(before, elsewhere):
    found = beside(before, elsewhere)
    (warned,) = found.warnings
    assert warned.startswith("Not the same test examples: ")
    assert "independent samples" in warned


def test_the_order_of_examples_does_not_matter(before, after):
    order = np.random.default_rng(0).permutation(len(after.scores.examples))
    table = after.scores.examples.iloc[order].reset_index(drop=True)
    moved = {}
    for split in ("validation", "test"):
        old = after.scores.examples.loc[after.scores.examples["split"] == split, "id"].tolist()
        new = table.loc[table["split"] == split, "id"]
        moved[split] = getattr(after.scores, split)[:, [old.index(i) for i in new]]
    scores = dataclasses.replace(after.scores, examples=table, **moved)
    shuffled = dataclasses.replace(
        after, scores=scores, dataset=dataclasses.replace(after.dataset, table=table)
    )
    one, other = beside(before, after).differences, beside(before, shuffled).differences
    assert other["paired"].all()
    np.testing.assert_allclose(one["difference"], other["difference"], atol=1e-9)
    np.testing.assert_allclose(one["difference_low"], other["difference_low"], atol=1e-9)


def test_identical_models_are_the_same(before):
    found = beside(before, dataclasses.replace(before, name="copy"))
    rows = found.differences
    assert (rows[["difference", "difference_low", "difference_high"]] == 0).all(axis=None)
    assert all("the same in both" in one for one in found.sentences)


def test_verdicts_stand_beside_one_another(before, after):
    (row,) = beside(before, after).verdicts.to_dict("records")
    assert row["base"] == "Gendered"
    assert row["inherited_first"] == before.answer.inherited_verdicts["verdict"].item() == "yes"
    assert row["inherited_second"] == after.answer.inherited_verdicts["verdict"].item()


def test_other_rules_and_sizes_are_warned_of(before, after):
    answer = dataclasses.replace(after.study.answer, epsilon=0.1)
    study = dataclasses.replace(after.study, answer=answer)
    variants = after.scores.variants.assign(n=200)
    scores = dataclasses.replace(after.scores, variants=variants)
    other = Side("other", study, after.dataset, scores, make_answer(study, after.dataset, scores))
    found = beside(before, other)
    assert found.warnings == [
        "Verdicts rest on other rules: config.answer.epsilon differ.",
        "Of other sizes: n = 100 in before and 200 in other.",
    ]
    assert set(found.differences["n_second"]) == {200}


def test_an_unfinished_study_is_compared_as_far_as_it_is(before, after):
    planned = after.scores.variants.assign(mode="full")
    there = ~((planned["base"] == "Control") & (planned["seed"] == 1)).to_numpy()
    scores = after.scores.only(there)
    answer = make_answer(after.study, after.dataset, scores, planned=planned)
    found = beside(before, dataclasses.replace(after, scores=scores, answer=answer))
    (warned,) = found.warnings
    assert warned.startswith("after is not finished: 9 of 10 planned models are trained.")
    rows = by_key(found)
    assert rows.loc["Control", "left_out"].eq(
        "after: not all of its models are trained yet"
    ).all()  # fmt: skip
    assert (rows.loc["Gendered", "left_out"] == "").all()
    assert any("not compared" in one for one in found.sentences)


def test_what_has_nothing_in_common_is_refused(before, after):
    group = dataclasses.replace(after.study.group, values=("b", "a"))
    study = dataclasses.replace(after.study, group=group)
    with pytest.raises(InputError, match="other groups, group \\(a, b\\) and group \\(b, a\\)"):
        beside(before, dataclasses.replace(after, study=study))
    study = dataclasses.replace(after.study, targets=("other",))
    with pytest.raises(InputError, match="no target in common: target and other"):
        beside(before, dataclasses.replace(after, study=study))
    renamed = side("renamed")
    rows = renamed.answer.overwritten.assign(base="Else")
    renamed = dataclasses.replace(
        renamed, answer=dataclasses.replace(renamed.answer, overwritten=rows)
    )
    with pytest.raises(InputError, match="no natural draw of the same base in common: Gendered"):
        beside(before, renamed)


def test_independent_is_welchs():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 6), rng.normal(0.5, 3, 4)
    panels = [
        Panel(np.arange(len(v)), np.arange(len(v)), v, np.repeat(v[:, None], 5, axis=1))
        for v in (a, b)
    ]
    found, truth = independent(*panels), stats.ttest_ind(a, b, equal_var=False)
    assert found.value / found.error == pytest.approx(truth.statistic)
    assert found.df == pytest.approx(truth.df)


def test_independent_studies_err_as_seldom_as_they_say():
    rng, wrong, count = np.random.default_rng(3), 0, 400
    for _ in range(count):
        panels = []
        for _ in range(2):
            error = rng.normal(0, 1)
            values = rng.normal(0, 1, 5) + error
            replicates = values[:, None] + rng.normal(0, 1, 100)
            panels.append(Panel(np.arange(5), np.arange(5), values, replicates))
        one = interval(independent(*panels), 0.05)
        wrong += not one.low < 0 < one.high
    assert stats.binom.sf(wrong - 1, count, 0.05) > 0.001, wrong
