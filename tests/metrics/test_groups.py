"""Groups of several columns, their intersections, and what is missing of them or of labels."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from jaxbias.errors import InputError
from jaxbias.metrics import Groups, evaluate
from tests.metrics.strategies import CASES, assert_same, evaluated, every_value, examples

N = 120


def two_columns(seed=0):
    """Scores of 8 variants, labels, and columns of 2 and of 3 values, every cell filled."""
    rng = np.random.default_rng(seed)
    columns = {"gender": np.tile(["f", "m"], N // 2), "race": np.repeat(["x", "y", "z"], N // 3)}
    labels = np.tile([0, 0, 1, 1], N // 4)
    return rng.normal(size=(8, N)).round(1).astype(np.float32), labels, columns


def test_each_column_equals_itself_alone():
    scores, labels, columns = two_columns()
    report = evaluate(
        scores, labels, columns, intersections=[("gender", "race")], threshold="base_rate"
    )
    crossed = np.char.add(np.char.add(columns["gender"], " "), columns["race"])
    alone = {"gender": columns["gender"], "race": columns["race"], "gender & race": crossed}
    assert report.families == tuple(alone)
    for family, values in alone.items():
        one = evaluate(scores, labels, values)
        for metric, place in one.entries():
            if place != "all":
                both = zip(family.split(" & "), place.split(" "), strict=True)
                named = " & ".join(f"{column}={value}" for column, value in both)
            else:
                named = "all" if (metric, "all") in report.entries() else family
            np.testing.assert_allclose(
                report.value(metric, named), one.value(metric, place), err_msg=(metric, place)
            )


def test_families_are_named_and_compared_in_frames():
    scores, labels, columns = two_columns()
    report = evaluate(scores, labels, columns, intersections=[("race", "gender")])
    assert report.groups[:6] == ("all", "gender=f", "gender=m", "race=x", "race=y", "race=z")
    assert report.groups[6:8] == ("race=x & gender=f", "race=x & gender=m")
    gaps = report.gaps().set_index(["metric", "group"])["compared"]
    assert set(gaps["fpr_gap", "gender"]) == {"gender=f − gender=m"}
    assert set(gaps["fpr_gap", "race"]) == {"range of 3 groups"}
    assert set(gaps["fpr_gap", "race & gender"]) == {"range of 6 groups"}
    rates = report.value("fpr", "gender=f") - report.value("fpr", "gender=m")
    np.testing.assert_allclose(report.value("fpr_gap", "gender"), rates)
    with pytest.raises(InputError, match="compares the groups of a family, not 'all'"):
        report.value("fpr_gap")


def test_combinations_that_do_not_occur_are_no_groups():
    scores, labels, columns = two_columns()
    columns["gender"] = np.where(columns["race"] == "z", "f", columns["gender"])
    report = evaluate(scores, labels, columns, intersections=[("gender", "race")])
    assert "gender=m & race=z" not in report.groups and len(report.groups) == 1 + 2 + 3 + 5


def test_a_data_frame_of_columns_equals_a_mapping():
    scores, labels, columns = two_columns()
    asked = {"intersections": [("gender", "race")]}
    one = evaluate(scores, labels, columns, **asked)
    assert_same(one, evaluate(scores, labels, pd.DataFrame(columns), **asked), 0)


def test_missing_group_values_count_only_overall():
    scores, labels, columns = two_columns()
    absent = np.arange(N) % 5 == 0
    for missing in (None, np.nan, pd.NA):
        values = pd.Series(columns["race"], dtype=object)
        values[absent] = missing
        report = evaluate(scores, labels, {"gender": columns["gender"], "race": values})
        left = evaluate(
            scores[:, ~absent],
            labels[~absent],
            columns["race"][~absent],
            threshold=report.value("threshold"),
        )
        whole = evaluate(scores, labels, columns["gender"])
        assert report.groups == ("all", "gender=f", "gender=m", "race=x", "race=y", "race=z")
        for metric in ("auc", "fpr", "tpr", "accuracy"):
            np.testing.assert_array_equal(report.value(metric), whole.value(metric))
            for race in "xyz":
                np.testing.assert_allclose(
                    report.value(metric, f"race={race}"), left.value(metric, race)
                )
        assert report.counts.sum() == N + N + (~absent).sum()


def test_missing_group_value_has_no_intersection():
    scores, labels, columns = two_columns()
    race = pd.Series(columns["race"]).where(np.arange(N) % 5 > 0)
    report = evaluate(
        scores, labels, {"g": columns["gender"], "r": race}, intersections=[("g", "r")]
    )
    crossed = [c for c, name in zip(report.counts, report.groups, strict=True) if "&" in name]
    assert sum(crossed) == race.notna().sum()


def test_categories_keep_their_order_and_their_empty_ones():
    scores, labels, columns = two_columns()
    order = pd.CategoricalDtype(["m", "f"])
    report = evaluate(scores, labels, pd.Series(columns["gender"], dtype=order))
    reverse = evaluate(scores, labels, columns["gender"])
    assert report.groups == ("all", "m", "f") and reverse.groups == ("all", "f", "m")
    np.testing.assert_allclose(report.value("tpr_gap"), -reverse.value("tpr_gap"), atol=1e-12)
    more = pd.Series(columns["gender"], dtype=pd.CategoricalDtype(["m", "none", "f"]))
    report = evaluate(scores, labels, more)
    assert report.groups == ("all", "m", "none", "f") and report.counts.tolist() == [N, 60, 0, 60]
    assert np.isnan(report.value("fpr", "none")).all()
    assert report.undefined("fpr", "none") == "no example in group none"
    assert report.undefined("fpr_gap") == "no example in group none"


def test_fifty_groups_equal_each_alone():
    rng = np.random.default_rng(1)
    codes, labels = np.arange(200) % 50, (np.arange(200) // 50) % 2
    scores = rng.normal(size=(8, 200)).round(1).astype(np.float32)
    report = evaluate(scores, labels, codes, threshold=0.1)
    each = {"auc": [], "tpr": [], "selection_rate": []}
    for g in range(50):
        inside = codes == g
        aucs = [roc_auc_score(labels[inside], row[inside]) for row in scores]
        above = scores[:, inside] > np.float32(0.1)
        for name, expected in (
            ("auc", aucs),
            ("tpr", above[:, labels[inside] == 1].mean(axis=1)),
            ("selection_rate", above.mean(axis=1)),
        ):
            np.testing.assert_allclose(report.value(name, str(g)), expected)
            each[name].append(expected)
    for name, rates in each.items():
        np.testing.assert_allclose(report.value(f"{name}_gap"), np.ptp(rates, axis=0))
    # Sorted as numbers, not as text.
    assert report.groups[1:4] == ("0", "1", "2")


@CASES
@given(examples(variants=8), st.integers(0, 2**31), st.sampled_from(["nan", "none", "na", "Int64"]))
def test_missing_labels_equal_absent_rows(drawn, seed, kind):
    scores, labels, groups, weights = drawn
    known = np.random.default_rng(seed).random(len(labels)) > 0.3
    known[:4] = True  # Each class of each group stays.
    gappy = {
        "nan": np.where(known, labels, np.nan),
        "none": [int(y) if k else None for y, k in zip(labels, known, strict=True)],
        "na": [int(y) if k else pd.NA for y, k in zip(labels, known, strict=True)],
        "Int64": pd.Series(labels, dtype="Int64").where(known),
    }[kind]
    left = (scores[:, known], labels[known], groups[known], weights[known])
    report = evaluate(scores, gappy, groups, weights=weights)
    assert_same(report, evaluated(left))
    assert report.counts[0] == (known & (weights > 0)).sum()


def test_labels_missing_everywhere():
    report = evaluate([[0.1, 0.2]], [None, np.nan], ["a", "b"], bootstrap=3)
    assert all(np.isnan(value).all() for value in every_value(report).values())
    assert report.undefined("auc") == "no example"


@pytest.mark.parametrize(
    ("groups", "arguments", "message"),
    [
        ({"g": [0, 1], "h": [0.5, 1]}, {}, r"groups\['h'\] holds floats"),
        ({"g": [0, 1], "h": [0]}, {}, r"groups\['h'\] has shape \(1,\); expected \(2,\)"),
        ({}, {}, "groups is empty"),
        ([0, 1], {"intersections": [("g", "h")]}, "intersections need groups by name"),
        ({"g": [0, 1], "h": [0, 1]}, {"intersections": [("g", "i")]}, "names 'i', which groups"),
        ({"g": [0, 1]}, {"intersections": [("g",)]}, "expected at least two columns"),
        ({"g": [0, 1], "h": [0, 1]}, {"intersections": [("g", "h")] * 2}, "'g & h' twice"),
        (["all", "b"], {}, "'all' is taken"),
    ],
)
def test_wrong_groups_are_named(groups, arguments, message):
    with pytest.raises(InputError, match=message):
        evaluate([[0.1, 0.2]], [0, 1], groups, **arguments)


@pytest.mark.parametrize(
    ("membership", "message"),
    [
        ([[0, 2]], "must be 0 or 1"),
        ([[0, 1], [1, 0]], r"has shape \(2, 2\); expected \[1, examples\]"),
        ([[0, 1, 1]], "groups has 3 examples and scores 2"),
    ],
)
def test_wrong_membership_is_named(membership, message):
    with pytest.raises(InputError, match=message):
        evaluate([[0.1, 0.2]], [0, 1], Groups(("a",), membership))
