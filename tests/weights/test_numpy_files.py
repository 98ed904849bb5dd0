"""Archives of NumPy: what their headers declare is checked before anything is made of it."""

import io
import re
import struct
import zipfile

import ml_dtypes
import numpy as np
import pytest

from jaxbias.errors import InputError
from jaxbias.weights.files import read_tensors


def header(text, version=1):
    """The beginning of an .npy file, by its format."""
    content = text.encode() + b"\n"
    length = struct.pack("<H" if version == 1 else "<I", len(content))
    return b"\x93NUMPY" + bytes([version, 0]) + length + content


def described(shape, descr="<f4", order=False):
    return f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}, }}"


def npz(path, content, name="a.npy", method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(name, content)
    return path


def test_arrays_of_every_layout(tmp_path):
    path = tmp_path / "w.npz"
    half = np.asarray([[1.5, -2]], ml_dtypes.bfloat16)
    arrays = {
        "row": np.arange(6.0).reshape(2, 3),
        "column": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "scalar": np.float32(3),
        "none": np.zeros((0, 4), np.int8),
        "other_ends": np.arange(3, dtype=">f4"),
        "half": half,
    }
    np.savez_compressed(path, **arrays)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("README", "of a training")
    got = read_tensors(path)
    assert got.beside == ("README",)
    assert got.arrays["half"].dtype == ml_dtypes.bfloat16  # NumPy alone gives two void bytes.
    for name, array in arrays.items():
        np.testing.assert_array_equal(got.arrays[name], array)


DEEP = "(" * 3000 + ")" * 3000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (header(described((2**40,))), "a would take 4,096.0 GiB, and at most 4 GiB are read; save"),
        (header(described((2**62, 2**62))), "GiB, and at most 4 GiB are read"),
        (header(described((3,))) + bytes(8), "shape (3,) of float32 is 12 bytes, but 8 are there"),
        (
            header(described((3,))) + bytes(16),
            "shape (3,) of float32 is 12 bytes, but 16 are there",
        ),
        (header(described((-1, -3))) + bytes(12), "shape (-1, -3)"),
        (header(described((0, 2**63))), "damaged or cut short (a: "),
        (header(described((1,) * 99)) + bytes(4), "damaged or cut short (a: "),
        (header(described((1,), "<q9")) + bytes(8), "damaged or cut short (a: "),
        (header(described((1,), "<U5")) + bytes(20), "a is of dtype <U5, not numbers; save the"),
        (header(described((1,), "<M8[s]")) + bytes(8), "a is of dtype datetime64[s], not numbers"),
        (header(described((1,), "|V3")) + bytes(3), "a is of dtype |V3, not numbers"),
        (
            header(described((1,), [("x", "<f4")])) + bytes(4),
            "a is of dtype [('x', '<f4')], not nu",
        ),
        (
            header(described((1,), "|O")) + b"cos\nsystem\n",
            "a holds pickled objects, which may run",
        ),
        (header(DEEP, version=2), "damaged or cut short (a: "),
        (header("{" * 5000, version=2), "damaged or cut short (a: "),
        (header(described("(1,)") + " " * 20_000, version=2), "damaged or cut short (a: "),
        (header("{}"), "damaged or cut short (a: "),
        (b"\x93NUMPY\x03\x00" + bytes(8), "version 3.0 of the format"),
        (b"\x93NUM", "damaged or cut short (a: "),
        (b"", "damaged or cut short (a: "),
    ],
)
def test_members_that_cannot_be(tmp_path, content, said):
    with pytest.raises(InputError, match=re.escape(said)) as error:
        read_tensors(npz(tmp_path / "w.npz", content))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


def test_a_bomb_is_refused_by_what_it_declares(tmp_path):
    """5 GiB of zeros take 40 KiB on the disk, of which 4 KiB are made here."""
    path = npz(tmp_path / "w.npz", bytes(2**20), method=zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02") + 24  # The size of a member, in the table of contents.
    content[at : at + 4] = struct.pack("<I", 2**32 - 2)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged or cut short"):
        read_tensors(path)  # Says that it unpacks to 4 GiB, and does not.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in "abcde":
            archive.writestr(f"{name}.npy", header(described((2**28,))))
    content = path.read_bytes()
    for name in "abcde":
        at = content.index(f"{name}.npy".encode(), content.index(b"PK\x01\x02")) - 22
        content = content[:at] + struct.pack("<I", 2**30) + content[at + 4 :]
    path.write_bytes(content)
    with pytest.raises(
        InputError, match=re.escape("the content would take 5.0 GiB, and at most 4")
    ):
        read_tensors(path)


def test_members_that_are_damaged_or_there_twice(tmp_path):
    path = tmp_path / "w.npz"
    np.savez(path, a=np.arange(100.0))
    content = bytearray(path.read_bytes())
    content[400] ^= 1  # In the values, which the headers say nothing of.
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged or cut short \(a: Bad CRC-32"):
        read_tensors(path)
    array = io.BytesIO()
    np.save(array, np.ones(3))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", array.getvalue())
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.npy", array.getvalue())
    with pytest.raises(InputError, match="holds two arrays called a; save it again"):
        read_tensors(path)
    for name in ("a\nb.npy", "x" * 201 + ".npy", ".npy"):
        with pytest.raises(InputError, match="is no name of a tensor"):
            read_tensors(npz(path, array.getvalue(), name))
    content = bytearray(npz(path, array.getvalue()).read_bytes())
    for at in (8, content.index(b"PK\x01\x02") + 10):
        content[at] = 93  # A method of compression that only newer tools have.
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged or cut short \(a: That compression method is"):
        read_tensors(path)
