"""Objects: a write that names another generation than the present does nothing."""

import errno
import secrets
from pathlib import Path

import pytest

from jaxbias.files.objects import Objects
from tests.disks import mounted

BUCKET = pytest.param("bucket", marks=pytest.mark.engines)


@pytest.fixture(params=["disk", BUCKET])
def objects(request, tmp_path):
    if request.param == "disk":
        return Objects(tmp_path / "made" / "here")
    return Objects(f"{request.getfixturevalue('bucket')}/{secrets.token_hex(8)}/here")


def test_a_second_creation_and_a_stale_renewal_are_refused(objects):
    none = objects.read("a")
    assert none.value is None
    first = objects.write("a", b"1", none.generation)
    assert first
    assert objects.write("a", b"2", none.generation) is None
    assert objects.read("a") == (b"1", first)
    second = objects.write("a", b"2", first)
    assert second not in (None, first)
    assert objects.write("a", b"3", first) is None
    assert objects.read("a") == (b"2", second)
    if isinstance(objects.place, Path):
        assert [path.name for path in objects.place.iterdir()] == ["a"]


def test_a_write_that_meets_another_is_refused(tmp_path, monkeypatch):
    """As Amazon may answer; other errors are errors."""

    class Refusing:
        def write(self, *_, **__):
            raise ValueError(self.said)

    objects = Objects(tmp_path)
    objects._store = Refusing()
    Refusing.said = "ABORTED: 409 ConditionalRequestConflict"
    assert objects.write("a", b"", b"") is None
    Refusing.said = "PERMISSION_DENIED: 403\n<xml>"
    with pytest.raises(OSError, match=r"PERMISSION_DENIED: 403$"):
        objects.write("a", b"", b"")


def test_what_is_there_is_told_without_reading_it(objects):
    ids = [f"{i:04x}{'0' * 12}.parquet" for i in range(0, 2**16, 2**16 // 40)]
    for id in ids:
        generation = objects.put(f"packs/{id}", b"content")
    other = objects.put("packs.json", b"{}")
    assert objects.hashes("packs/") == {*ids}
    assert objects.has(f"packs/{ids[0]}") and not objects.has("packs/0")
    assert objects.read(f"packs/{ids[-1]}", unless=generation) is None
    assert objects.read(f"packs/{ids[-1]}", unless=other) == (b"content", generation)
    objects.remove("packs/")
    assert objects.hashes("packs/") == set()
    assert objects.read("packs.json").value == b"{}"


def test_errors_are_those_of_the_disk(tmp_path):
    objects = Objects(tmp_path)
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError):
        objects.write("a", b"", objects.read("a").generation)


@pytest.mark.engines
def test_a_bucket_that_is_not_there_is_an_error_of_one_line(bucket):
    objects = Objects(f"{bucket}-that-is-not-there/x")
    with pytest.raises(OSError) as error:
        objects.put("a", b"1")
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("size", ["16k", "1m"])
def test_a_disk_that_is_full_or_read_only(tmp_path, size):
    with mounted(tmp_path / "disk", size) as disk:
        objects = Objects(disk.path)
        generation = objects.write("a", b"1", objects.read("a").generation)
        if size == "16k":
            number = errno.ENOSPC
            with pytest.raises(OSError), (disk.path / "filler").open("wb") as file:
                file.write(bytes(2**20))
        else:
            number = errno.EROFS
            disk.remount("ro")
        with pytest.raises(OSError) as error:
            objects.write("a", bytes(4096), generation)
        assert error.value.errno == number
        assert objects.read("a") == (b"1", generation)
