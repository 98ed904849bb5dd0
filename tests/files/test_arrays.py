"""Arrays beside their record: read back as they were, or refused."""

import json

import numpy as np
import pytest

from jaxbias.files import arrays

VALUES = np.arange(24, dtype=np.float32).reshape(4, 6)


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / "a.npy"
    return path, arrays.write(path, VALUES)


def test_an_array_is_read_back_through_a_record_in_json(stored):
    path, record = stored
    found = arrays.read(path, json.loads(json.dumps(record)), np.float32)
    np.testing.assert_array_equal(found, VALUES)
    assert isinstance(found, np.memmap) and not found.flags.writeable


def test_other_content_is_noticed_up_to_the_size_that_is_read_through(stored):
    path, record = stored
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    for checked in (None, VALUES.nbytes):
        with pytest.raises(ValueError, match="its hash is of other content"):
            arrays.read(path, record, np.float32, checked)
    assert arrays.read(path, record, np.float32, VALUES.nbytes - 1).shape == (4, 6)


def test_another_array_is_no_such_array(stored):
    path, record = stored
    for other in (VALUES[:3], VALUES.astype(np.float64)):
        arrays.write(path, other)
        with pytest.raises(ValueError, match="is not what its record says"):
            arrays.read(path, record, np.float32, 0)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError):  # NumPy's.
        arrays.read(path, record, np.float32)
