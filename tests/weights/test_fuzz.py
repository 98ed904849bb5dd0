"""Whatever is done to a checkpoint, it is read or refused in one line: files, headers, arrays."""

import io
import json
import pickle
import warnings
import zipfile

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaxbias.errors import InputError
from jaxbias.weights import convert
from jaxbias.weights.command import describe_text
from jaxbias.weights.files import read_tensors
from jaxbias.weights.preparations import HALF, preparation_of
from tests.models.architectures import tiny_architectures  # noqa: F401
from tests.weights.seeded import seeded_arrays

ARRAYS = {"a.weight": np.ones((2, 3), np.float32), "b": np.arange(4.0)}
TIMM = {"input_size": [3, 8, 8], "interpolation": "bicubic", "mean": [0.5] * 3, "std": [0.5] * 3}


def saved(save):
    file = io.BytesIO()
    save(file, **ARRAYS)
    return file.getvalue()


def pytorch():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"model": {"w": [1.0, (2, "x")]}}, 2))
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/data/0", bytes(16))
    return file.getvalue()


FILES = {
    "plain.npz": saved(np.savez),
    "small.npz": saved(np.savez_compressed),
    "w.safetensors": safetensors.numpy.save(ARRAYS),
    "w.pth": pytorch(),
    "old.pth": b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}q\x00.",
    "config.json": json.dumps({"pretrained_cfg": TIMM}).encode(),
}
PIECES = [b"\xff" * 4, b"\x00" * 8, b"\xff\xff\xff\x7f", b"[" * 3000, b"{", b'"', b"-1", b"9" * 30]
PIECES += [b"'|O'", b"\n", b"<html>", b"PK\x05\x06", b"c__builtin__\neval\n", b"(", b"."]


@st.composite
def attacks(draw):
    """A name and a content: a valid file after up to four changes, or with one inside it."""
    name = draw(st.sampled_from(sorted(FILES)))
    content = FILES[name]
    if content.startswith(b"PK") and draw(st.booleans()):
        content = _changed_inside(draw, content)
    else:
        content = _changed(draw, content)
    if draw(st.integers(0, 9)) == 0:
        name = draw(st.sampled_from(sorted(FILES)))
    return name, content


def _changed(draw, content):
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        stop = min(len(content), start + draw(st.sampled_from([1, 4, 30, 400])))
        content = draw(
            st.sampled_from(
                [
                    content[:start],  # Cut short.
                    content[:start] + content[stop:],  # A part lost.
                    content[:stop] + content[start:],  # A part twice.
                    content[:start] + draw(st.sampled_from(PIECES)) + content[start:],
                    content[:start] + draw(st.sampled_from(PIECES)) + content[stop:],
                    content[:start] + draw(st.binary(max_size=8)) + content[stop:],
                    content[:start] + bytes(b ^ 64 for b in content[start:stop]) + content[stop:],
                ]
            )
        )
    return content


def _changed_inside(draw, content):
    """Changes a member of an archive, of which the archive has the checksum."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(file, "w") as new,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # Of two members of one name.
        target = draw(st.sampled_from(old.namelist()))
        for name in old.namelist():
            member = old.read(name)
            if name == target:
                member = _changed(draw, member)
                name = draw(st.sampled_from([name, name, f"x\n{name}", old.namelist()[0]]))
            new.writestr(name, member)
    return file.getvalue()


def in_one_line(read):
    try:
        read()
    except InputError as error:
        said = str(error)
        assert said.isprintable(), ascii(said)
        assert len(said) < 700
        assert "weights_only" not in said


@settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(attack=attacks())
def test_no_file_is_more_than_one_line(attack, tmp_path):
    name, content = attack
    path = tmp_path / name
    path.write_bytes(content)
    if name == "config.json":
        in_one_line(
            lambda: preparation_of(HALF, tmp_path / "w.safetensors", "", "timm", "vit_b_16")
        )
    else:
        in_one_line(lambda: read_tensors(path))


SHAPES = [(), (0,), (3,), (0, 2**40), (1, 0, 8), (1, 5, 8), (2, 2, 2, 2, 2)]
DTYPES = [np.float16, np.complex64, np.bool_, np.int8, np.float64]


def _cast(array, dtype):
    with np.errstate(invalid="ignore", over="ignore"):  # A value may be none of the dtype's.
        return array.real.astype(dtype)


@st.composite
def tensors(draw):
    """A network's arrays after some changes: dropped, renamed, of another shape, dtype or value."""
    source, arch, size = draw(
        st.sampled_from([("timm", "resnet_tiny", 32), ("big_vision", "vit_tiny", 8)])
    )
    arrays = dict(seeded_arrays(arch, source, 3, size))
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(sorted(arrays)))
        array = arrays.pop(name)
        change = draw(st.integers(0, 4))
        if change == 1:
            name = draw(st.sampled_from(["module.", "_orig_mod.", "params/", "x"])) + name
        elif change == 2:
            array = np.zeros(draw(st.sampled_from(SHAPES)), np.float32)
        elif change == 3:
            array = _cast(array, draw(st.sampled_from(DTYPES)))
        elif change == 4:
            value = draw(st.sampled_from([np.nan, np.inf, 1e38]))
            array = _cast(np.full(array.shape, value), array.dtype)
        if change:
            arrays[name] = array
    return source, arch, arrays


@settings(max_examples=25)
@given(made=tensors())
def test_no_network_is_more_than_one_line(made):
    source, arch, arrays = made
    in_one_line(lambda: convert(arrays, arch, source))


@pytest.mark.parametrize("name", ["plain.npz", "w.safetensors"])
def test_what_was_attacked_is_valid(tmp_path, name):
    """The attacks begin at files that are read."""
    (tmp_path / name).write_bytes(FILES[name])
    assert "2 tensors, 10 numbers" in describe_text(tmp_path / name)
