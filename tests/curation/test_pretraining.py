"""Cells of bases: classes and groups that are left, and where nobody is of a group."""

import numpy as np
import pandas as pd
import pytest

from jaxbias.curation import base_cells, quotas, target_cells
from jaxbias.data.dataset import Dataset
from jaxbias.errors import InputError
from jaxbias.study import Curation, GroupSpec

GENDER = GroupSpec(column="gender", values=("woman", "man"), names=("women", "men"))


def of_races():
    """Two women and a man of race a, a man of b, a woman of c, and a man of unknown race."""
    table = pd.DataFrame({"id": [str(i) for i in range(6)], "split": "pretrain", "stratum": ""})
    table["race"] = pd.Categorical(["a", "a", "a", "b", "c", None])
    table["gender"] = pd.Categorical(["woman", "woman", "man", "man", "woman", "man"])
    return Dataset("hand", np.zeros((0, 1, 1, 3), np.uint8), table, "f")


def left_out(*rows):
    return np.isin(np.arange(6), rows)


def test_a_base_whose_columns_are_of_the_pretraining_split_alone_counts_there():
    data = of_races()
    with pytest.raises(InputError, match="no finetuning example of task 'race'"):
        target_cells(data, "race", GENDER)
    cells = base_cells(data, "race", GENDER)
    np.testing.assert_allclose(cells.shares, np.array([2, 1, 0, 1, 1, 0]) / 5)
    data.table["split"] = "finetune"
    data.table.loc[5, "split"] = "pretrain"
    data.table.loc[5, "race"] = "b"
    np.testing.assert_array_equal(
        base_cells(data, "race", GENDER).shares, target_cells(data, "race", GENDER).shares
    )


def test_a_class_or_group_of_which_nobody_is_left_is_none():
    men_alone = base_cells(of_races(), "race", GENDER, left_out(0, 1, 4))
    assert men_alone.names == ("race=a, men", "race=b, men")
    assert men_alone.codes.tolist() == [-1, -1, 0, 1, -1, -1]
    assert men_alone.targets.tolist() == [0, 1] and men_alone.groups.tolist() == [1, 1]
    assert men_alone.classes == 2
    np.testing.assert_allclose(men_alone.shares, [0.5, 0.5])
    # Without race a the others are classes 0 and 1. A cell stays whose class and group do.
    others = base_cells(of_races(), "race", GENDER, left_out(0, 1, 2))
    assert others.names == ("race=b, women", "race=b, men", "race=c, women", "race=c, men")
    assert others.targets.tolist() == [0, 0, 1, 1]
    assert others.labels().tolist() == [-1, -1, -1, 0, 1, -1]
    np.testing.assert_allclose(others.shares, [0, 0.5, 0.5, 0])
    with pytest.raises(InputError, match="no pretraining example has a known 'race' and is not"):
        base_cells(of_races(), "race", GENDER, left_out(0, 1, 2, 3, 4))


def test_where_nobody_is_of_a_group_cells_are_the_classes_alone():
    data = of_races()
    data.table.loc[5, "split"] = "finetune"  # Of unknown race.
    data.table["gender"] = pd.Categorical(["woman", *[None] * 4, "man"])
    data.table.loc[0, "split"] = "test"
    cells = base_cells(data, "race", GENDER)
    assert cells.names == ("race=a", "race=b", "race=c") and not cells.grouped
    assert cells.codes.tolist() == [0, 0, 0, 1, 2, -1]
    np.testing.assert_allclose(cells.shares, np.array([2, 1, 1]) / 4)
    assert quotas(Curation("natural"), cells, 8).tolist() == [4, 2, 2]
    assert quotas(Curation("class_balanced"), cells, 6).tolist() == [2, 2, 2]
    with pytest.raises(InputError, match="'group_balanced' of 'race': nobody is known to be of"):
        quotas(Curation("group_balanced"), cells, 6)
    with pytest.raises(InputError, match="'correlation' needs a binary target and two groups"):
        quotas(Curation("correlation", 2, 0.5), cells, 6)
