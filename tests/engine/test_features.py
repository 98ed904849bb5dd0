"""The store of features: whole or absent, and named after all that features depend on."""

import dataclasses

import numpy as np
import pytest

from jaxbias.engine import features
from jaxbias.engine.features import Features, features_id
from jaxbias.errors import InputError
from jaxbias.models import make_network
from jaxbias.plan.variants import Base
from jaxbias.study import ModelSpec

BASE = Base("Grouped", "studied", "group", "natural", 0, "a" * 16)
NETWORK = make_network(ModelSpec(widths=(4,)), 8, 1)


def test_features_come_back_as_they_were(tmp_path):
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    whole = Features(values, np.float32([1, 0.1, 0]), np.float32([0.5, 0, 1 / 3]), 0.7)
    for given in (Features(values), whole):
        stored = features.write(tmp_path, "x", given)
        assert isinstance(stored.values, np.memmap)
        for got, want in zip(dataclasses.astuple(stored), dataclasses.astuple(given), strict=True):
            np.testing.assert_array_equal(got, want)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.json", "x.npy"]


@pytest.mark.parametrize("name", ["x.json", "x.npy"])
@pytest.mark.parametrize("damage", ["absent", "cut", "flipped"])
def test_damaged_features_are_taken_for_none(tmp_path, name, damage):
    features.write(tmp_path, "x", Features(np.ones((4, 3), np.float32)))
    path = tmp_path / name
    content = path.read_bytes()
    if damage == "absent":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[:-5])
    else:  # The last number of the array, or a digit of its checksum.
        place = content.index(b"sha256") + 12 if name == "x.json" else len(content) - 2
        path.write_bytes(content[:place] + b"~" + content[place + 1 :])
    assert features.read(tmp_path, "x") is None


def test_names_follow_the_content():
    names = {
        features_id(base, network, data, principal)
        for base in (BASE, dataclasses.replace(BASE, id="b" * 16))
        for network in (NETWORK, make_network(ModelSpec(widths=(8,)), 8, 1))
        for data in ("one", "other")
        for principal in (False, True)
    }
    assert len(names) == 16
    renamed = dataclasses.replace(BASE, name="Other", role="control")
    assert features_id(renamed, NETWORK, "one", False) == features_id(BASE, NETWORK, "one", False)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot make the directory"):
        features.write(tmp_path / "file", "x", Features(np.ones((1, 1), np.float32)))
