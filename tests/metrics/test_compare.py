"""Paired differences, power and intervals against formulas from textbooks and SciPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from jaxbias.errors import InputError
from jaxbias.metrics import evaluate

N = 200


def drawn(seed=0):
    """8 models on the same examples, the later the better."""
    rng = np.random.default_rng(seed)
    labels, groups = rng.integers(0, 2, N), rng.integers(0, 2, N)
    return rng.normal(size=(8, N)) + labels * np.linspace(0, 1.5, 8)[:, None], labels, groups


def study(seed=0, **arguments):
    """Their report at a fixed threshold."""
    asked = {"threshold": 0.5, "metrics": ("auc", "fpr", "tpr", "accuracy", "fpr_gap", "tpr_gap")}
    return evaluate(*drawn(seed), **(asked | arguments))


def step_down(p_values):
    """Holm's adjustment, one test at a time from the smallest p-value on."""
    adjusted, least = dict.fromkeys(range(len(p_values))), 0.0
    for done, i in enumerate(sorted(adjusted, key=lambda i: p_values[i])):
        least = max(least, min(1.0, p_values[i] * (len(p_values) - done)))
        adjusted[i] = least
    return [adjusted[i] for i in range(len(p_values))]


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_differences_are_paired(seed):
    report = study(seed, bootstrap=60)
    rows = report.compare(["7", "6", "0"], "1")
    assert len(rows) == 3 * len(report.entries())
    for row in rows.itertuples():
        a, b = int(row.variant), int(row.against)
        values = report.value(row.metric, row.group)
        replicates = report.replicates(row.metric, row.group)
        assert row.difference == pytest.approx(values[a] - values[b])
        error = (replicates[a] - replicates[b]).std(ddof=1)
        half = stats.norm.ppf(0.975) * error
        assert [row.low, row.high] == pytest.approx([row.difference - half, row.difference + half])
        assert row.p_value == pytest.approx(2 * stats.norm.sf(abs(row.difference) / error))
    np.testing.assert_allclose(rows["p_holm"], step_down(rows["p_value"].tolist()))


def test_a_variant_is_no_different_from_itself():
    row = study(bootstrap=20).compare("3", "3", metrics=["auc"], group="all").iloc[0]
    assert (row["difference"], row["low"], row["high"], row["p_value"]) == (0, 0, 0, 1)


def test_percentile_intervals_are_quantiles():
    report = study(bootstrap=101, interval="percentile", confidence=0.9)
    rows = report.frame().set_index(["metric", "group", "variant"])
    for metric, place in report.entries():
        expected = np.nanquantile(report.replicates(metric, place), [0.05, 0.95], axis=1)
        found = rows.loc[[(metric, place, name) for name in report.names], ["low", "high"]]
        np.testing.assert_allclose(found.to_numpy().T, expected)


def test_percentiles_skip_undefined_replicates():
    """With one negative in the group many replicates have none."""
    report = evaluate(
        [[0.1, 0.9, 0.8, 0.7]], [0, 1, 1, 1], bootstrap=50, interval="percentile", threshold=0.05
    )
    replicates = report.replicates("fpr")[0]
    assert 5 < np.isnan(replicates).sum() < 40
    row = report.rows("fpr", "all").iloc[0]
    assert [row["low"], row["high"]] == np.nanquantile(replicates, [0.025, 0.975]).tolist()


def test_standard_intervals_of_shares_are_on_the_logits_scale():
    """Of an AUC with Student's quantile of the rarer class, whose variance it is estimated from."""
    report = study(bootstrap=80, confidence=0.9)
    labels = drawn()[1]
    df = min(labels.sum(), N - labels.sum()) - 1
    few = stats.t.ppf(0.95, df) * np.sqrt(1 + 1 / df)
    z = stats.norm.ppf(0.95)
    for metric, place, times in (("auc", "all", few), ("fpr", "0", z), ("accuracy", "1", z)):
        value = report.value(metric, place)
        error = report.replicates(metric, place).std(axis=1, ddof=1)
        scale = error / (value * (1 - value))
        expected = [
            1 / (1 + np.exp(-(np.log(value / (1 - value)) + s * times * scale))) for s in (-1, 1)
        ]
        rows = report.rows(metric, place)
        np.testing.assert_allclose([rows["low"], rows["high"]], expected)


def test_standard_intervals_of_gaps_are_newcombes():
    """With the examples each standard error is of, and the replicates' correlation."""
    report = study(bootstrap=80)
    z = stats.norm.ppf(0.975)
    values, replicates = (
        [get("fpr", g) for g in "01"] for get in (report.value, report.replicates)
    )
    ends = []
    for x, many in zip(values, replicates, strict=True):
        n = x * (1 - x) / many.var(axis=1, ddof=1)
        middle, spread = x + z**2 / (2 * n), z * np.sqrt(x * (1 - x) / n + z**2 / (4 * n**2))
        ends.append([(middle + sign * spread) / (1 + z**2 / n) for sign in (-1, 1)])
    r = np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(*replicates, strict=True)])
    (first_low, first_high), (second_low, second_high) = ends
    d = values[0] - values[1]
    a, b = values[0] - first_low, second_high - values[1]
    low = d - np.sqrt(a**2 + b**2 - 2 * r * a * b)
    a, b = first_high - values[0], values[1] - second_low
    high = d + np.sqrt(a**2 + b**2 - 2 * r * a * b)
    rows = report.rows("fpr_gap", "all")
    np.testing.assert_allclose([rows["low"], rows["high"]], [low, high])
    np.testing.assert_array_equal(rows["p_value"] < 0.05, (low > 0) | (high < 0))


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_shares_of_none_and_of_all_have_exact_bounds(confidence):
    """Clopper and Pearson (1934) of 0 and of n among n, n the class a rate divides by."""
    labels = np.array([0] * 30 + [1] * 20)
    report = evaluate(
        [labels.astype(float)], labels, threshold=0.5, bootstrap=20, confidence=confidence
    )
    for metric, hits, n in (("fpr", 0, 30), ("tpr", 20, 20), ("accuracy", 50, 50)):
        exact = stats.binomtest(hits, n).proportion_ci(confidence, method="exact")
        row = report.rows(metric, "all").iloc[0]
        assert [row["low"], row["high"]] == pytest.approx([exact.low, exact.high]), metric


def test_bca_is_close_to_scipys():
    """Of an accuracy, which is a mean; SciPy resamples N of N, and leaves out one by one."""
    report = study(bootstrap=2000, interval="bca", confidence=0.9, metrics=("accuracy",))
    scores, labels, _ = drawn()
    rows = report.rows("accuracy", "all")
    for v in (0, 4, 7):
        right = ((scores[v] > 0.5) == labels).astype(float)
        peer = stats.bootstrap(
            (right,), np.mean, confidence_level=0.9, n_resamples=2000, method="BCa", rng=1
        ).confidence_interval
        assert [rows["low"][v], rows["high"][v]] == pytest.approx([peer.low, peer.high], abs=0.01)


def test_power_of_two_proportions_by_the_textbook():
    """(z₀.₉₇₅ + z₀.₈)·√(p(1 − p)(1/n₁ + 1/n₂)), p the common rate."""
    labels, groups = np.zeros(150), np.repeat(["a", "b"], [100, 50])
    labels[::5] = 1
    scores = [np.tile([0.0, 1.0, 0.0, 0.0, 1.0], 30)]
    report = evaluate(
        scores, labels, groups, threshold=0.5, metrics=("fpr_gap", "tpr_gap", "accuracy_gap")
    )
    rows = report.power(gap=0.1).set_index("metric")
    for metric, p, sizes in (("fpr_gap", 0.5, (80, 40)), ("accuracy_gap", 0.4, (100, 50))):
        error = np.sqrt(p * (1 - p) * (1 / sizes[0] + 1 / sizes[1]))
        row = rows.loc[metric]
        assert row["standard_error"] == pytest.approx(error)
        assert row["half_width"] == pytest.approx(1.959964 * error)
        assert row["detectable_gap"] == pytest.approx((1.959964 + 0.841621) * error)
        assert row["examples_needed"] == np.ceil(150 * (row["detectable_gap"] / 0.1) ** 2)
    more = report.power(power=0.9).set_index("metric")
    ratio = more.loc["fpr_gap", "detectable_gap"] / rows.loc["fpr_gap", "detectable_gap"]
    assert ratio == pytest.approx((1.959964 + 1.281552) / (1.959964 + 0.841621))


def test_power_takes_the_bootstraps_error():
    report = study(bootstrap=60)
    rows = report.power().query("metric == 'tpr_gap'")
    error = report.replicates("tpr_gap").std(axis=1, ddof=1)
    np.testing.assert_allclose(rows["standard_error"], error)
    np.testing.assert_allclose(rows["detectable_gap"], (1.959964 + 0.841621) * error, rtol=1e-5)


def test_wrong_arguments_are_named():
    report = study(bootstrap=5)
    for call, message in (
        (lambda: study().compare("0", "1"), "compare needs replicates"),
        (lambda: report.compare("0", "9"), "variant '9' is unknown"),
        (lambda: report.compare(["0", "1", "2"], ["3", "4"]), "has 3 variants and 2 to compare"),
        (lambda: report.compare("0", "1", group="c"), "group 'c' is unknown"),
        (lambda: report.power(power=1), "power=1 must lie between 0 and 1"),
        (lambda: report.power(gap=-1), "gap=-1 must be positive"),
        (lambda: study(metrics=("auc",)).power(), "power needs a metric such as 'fpr_gap'"),
        (lambda: study(interval="normal"), "interval='normal' is unknown"),
    ):
        with pytest.raises(InputError, match=message):
            call()
