"""Draws: prefixes of fixed permutations, independent of everything but their own content."""

import numpy as np
import pytest

from jaxbias.curation import draw
from jaxbias.errors import InputError
from jaxbias.study import Curation
from tests.curation.made_up import four_cells

CELLS = four_cells(300, 280, 200, 40)
POOL = np.random.default_rng(0).random(len(CELLS.codes)) < 0.8


def ids(curation, n, seed=0, **kw):
    return draw(CELLS, POOL, curation, n, seed, data="d", **kw).ids


def test_draws_are_prefixes_of_one_permutation_per_cell():
    small = ids(Curation("correlation", 2, 0.5), 40)
    large = ids(Curation("correlation", 2, 0.5), 80)
    assert set(small) < set(large)
    # Levels share all that their quotas allow: 4:16 and 6:14 share min(4, 6) + min(16, 14), twice.
    other = ids(Curation("correlation", 3, 0.5), 40)
    assert len(set(small) & set(other)) == 2 * (4 + 14)


def test_who_is_left_out_is_passed_over_in_the_same_permutation():
    out = np.random.default_rng(1).random(len(CELLS.codes)) < 0.3
    whole = ids(Curation("group_balanced"), 80)
    got = ids(Curation("group_balanced"), 80, left_out=out)
    assert not out[got].any() and len(set(got)) == 80
    # All of the others are there that were before: a cell's places are filled by who comes next.
    assert set(whole[~out[whole]]) <= set(got)


def test_realised_counts_pool_and_weights():
    got = draw(CELLS, POOL, Curation("correlation", 9, 0.5), 50, 3, data="d")
    assert got.counts.tolist() == np.bincount(CELLS.codes[got.ids], minlength=4).tolist()
    assert POOL[got.ids].all()
    assert len(set(got.ids)) == 50
    assert got.ids.dtype == np.int32
    assert got.weights.dtype == np.float32


def test_seed_data_and_split_change_the_draw_and_nothing_else_does():
    base = ids(Curation("natural"), 60)
    np.testing.assert_array_equal(base, ids(Curation("natural"), 60))
    assert set(base) != set(ids(Curation("natural"), 60, seed=1))
    assert set(base) != set(ids(Curation("natural"), 60, split="pretrain"))
    other = draw(CELLS, POOL, Curation("natural"), 60, 0, data="e").ids
    assert set(base) != set(other)


def test_shortage_is_refused_or_shrunk_as_asked():
    curation = Curation("correlation", 10, 0.5)
    with pytest.raises(InputError, match=r"needs 100 examples of \(T=1, m\)"):
        ids(curation, 200)
    shrunk = draw(CELLS, POOL, curation, 200, 0, data="d", on_shortage="shrink")
    have = int((POOL & (CELLS.codes == 3)).sum())
    assert shrunk.counts.tolist() in ([have, 0, 0, have], [have + 1, 0, 0, have])


def test_the_permutation_is_fixed_for_good():
    """A changed draw would silently change every study: the first ids are pinned."""
    assert ids(Curation("group_balanced"), 8).tolist() == [197, 23, 575, 558, 773, 650, 797, 794]


def test_the_balanced_part_has_as_many_of_every_cell():
    drawn = draw(CELLS, POOL, Curation("natural"), 100, 0, "data")
    places = np.unique(drawn.balanced())
    counts = np.bincount(drawn.cells[places])
    assert (counts == drawn.counts.min()).all() and len(drawn.balanced()) == 100
