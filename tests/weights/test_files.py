"""Reading checkpoints: what is read, and what is refused before it can run."""

import importlib.util
import json
import os
import pickle
import re
import zipfile

import ml_dtypes
import numpy as np
import pytest

from jaxbias.errors import InputError
from jaxbias.weights import limits
from jaxbias.weights.files import read_tensors


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_npz_and_safetensors_are_read_as_they_are(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b/c": np.float64([1.5])}
    np.savez(tmp_path / "w.npz", **arrays)
    got = read_tensors(tmp_path / "w.npz").arrays
    assert got.keys() == arrays.keys()
    half = np.asarray([1.5, -2], ml_dtypes.bfloat16)
    # The format by hand: the length of a header, the header, the bytes of the tensors.
    header = {
        "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "h": {"dtype": "BF16", "shape": [2], "data_offsets": [24, 28]},
    }
    text = json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text + arrays["a"].tobytes() + half.tobytes()
    (tmp_path / "w.safetensors").write_bytes(content)
    got = read_tensors(tmp_path / "w.safetensors").arrays
    np.testing.assert_array_equal(got["a"], arrays["a"])
    np.testing.assert_array_equal(got["h"], half)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_files_cut_short_are_refused(tmp_path, suffix):
    import safetensors.numpy

    path = tmp_path / f"w{suffix}"
    arrays = {"a": np.zeros((40, 40), np.float32)}
    if suffix == ".npz":
        np.savez(path, **arrays)
    else:
        safetensors.numpy.save_file(arrays, path)
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(InputError, match="damaged or cut short"):
        read_tensors(path)


def test_a_pickle_in_an_npz_never_runs(tmp_path):
    marker = tmp_path / "ran"
    path = tmp_path / "w.npz"
    np.savez(path, a=np.asarray([Hostile(marker)], dtype=object))
    with pytest.raises(InputError, match="pickled objects, which may run anything"):
        read_tensors(path)
    assert not marker.exists()


def hostile_checkpoints(tmp_path, marker):
    """A bare pickle, and one in the shape of PyTorch's archives."""
    plain = tmp_path / "plain.pth"
    plain.write_bytes(pickle.dumps({"state_dict": Hostile(marker)}, protocol=2))
    archive = tmp_path / "archive.pt"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(Hostile(marker), protocol=2))
        file.writestr("archive/version", "3\n")
        file.writestr("archive/byteorder", "little")
    return plain, archive


@pytest.mark.parity  # Without PyTorch too, where less is said.
def test_a_hostile_checkpoint_never_runs(tmp_path):
    """A bare pickle is told by its first bytes; of an archive PyTorch names what it would run."""
    marker = tmp_path / "ran"
    plain, archive = hostile_checkpoints(tmp_path, marker)
    with pytest.raises(InputError, match="a Python pickle, which may run anything when read"):
        read_tensors(plain)
    with_torch = importlib.util.find_spec("torch") is not None
    with pytest.raises(InputError) as error:
        read_tensors(archive)
    assert ("posix.system" if with_torch else "jaxbias[weights]") in str(error.value)
    assert ("refused" if with_torch else "safetensors.torch.save_file") in str(error.value)
    assert "\n" not in str(error.value)
    assert not marker.exists()
    os.system(f"touch {marker}")
    assert marker.exists()  # It would have been seen.


def test_what_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        read_tensors(tmp_path / "w.npz")
    (tmp_path / "w.h5").write_bytes(b"x")
    with pytest.raises(InputError, match="no kind of checkpoint"):
        read_tensors(tmp_path / "w.h5")
    with pytest.raises(InputError, match="there is no file"):
        read_tensors(tmp_path / f"{'w' * 300}.npz")
    (tmp_path / "l.npz").symlink_to(tmp_path / "absent")
    with pytest.raises(InputError, match=r"l.npz links to a file that is not there"):
        read_tensors(tmp_path / "l.npz")
    (tmp_path / "self.npz").symlink_to(tmp_path / "self.npz")
    with pytest.raises(InputError, match=r"self.npz links to a file that is not there"):
        read_tensors(tmp_path / "self.npz")


def test_files_behind_links_are_read(tmp_path):
    """As hubs keep them: by hash, with links of the names."""
    np.savez(tmp_path / "blob.npz", a=np.ones(2))
    (tmp_path / "blob.npz").rename(tmp_path / "0123abcd")
    (tmp_path / "w.NPZ").symlink_to("0123abcd")
    np.testing.assert_array_equal(read_tensors(tmp_path / "w.NPZ").arrays["a"], np.ones(2))


def test_files_of_more_than_is_read_are_refused_unread(tmp_path):
    path = tmp_path / "w.safetensors"
    with path.open("wb") as file:
        file.write((2).to_bytes(8, "little") + b"{}")
        file.truncate(5 * 2**30)  # Without bytes on the disk.
    with pytest.raises(InputError, match=re.escape("the file would take 5.0 GiB, and at most 4")):
        read_tensors(path)
    assert limits.MOST_BYTES == 4 * 2**30


def safetensors_of(path, header, content=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)
    return path


def tensor(start, end, dtype="F32", shape=(1,)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"a": tensor(0, 4, "F7")}, "damaged or cut short"),
        ({"a": tensor(0, 8, "C64")}, "a is of dtype C64, which is not read; save it in float32"),
        ({"a": tensor(0, 8)}, "damaged or cut short"),
        ({"a": tensor(0, 2**62)}, "damaged or cut short"),
        ({"a": tensor(0, 4), "b": tensor(2, 6)}, "damaged or cut short"),
        ({"a": tensor(4, 0)}, "damaged or cut short"),
        ({"a": tensor(0, 0, shape=(0, 2**62, 2**62))}, "damaged or cut short"),
        ({"a": tensor(0, 0, shape=(0,) * 99)}, "damaged or cut short"),
        ({"a": tensor(0, 4, shape=(-1,))}, "damaged or cut short"),
        ({"a": [0]}, "damaged or cut short"),
        ({}, "holds no tensors"),
        (b'{"a":' + b"[" * 100_000, "damaged or cut short"),
        (b'{"a":1' + b"{" * 3, "damaged or cut short"),
        (b'{"\xff": 1}', "damaged or cut short"),
        ({"a\nb": tensor(0, 4)}, r"'a\nb' is no name of a tensor (printable text of 1 to 200"),
        ({"a" * 10**6: tensor(0, 4)}, "is no name of a tensor"),
    ],
)
def test_headers_of_safetensors_that_cannot_be(tmp_path, header, said):
    content = bytes(8 if "C64" in str(header) else 4 * len(header))
    path = safetensors_of(tmp_path / "w.safetensors", header, content)
    with pytest.raises(InputError, match=re.escape(said)) as error:
        read_tensors(path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500
