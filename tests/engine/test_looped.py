"""Pieces of a batch: as few as a device holds, where they change no number; else a line."""

import dataclasses
import functools

import numpy as np
import pytest

from jaxbias.engine.looped import Looped, fitted, held_bytes
from jaxbias.engine.memory import Room
from jaxbias.errors import InputError
from jaxbias.models import make_network
from jaxbias.parallel import make_data_mesh
from jaxbias.study import ModelSpec
from jaxbias.targets import KINDS, Target, Unattached, aim
from jaxbias.training import Schedule, Step
from tests.models.architectures import tiny_architectures  # noqa: F401

HELD = {1: 100, 2: 60, 4: 40, 8: 30}


def maker(name="convnet", fed=False, batch=16, size=8, **changes):
    network = make_network(ModelSpec(name=name, widths=(4,)), size, 1)
    step = Step(network, Schedule(64, 1, batch, 0.9, projection=8, **changes))

    def make(pieces):
        store = (64, size, size, 3)
        return Looped(step, make_data_mesh(2), "shard_map", pieces, store, fed, np.dtype("f4"))

    return make


def pieces_of(make, asked, room, held=lambda looped: HELD[looped.pieces]):
    return fitted("Grouped", make, asked, room, held).pieces


@pytest.mark.parametrize(
    ("most", "asked", "pieces"), [(100, 1, 1), (99, 1, 2), (50, 1, 4), (30, 1, 8), (60, 2, 2)]
)
def test_the_fewest_pieces_that_fit_are_taken(most, asked, pieces):
    assert pieces_of(maker(), asked, Room(most, most)) == pieces


def test_where_nobody_tells_nothing_is_cut():
    assert pieces_of(maker(), 1, None, None) == 1
    assert pieces_of(maker(), 1, Room(1, 1), lambda looped: None) == 1


def test_on_cpu_pieces_do_not_hang_on_what_else_runs_there():
    room, there = Room(50, 100), functools.partial(dataclasses.replace, maker()(1))
    assert pieces_of(lambda pieces: there(pieces=pieces), 1, room) == 1
    aim(Unattached("v5e:1x2", KINDS["v5e"], (1, 2)))
    try:
        assert pieces_of(lambda pieces: there(pieces=pieces), 1, room) == 4
    finally:
        aim(Target())


def refused(make, asked, most, held=lambda looped: HELD[looped.pieces]):
    with pytest.raises(InputError) as error:
        pieces_of(make, asked, Room(most, most), held)
    text = str(error.value)
    assert text.startswith("pretraining base 'Grouped' needs ") and "\n" not in text
    assert "on each of 2 × cpu, of which" in text
    return text


def test_more_pieces_than_were_asked_are_told_and_not_taken():
    assert "; config.pretrain.accumulate=4 needs 3.7e-08 GiB; or take" in refused(maker(), 2, 50)


def test_norms_would_see_a_piece_and_so_the_user_decides():
    text = refused(maker("resnet_block"), 1, 70)
    assert "accumulate=2 needs 5.6e-08 GiB, but norms then see a piece, which makes another" in text
    assert pieces_of(maker("resnet_block"), 2, Room(70, 70)) == 2
    assert pieces_of(maker("resnet_block", mode="head"), 1, Room(70, 70)) == 2


def test_negatives_are_of_the_whole_batch():
    text = refused(maker(objective="simclr"), 1, 70)
    assert "simclr's batches cannot be computed in pieces: take more devices" in text


def test_one_example_that_does_not_fit_ends_it():
    text = refused(maker(), 1, 20)
    assert "even one example in each piece needs 2.8e-08 GiB: take more devices" in text
    assert text.endswith("or config.grid.store='host'")
    text = refused(maker(fed=True), 1, 20, lambda looped: 2**62)
    assert "needs more than 1.9e-08 GiB on each" in text and text.endswith("a smaller config.model")


def test_pieces_hold_less_and_batches_on_their_way_are_counted():
    make = maker(batch=256, size=16)
    whole, cut = (held_bytes(make(pieces)) for pieces in (1, 8))
    assert 0 < 2 * cut < whole
    fed = maker(batch=256, size=16, fed=True)(1)
    assert fed.beside == 2 * 128 * 16 * 16 * 3
    assert held_bytes(fed) > 0 == make(1).beside
