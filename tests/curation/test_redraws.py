"""Redraws: until both classes are there, by content alone, and only where quotas have one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from jaxbias.curation import draw, quotas, with_both_classes
from jaxbias.errors import InputError
from jaxbias.study import Curation
from tests.curation.made_up import CELLS, four_cells, pair

RARE = four_cells(5000, 4800, 150, 50)  # 2 % are positive.
POOL = np.ones(len(RARE.codes), bool)
NATURAL = Curation("natural")


def drawn(curation=NATURAL, n=16, seed=0, cells=RARE, data="d", **kw):
    return draw(cells, np.ones(len(cells.codes), bool), curation, n, seed, data, **kw)


def test_a_small_set_of_one_class_is_drawn_again():
    assert quotas(NATURAL, RARE, 16).tolist() == [8, 8, 0, 0]
    found = [drawn(seed=seed) for seed in range(40)]
    for one in found:
        assert one.redraws > 0
        assert len(set(one.ids)) == 16 == one.counts.sum()
        assert one.counts[2:].sum() > 0 and one.counts[:2].sum() > 0
        assert one.counts.tolist() == np.bincount(RARE.codes[one.ids], minlength=4).tolist()
    # Attempts are independent: each has a positive with the probability of one in 16 images.
    chance = 1 - 0.98**16
    attempts = sum(one.redraws for one in found)
    low, high = stats.nbinom.ppf([1e-4, 1 - 1e-4], len(found), chance) + len(found)
    assert low <= attempts <= high
    again = [drawn(seed=seed) for seed in range(40)]
    assert all((a.ids == b.ids).all() for a, b in zip(found, again, strict=True))
    assert len({tuple(one.ids) for one in found}) == len(found)


def test_what_is_drawn_again_takes_the_same_permutations():
    whole = drawn(n=5000)
    for seed in range(5):
        one = drawn(seed=seed)
        order = drawn(n=5000, seed=seed)
        for cell in range(4):
            own = [id for id, c in zip(one.ids, one.cells, strict=True) if c == cell]
            prefix = [id for id, c in zip(order.ids, order.cells, strict=True) if c == cell]
            assert own == prefix[: len(own)]
    assert whole.redraws == 0


@given(n=st.integers(4, 400), seed=st.integers(0, 5), level=st.integers(0, 10))
@settings(max_examples=60, deadline=None)
def test_a_first_draw_of_both_classes_stays(n, seed, level):
    for curation in (NATURAL, Curation("correlation", level, 0.5)):
        one = drawn(curation, n, seed, cells=four_cells(400, 390, 380, 370))
        assert one.redraws == 0
        assert one.counts.tolist() == quotas(curation, four_cells(400, 390, 380, 370), n).tolist()


def test_only_two_classes_finetuning_and_few_images_are_drawn_again():
    assert drawn(split="pretrain").redraws == 0
    assert drawn(Curation("correlation", 3, None), 40, cells=RARE).redraws == 0  # One positive.
    rarer = four_cells(50_000, 48_000, 150, 50)
    with pytest.raises(InputError) as refused:
        drawn(n=100, cells=rarer)
    assert str(refused.value) == (
        "curation 'natural' at n=100 has 100 images and none of (T=1, f or T=1, m): there is "
        "nothing to learn, and a set of n=100 or more is not drawn again; raise "
        "config.finetune.n, or choose another curation"
    )
    with pytest.raises(InputError, match="a set that removal leaves is not drawn again"):
        drawn(Curation("reduce_only", 3, None, start=2), 16, cells=RARE)


def test_one_image_and_a_population_of_one_class_are_refused():
    with pytest.raises(InputError, match=r"n=1 has 1 image .* and no redraw has both classes"):
        drawn(n=1)
    single = four_cells(40, 38, 0, 0)
    with pytest.raises(InputError, match=r"none of \(T=1, f or T=1, m\), and no redraw has"):
        drawn(n=20, cells=single)


def test_pairs_levels_and_images_beside_the_natural_draw():
    few = np.array([500, 1, 0])
    cells = pair()
    curation = Curation("pair_mix", 10, 0.02)
    counts = quotas(curation, cells, 20)
    assert counts.tolist() == [20, 0, 0]
    with pytest.raises(InputError, match="no redraw has both"):  # Of the second there is none.
        with_both_classes(curation, cells, few, 20, counts, "key")
    got, attempts = with_both_classes(curation, cells, few + 1, 20, counts, "key")
    assert got.tolist() == [19, 0, 1] and attempts > 0
    added = Curation("add_minority", k=3)
    mostly = four_cells(10, 30, 9000, 9000)  # The smallest cell is of the rare class.
    assert drawn(added, 10, cells=mostly).counts.tolist() == [3, 0, 5, 5]


def test_shares_of_redraws_are_those_of_the_rule():
    rule = Curation("correlation", 2, 0.03)
    available = np.full(4, 10**6)
    counts = quotas(rule, CELLS, 12)
    total = sum(
        with_both_classes(rule, CELLS, available, 12, counts, f"{i}")[0] for i in range(600)
    )
    positive, negative = total[2:], total[:2]
    assert stats.binomtest(int(positive[0]), int(positive.sum()), 0.8).pvalue > 1e-4
    assert stats.binomtest(int(negative[1]), int(negative.sum()), 0.8).pvalue > 1e-4
