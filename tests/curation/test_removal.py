"""Removal: a level reached from another is literally a part of its images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbias.curation import draw, quotas, realised
from jaxbias.curation.quotas import largest_n, needed
from jaxbias.errors import InputError
from jaxbias.study import Curation
from tests.curation.made_up import CELLS, four_cells

# The protocol's images left of 1,024, per level from 0 or from 2 on.
FROM_2 = (819, 910, 1024, 682, 512, 409, 341, 292, 256)
MANY = four_cells(700, 650, 600, 620)


def removal(level, start, prevalence=0.5):
    return Curation("reduce_only", level, prevalence, start=start)


def test_sizes_are_those_of_the_protocol():
    for level, left in enumerate(FROM_2):
        if level != 2:
            assert removal(level, 2).size(1024) == left
            assert removal(10 - level, 8).size(1024) == left
            assert quotas(removal(level, 2), CELLS, 1024).sum() == left


def test_counts_by_hand():
    # Level 2 of 100 is 10, 40 | 40, 10; level 4 keeps its 10s, and 15 beside each.
    assert quotas(removal(4, 2), CELLS, 100).tolist() == [10, 15, 15, 10]
    assert needed(removal(4, 2), CELLS, 100).tolist() == [10, 40, 40, 10]
    # Level 0 keeps what level 2 has of its two cells.
    assert quotas(removal(0, 2), CELLS, 100).tolist() == [0, 40, 40, 0]
    # Level 8 of 100 is 40, 10 | 10, 40; level 6 keeps the 10s, and 15 beside each.
    assert quotas(removal(6, 8), CELLS, 100).tolist() == [15, 10, 10, 15]


reached = st.tuples(st.integers(0, 10), st.integers(0, 10)).filter(
    lambda pair: pair[0] != pair[1] and removal(*pair).size(10**6)
)


@given(pair=reached, n=st.integers(1, 3000), prevalence=st.floats(0.05, 0.95))
@settings(max_examples=300)
def test_every_cell_is_a_part_of_the_starts_and_near_its_share(pair, n, prevalence):
    curation = removal(*pair, prevalence)
    left = curation.size(n)
    if not left:
        with pytest.raises(InputError, match=f"leaves nothing of n={n}"):
            quotas(curation, CELLS, n)
        return
    got = quotas(curation, CELLS, n)
    assert got.sum() == left
    assert (got <= quotas(curation.whole, CELLS, n)).all()
    k = curation.level / 10
    shares = np.array([(1 - prevalence) * k, (1 - prevalence) * (1 - k)])
    shares = np.concatenate([shares, prevalence * np.array([1 - k, k])])
    assert (got[shares == 0] == 0).all()
    assert np.abs(got - left * shares).max() < 3


@given(pair=reached, n=st.integers(2, 400), seed=st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_images_are_among_those_it_removes_from(pair, n, seed):
    pool = np.ones(len(MANY.codes), bool)
    curation = removal(*pair)
    if not curation.size(n) or len(set(np.flatnonzero(quotas(curation, MANY, n)) // 2)) < 2:
        return
    left = draw(MANY, pool, curation, n, seed, "d")
    start = draw(MANY, pool, curation.whole, n, seed, "d")
    level = draw(MANY, pool, Curation("correlation", pair[0], 0.5), n, seed, "d")
    assert set(left.ids) <= set(start.ids)
    assert len(left.ids) == curation.size(n)
    # It shares with the level itself what their counts allow.
    assert len(set(left.ids) & set(level.ids)) == np.minimum(left.counts, level.counts).sum()


def test_the_start_must_be_there_and_shrinks_with_it():
    available = np.array([500, 500, 500, 10])
    # Level 1 of the 182 left needs 9 male positives, but the start of n = 200 needs 20 of them.
    with pytest.raises(InputError, match=r"'reduce_only 1 from 2' at n=200 needs 20 .* has 10"):
        realised(removal(1, 2), CELLS, available, 200)
    start = realised(removal(1, 2).whole, CELLS, available, 200, on_shortage="shrink")
    left = realised(removal(1, 2), CELLS, available, 200, on_shortage="shrink")
    assert (left <= start).all()
    most = largest_n(removal(1, 2).whole, CELLS, available, 200)
    assert start.sum() == most and left.sum() == removal(1, 2).size(most)
