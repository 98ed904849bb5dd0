"""Walks: few packs are looked at at a time, and all of them sooner or later."""

import random

import pytest

from jaxbias.plan.packs import Pack
from jaxbias.workdir.walk import Walk


def packs_of(count):
    return [Pack(f"p{i}", 1, ()) for i in range(count)]


def walk_of(count, seed=0):
    return Walk(packs_of(count), random.Random(seed))


def ids(packs):
    return [int(pack.id[1:]) for pack in packs]


def test_a_few_packs_are_all_looked_at_from_the_first_on():
    walk = walk_of(16)
    assert walk.is_short and len(walk) == 16
    assert ids(walk.round()) == [*range(16)]
    walk.settle([walk.packs[0], walk.packs[3]])
    walk.go_on_after(walk.round()[1])  # p2
    assert ids(walk.round()) == [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 1, 2]
    walk.watch(walk.packs)
    assert sorted(ids(walk.round())) == ids(walk.packs)  # Each once.
    walk.jump()
    assert ids(walk.round())[0] == 1
    walk.keep(walk.packs[:2])
    assert ids(walk.packs) == [1, 2]
    walk.keep([])
    assert not walk and walk.round() == []


def test_of_many_a_few_are_looked_at_from_a_place_of_ones_own():
    starts = {ids(walk_of(1000, seed).round())[0] for seed in range(20)}
    assert len(starts) > 15
    walk = walk_of(1000)
    first = ids(walk.round())
    assert first == [(first[0] + i) % 1000 for i in range(16)]
    assert ids(walk.round()) == first
    walk.go_on_after(walk.round()[4])
    assert ids(walk.round())[0] == (first[5]) % 1000
    assert ids(walk_of(1000).round()) == first  # By chance alone: the same for all of a gang.


def test_eight_that_others_hold_are_looked_at_every_time_after_what_may_be_free():
    walk = walk_of(1000)
    first = walk.round()
    walk.watch(first)
    walk.jump()
    second = walk.round()
    assert second[16:] == first[:8]
    assert len(second) == 24 and len({pack.id for pack in second}) == 24
    walk.watch(second)
    walk.settle([first[0]])
    assert walk.round()[16:] == first[1:8]
    walk.go_on_after(first[1])  # Taken over: that is no reason to go there.
    assert walk.round()[:16] == second[:16]
    walk.watch([second[4]])
    assert walk.round()[16:] == [*first[1:8], second[4]]
    last = walk.round()
    walk.keep([pack for pack in walk.packs if pack not in last])
    walk.watch(last)  # They are gone.
    assert not {*walk.round()} & {*last}


@pytest.mark.parametrize("seed", range(5))
def test_the_place_stays_where_it_is_when_what_is_settled_is_dropped(seed):
    walk = walk_of(1000, seed)
    start = ids(walk.round())[0]
    walk.keep([pack for pack in packs_of(1000) if int(pack.id[1:]) % 3 == 0])
    found = ids(walk.round())
    expected = sorted(range(0, 1000, 3), key=lambda i: (i - start) % 1000)
    assert found == expected[:16]


@pytest.mark.parametrize("seed", range(5))
def test_every_pack_is_come_to(seed):
    """By one process among others that do most of them, and settle them without its knowing."""
    walk, chance, looks = walk_of(500, seed), random.Random(seed), 0
    others = {f"p{i}" for i in range(500) if i % 10}
    while walk:
        packs = walk.round()
        looks += len(packs)
        settled = [pack for pack in packs if pack.id in others]
        mine = next((pack for pack in packs if pack.id not in others), None)
        if mine is None or chance.random() < 0.1:
            walk.watch(packs)
            walk.jump()
        else:
            settled.append(mine)
            walk.go_on_after(mine)
        walk.settle(settled)
    assert looks < 5000
