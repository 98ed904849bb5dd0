"""Mixes of two sources: quotas, draws and refusals, along the column of a mix or another."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbias.curation import draw, pair_cells, quotas, realised, target_cells
from jaxbias.data.dataset import Dataset
from jaxbias.errors import InputError
from jaxbias.study import Curation, GroupSpec

GROUP = GroupSpec(column="gender", values=("w", "m"), names=("w", "m"))
# Per source: (negative w, negative m, positive w, positive m).
COCO, DOLLAR = (30, 10, 40, 20), (80, 80, 0, 40)


def mixed(coco=COCO, dollar=DOLLAR, **columns):
    counts = np.array([*coco, *dollar])
    cell = np.repeat(np.tile(np.arange(4), 2), counts)
    number = len(cell)
    table = pd.DataFrame(
        {"id": [str(i) for i in range(number)], "split": "finetune", "stratum": ""}
    ).assign(
        hat=pd.array(cell >= 2, "boolean"),
        other=pd.array((cell % 2 == 1) & (cell < 2), "boolean"),
        gender=pd.Categorical(np.where(cell % 2, "m", "w")),
        source=pd.Categorical(np.repeat(["coco", "dollar"], [sum(coco), sum(dollar)])),
        **columns,
    )
    return Dataset("mixed", np.zeros((0, 1, 1, 3), np.uint8), table, "f")


DATA = mixed()
CELLS = target_cells(DATA, "hat", GROUP)
PARTS = CELLS.along("source")
POOL = np.ones(300, bool)


def mix(level, column="source"):
    return Curation("source_mix", level, column=column)


def test_cells_are_parted_by_source():
    assert PARTS.names[:3] == ("hat=0, w, coco", "hat=0, w, dollar", "hat=0, m, coco")
    assert PARTS.available(POOL).tolist() == [30, 80, 10, 80, 40, 0, 20, 40]
    np.testing.assert_allclose(PARTS.shares, np.array([30, 80, 10, 80, 40, 0, 20, 40]) / 300)
    assert PARTS.targets.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert PARTS.groups.tolist() == [0, 0, 1, 1, 0, 0, 1, 1]
    assert PARTS.parts_of.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert CELLS.along("source") is PARTS and CELLS.along(None) is CELLS


def test_quotas_by_hand():
    # 7 of 10 from coco (.3 .1 .4 .2), 3 of 10 from dollar (.4 .4 0 .2).
    assert quotas(mix(3), PARTS, 100).tolist() == [21, 12, 7, 12, 28, 0, 14, 6]
    assert quotas(mix(0), PARTS, 50).tolist() == [15, 0, 5, 0, 20, 0, 10, 0]
    assert quotas(mix(10), PARTS, 50).tolist() == [0, 20, 0, 20, 0, 0, 0, 10]


def test_declared_shares_of_cells_stay():
    parts = target_cells(
        Dataset("d", DATA.images, DATA.table.rename(columns={"gender": "Male"}), "f",
                pd.DataFrame([[0.5, 0.1]], index=["hat"], columns=[0, 1]), 0.3),
        "hat", GroupSpec(column="Male", values=("w", "m"), names=("w", "m")),
    ).along("source")  # fmt: skip
    by_cell = parts.shares.reshape(4, 2).sum(axis=1)
    np.testing.assert_allclose(by_cell, [0.35, 0.27, 0.35, 0.03])
    np.testing.assert_allclose(parts.shares[:2], 0.35 * np.array([30, 80]) / 110)


@given(n=st.integers(2, 80), seed=st.integers(0, 3), level=st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_draws_are_prefixes_and_levels_share_what_they_can(n, seed, level):
    one, more, next_ = (
        draw(CELLS, POOL, mix(k), images, seed, "d")
        for k, images in ((level, n), (level, n + 8), (level + 1, n))
    )
    if one.redraws or next_.redraws:
        return
    assert one.counts.tolist() == np.bincount(PARTS.codes[one.ids], minlength=8).tolist()
    assert one.cells.tolist() == CELLS.codes[one.ids].tolist()
    assert one.names == PARTS.names
    source = (DATA.table["source"].iloc[one.ids] == "dollar").sum()
    assert abs(source - n * level / 10) <= 0.5
    for other in (more, next_):
        shared = len(set(one.ids) & set(other.ids))
        assert shared == np.minimum(one.counts, other.counts).sum()


def test_a_natural_draw_and_a_mix_take_the_same_permutation():
    natural = draw(CELLS, POOL, Curation("natural"), 60, 0, "d")
    one = draw(CELLS, POOL, mix(3), 60, 0, "d")
    for cell in range(4):
        own = one.ids[one.cells == cell]
        for dollar in (False, True):
            of_source = (DATA.table["source"] == "dollar").to_numpy() == dollar
            first, second = (
                ids[of_source[ids]] for ids in (own, natural.ids[natural.cells == cell])
            )
            common = min(len(first), len(second))
            assert first[:common].tolist() == second[:common].tolist()


def test_shortage_and_shrinking_name_the_source():
    with pytest.raises(InputError, match=r"needs 60 examples of \(hat=1, w, coco\); .* has 40"):
        draw(CELLS, POOL, mix(0), 150, 0, "d")
    available = PARTS.available(POOL)
    shrunk = realised(mix(0), PARTS, available, 150, on_shortage="shrink")
    assert shrunk.tolist() == [30, 0, 10, 0, 40, 0, 20, 0]


def test_pairs_are_mixed_too():
    cells = pair_cells(DATA, "hat|other")
    parts = cells.along("source")
    assert parts.names[-1] == "other only, dollar"
    # Of coco 30 neither, 60 hat, 10 other; of dollar 80, 40, 80.
    assert quotas(mix(5), parts, 40).tolist() == [6, 8, 12, 4, 2, 8]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("sorce", "curation 'source_mix': mixed has no label column 'sorce'; did you mean 'so"),
        ("third", "of task 'hat' have 3: 'a', 'b', 'c'"),
        ("fixed", "of task 'hat' have 1: '1'"),
    ],
)
def test_columns_that_are_no_two_sources_are_refused(column, said):
    third = pd.Categorical(np.resize(["a", "b", "c"], 300))
    data = mixed(third=third, fixed=pd.array(np.ones(300, bool), "boolean"))
    with pytest.raises(InputError, match=said):
        target_cells(data, "hat", GROUP).along(column)


def test_the_two_values_are_those_of_finetuning_examples():
    data = mixed()
    data.table["source"] = data.table["source"].cat.add_categories(["geode"])
    data.table.loc[:4, ["source", "split"]] = ["geode", "pretrain"]
    parts = target_cells(data, "hat", GROUP).along("source")
    assert parts.names[0].endswith("coco") and parts.names[1].endswith("dollar")
    assert (parts.codes[:5] == -1).all()
    binary = mixed(young=pd.array(np.resize([True, False, False], 300), "boolean"))
    assert target_cells(binary, "hat", GROUP).along("young").names[:2] == (
        "hat=0, w, 0",
        "hat=0, w, 1",
    )
