"""Numbers against scikit-learn, fairlearn and the definitions; invariances; hostile input."""

import warnings

import fairlearn.metrics as fairness
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, precision_score, roc_auc_score

from jaxbias.errors import InputError
from jaxbias.metrics import Examples, Groups, evaluate
from jaxbias.metrics.bootstrap import draw_multiplicities
from jaxbias.metrics.chunks import _program
from tests.metrics.strategies import assert_same, every_value, examples, ranks

CASES = settings(max_examples=40)


def base_rate_by_definition(scores, labels, weights):
    """The smallest threshold above which the weight does not exceed the positives'.

    Scores of two values are decisions already: midway between them.
    """
    values = np.unique(scores[weights > 0]).astype(np.float64)
    if len(values) == 2:
        middle = np.float32(values.mean())
        return middle if middle < values[1] else values[0]
    allowed = weights @ labels
    candidates = [-np.inf, *np.unique(scores)]
    return min(t for t in candidates if weights @ (scores > t) <= allowed + 1e-9)


@CASES
@given(examples())
def test_rates_and_auc_equal_scikit_learn(drawn):
    scores, labels, groups, weights = drawn
    report = evaluate(scores, labels, groups, weights=weights)
    for v, row in enumerate(scores):
        threshold = report.value("threshold")[v]
        assert threshold == base_rate_by_definition(row, labels, weights)
        predicted = (row > threshold).astype(int)
        for group in report.groups:
            inside = np.ones(len(labels), bool) if group == "all" else groups == group
            inside &= weights > 0
            y, p, w = labels[inside], predicted[inside], weights[inside]
            auc = roc_auc_score(y, ranks(row[inside]), sample_weight=w)
            (tn, fp), (fn, tp) = confusion_matrix(y, p, sample_weight=w, labels=[0, 1])
            expected = {
                "auc": auc,
                "fpr": fp / (fp + tn),
                "tpr": tp / (tp + fn),
                "fnr": fn / (tp + fn),
                "tnr": tn / (fp + tn),
                "selection_rate": (tp + fp) / w.sum(),
                "accuracy": accuracy_score(y, p, sample_weight=w),
            }
            for metric, value in expected.items():
                assert report.value(metric, group)[v] == pytest.approx(value, abs=1e-6), metric
            if tp + fp:
                ppv = precision_score(y, p, sample_weight=w)
                assert report.value("ppv", group)[v] == pytest.approx(ppv, abs=1e-6)
            else:
                assert np.isnan(report.value("ppv", group)[v])
                assert report.undefined("ppv", group) == "nothing predicted positive"


@settings(max_examples=10)
@given(examples(variants=2))
def test_groups_and_gaps_equal_fairlearn(drawn):
    scores, labels, groups, weights = drawn
    report = evaluate(scores, labels, groups, weights=weights, threshold=0.2)
    for v, row in enumerate(scores):
        frame = fairness.MetricFrame(
            metrics={
                "fpr": fairness.false_positive_rate,
                "tpr": fairness.true_positive_rate,
                "selection_rate": fairness.selection_rate,
            },
            y_true=labels,
            y_pred=(row > np.float32(0.2)).astype(int),
            sensitive_features=groups,
            sample_params={
                name: {"sample_weight": weights} for name in ("fpr", "tpr", "selection_rate")
            },
        ).by_group
        for metric in frame.columns:
            for group in ("first", "second"):
                assert report.value(metric, group)[v] == pytest.approx(frame[metric][group])
        for metric in ("fpr", "tpr"):
            gap = frame[metric]["first"] - frame[metric]["second"]
            assert report.value(f"{metric}_gap")[v] == pytest.approx(gap)
        cells = [
            ((row > np.float32(0.2)) == label)[(labels == label) & (groups == group)]
            for group in ("first", "second")
            for label in (0, 1)
        ]
        cell_weights = [
            weights[(labels == label) & (groups == group)]
            for group in ("first", "second")
            for label in (0, 1)
        ]
        each = [np.average(c, weights=w) for c, w in zip(cells, cell_weights, strict=True)]
        assert report.value("worst_group_accuracy")[v] == pytest.approx(min(each))
        assert report.value("mean_group_accuracy")[v] == pytest.approx(np.mean(each))


@settings(max_examples=25)
@given(examples(), examples(), st.integers(0, 2**31 - 1))
def test_replicates_equal_weights_times_multiplicities(test, validation, seed):
    scores, labels, groups, weights = test
    held_out = Examples(*validation)
    report = evaluate(*test[:3], weights=weights, validation=held_out, bootstrap=5, seed=seed)
    m_test = draw_multiplicities(seed, 0, len(labels), 5)
    m_validation = draw_multiplicities(seed, 1, len(held_out.labels), 5)
    for r in range(5):
        again = evaluate(
            scores,
            labels,
            groups,
            weights=weights * m_test[:, r],
            validation=Examples(*validation[:3], held_out.weights * m_validation[:, r]),
        )
        # Two values are left by chance where there are more: a replicate is not cut there.
        alike = again.two_values == report.two_values
        for (metric, group), value in every_value(again).items():
            found = report.replicates(metric, group)[alike, r]
            np.testing.assert_allclose(found, value[alike], atol=1e-6, err_msg=metric)


@CASES
@given(examples())
def test_monotone_transforms_leave_ranks_alone(drawn):
    scores, labels, groups, weights = drawn
    finite = ranks(scores).reshape(scores.shape).astype(np.float32)
    one = evaluate(scores, labels, groups, weights=weights)
    other = evaluate(finite**3 / 7 - 5, labels, groups, weights=weights)
    for metric, group in ((m, g) for m in ("auc", "fpr", "tpr") for g in one.groups):
        # Where every example is positive the threshold is −inf, which a score of −inf is not above.
        if np.isinf(one.value("threshold")).any():
            continue
        np.testing.assert_allclose(one.value(metric, group), other.value(metric, group))


@CASES
@given(examples(both_classes=False), st.randoms(use_true_random=False))
def test_order_of_examples_changes_nothing(drawn, random):
    scores, labels, groups, weights = drawn
    groups = Groups(("first", "second"), [groups == g for g in ("first", "second")])
    order = list(range(len(labels)))
    random.shuffle(order)
    assert_same(
        evaluate(scores, labels, groups, weights=weights),
        evaluate(
            scores[:, order],
            labels[order],
            Groups(groups.names, groups.membership[:, order]),
            weights=weights[order],
        ),
    )


@CASES
@given(examples(), st.data())
def test_an_example_twice_equals_weight_two(drawn, data):
    scores, labels, groups, weights = drawn
    i = data.draw(st.integers(0, len(labels) - 1))
    twice = np.append(np.arange(len(labels)), i)
    doubled = weights.copy()
    doubled[i] *= 2
    assert_same(
        evaluate(scores[:, twice], labels[twice], groups[twice], weights=weights[twice]),
        evaluate(scores, labels, groups, weights=doubled),
    )


@CASES
@given(examples())
def test_weight_zero_equals_absent(drawn):
    scores, labels, groups, weights = drawn
    kept = weights > 0
    assert_same(
        evaluate(scores, labels, groups, weights=weights),
        evaluate(scores[:, kept], labels[kept], groups[kept], weights=weights[kept]),
    )


@CASES
@given(examples())
def test_swapping_groups_negates_gaps(drawn):
    scores, labels, groups, weights = drawn
    swapped = np.where(groups == "first", "second", "first")
    one = evaluate(scores, labels, groups, weights=weights)
    other = evaluate(scores, labels, swapped, weights=weights)
    for metric in ("fpr_gap", "tpr_gap", "auc_gap"):
        np.testing.assert_allclose(one.value(metric), -other.value(metric), atol=1e-12)


def test_overlapping_groups():
    """In pair tasks a negative belongs to both groups."""
    rng = np.random.default_rng(0)
    n = 200
    kind = rng.integers(0, 3, n)  # 0: only A, 1: only B, 2: neither.
    labels = (kind < 2).astype(int)
    scores = rng.normal(size=(2, n)).astype(np.float32) + labels.astype(np.float32)
    report = evaluate(scores, labels, Groups(("A", "B"), [kind != 1, kind != 0]))
    for v in range(2):
        for g, name in enumerate("AB"):
            inside = kind != 1 - g
            expected = roc_auc_score(labels[inside], scores[v, inside])
            assert report.value("auc", name)[v] == pytest.approx(expected, abs=1e-12)


def test_many_groups_take_the_range():
    rng = np.random.default_rng(1)
    n = 2000
    labels, groups = rng.integers(0, 2, n), rng.integers(0, 50, n)
    scores = rng.normal(size=(3, n))
    report = evaluate(scores, labels, groups)
    rates = np.stack([report.value("fpr", str(g)) for g in range(50)])
    np.testing.assert_allclose(report.value("fpr_gap"), np.ptp(rates, axis=0))


def test_many_variants_equal_each_alone():
    """Chunks and padding change nothing."""
    rng = np.random.default_rng(2)
    labels, groups = rng.integers(0, 2, 300), rng.integers(0, 2, 300)
    scores = rng.normal(size=(37, 300)).round(1)
    together = evaluate(scores, labels, groups, bootstrap=200)
    for v in (0, 15, 16, 36):
        alone = evaluate(scores[v : v + 1], labels, groups, bootstrap=200)
        for metric in together.metrics:
            np.testing.assert_array_equal(
                together.replicates(metric)[v], alone.replicates(metric)[0], err_msg=metric
            )


def test_programs_are_shared():
    rng = np.random.default_rng(3)

    def run(variants, n):
        labels, groups = rng.integers(0, 2, n), rng.integers(0, 2, n)
        evaluate(rng.normal(size=(variants, n)), labels, groups, bootstrap=400)

    for smallest, between, largest in ((257, 300, 383), (384, 450, 511)):  # Two an octave.
        run(7, between)
        traced = _program._cache_size()
        run(480, smallest)
        run(1, largest)
        assert _program._cache_size() == traced


@pytest.mark.parametrize(
    "scores",
    [
        np.zeros(6),
        np.array([-0.0, 0.0, -0.0, 0.0, -0.0, 0.0]),
        np.full(6, np.inf),
        np.full(6, -np.inf),
    ],
    ids=["equal", "signed zeros", "inf", "-inf"],
)
def test_all_scores_equal(scores):
    report = evaluate(scores[None], [0, 1, 0, 1, 0, 0], [0, 0, 1, 1, 0, 1], bootstrap=5)
    assert report.value("auc") == 0.5
    assert report.value("fpr") == 0 and report.value("tpr") == 0
    assert report.value("threshold") == scores[0]
    assert report.shortfall == 1  # A third was to be selected; nothing can be.
    assert np.isnan(report.value("ppv")) and report.undefined("ppv")


def test_denormal_scores_are_not_zero():
    tiny = np.float32(1e-45)
    report = evaluate(np.array([[0.0, tiny, -tiny, 2 * tiny]], np.float32), [0, 1, 0, 1], None)
    assert report.value("auc") == 1 and report.value("accuracy") == 1
    assert report.value("threshold") == 0


def test_empty_classes_have_reasons():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = evaluate(
            np.arange(6.0)[None], [0, 0, 1, 1, 1, 1], ["a", "a", "a", "b", "b", "b"], bootstrap=20
        )
        frame = report.frame().set_index(["metric", "group"])
    assert np.isnan(report.value("auc", "b")) and np.isnan(report.value("fpr_gap"))
    assert frame["undefined_reason"]["auc", "b"] == "no negative example in group b"
    assert frame["undefined_reason"]["fpr_gap", "all"] == "no negative example in group b"
    assert frame["undefined_reason"]["tpr", "b"] == ""
    assert np.isnan(frame["low"]["auc", "b"])
    assert report.value("tpr", "b") == 1


def test_one_example():
    report = evaluate([[0.3]], [1], ["a"], bootstrap=50)
    assert report.undefined("auc") == "no negative example"
    assert report.value("tpr") == 1 and report.value("threshold") == -np.inf
    drawn = draw_multiplicities(0, 0, 1, 50)[0] > 0
    np.testing.assert_array_equal(~np.isnan(report.replicates("tpr")[0]), drawn)
    report.frame()


def test_no_weight_at_all():
    report = evaluate([[0.3, 0.4]], [1, 0], ["a", "b"], weights=[0, 0])
    assert np.isnan(report.value("fpr")) and np.isnan(report.value("threshold"))
    assert report.undefined("accuracy") == "no example"
    empty = Examples(np.zeros((1, 0)), np.zeros(0))
    report = evaluate([[0.3, 0.4]], [1, 0], ["a", "b"], validation=empty)
    assert np.isnan(report.value("tpr"))
    assert report.undefined("tpr") == "no example to take the threshold from"
    assert report.value("auc") == 0


def test_no_variants():
    frame = evaluate(np.zeros((0, 3)), [0, 1, 0], ["a", "b", "a"], bootstrap=5).frame()
    assert len(frame) == 0 and "value" in frame


def test_frames_and_categories():
    scores = pd.DataFrame({"m1": [0.1, 0.9, 0.8, 0.2], "m2": [0.9, 0.1, 0.2, 0.8]})
    groups = pd.Series(["x", "y", "x", None], dtype=pd.CategoricalDtype(["y", "x"]))
    report = evaluate(scores, pd.Series([0, 1, 1, 0]), groups, bootstrap=3)
    assert report.names == ("m1", "m2") and report.groups == ("all", "y", "x")
    assert report.value("auc").tolist() == [1, 0]
    assert report.counts.tolist() == [4, 1, 2]
    frame = report.frame()
    assert list(frame.columns) == [
        *("variant", "metric", "group", "value", "low", "high", "n", "p_value", "chance"),
        "undefined_reason",
    ]
    assert set(frame["metric"]) == set(report.metrics)
    assert not frame.duplicated(["variant", "metric", "group"]).any()


def test_jax_arrays():
    report = evaluate(jnp.asarray([[0.1, 0.9]]), jnp.asarray([0, 1]), jnp.asarray([0, 0]))
    assert report.value("auc") == 1


def test_intervals_hold_most_replicates():
    rng = np.random.default_rng(4)
    labels, groups = rng.integers(0, 2, 400), rng.integers(0, 2, 400)
    scores = rng.normal(size=(4, 400)) + labels
    report = evaluate(scores, labels, groups, bootstrap=200, interval="percentile")
    rows = report.frame().query("metric == 'auc' and group == 'all'")
    assert ((rows["low"] < rows["value"]) & (rows["value"] < rows["high"])).all()
    replicates = report.replicates("auc")
    for v, row in enumerate(rows.itertuples()):
        expected = np.quantile(replicates[v], [0.025, 0.975])
        assert [row.low, row.high] == pytest.approx(expected.tolist())
    # Hanley and McNeil (1982): the standard error of an AUC of 0.76 with 200 + 200 is 0.024.
    assert replicates.std(axis=1) == pytest.approx(np.full(4, 0.024), rel=0.25)


SOUND = {"scores": np.zeros((2, 3)), "labels": [0, 1, 0], "groups": ["a", "b", "a"]}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"scores": np.zeros(3)}, r"scores has shape \(3,\); expected \[variants, examples\]"),
        ({"scores": [["a", "b", "c"]]}, "scores has dtype"),
        ({"scores": np.array([[0, 0, 0], [0, np.nan, 1]])}, "variant '1' at row 1 is NaN"),
        ({"labels": [0, 1]}, r"labels has shape \(2,\); expected \(3,\)"),
        ({"labels": [0, 1, 2]}, "labels must be 0 or 1, or missing; row 2 is 2"),
        ({"groups": [0.5, 0.1, 0.2]}, "groups holds floats"),
        ({"groups": ["a", "b"]}, r"groups has shape \(2,\)"),
        ({"groups": ["all", "b", "b"]}, "'all' is taken"),
        ({"weights": [1, -1, 1]}, "weights must be finite and >= 0; row 1 is -1"),
        ({"weights": [1, 1, np.inf]}, "weights must be finite"),
        ({"weights": [1, 1]}, r"weights has shape \(2,\)"),
        ({"threshold": "base"}, "did you mean 'base_rate'"),
        ({"threshold": np.nan}, "threshold must be"),
        ({"threshold": [1, 2, 3]}, "one of 2 numbers"),
        ({"bootstrap": -1}, "bootstrap=-1"),
        ({"seed": -1}, "seed=-1"),
        ({"confidence": 95}, "confidence=95"),
        ({"names": ["x", "x"]}, "names has 'x' twice"),
        ({"names": ["x"]}, "names has 1 entries for 2 variants"),
        ({"validation": Examples(np.zeros((1, 3)), [0, 1, 0])}, "validation.scores has 1 variant,"),
        (
            {"validation": Examples(np.zeros((2, 3)), [0, 3, 0])},
            "validation.labels must be 0 or 1, or missing",
        ),
    ],
)
def test_wrong_input_is_named(wrong, message):
    with pytest.raises(InputError, match=message):
        arguments = SOUND | wrong
        evaluate(
            arguments.pop("scores"), arguments.pop("labels"), arguments.pop("groups"), **arguments
        )


def test_wrong_metric_or_group_is_named():
    report = evaluate(**SOUND)
    with pytest.raises(ValueError, match="did you mean 'auc'"):
        report.value("auk")
    with pytest.raises(ValueError, match="group 'c' is unknown; valid: a, all, b"):
        report.value("fpr", "c")
    with pytest.raises(ValueError, match="compares the groups of a family, not 'a'"):
        report.value("fpr_gap", "a")
