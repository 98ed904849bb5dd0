"""Which packs `--packs` names."""

import pytest

from jaxbias.errors import InputError
from jaxbias.plan.packs import Pack
from jaxbias.plan.selection import select

PACKS = [Pack(id, 1, ()) for id in ("a0", "b1", "12", "d3", "e4", "f5")]


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("", [0, 1, 2, 3, 4, 5]),
        ("0", [0]),
        ("0,3-5", [0, 3, 4, 5]),
        ("5, 1-2 ,1", [1, 2, 5]),
        ("d3,0", [0, 3]),
        ("12", [2]),  # An id, though all digits.
        ("2-2", [2]),
    ],
)
def test_places_ranges_and_ids(text, places):
    assert select(PACKS, text, "finetune") == [PACKS[place] for place in places]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("6", "there is no pack 6; stage finetune of the plan has 6, 0 to 5"),
        ("0-6", "there is no pack 6"),
        ("4-2", "4-2 runs backwards; write 2-4"),
        ("x", "'x' is no pack of stage finetune"),
        ("1,", "'' is no pack"),
        ("-1", "'-1' is no pack"),
        ("1-2-3", "'1-2-3' is no pack"),
    ],
)
def test_what_is_no_pack_is_named(text, message):
    with pytest.raises(InputError, match=message):
        select(PACKS, text, "finetune")


def test_a_stage_without_packs_has_none():
    with pytest.raises(InputError, match=r"stage pretrain of the plan has 0$"):
        select([], "0", "pretrain")
