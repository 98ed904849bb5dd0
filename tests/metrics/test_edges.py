"""Edges an independent tester found: empty sets, infinities, zeros, odd types and placements."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from jaxbias.errors import InputError
from jaxbias.metrics import evaluate
from jaxbias.metrics.bootstrap import draw_multiplicities
from jaxbias.metrics.traced import group_metrics

AABB = list("aabb")


def test_frame_without_groups():
    evaluate([[0.1, 0.2]], [0, 1]).frame()


def test_frame_without_examples():
    evaluate(np.zeros((1, 0)), [], []).frame()


def test_power_does_not_depend_on_the_scale_of_weights():
    rng = np.random.default_rng(0)
    y, g, s = rng.integers(0, 2, 100), rng.integers(0, 2, 100), rng.normal(size=(1, 100))
    one, other = (
        evaluate(s, y, g, weights=np.full(100, w), threshold=0.0).power() for w in (1.0, 100.0)
    )
    np.testing.assert_allclose(one["detectable_gap"], other["detectable_gap"])


def test_reported_threshold_selects_what_was_selected():
    report = evaluate([[0.0, -1.0]], [1, 0], threshold={"tpr": 1.0})
    assert report.value("tpr") == 1
    assert np.float32(0.0) > report.value("threshold")  # And not -0.0.


def test_distance_without_weight_is_undefined():
    report = evaluate([[0.1, 0.2]], [0, 1], ["a", "b"], weights=[0, 0], metrics=["score_distance"])
    assert np.isnan(report.value("score_distance"))


def test_replicates_of_infinite_log_loss():
    report = evaluate(
        [[np.inf, 0.2, 0.3, -0.4]], [1, 1, 0, 0], metrics=["log_loss"], link="sigmoid", bootstrap=30
    )
    m = draw_multiplicities(0, 0, 4, 30)
    np.testing.assert_array_equal(np.isnan(report.replicates("log_loss")[0]), m.sum(axis=0) == 0)


def test_infinite_log_loss_of_an_example_not_drawn():
    report = evaluate(
        [[np.inf, 0.2, 0.3, -0.4]], [0, 1, 0, 0], metrics=["log_loss"], link="sigmoid", bootstrap=30
    )
    m = draw_multiplicities(0, 0, 4, 30)
    finite = (m[0] == 0) & (m.sum(axis=0) > 0)
    assert np.isfinite(report.replicates("log_loss")[0][finite]).all()


def test_reason_of_a_ratio_of_zeros():
    report = evaluate([[0.9, 0.1, 0.8, 0.2]], [1, 0, 1, 0], AABB, threshold=0.5)
    assert report.undefined("equalized_odds_ratio") != "nothing predicted positive"


def test_compare_thresholds_where_infinite():
    report = evaluate([[0.1, 0.2], [0.2, 0.1]], [0, 1], bootstrap=20)
    report.compare("0", "1", metrics=["threshold"])


def test_prevalence_without_positives():
    with pytest.raises(InputError):
        evaluate([[0.1] * 4], [0] * 4, AABB, population={"prevalence": 0.5})


def test_population_shares_are_exact():
    """Level without prevalence: quotas are rounded to millionths of all."""
    y = np.array([0, 0, 0, 1, 1])
    w = np.array([5, 5, 1.0, 3e-4, 2e-4])
    g = ["a", "b", "a", "a", "b"]
    report = evaluate([[0, 0, 0, 1, 0.0]], y, g, weights=w, threshold=0.5, population={"level": 3})
    assert report.value("tpr")[0] == pytest.approx(0.7, abs=1e-6)


def test_level_of_another_type():
    with pytest.raises(InputError):
        evaluate([[0.1] * 4], [0, 0, 1, 1], list("abab"), population={"level": "2"})


@pytest.mark.parametrize("groups", [[0, 1, None], [0, 1, np.nan]])
def test_integer_groups_with_missing(groups):
    assert evaluate([[0.1, 0.2, 0.3]], [0, 0, 1], groups).groups == ("all", "0", "1")


def test_gap_counts_only_the_groups():
    report = evaluate([[0.1] * 6], [0, 1] * 3, ["a", "a", "b", "b", None, None])
    assert set(report.gaps()["n"]) == {4}


def test_an_empty_category_leaves_the_overall_row():
    g = pd.Series(list("abab"), dtype=pd.CategoricalDtype(list("abc")))
    report = evaluate([[0.1, 0.2, 0.3, 0.4]], [0, 0, 1, 1], g, threshold="group_base_rate")
    assert not np.isnan(report.value("fpr"))


def test_scores_split_over_examples():
    mesh = jax.make_mesh((8,), ("v",))
    s = np.random.default_rng(0).normal(size=(8, 16)).astype(np.float32)
    there = jax.device_put(s, NamedSharding(mesh, PartitionSpec(None, "v")))
    report = evaluate(there, [0, 1] * 8)
    np.testing.assert_allclose(report.value("auc"), evaluate(s, [0, 1] * 8).value("auc"))


def test_indices_of_several_targets():
    labels = pd.DataFrame([[0, 1], [1, 0]], index=[1, 0])
    with pytest.raises(InputError, match="indices"):
        evaluate(np.zeros((1, 2, 2)), labels, pd.Series(["a", "b"]))


@pytest.mark.parametrize("labels", [[[0, pd.NA], [1, 0], [0, 1]], [0, 1, pd.NA]])
def test_na_in_lists_of_several_targets(labels):
    evaluate(np.zeros((1, 3, 2)), labels)


def test_classes_of_strings_are_named():
    with pytest.raises(InputError, match="labels"):
        evaluate(np.zeros((1, 3, 2)), ["a", "b", "a"])


def test_no_targets_are_named():
    with pytest.raises(InputError):
        evaluate(np.zeros((1, 2, 0)), np.zeros((2, 0))).frame()


def test_metrics_as_one_string():
    with pytest.raises(InputError, match="metrics"):
        evaluate([[0.1, 0.2]], [0, 1], metrics="auc")


def test_rates_of_numpy():
    evaluate([[0.1, 0.2]], [0, 1], threshold={"fpr": np.float32(0.1)})


def test_ragged_train_shares_are_named():
    with pytest.raises(InputError, match="train_shares"):
        evaluate(
            [[0.1, 0.2]],
            [0, 1],
            ["a", "b"],
            metrics=["train_weighted_accuracy"],
            train_shares={"a": (0.1, 0.2), "b": 0.3},
        )


def test_common_positives_of_another_shape_are_named():
    with pytest.raises(InputError, match="common_positives"):
        evaluate([[0.1, 0.2]], [0, 1], metrics=["normalized_ap"], common_positives=[1, 2])


def test_labels_inside_a_program_are_checked():
    scores = jnp.asarray([[0.1, 0.2, 0.3]])
    with pytest.raises(InputError, match="row 1 is 2"):
        group_metrics(scores, [0, 2, 1], metrics=["fpr"], threshold=0.0)
    found = group_metrics(scores, [0, np.nan, 1], metrics=["selection_rate"], threshold=0.15)
    assert found["selection_rate"]["all"].tolist() == [0.5]  # The missing one counts nowhere.


def test_youden_in_replicates_with_validation():
    """A replicate's threshold may be an example that the replicate has not drawn."""
    rng = np.random.default_rng(0)
    s, y = rng.normal(size=(8, 40)).astype(np.float32), rng.integers(0, 2, 40)
    report = evaluate(s, y, threshold="youden", bootstrap=20)
    m = draw_multiplicities(0, 0, 40, 20)
    for r in range(20):
        again = evaluate(s, y, weights=m[:, r], threshold="youden", metrics=("threshold",))
        np.testing.assert_array_equal(
            report.replicates("threshold")[:, r], again.value("threshold")
        )


def test_link_leaves_score_distance_alone():
    """The docstring: link is for ece, brier and log_loss."""
    report = evaluate([[-4.0, 4.0]], [0, 1], ["a", "b"], metrics=["score_distance"], link="sigmoid")
    assert report.value("score_distance")[0] == pytest.approx(8)


def test_groups_through_dlpack_only():
    class Only:
        def __init__(self, array):
            self.array, self.shape, self.ndim = array, array.shape, array.ndim

        def __dlpack__(self, **k):
            return self.array.__dlpack__(**k)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    report = evaluate([[0.1, 0.2]], [0, 1], Only(np.array([0, 1])))
    assert report.groups == ("all", "0", "1")


def test_hits_refuse_a_population():
    """It is of one target's labels, and hits are of all."""
    with pytest.raises(InputError, match="top_k does not go with a population"):
        evaluate(
            np.zeros((1, 4, 2)),
            [0, 1, 0, 1],
            list("aabb"),
            top_k=[1],
            population={"prevalence": 0.5},
        )


def test_a_threshold_per_group_needs_a_partition_inside_a_program_too():
    scores = jnp.asarray([[0.1, 0.2, 0.3]])
    for groups in (["a", "b", None], None):
        with pytest.raises(InputError, match="exactly one group"):
            group_metrics(scores, [0, 1, 1], groups, metrics=["fpr"], threshold="group_base_rate")


def test_targets_refuse_what_would_be_mistaken():
    scores, labels = np.zeros((1, 4, 2)), np.eye(2)[[0, 1, 0, 1]]
    for name in ("mean", "all"):
        with pytest.raises(InputError, match="not 'mean' or 'all'"):
            evaluate(scores, labels, targets=["smiling", name])
    with pytest.raises(InputError, match="give common_positives"):
        evaluate(
            scores,
            labels,
            list("abab"),
            metrics=["normalized_ap"],
            population={"prevalence": 0.5},
        )
