"""Places: a work directory in a bucket, with a copy on each machine that is as the bucket is."""

import json
import secrets

import pytest

from jaxbias.errors import InputError
from jaxbias.workdir.places import Bucket, Disk, place_of


def test_a_disk_is_its_own_copy(tmp_path):
    disk = place_of(tmp_path)
    assert isinstance(disk, Disk) and disk.path == tmp_path and str(disk) == str(tmp_path)
    (tmp_path / "packs").mkdir()
    (tmp_path / "packs/0a.parquet").touch()
    for act in (disk.fetch, disk.send, disk.fetch_folder):
        act("packs/0a.parquet")
    assert disk.has("packs/0a.parquet") and not disk.has("packs/0b.parquet")
    assert disk.names("packs") == {"0a.parquet"}
    assert disk.names("rungs") == set()
    disk.remove("packs")
    assert not (tmp_path / "packs").exists()


@pytest.fixture
def two(bucket, tmp_path, monkeypatch):
    """One directory, as two machines have it."""
    url, found = f"{bucket}/{secrets.token_hex(8)}/", []
    for name in ("first", "second"):
        monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path / name))
        found.append(place_of(url))
    assert all(isinstance(place, Bucket) for place in found)
    assert found[0].path != found[1].path
    assert str(found[0]) == str(found[1]) == url.rstrip("/")
    return found


def write(place, name, text):
    path = place.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.engines
def test_a_file_that_one_sends_is_what_another_fetches(two):
    first, second = two
    assert not second.has("packs/0a.parquet") and second.names("packs") == set()
    write(first, "packs/0a.parquet", "one")
    assert not second.has("packs/0a.parquet")
    first.send("packs/0a.parquet")
    assert second.has("packs/0a.parquet") and second.names("packs") == {"0a.parquet"}
    path = second.path / "packs/0a.parquet"
    second.fetch("packs/0a.parquet")
    assert path.read_text() == "one"
    stamp = path.stat().st_mtime_ns
    second.fetch("packs/0a.parquet")
    assert path.stat().st_mtime_ns == stamp
    write(first, "packs/0a.parquet", "two")
    first.send("packs/0a.parquet")
    second.fetch("packs/0a.parquet")
    assert path.read_text() == "two"
    path.unlink()
    second.fetch("packs/0a.parquet")
    assert path.read_text() == "two"
    first.remove("packs")
    second.fetch("packs/0a.parquet")
    assert not path.exists() and not second.has("packs/0a.parquet")


def files_of(place, name):
    root = place.path / name
    found = (path for path in root.rglob("*") if path.is_file() and path.name != ".files.json")
    return {str(path.relative_to(root)): path.read_text() for path in found}


@pytest.mark.engines
def test_a_folder_is_there_when_its_list_is(two, monkeypatch):
    first, second = two
    for name in (
        "1/state",
        "2/state",
        "3.orbax-checkpoint-tmp/state",
        ".run.json.part",
        "run.json",
    ):
        write(first, f"pretraining/0a/{name}", name)
    put, sent = first._objects.put, []
    monkeypatch.setattr(first._objects, "put", lambda key, x: (sent.append(key), put(key, x))[1])
    first.send("pretraining/0a")
    assert sent[-1] == "pretraining/0a/.files.json"
    second.fetch_folder("pretraining/0a")
    whole = {name: name for name in ("1/state", "2/state", "run.json")}
    assert files_of(second, "pretraining/0a") == whole
    # The next time only what has changed is sent, and what is gone is removed.
    sent.clear()
    write(first, "pretraining/0a/3/state", "3/state")
    (first.path / "pretraining/0a/1/state").unlink()
    first.send("pretraining/0a")
    assert sent == ["pretraining/0a/3/state", "pretraining/0a/.files.json"]
    second.fetch_folder("pretraining/0a")
    del whole["1/state"]
    assert files_of(second, "pretraining/0a") == whole | {"3/state": "3/state"}
    # Whoever has the copy already goes on from there.
    second.fetch_folder("pretraining/0a")
    sent.clear()
    monkeypatch.setattr(second._objects, "put", first._objects.put)
    second.send("pretraining/0a")
    assert sent == ["pretraining/0a/.files.json"]


@pytest.mark.engines
def test_half_a_folder_is_none_and_a_changed_one_is_refused(two):
    first, second = two
    write(second, "bases/0a/array", "left over")
    first._objects.put("bases/0a/array", b"half of it")
    second.fetch_folder("bases/0a")
    assert files_of(second, "bases/0a") == {}
    write(first, "bases/0a/array", "all of it")
    first.send("bases/0a")
    first._objects.put("bases/0a/array", b"something else")
    with second.named(), pytest.raises(InputError, match=r"0a is damaged \(array is not what its"):
        second.fetch_folder("bases/0a")
    assert files_of(second, "bases/0a") == {}


@pytest.mark.engines
def test_errors_name_what_is_in_the_bucket(two):
    place, _ = two
    with pytest.raises(InputError) as told, place.named():
        raise InputError(f"{place.path}/plan.json is damaged; delete {place.path}/plan.json")
    assert str(told.value) == f"{place}/plan.json is damaged; delete {place}/plan.json"


@pytest.mark.engines
def test_a_bucket_that_cannot_be_written_is_named(bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path))
    place = place_of(f"{bucket}-that-is-not-there/run")
    write(place, "plan.json", json.dumps({}))
    with pytest.raises(InputError, match=r"cannot write s3://\S+-that-is-not-there/run/plan\.json"):
        place.send("plan.json")
