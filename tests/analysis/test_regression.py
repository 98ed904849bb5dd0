"""The mixed-effects regression: by hand, beside statsmodels, and on simulated truths."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from jaxbias.analysis import make_answer
from jaxbias.analysis.regression import (
    DIFFERENCE,
    KEPT,
    RATIO,
    mixed,
    ratio,
    regress,
    sentences,
)
from jaxbias.study import AnswerSpec
from tests.analysis.made_up import several

TRUTH = np.array([0.3, 0.8, -0.4])


def simulated(rng, between, within=0.1, attributes=11, each=2):
    """Points of the model itself: y, its predictors, and the attribute of each."""
    groups = np.repeat(np.arange(attributes), each)
    salience = rng.uniform(0.2, 0.9, attributes)[groups]
    x = np.column_stack([np.ones(len(groups)), salience, rng.uniform(0, 0.5, len(groups))])
    y = x @ TRUTH + rng.normal(0, between, attributes)[groups]
    return y + rng.normal(0, within, len(groups)), x, groups


def test_of_balanced_groups_a_slope_between_them_is_that_of_their_means():
    # Four attributes at salience 0, 1, 2, 3; means 1, 2, 2, 5: slope 6/5, rest 1.8 on 2 df.
    groups = np.repeat(np.arange(4), 2)
    x = np.column_stack([np.ones(8), groups.astype(float)])
    y = np.array([0.9, 1.1, 1.9, 2.1, 1.9, 2.1, 4.9, 5.1])
    fit = mixed(y, x, groups)
    np.testing.assert_allclose(fit.values, [0.7, 1.2], atol=1e-5)
    assert fit.df == 2
    # Slope's variance: (1.8 / 2) / Σ(salience − mean)² = 0.9 / 5.
    np.testing.assert_allclose(fit.covariance[1, 1], 0.9 / 5, rtol=1e-3)
    np.testing.assert_allclose(fit.within**2, 0.02, rtol=1e-3)  # Within: 8 · 0.1² / 4.
    np.testing.assert_allclose(fit.between**2, 0.9 - 0.02 / 2, rtol=1e-3)
    low, high = fit.bounds(0.95)
    np.testing.assert_allclose((high - low)[1] / 2, stats.t.ppf(0.975, 2) * 0.18**0.5, rtol=1e-3)


def test_it_is_what_statsmodels_says_by_formula():
    import statsmodels.formula.api as smf

    y, x, groups = simulated(np.random.default_rng(3), between=0.3, each=4)
    frame = pd.DataFrame({"y": y, "salience": x[:, 1], "distance": x[:, 2], "group": groups})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = smf.mixedlm("y ~ salience + distance", frame, groups="group").fit(method="nm")
    mine = mixed(y, x, groups)
    np.testing.assert_allclose(mine.values, theirs.fe_params, rtol=1e-3)
    np.testing.assert_allclose(np.sqrt(np.diag(mine.covariance)), theirs.bse_fe, rtol=0.02)
    np.testing.assert_allclose(mine.between**2, theirs.cov_re.iloc[0, 0], rtol=1e-3)
    np.testing.assert_allclose(mine.fitted, theirs.fittedvalues, atol=1e-4)


@pytest.mark.parametrize("between", [0.0, 0.2])
def test_intervals_hold_the_true_coefficients(between):
    rng, studies = np.random.default_rng(0), 30
    held = np.zeros(3, int)
    for _ in range(studies):
        low, high = mixed(*simulated(rng, between)).bounds(0.95)
        held += (low < TRUTH) & (high > TRUTH)
    assert (stats.binom.cdf(held, studies, 0.95) > 0.001).all()


def table(gaps, controls, seed=0):
    """Points of six attributes on two draws each, and their saliences."""
    rng = np.random.default_rng(seed)
    tasks = [f"t{i // 2}" for i in range(len(gaps))]
    found = pd.DataFrame(
        {"task": tasks, "base": "Gendered", "n": 100, "curation": "natural", "controls": 3}
        | {"gap": gaps, "gap_control": controls, "distance": rng.uniform(0, 0.4, len(gaps))}
    )
    known = pd.DataFrame(
        {"task": sorted(set(tasks)), "n": 100, "salience": rng.uniform(0.3, 0.8, len(gaps) // 2)}
    )
    return found, known


def test_the_authors_rule_sets_ratios_of_opposite_signs():
    assert ratio(0.3, 0.15) == (pytest.approx(2.0), False)
    assert ratio(-0.3, -0.15) == (pytest.approx(2.0), False)
    assert ratio(0.02, -0.01) == (5.0, True)
    assert ratio(-0.02, 0.01) == (0.0, True)


def test_regressions_with_and_without_the_rule_stand_side_by_side():
    gaps = [0.20, 0.25, 0.18, 0.24, 0.11, 0.13, 0.30, 0.26, 0.15, 0.16, 0.02, -0.01]
    controls = [0.10, 0.11, 0.12, 0.10, 0.08, 0.07, 0.11, 0.12, 0.09, 0.10, -0.01, 0.02]
    found, known = table(gaps, controls)
    frames = regress(found, known, AnswerSpec())
    rows, kept = frames["regression"], frames["regression_points"]
    assert rows.groupby("model", sort=False)["points"].first().to_dict() == {
        DIFFERENCE: 12, RATIO: 12, KEPT: 10
    }  # fmt: skip
    assert (
        rows.loc[rows["model"] == RATIO, ["set_to_0", "set_to_5"]].values.tolist() == [[1, 1]] * 3
    )
    ruled = kept[kept["model"] == RATIO]
    assert ruled["value"].tolist()[-2:] == [5.0, 0.0]
    assert ruled["opposite"].tolist() == [False] * 10 + [True] * 2
    np.testing.assert_allclose(kept["value"], kept["fitted"] + kept["residual"])
    (said,) = sentences(rows, AnswerSpec())
    assert "1 to 5, for the gaps have opposite signs" in said
    assert "the ratio without opposite signs of 10 draws of 5 attributes" in said
    first = rows[(rows["model"] == DIFFERENCE) & (rows["term"] == "salience")].iloc[0]
    assert f"{first['value']:+.3f} [{first['low']:+.3f}, {first['high']:+.3f}]" in said


def test_without_opposite_signs_the_rule_does_nothing():
    found, known = table([0.2, 0.3] * 5 + [0.4, 0.3], [0.1, 0.2] * 6)
    rows = regress(found, known, AnswerSpec())["regression"]
    both = [rows.loc[rows["model"] == model, "value"].tolist() for model in (RATIO, KEPT)]
    assert both[0] == both[1]
    (said,) = sentences(rows, AnswerSpec())
    assert said.endswith("no two gaps have opposite signs.")
    assert "without" not in said


def test_too_few_attributes_or_draws_are_not_regressed():
    found, known = table([0.2, 0.1] * 4, [0.1, 0.1] * 4)
    assert regress(found, known, AnswerSpec())["regression"].empty
    found, known = table([0.2, 0.1] * 6, [0.1, 0.1] * 6)
    one_each = found.drop_duplicates("task")
    assert regress(one_each, known, AnswerSpec())["regression"].empty
    assert regress(found, pd.DataFrame(), AnswerSpec())["regression_points"].empty


SKEWED = "correlation 2 at natural"
SHIFTS = {"Gendered": 1.5, "Control_A": 0.6, "Control_B": 0.2, "Scratch": 0.0}
TASKS = tuple(f"t{i}" for i in range(5))


@pytest.fixture(scope="module")
def answered():
    """A study with all that is regressed: saliences, and gaps of two draws of five attributes."""
    roles = {"Gendered": "studied", "Control_A": "control", "Control_B": "control"}
    arms = [(t, b, r, c, 100) for t in TASKS for b, r in roles.items() for c in ("natural", SKEWED)]
    arms += [(t, "Scratch", "scratch", f"correlation {k}", 100) for t in TASKS for k in (0, 10)]

    def score(arm, repeat, target, first, rng):
        own = 1 + 0.3 * TASKS.index(arm[0])
        shift = SHIFTS[arm[1]] * (1.5 if arm[3] == SKEWED else 1) / own
        return own * target + shift * first + rng.normal(0, 1, len(target))

    positive = {task: (0.3 + 0.06 * i, 0.2) for i, task in enumerate(TASKS)}
    equal = {"evaluations": {"natural": {}, "balanced": {"level": 5, "prevalence": "0.5"}}}
    study, dataset, scores = several(arms, score, positive, count=1500, seeds=2, **equal)
    return make_answer(study, dataset, scores), dataset


def test_a_study_is_regressed_on_its_own_gaps_shares_and_saliences(answered):
    answer, dataset = answered
    rows = answer.regression_points
    rows = rows[rows["model"] == DIFFERENCE]
    assert len(rows) == 2 * len(TASKS)
    gaps = answer.overwritten[answer.overwritten["population"] == "natural"]
    gaps = gaps.set_index(["task", "base", "curation"])["gap"]
    for row in rows.itertuples():
        mean = np.mean([gaps[row.task, one, row.curation] for one in ("Control_A", "Control_B")])
        assert row.gap == pytest.approx(gaps[row.task, "Gendered", row.curation])
        assert row.value == pytest.approx(row.gap - mean)
        assert row.salience == answer.salience.set_index("task").loc[row.task, "salience"]
        finetune = (dataset.table["split"] == "finetune").to_numpy()
        first = (dataset.table["group"] == "a").to_numpy()[finetune]
        positive = dataset.binary(row.task)[finetune] == 1
        share = 0.8 if row.curation == SKEWED else first[positive].mean()
        assert row.distance == pytest.approx(abs(share - first.mean()), abs=0.02)
    assert [one.split(" ")[0] for one in answer.sentences[-2:]] == ["Salience", "Regression"]


def test_points_are_made_of_natural_prevalence_alone(answered):
    assert set(answered[0].regression_points["curation"]) == {"natural", SKEWED}
