"""Comparisons of groups against published intervals, SciPy, exact means and simulated truths."""

import numpy as np
import pytest
from scipy import optimize, stats

from jaxbias.errors import InputError
from jaxbias.metrics import METRICS, evaluate
from jaxbias.metrics.comparisons import Comparison
from jaxbias.metrics.ranges import Rate, compare_groups
from jaxbias.metrics.resampling import Share, share_bounds

GAP, RATIO = Comparison(("fpr",), "gap"), Comparison(("fpr",), "ratio")
# Errors of groups that go together in no way: columns of a Hadamard matrix.
APART = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])[1:] * 0.75**0.5


def counted(hits, sizes):
    """Shares with the binomial's errors, each independent of the others."""
    sizes = np.array(sizes, float)
    values = np.array(hits) / sizes
    errors = np.sqrt(values * (1 - values) / sizes)
    replicates = values[:, None, None] + errors[:, None, None] * APART[: len(sizes), None]
    return Rate(values[:, None], replicates, Share(sizes[:, None], True))


def simulated(rates, sizes, variants=500, replicates=200, seed=0):
    """Shares of examples of known truth, float64[G, V], with a parametric bootstrap."""
    rng = np.random.default_rng(seed)
    sizes = np.array(sizes)[:, None]
    values = rng.binomial(sizes, np.array(rates)[:, None], (len(sizes), variants)) / sizes
    many = rng.binomial(sizes[..., None], values[..., None], (*values.shape, replicates))
    return Rate(values, many / sizes[..., None], Share(sizes.astype(float), True))


@pytest.mark.parametrize(
    ("hits", "sizes", "low", "high"),
    [
        ((56, 48), (70, 80), 0.0524, 0.3339),
        ((9, 3), (10, 10), 0.1705, 0.8090),
        ((6, 2), (7, 7), 0.0582, 0.8062),
        ((5, 0), (56, 29), -0.0381, 0.1926),
        ((0, 0), (10, 20), -0.1611, 0.2775),
        ((0, 0), (10, 10), -0.2775, 0.2775),
        ((10, 0), (10, 20), 0.6791, 1.0),
        ((10, 0), (10, 10), 0.6075, 1.0),
    ],
)
def test_a_gap_of_two_rates_is_newcombes(hits, sizes, low, high):
    """Newcombe (1998), Statistics in Medicine 17, table II, method 10."""
    found = compare_groups(GAP, [counted(hits, sizes)], 0.95)
    assert [found.low[0], found.high[0]] == pytest.approx([low, high], abs=6e-5)
    assert (found.p_value[0] < 0.05) == (low > 0)


def test_a_ratio_has_the_bounds_at_which_a_difference_is_none():
    """A ratio q is in the interval when x − q·y may be 0: solved here by search."""
    rate = counted((3, 8), (40, 50))
    found = compare_groups(RATIO, [rate], 0.95)
    z = 1.959964

    def wilson(x, n, sign):
        spread = np.sqrt(x * (1 - x) / n + z**2 / (4 * n**2))
        return (x + z**2 / (2 * n) + sign * z * spread) / (1 + z**2 / n)

    x, y = 3 / 40, 8 / 50

    def low(q):
        moved = (x - wilson(x, 40, -1)) ** 2 + q**2 * (wilson(y, 50, 1) - y) ** 2
        return x - q * y - np.sqrt(moved)

    assert found.low[0] == pytest.approx(optimize.brentq(lambda q: -low(q), 0, x / y), abs=1e-6)
    assert found.high[0] == 1  # Of the two rates either may be the smaller.
    assert found.p_value[0] > 0.05
    sure = compare_groups(RATIO, [counted((3, 28), (40, 50))], 0.95)
    assert sure.high[0] < 1 and sure.p_value[0] < 0.05


@pytest.mark.parametrize("hits", [(0, 0), (40, 50), (0, 50), (0, 8), (1, 0)])
def test_ratios_and_ranges_of_none_and_all_stay_inside(hits):
    for comparison in (Comparison(("fpr",), "range"), RATIO):
        found = compare_groups(comparison, [counted(hits, (40, 50))], 0.95)
        value = comparison.of([np.array(hits) / (40, 50)])
        if np.isnan(value):
            assert np.isnan([found.low[0], found.high[0], found.p_value[0]]).all()
        else:
            assert 0 <= found.low[0] <= value <= found.high[0] <= 1


@pytest.mark.parametrize(
    ("rates", "sizes"),
    [
        ([0.1] * 3, [30] * 3),
        ([0.2] * 6, [100] * 6),
        ([0.1] * 10, [20, 30, 50, 80, 100, 200, 300, 500, 800, 1500]),
        ([0.3, *[0.1] * 5], [100] * 6),
        ([*[0.1] * 5, *[0.3] * 5], [30] * 10),
        (np.linspace(0.1, 0.4, 6), [20, 50, 100, 200, 500, 1000]),
    ],
    ids=["3", "6", "10 unequal", "one apart", "halves", "slope"],
)
def test_coverage(rates, sizes):
    """Of the true range, at 0 too; the ratio's and the smallest rate's as well."""
    rate = simulated(rates, sizes)
    for comparison in (GAP, RATIO, Comparison(("fpr",), "least")):
        truth = comparison.of([np.array(rates)[:, None]])
        found = compare_groups(comparison, [rate], 0.95)
        known = ~np.isnan(found.low)
        assert known.mean() > 0.9
        covered = (found.low <= truth + 1e-12) & (truth <= found.high + 1e-12)
        assert covered[known].mean() >= 0.925, comparison.form
    alike = len(set(rates)) == 1
    found = compare_groups(GAP, [rate], 0.95)
    # The test and the interval are one.
    np.testing.assert_array_equal(found.low > 0, found.p_value < 0.05)
    if alike:  # What it was before: the range ± z · its own error.
        assert (found.p_value < 0.05).mean() <= 0.075
        own = np.ptp(rate.values, axis=0) - 1.96 * np.ptp(rate.replicates, axis=0).std(axis=-1)
        assert (own > 0).mean() > 0.1


def test_the_test_is_tukeys():
    """Of a mean loss, whose bounds are the normal ones: the largest studentised difference."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(5, 20)) * np.linspace(0, 1, 20)
    replicates = values[..., None] + rng.normal(size=(5, 20, 60)) * 0.3
    found = compare_groups(Comparison(("log_loss",), "gap"), [Rate(values, replicates, None)], 0.9)
    for v in range(20):
        largest = max(
            abs(values[i, v] - values[j, v]) / (replicates[i, v] - replicates[j, v]).std(ddof=1)
            for i in range(5)
            for j in range(i)
        )
        p = stats.studentized_range.sf(largest * np.sqrt(2), 5, np.inf)
        assert found.p_value[v] == pytest.approx(p, rel=1e-5, abs=1e-12)


@pytest.mark.parametrize(("count", "factor"), [(2, 1.12838), (3, 1.69257), (6, 2.53441)])
def test_chance_is_the_mean_range_of_equal_groups(count, factor):
    """d₂ of quality control: the mean range of `count` normal values in standard deviations."""
    rate = simulated([0.3] * count, [400] * count, variants=200, replicates=300)
    found = compare_groups(Comparison(("fpr",), "range"), [rate], 0.95)
    expected = factor * np.sqrt(0.3 * 0.7 / 400)
    assert found.chance.mean() == pytest.approx(expected, rel=0.02)
    assert np.ptp(rate.values, axis=0).mean() == pytest.approx(expected, rel=0.06)


def test_chance_where_a_groups_rate_is_zero():
    """Its replicates never move, but at the common rate it would."""
    rate = simulated([0.0, 0.1, 0.1], [10, 3000, 6000], variants=50)
    found = compare_groups(Comparison(("fpr",), "range"), [rate], 0.95)
    # Of 10 examples at a tenth the mean distance is about √(2/π) standard deviations, or less.
    alone = np.sqrt(0.1 * 0.9 / 10)
    assert 0.6 * alone < found.chance.mean() < 0.85 * alone


def drawn(groups, per_group, seed=0, variants=3):
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), per_group)
    labels = (np.arange(len(group)) % 5 < 2).astype(int)
    scores = rng.normal(size=(variants, len(group))) + 1.5 * labels
    return scores, labels, group.astype(str)


def test_every_comparison_of_many_groups_is_bounded_and_holds_its_value():
    report = evaluate(*drawn(6, 10), bootstrap=50)
    assert len(report.gaps()) > 30
    for row in report.gaps().itertuples():
        if row.undefined_reason:
            assert np.isnan([row.value, row.low, row.high, row.p_value, row.chance]).all()
            continue
        signed = row.metric == "bias_amplification"
        assert (-1 if signed else 0) <= row.low <= row.value <= row.high <= 1, row
        compares = METRICS[row.metric].compares
        tested = compares is not None and compares.form != "least"
        assert tested == (0 <= row.p_value <= 1) == (0 <= row.chance <= 1), row


def test_a_value_of_one_half_has_no_negative_bound():
    """What stood there: 0.500 [−0.069, 1.069]."""
    labels = [0, 0, 1, 0, 0, 1, 0, 0, 1]
    scores = [[0.9, 0.1, 0.8, 0.1, 0.2, 0.7, 0.3, 0.2, 0.6]]
    report = evaluate(scores, labels, list("aaabbbccc"), bootstrap=200, threshold=0.5)
    row = report.gaps().query("metric == 'fpr_gap'").iloc[0]
    assert row["value"] == 0.5 and row["low"] == 0 and 0.8 < row["high"] <= 1
    two = evaluate([scores[0][:6]], labels[:6], list("aaabbb"), bootstrap=200, threshold=0.5).gaps()
    row = two.query("metric == 'fpr_gap'").iloc[0]
    assert row["value"] == 0.5 and -0.5 < row["low"] < 0 and 0.8 < row["high"] < 1
    assert row["p_value"] > 0.05 and np.isnan(row["chance"])


def test_the_larger_of_two_ranges_is_tested_twice():
    report = evaluate(*drawn(4, 100), bootstrap=100)
    p = {m: report.intervals(m, "all").p_value for m in ("fpr_gap", "tpr_gap")}
    twice = 1 - (1 - np.minimum(p["fpr_gap"], p["tpr_gap"])) ** 2
    for metric in ("equalized_odds_difference", "equalized_odds_ratio", "average_odds_difference"):
        np.testing.assert_allclose(report.intervals(metric, "all").p_value, twice, atol=1e-9)
    larger = report.intervals("equalized_odds_difference", "all")
    both = [report.intervals(m, "all").high for m in ("fpr_gap", "tpr_gap")]
    np.testing.assert_allclose(larger.high, np.max(both, axis=0))


def test_models_in_parts_are_what_they_are_together(monkeypatch):
    report = evaluate(*drawn(3, 60, variants=7), bootstrap=30, metrics=["fpr_gap", "ppv_gap"])
    whole = report.frame()
    monkeypatch.setattr("jaxbias.metrics.report._PART", 3 * 30 * 2)
    np.testing.assert_allclose(
        report.frame().select_dtypes("number"), whole.select_dtypes("number"), atol=1e-12
    )
    none = evaluate(*drawn(3, 60, variants=0), bootstrap=30, metrics=["fpr_gap"])
    assert none.frame().empty


def test_a_precision_rests_on_what_is_selected():
    """3 of 3 selected are right: of 1,000 examples nothing else counts."""
    labels = np.arange(1000) % 2
    scores = np.where(np.isin(np.arange(1000), [1, 3, 5]), 1.0, 0.0)
    report = evaluate([scores], labels, threshold=0.5, bootstrap=50, metrics=["ppv"])
    row = report.frame().iloc[0]
    exact = stats.binomtest(3, 3).proportion_ci(0.95, method="exact")
    assert [row["low"], row["high"]] == pytest.approx([exact.low, 1])


def test_an_auc_of_few_positives_is_students():
    """12 positives, 200 negatives, AUC .961: 86 % of intervals held it that took z."""
    rng = np.random.default_rng(2)
    positives, negatives = rng.normal(size=(800, 12)) + 2.5, rng.normal(size=(800, 200))
    pairs = positives[:, :, None] > negatives[:, None, :]
    error = np.sqrt(pairs.mean(2).var(1) / 12 + pairs.mean(1).var(1) / 200)
    low, high = share_bounds(pairs.mean((1, 2)), error, 1.96, Share(np.array([12.0]), False))
    truth = stats.norm.cdf(2.5 / np.sqrt(2))
    assert 0.9 < ((low <= truth) & (truth <= high)).mean() < 0.98


def test_a_group_without_a_class_is_named_and_the_rest_is_known():
    scores, labels, groups = drawn(4, 40)
    labels = np.where(groups == "2", 0, labels)
    report = evaluate(scores, labels, groups, bootstrap=20)
    rows = report.gaps().set_index("metric")
    assert set(rows.loc["tpr_gap", "undefined_reason"]) == {"no positive example in group 2"}
    assert rows.loc["tpr_gap", ["low", "high", "p_value", "chance"]].isna().all(axis=None)
    assert rows.loc["fpr_gap", ["low", "high", "p_value", "chance"]].notna().all(axis=None)


def test_constant_scores_are_no_gap():
    scores, labels, groups = drawn(3, 40)
    report = evaluate(np.full_like(scores, 0.5), labels, groups, bootstrap=20)
    rows = report.gaps().set_index("metric")
    for metric in ("auc_gap", "fpr_gap", "equalized_odds_difference"):
        assert (rows.loc[metric, ["value", "low"]] == 0).all(axis=None)
        assert (rows.loc[metric, "p_value"] == 1).all()
    assert set(rows.loc["ppv_gap", "undefined_reason"]) == {"nothing predicted positive"}


def test_the_mean_over_targets_covers_every_target():
    """Ranges are too large by chance in each: so is their mean, and only joint bounds hold."""
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(20, 300, 4)), rng.integers(0, 2, (300, 4))
    groups = np.arange(300) % 3
    report = evaluate(
        scores, labels, groups, bootstrap=60, metrics=["fpr_gap", "selection_rate_gap"]
    )
    mean = report.frame().query("target == 'mean' and metric == 'fpr_gap'")
    assert (mean["low"] > 0).sum() <= 2 and (mean["value"] > 0.03).all()
    each = [report[t].intervals("fpr_gap", "all", jointly=4) for t in report.targets]
    np.testing.assert_allclose(mean["high"], np.mean([found.high for found in each], axis=0))
    np.testing.assert_allclose(mean["p_value"], np.min([found.p_value for found in each], axis=0))
    np.testing.assert_allclose(mean["chance"], np.mean([found.chance for found in each], axis=0))


def test_power_of_a_range_is_that_of_its_hardest_pair():
    report = evaluate(*drawn(3, 200), bootstrap=100, metrics=["fpr_gap"])
    each = [report.replicates("fpr", str(g)) for g in range(3)]
    error = np.max(
        [(each[i] - each[j]).std(axis=-1, ddof=1) for i, j in ((0, 1), (0, 2), (1, 2))], axis=0
    )
    rows = report.power()
    np.testing.assert_allclose(rows["standard_error"], error)
    critical = 3.3145 / np.sqrt(2)  # q of 3 groups at 5 %, from printed tables.
    np.testing.assert_allclose(rows["half_width"], critical * error, rtol=1e-4)
    np.testing.assert_allclose(rows["detectable_gap"], (critical + 0.841621) * error, rtol=1e-4)
    with pytest.raises(InputError, match="power needs a metric"):
        evaluate(*drawn(1, 200), bootstrap=10, metrics=["fpr_gap"]).power()
