"""Several targets: each equals a binary evaluation; hits against scikit-learn; their mean."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import top_k_accuracy_score

from jaxbias.errors import InputError
from jaxbias.metrics import Examples, evaluate, holm
from tests.metrics.strategies import assert_same

V, N, T = 8, 90, 4
NAMES = ("cat", "dog", "cow", "hen")


def drawn(seed, multiclass=False):
    """Scores [V, N, T], labels of either kind, groups and weights."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(V, N, T)).round(1).astype(np.float32)
    labels = rng.integers(0, T, N) if multiclass else (rng.random((N, T)) < 0.4).astype(int)
    return scores, labels, np.tile(["a", "b", "c"], N // 3), rng.random(N).round(2) + 0.1


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("multiclass", [False, True], ids=["multilabel", "multiclass"])
def test_each_target_equals_a_binary_evaluation(seed, multiclass):
    scores, labels, groups, weights = drawn(seed, multiclass)
    binary = labels[:, None] == np.arange(T) if multiclass else labels
    report = evaluate(scores, labels, groups, weights=weights, targets=NAMES, bootstrap=4)
    assert report.targets == NAMES
    for t, name in enumerate(NAMES):
        one = evaluate(scores[..., t], binary[:, t], groups, weights=weights, bootstrap=4)
        assert_same(report[name], one, 0)
        np.testing.assert_array_equal(report[name].replicates("auc"), one.replicates("auc"))


@pytest.mark.parametrize("multiclass", [False, True], ids=["multilabel", "multiclass"])
def test_missing_labels_equal_absent_rows_of_that_target(multiclass):
    scores, labels, groups, weights = drawn(7, multiclass)
    known = np.random.default_rng(8).random(labels.shape) > 0.2
    gappy = np.where(known, labels, np.nan)
    binary = labels[:, None] == np.arange(T) if multiclass else labels
    report = evaluate(scores, gappy, groups, weights=weights)
    for t in range(T):
        kept = known if multiclass else known[:, t]
        one = evaluate(scores[:, kept, t], binary[kept, t], groups[kept], weights=weights[kept])
        assert_same(report[str(t)], one)


def test_data_frames_name_the_targets():
    scores, labels, groups, _ = drawn(1)
    frame = pd.DataFrame(labels, columns=list(NAMES)).astype("Int64")
    frame.iloc[0, 0] = pd.NA
    report = evaluate(scores, frame, groups)
    assert report.targets == NAMES
    assert [report[name].counts[0] for name in NAMES] == [N - 1, N, N, N]


@pytest.mark.parametrize("seed", range(20))
def test_hits_equal_scikit_learn(seed):
    scores, labels, groups, weights = drawn(seed, multiclass=True)
    # scikit-learn lets the later class win a tie; without ties they agree.
    scores = scores + np.random.default_rng(seed).random(scores.shape).astype(np.float32) / 100
    report = evaluate(scores, labels, groups, weights=weights, metrics=["auc"], top_k=(1, 2, 4))
    rows = report.frame().query("target == 'all'").set_index(["metric", "group", "variant"])
    for k in (1, 2, 4):
        for group in ("all", "a", "b", "c"):
            inside = (groups == group) | (group == "all")
            for v in range(V):
                expected = 1.0
                if k < T:
                    expected = top_k_accuracy_score(
                        labels[inside],
                        scores[v, inside],
                        k=k,
                        sample_weight=weights[inside],
                        labels=np.arange(T),
                    )
                found = rows["value"][f"top_{k}_hit_rate", group, str(v)]
                assert found == pytest.approx(expected, abs=1e-6)


def test_hits_by_hand():
    """A tie goes to the earlier target; a row without labels is neither a hit nor a miss."""
    scores = [[[0.5, 0.5], [0.1, 0.9], [0.9, 0.1], [0.3, 0.7]]]
    labels = [[0, 1], [0, 1], [0, 0], [np.nan, np.nan]]
    frame = evaluate(scores, labels, metrics=["auc"], top_k=[1, 2]).frame()
    rates = frame.query("target == 'all' and group == 'all'").set_index("metric")["value"]
    assert rates["top_1_hit_rate"] == pytest.approx(1 / 3)
    assert rates["top_2_hit_rate"] == pytest.approx(2 / 3)


def test_mean_is_over_targets_in_which_it_is_defined():
    scores, labels, groups, weights = drawn(3)
    labels[groups == "a", 0] = 0  # No positive of the first target in a: no TPR there.
    report = evaluate(scores, labels, groups, weights=weights, bootstrap=5)
    frame = report.frame()
    means = frame.query("target == 'mean'").set_index(["metric", "group", "variant"])["value"]
    for metric, place, targets in (
        ("auc", "all", range(4)),
        ("tpr", "a", range(1, 4)),
        ("tpr_gap", "all", range(1, 4)),
    ):
        expected = np.mean([report[str(t)].value(metric, place) for t in targets], axis=0)
        found = [means[metric, place, str(v)] for v in range(V)]
        np.testing.assert_allclose(found, expected)
    assert "threshold" not in set(frame.query("target == 'mean'")["metric"])
    labels[groups == "a"] = 0
    frame = evaluate(scores, labels, groups).frame().query("target == 'mean'")
    nowhere = frame.query("metric == 'tpr' and group == 'a'")
    assert nowhere["value"].isna().all()
    assert set(nowhere["undefined_reason"]) == {"undefined everywhere"}


def test_compare_adjusts_over_all_targets():
    scores, labels, groups, weights = drawn(4)
    report = evaluate(scores, labels, groups, weights=weights, bootstrap=50)
    rows = report.compare("0", ["1"], metrics=["auc", "fpr_gap"], group="all")
    assert len(rows) == 2 * (T + 1) and rows.columns[0] == "target"
    np.testing.assert_array_equal(rows["p_holm"], holm(rows["p_value"].to_numpy()))
    by = rows.set_index(["target", "metric"])["difference"]
    each = [np.subtract(*report[str(t)].value("auc")[:2]) for t in range(T)]
    np.testing.assert_allclose([by[str(t), "auc"] for t in range(T)], each)
    assert by["mean", "auc"] == pytest.approx(np.mean(each))


def test_validation_of_several_targets_gives_each_its_threshold():
    scores, labels, groups, _ = drawn(5)
    other, others, sides, _ = drawn(6)
    report = evaluate(scores, labels, groups, validation=Examples(other, others, sides))
    for t in range(T):
        one = Examples(other[..., t], others[:, t], sides)
        one = evaluate(scores[..., t], labels[:, t], groups, validation=one)
        assert_same(report[str(t)], one, 0)


SOUND = {"scores": np.zeros((2, 3, 2)), "labels": np.zeros((3, 2))}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"labels": np.zeros((3, 3))}, r"labels has shape \(3, 3\); expected \(3, 2\)"),
        ({"labels": [0, 1, 2]}, r"labels must be classes 0..1, or missing; row 2 is 2"),
        ({"labels": [[0, 1], [0, 2], [0, 0]]}, "labels must be 0 or 1, or missing; row 1 is 2"),
        ({"targets": ["x"]}, "must be 2 different names"),
        ({"targets": ["x", "x"]}, "must be 2 different names"),
        ({"targets": ["x", "mean"]}, "and not 'mean'"),
        ({"top_k": [0]}, r"top_k has 0; it must be in 1..2"),
        ({"top_k": [3]}, r"top_k has 3; it must be in 1..2"),
        ({"scores": np.zeros((2, 3)), "labels": [0, 1, 0], "top_k": [1]}, "targets and top_k are"),
        ({"validation": Examples(np.zeros((2, 3)), [0, 1, 0])}, r"validation.scores has shape"),
    ],
)
def test_wrong_input_is_named(wrong, message):
    arguments = SOUND | wrong
    with pytest.raises(InputError, match=message):
        evaluate(arguments.pop("scores"), arguments.pop("labels"), **arguments)
