"""Cells, natural shares and evaluation weights on a hand-made dataset."""

import numpy as np
import pandas as pd
import pytest

from jaxbias.curation import draw, pair_cells, target_cells
from jaxbias.data.dataset import Dataset
from jaxbias.errors import InputError
from jaxbias.study import Curation, GroupSpec

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


@pytest.mark.parametrize("classes", [100, 1000])
def test_every_class_of_many_is_kept_and_drawn(classes):
    names = [f"c{i:04d}" for i in range(classes)]
    # Of every class four women, then two men.
    data = dataset(
        label=pd.Categorical(np.repeat(names, 6)),
        gender=pd.Categorical((["woman"] * 4 + ["man"] * 2) * classes),
    )
    cells = target_cells(data, "label", GENDER)
    assert cells.classes == classes and len(cells.names) == 2 * classes
    assert cells.labels().tolist() == np.repeat(np.arange(classes), 6).tolist()
    everything = np.ones(6 * classes, bool)
    assert cells.available(everything).tolist() == [4, 2] * classes
    np.testing.assert_allclose(cells.shares, np.tile([4, 2], classes) / (6 * classes))
    drawn = draw(cells, everything, Curation("group_balanced"), 2 * classes, 0, "d")
    assert drawn.counts.tolist() == [1] * (2 * classes)
    assert cells.codes[drawn.ids].tolist() == drawn.cells.tolist() == list(range(2 * classes))
    weights = draw(cells, everything, Curation("reweight"), 3 * classes, 0, "d").weights
    np.testing.assert_allclose(weights, 1)  # Class and group are independent here.


def test_the_most_classes_and_one_more():
    names = [f"c{i:05d}" for i in range(32_768)]
    data = dataset(
        label=pd.Categorical(np.tile(names, 2)),
        gender=pd.Categorical(np.repeat(["woman", "man"], len(names))),
    )
    with pytest.raises(InputError, match=r"'label' of hand has 32,768 values, more than 32,767"):
        target_cells(data, "label", GENDER)
    data.table["label"] = data.table["label"].cat.remove_categories(names[-1:])
    cells = target_cells(data, "label", GENDER)
    assert cells.classes == 32_767
    assert cells.codes[[0, 32_766, 32_767, -2, -1]].tolist() == [0, 65_532, -1, 65_533, -1]
    assert (cells.available(np.ones(len(cells.codes), bool)) == 1).all()


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
