"""Files that are no checkpoints of their suffix's kind: what they look like, and the way out."""

import gzip
import io
import pickle
import zipfile

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from jaxbias.errors import InputError
from jaxbias.weights.files import read_tensors

ARRAYS = {"a": np.ones((2, 3), np.float32)}
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def npz():
    file = io.BytesIO()
    np.savez(file, **ARRAYS)
    return file.getvalue()


def npy():
    file = io.BytesIO()
    np.save(file, ARRAYS["a"])
    return file.getvalue()


def archive(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name in names:
            made.writestr(name, "content")
    return file.getvalue()


def png():
    file = io.BytesIO()
    Image.new("RGB", (2, 2)).save(file, "png")
    return file.getvalue()


LOOKS = {
    "nothing": (b"", "it is empty; fetch it again"),
    "page": (b"<!DOCTYPE html>\n<html><body>Sign in", "a web page, such as a server sends instead"),
    "page after a mark": (b"\xef\xbb\xbf\n <HTML>", "a web page"),
    "error of a store": (b'<?xml version="1.0"?><Error><Code>AccessDenied', "a web page"),
    "pointer": (POINTER, "a pointer of git-lfs in place of the file; run `git lfs pull`"),
    "answer": (b'{"error": "Repository not found"}', "a text that begins with '{"),
    "pickle": (pickle.dumps({"a": 1}, protocol=4), "a Python pickle, which may run anything"),
    "array": (npy(), "one array of NumPy (.npy); save named arrays with numpy.savez"),
    "gzip": (gzip.compress(npz()), "compressed by gzip; gunzip it"),
    "image": (png(), "a PNG image; fetch it again"),
    "keras": (b"\x89HDF\r\n\x1a\n" + bytes(50), "an HDF5 file, as Keras writes"),
    "bytes": (bytes([1, 2, 3, 200] * 20), "of no known kind (its first bytes are 01 02 03 c8"),
    "zip": (archive("a.txt", "b.txt"), "a zip archive of other files ('a.txt, b.txt'); unpack it"),
    "empty zip": (archive(), "a zip archive of other files ('nothing')"),
    "program": (archive("m/data.pkl", "m/constants.pkl"), "a TorchScript program, which is run to"),
}


@pytest.mark.parametrize("suffix", [".pth", ".npz", ".safetensors"])
@pytest.mark.parametrize("name", LOOKS)
def test_what_is_no_checkpoint_is_called_what_it_looks_like(tmp_path, name, suffix):
    content, looks = LOOKS[name]
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    kind = {".pth": "PyTorch's", ".npz": "NumPy's", ".safetensors": "safetensors'"}[suffix]
    with pytest.raises(InputError) as error:
        read_tensors(path)
    said = str(error.value)
    assert said.startswith(f"{path} is no file of {kind} ({suffix}): it is ")
    assert looks in said
    assert "\n" not in said
    assert "weights_only" not in said


CHECKPOINTS = {
    ".npz": npz(),
    ".safetensors": safetensors.numpy.save(ARRAYS),
    ".pth": archive("archive/data.pkl", "archive/data/0"),
}


@pytest.mark.parametrize("is_kind", CHECKPOINTS)
@pytest.mark.parametrize("suffix", CHECKPOINTS)
def test_a_wrong_suffix_is_named_with_the_right_one(tmp_path, is_kind, suffix):
    if is_kind == suffix:
        return
    path = tmp_path / f"w{suffix}"
    path.write_bytes(CHECKPOINTS[is_kind])
    with pytest.raises(InputError, match=f"; rename it so that it ends in \\{is_kind}$"):
        read_tensors(path)


@pytest.mark.parametrize("suffix", [".npz", ".pth"])
def test_an_archive_cut_short_or_encrypted(tmp_path, suffix):
    path = tmp_path / f"w{suffix}"
    path.write_bytes(CHECKPOINTS[suffix][:-10])
    with pytest.raises(InputError, match=r"cut short: a zip archive without a whole table of cont"):
        read_tensors(path)
    content = bytearray(CHECKPOINTS[suffix])
    content[6] |= 1  # The flag of encryption, in the member's header and in the table of contents.
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="is encrypted; save it without a password"):
        read_tensors(path)
