"""The cache of compiled programs: what is torn in it goes, what is whole stays."""

import os
import zlib
from pathlib import Path

import jax
import pytest

from jaxbias.engine.compilation import remove_torn

CONTENT = zlib.compress(bytes(range(256)) * 40)
TORN = {
    "empty": b"",
    "cut": CONTENT[:-1],
    "half": CONTENT[: len(CONTENT) // 2],
    "flipped": CONTENT[:-3] + b"~" + CONTENT[-2:],
    "another": b"no archive at all",
}


@pytest.mark.parametrize("name", TORN)
def test_a_torn_entry_is_deleted_and_whole_ones_are_kept(tmp_path, name):
    whole, torn = tmp_path / "jit_f-0a-cache", tmp_path / "jit_g-0b-cache"
    whole.write_bytes(CONTENT)
    torn.write_bytes(TORN[name])
    (tmp_path / "jit_f-0a-atime").write_bytes(b"")
    (tmp_path / "jit_h-0c-cache").mkdir()
    assert remove_torn(tmp_path) == [torn]
    assert whole.read_bytes() == CONTENT
    assert (tmp_path / "jit_f-0a-atime").exists()


def test_what_was_looked_at_is_not_looked_at_again(tmp_path):
    old, new = tmp_path / "jit_f-0a-cache", tmp_path / "jit_g-0b-cache"
    old.write_bytes(b"torn")
    os.utime(old, (1e9, 1e9))
    (tmp_path / ".looked").touch()
    new.write_bytes(b"torn")
    assert remove_torn(tmp_path) == [new]
    assert remove_torn(tmp_path / "nowhere") == []


def test_an_entry_that_jax_wrote_is_whole_until_it_is_cut(tmp_path):
    directory = Path(jax.config.jax_compilation_cache_dir)
    secret = int.from_bytes(os.urandom(3), "little")

    def add(x):
        return x + secret

    add.__name__ = f"add_{secret}"  # Told from what other tests compile just now.
    jax.jit(add)(jax.numpy.zeros(3, "int32")).block_until_ready()
    (entry,) = directory.glob(f"*{add.__name__}-*-cache")
    copy = tmp_path / entry.name
    copy.write_bytes(entry.read_bytes())
    entry.unlink()
    assert remove_torn(tmp_path) == []
    copy.write_bytes(copy.read_bytes()[:-1])
    assert remove_torn(tmp_path) == [copy]
