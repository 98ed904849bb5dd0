"""Sizes: all that a split lacks in one line, with the n that satisfies every set."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbias.curation import Cells, Wanted, quotas, realised, shortage
from jaxbias.curation.quotas import largest_n
from jaxbias.errors import InputError
from jaxbias.study import Curation
from tests.curation.made_up import CELLS, pair

FEW = np.array([500, 500, 500, 30])


def wanted(level, n=100, available=FEW):
    return Wanted(Curation("correlation", level, 0.5), CELLS, np.array(available), n)


def test_a_shortage_names_the_numbers_and_the_ways_out():
    assert shortage([wanted(9)]) == (
        "curation 'correlation 9' at n=100 needs 45 examples of (T=1, m); the finetune split has "
        "30. Lower config.finetune.n to 67, leave out 'correlation 9', give the finetune split "
        "more such images, or set config.curations.on_shortage='shrink'"
    )
    assert quotas(Curation("correlation", 9, 0.5), CELLS, 67)[3] == 30


def test_all_shortages_come_at_once_with_the_n_that_satisfies_them_all():
    sets = [wanted(level, n) for n in (100, 2000) for level in (0, 5, 9)]
    text = shortage(sets)
    assert text.startswith("4 of 6 curated sets cannot be drawn: ")
    # Of each cell that is short, the set that needs most of it.
    for part in (
        "'correlation 9' at n=2000 needs 900 examples of (T=1, m); the finetune split has 30 "
        "(2 more sets lack them too)",
        "'correlation 0' at n=2000 needs 1,000 examples of (T=0, m); the finetune split has 500",
        "'correlation 0' at n=2000 needs 1,000 examples of (T=1, f); the finetune split has 500",
        "'correlation 9' at n=2000 needs 900 examples of (T=0, f); the finetune split has 500",
        "Lower config.finetune.n to 67, leave out 'correlation 9', 'correlation 0', 'correlation "
        "5', give",
    ):
        assert part in text, text
    lower = [wanted(level, min(n, 67)) for n in (100, 2000) for level in (0, 5, 9)]
    assert shortage(lower) == ""


def test_no_n_is_lowered_to_nothing():
    text = shortage([wanted(9, available=(500, 500, 500, 0))])
    assert "has 0. No n will do: leave out 'correlation 9', or give the finetune split" in text
    assert "ower" not in text and "shrink" not in text
    # Two images would fit by rounding, but they are no level 9.
    assert largest_n(Curation("correlation", 9, 0.5), CELLS, np.array([500, 500, 500, 0]), 100) == 0
    with pytest.raises(InputError, match="No n will do"):
        realised(Curation("correlation", 9, 0.5), CELLS, np.array([9, 9, 9, 0]), 100,
                 on_shortage="shrink")  # fmt: skip
    # The natural draw is always among them: to leave others out would not help.
    short = Wanted(Curation("natural"), CELLS, np.array([99, 99, 99, 0]), 100)
    natural = shortage([short, wanted(9, available=(99, 99, 99, 0))])
    assert natural.endswith("No n will do: give the finetune split more such images")


def test_what_shrinks_is_no_shortage():
    assert shortage([wanted(9), wanted(5)], shrink=True) == ""
    counts = realised(Curation("correlation", 9, 0.5), CELLS, FEW, 100, on_shortage="shrink")
    assert counts.tolist() == [31, 3, 3, 30]


def test_bases_are_named_and_have_an_n_of_their_own():
    sets = [wanted(9)._replace(owner=f"base '{name}': ") for name in "AB"]
    text = shortage(sets, "pretrain")
    assert "base 'A': curation 'correlation 9' at n=100 needs 45" in text
    assert "base 'B': curation" in text
    assert "Lower config.pretrain.n to 67, choose another curation of the base, or give" in text


def test_of_many_cells_the_emptiest_are_named():
    classes = 10
    cells = Cells(
        task="object",
        names=tuple(f"c{i}, {g}" for i in range(classes) for g in "fm"),
        targets=np.repeat(np.arange(classes), 2),
        groups=np.tile([0, 1], classes),
        group_names=("f", "m"),
        codes=np.repeat(np.arange(2 * classes), 5),
        shares=np.full(2 * classes, 0.05),
    )
    available = np.arange(2 * classes)
    text = shortage([Wanted(Curation("group_balanced"), cells, available, 400, "base 'B': ")], "x")
    named = [f"needs 20 examples of (c{i}, {g}); the x split has {n}" for n, (i, g) in
             enumerate([(0, "f"), (0, "m"), (1, "f"), (1, "m")])]  # fmt: skip
    assert all(part in text for part in named), text
    assert text.count("needs 20") == 4
    assert "; base 'B': too few in 16 more cells. No n will do: choose another curation" in text


def test_a_rule_that_asks_too_much_is_told_beside_the_rest():
    sets = [wanted(9), Wanted(Curation("replace_minority", k=30), CELLS, FEW, 100)]
    text = shortage(sets)
    assert "2 of 2 curated sets cannot be drawn" in text
    assert "replaces 30 of (T=1, f), but a natural draw has 17" in text
    assert "No n will do" in text
    mixed = shortage([Wanted(Curation("pair_mix", 5, 0.5), pair(), np.array([9, 2, 9]), 16)])
    assert "needs 4 examples of (A only); the finetune split has 2" in mixed


@given(
    available=st.lists(st.integers(0, 300), min_size=4, max_size=4),
    levels=st.sets(st.integers(0, 10), min_size=1),
    sizes=st.sets(st.integers(1, 600), min_size=1, max_size=3),
)
@settings(max_examples=60)
def test_the_n_of_the_message_satisfies_all(available, levels, sizes):
    sets = [wanted(level, n, available) for level in levels for n in sizes]
    text = shortage(sets)
    lower = text.partition("Lower config.finetune.n to ")[2].partition(",")[0]
    if lower:
        most = int(lower)
        assert 0 < most < max(sizes)
        for each in sets:
            counts = quotas(each.curation, CELLS, min(each.n, most))
            assert (counts <= each.available).all()
    elif text:
        assert "No n will do" in text
    assert "n to 0" not in text
