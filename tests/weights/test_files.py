"""Reading checkpoints: what is read, and what is refused before it can run."""

import importlib.util
import json
import os
import pickle
import zipfile

import ml_dtypes
import numpy as np
import pytest

from jaxbias.errors import InputError
from jaxbias.weights.files import read_tensors

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="reads files of PyTorch: install torch"
)


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


def test_a_hostile_checkpoint_never_runs(tmp_path):
    """With PyTorch it is recognised; without, the way out is said. Either way nothing runs."""
    marker = tmp_path / "ran"
    with_torch = importlib.util.find_spec("torch") is not None
    for path in hostile_checkpoints(tmp_path, marker):
        with pytest.raises(InputError) as error:
            read_tensors(path)
        assert ("posix.system" if with_torch else "jaxbias[weights]") in str(error.value)
        assert ("refused" if with_torch else "safetensors.torch.save_file") in str(error.value)
        assert "\n" not in str(error.value)
    assert not marker.exists()
    os.system(f"touch {marker}")
    assert marker.exists()  # It would have been seen.


@needs_torch
def test_checkpoints_of_training_scripts_are_opened(tmp_path):
    import torch

    tensors = {"w": torch.ones(2, 3, dtype=torch.bfloat16), "n": torch.tensor(3)}
    content = {"epoch": 4, "state_dict": tensors, "optimizer": {"lr": 0.1}}
    torch.save(content, tmp_path / "a.pth.tar")
    torch.save(content, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("a.pth.tar", "old.pth"):
        got = read_tensors(tmp_path / name)
        assert got.beside == ("epoch", "optimizer")
        np.testing.assert_array_equal(got.arrays["w"], np.ones((2, 3), np.float32))
        assert got.arrays["n"].dtype == np.int64
    cut = (tmp_path / "a.pth.tar").read_bytes()[:-400]
    (tmp_path / "a.pth.tar").write_bytes(cut)
    with pytest.raises(InputError, match="damaged or cut short"):
        read_tensors(tmp_path / "a.pth.tar")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")
    with pytest.raises(InputError, match=r"Linear.*state_dict\(\) alone"):
        read_tensors(tmp_path / "module.pt")
    torch.save({"a": 1}, tmp_path / "none.pt")
    with pytest.raises(InputError, match="'a' is no tensor"):
        read_tensors(tmp_path / "none.pt")


def test_what_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        read_tensors(tmp_path / "w.npz")
    (tmp_path / "w.h5").write_bytes(b"x")
    with pytest.raises(InputError, match="no kind of checkpoint"):
        read_tensors(tmp_path / "w.h5")
