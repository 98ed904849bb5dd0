"""The paper's correlation levels from CelebA's real counts, of its whole training split."""

import numpy as np
import pandas as pd
import pytest

from jaxbias.curation import quotas, realised, target_cells
from jaxbias.data.dataset import Dataset
from jaxbias.errors import InputError
from jaxbias.study import Curation, GroupSpec

TRAIN = 162_770
GROUP = GroupSpec(column="Male", values=("0", "1"), names=("female", "male"))

# attribute: (female+, female-, male+, male-); then per level 0..10 the images of (female, positive)
# in a set of 2m, m the smallest cell: (10 - k) / 10 · m, by largest remainder.
TABLE = {
    "Wearing_Earrings": (
        (29303, 65206, 1059, 67202),
        (1059, 953, 847, 741, 635, 530, 424, 318, 212, 106, 0),
    ),
    "Brown_Hair": (
        (22803, 71706, 10389, 57872),
        (10389, 9350, 8311, 7272, 6233, 5195, 4156, 3117, 2078, 1039, 0),
    ),
    "Blond_Hair": (
        (22880, 71629, 1387, 66874),
        (1387, 1248, 1110, 971, 832, 694, 555, 416, 277, 139, 0),
    ),
    "Bags_Under_Eyes": (
        (9546, 84963, 23734, 44527),
        (9546, 8591, 7637, 6682, 5728, 4773, 3818, 2864, 1909, 955, 0),
    ),
}


def cells_of(name):
    """A dataset with these labels and no images."""
    counts = TABLE[name][0]
    male = np.repeat([False, False, True, True], counts)
    positive = np.repeat([True, False, True, False], counts)
    table = pd.DataFrame({"id": np.arange(len(male)).astype(str), "split": "finetune"})
    table["stratum"] = ""
    table["Male"] = pd.array(male, "boolean")
    table[name] = pd.array(positive, "boolean")
    dataset = Dataset("CelebA", np.zeros((0, 1, 1, 3), np.uint8), table, "")
    return target_cells(dataset, name, GROUP), np.ones(len(male), bool)


@pytest.mark.parametrize("name", TABLE)
def test_every_level_takes_the_protocols_quotas(name):
    counts, female_positive = TABLE[name]
    assert sum(counts) == TRAIN
    cells, pool = cells_of(name)
    available = cells.available(pool)
    assert available.tolist() == [counts[1], counts[3], counts[0], counts[2]]
    m = min(counts)
    for level, share in enumerate(female_positive):
        got = realised(Curation("correlation", level, 0.5), cells, available, 2 * m)
        # (female, negative), (male, negative), (female, positive), (male, positive)
        exact = np.array([level, 10 - level, 10 - level, level]) * m / 10
        assert np.abs(got - exact).max() <= 0.5
        assert got[2] == share
        assert got[2] + got[3] == got[0] + got[1] == m


@pytest.mark.parametrize("name", ["Wearing_Earrings", "Blond_Hair"])
def test_more_than_the_smallest_cell_is_refused_with_the_numbers(name):
    counts, _ = TABLE[name]
    cells, pool = cells_of(name)
    available, m = cells.available(pool), min(counts)
    curation = Curation("correlation", 10, 0.5)
    assert quotas(curation, cells, 2 * m)[3] == m
    with pytest.raises(InputError, match=rf"needs {m + 1:,} .* has {m:,}"):
        realised(curation, cells, available, 2 * m + 2)
