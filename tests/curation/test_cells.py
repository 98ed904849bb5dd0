"""Cells, natural shares and evaluation weights on a hand-made dataset."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbias.curation import pair_cells, population_weights, target_cells
from jaxbias.data.dataset import Dataset
from jaxbias.errors import InputError
from jaxbias.study import GroupSpec

GENDER = GroupSpec(column="gender", values=("woman", "man"), names=("women", "men"))


def dataset(**columns):
    count = len(next(iter(columns.values())))
    table = pd.DataFrame({"id": [str(i) for i in range(count)], "split": "finetune", "stratum": ""})
    return Dataset("hand", np.zeros((0, 1, 1, 3), np.uint8), table.assign(**columns), "f")


def boolean(*values):
    return pd.array(values, dtype="boolean")


def test_target_cells_by_hand():
    data = dataset(
        smiling=boolean(True, False, True, pd.NA, True, False),
        gender=pd.Categorical(["woman", "man", "man", "man", "other", "woman"]),
    )
    cells = target_cells(data, "smiling", GENDER)
    assert cells.names == (
        "smiling=0, women", "smiling=0, men", "smiling=1, women", "smiling=1, men",
    )  # fmt: skip
    # Unknown labels and other groups are outside the task.
    assert cells.codes.tolist() == [2, 1, 3, -1, -1, 0]
    assert cells.labels().tolist() == [1, 0, 1, -1, -1, 0]
    assert cells.membership().tolist() == [
        [True, False, False, False, False, True],
        [False, True, True, False, False, False],
    ]
    np.testing.assert_allclose(cells.shares, [0.25] * 4)
    assert cells.available(np.array([True] * 4 + [False] * 2)).tolist() == [0, 1, 1, 1]


def test_categorical_targets_and_the_group_itself():
    data = dataset(
        race=pd.Categorical(["a", "b", "c", "a"]),
        gender=pd.Categorical(["woman", "man", "man", "man"]),
    )
    cells = target_cells(data, "race", GENDER)
    assert cells.classes == 3
    assert cells.codes.tolist() == [0, 3, 5, 1]
    own = target_cells(data, "gender", GENDER)
    assert own.names == ("women", "men")
    assert own.codes.tolist() == [0, 1, 1, 1]


def test_pair_cells_are_exclusive_and_share_their_negatives():
    data = dataset(
        a=boolean(True, True, False, False, pd.NA), b=boolean(False, True, True, False, True)
    )
    cells = pair_cells(data, "a|b")
    assert cells.codes.tolist() == [1, -1, 2, 0, -1]
    assert cells.membership()[:, 3].tolist() == [True, True]
    assert cells.group_names == ("a", "b")


def test_declared_frequencies_give_the_natural_shares():
    table = dataset(t=boolean(*[True, False] * 4), Male=boolean(*[True, True, False, False] * 2))
    frequencies = pd.DataFrame([[0.31, 0.016]], index=["t"], columns=[0, 1])
    data = Dataset("f", table.images, table.table, "x", frequencies, 0.4)
    cells = target_cells(data, "t", GroupSpec())
    np.testing.assert_allclose(cells.shares, [0.6 * 0.69, 0.4 * 0.984, 0.6 * 0.31, 0.4 * 0.016])


def test_examples_rendered_for_another_attribute_are_left_out():
    data = dataset(t=boolean(True, False, True), Male=boolean(True, False, False))
    data.table["stratum"] = ["", "u", "t"]
    assert target_cells(data, "t", GroupSpec()).codes.tolist() == [3, -1, 2]


@given(
    codes=st.lists(st.integers(-1, 3), min_size=8, max_size=60),
    shares=st.lists(st.floats(0.01, 1), min_size=4, max_size=4),
)
@settings(max_examples=100, deadline=None)
def test_population_weights_give_cells_their_shares(codes, shares):
    codes, shares = np.array([*codes, 0, 1, 2, 3]), np.array(shares) / sum(shares)
    weights = population_weights(codes, shares, ("a", "b", "c", "d"))
    inside = codes >= 0
    assert weights[inside].mean() == pytest.approx(1)
    assert (weights[~inside] == 0).all()
    got = np.bincount(codes[inside], weights=weights[inside]) / weights.sum()
    np.testing.assert_allclose(got, shares)


def test_an_empty_cell_cannot_be_weighted():
    with pytest.raises(InputError, match=r"no example of \(b\)"):
        population_weights(np.array([0, 0]), np.array([0.5, 0.5]), ("a", "b"))
