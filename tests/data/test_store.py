import hashlib
import io
import json
import os
import threading
import time

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from jaxbias.data import decode, store
from jaxbias.data.source import Source
from jaxbias.errors import InputError


@pytest.fixture(autouse=True)
def stores(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "stores"


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (value % 256, value // 256, 7)).save(file, "PNG")
    return file.getvalue()


def make_source(count: int = 700, bad: tuple[int, ...] = (), key: str = "key") -> Source:
    encoded = [b"no image" if i in bad else png(i) for i in range(count)]
    table = pd.DataFrame({"id": [f"{i}.png" for i in range(count)], "split": "test"})
    return Source(name="dots", key=key, table=table, read=encoded.__getitem__)


def unreadable(row: int) -> bytes:
    raise AssertionError(f"row {row} is decoded again")


def only(folder):
    (found,) = folder.iterdir()
    return found


def test_images_are_in_source_order_and_read_only(stores):
    opened = store.open_store(make_source(), 8, "error")
    assert opened.images.shape == (700, 8, 8, 3)
    assert opened.images.dtype == np.uint8
    np.testing.assert_array_equal(opened.images[:, 3, 3, 0], np.arange(700) % 256)
    np.testing.assert_array_equal(opened.images[:, 3, 3, 1], np.arange(700) // 256)
    assert isinstance(opened.images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        opened.images[0] = 0


def test_the_record_counts_and_checksums(stores):
    opened = store.open_store(make_source(9), 8, "error")
    folder = only(stores)
    record = json.loads((folder / "store.json").read_text())
    assert record["shape"] == [9, 8, 8, 3]
    assert record["sha256"] == hashlib.sha256(opened.images.tobytes()).hexdigest()
    examples = pd.read_parquet(folder / "examples.parquet")
    assert examples["id"].tolist() == [f"{i}.png" for i in range(9)]


def test_a_store_is_reused(monkeypatch):
    source = make_source(9)
    first = store.open_store(source, 8, "error")
    again = Source(source.name, source.key, source.table, unreadable)
    second = store.open_store(again, 8, "error", verify=True)
    assert first.checksum == second.checksum
    np.testing.assert_array_equal(first.images, second.images)


def test_other_content_size_or_preprocessing_is_another_store(stores, monkeypatch):
    store.open_store(make_source(3), 8, "error")
    store.open_store(make_source(3, key="other"), 8, "error")
    store.open_store(make_source(3), 4, "error")
    monkeypatch.setattr(decode, "VERSION", "other")
    store.open_store(make_source(3), 8, "error")
    assert len(list(stores.iterdir())) == 4


def test_a_bad_image_is_named_and_skipping_it_decodes_no_other_again(stores):
    source = make_source(9, bad=(5, 7))
    with pytest.raises(InputError, match=r"'5\.png' cannot be decoded: not an image.*on_bad_image"):
        store.open_store(source, 8, "error")
    assert not [path for path in stores.iterdir() if not path.name.endswith(".partial")]
    read = []
    watched = Source(
        source.name, source.key, source.table, lambda row: read.append(row) or source.read(row)
    )
    assert len(store.open_store(watched, 8, "skip").images) == 7
    assert read == [5, 7]


def test_skipped_images_are_left_out_and_recorded():
    bad = (0, 300, 699)
    source = make_source(bad=bad)
    for _ in range(2):  # Built, then reused.
        opened = store.open_store(source, 8, "skip", verify=True)
        kept = np.setdiff1d(np.arange(700), bad)
        np.testing.assert_array_equal(opened.rows, kept)
        assert opened.images.shape == (697, 8, 8, 3)
        np.testing.assert_array_equal(opened.images[:, 0, 0, 0], kept % 256)
        assert [skipped["id"] for skipped in opened.skipped] == ["0.png", "300.png", "699.png"]


def test_a_store_with_skipped_images_is_refused_under_error():
    source = make_source(9, bad=(5,))
    store.open_store(source, 8, "skip")
    with pytest.raises(InputError, match=r"'5\.png'"):
        store.open_store(source, 8, "error")


def test_no_good_image_at_all(stores):
    with pytest.raises(InputError, match="none of the 3 images of dots"):
        store.open_store(make_source(3, bad=(0, 1, 2)), 8, "skip")
    assert not list(stores.iterdir())


def test_a_file_that_cannot_be_opened_is_a_bad_image():
    def refuse(row: int) -> bytes:
        raise PermissionError(13, "Permission denied", f"/somewhere/{row}.png")

    source = make_source(2)
    with pytest.raises(InputError, match=r"'0\.png' cannot be decoded: Permission denied"):
        store.open_store(Source("x", "x", source.table, refuse), 8, "error")


def test_a_crash_in_the_middle_leaves_no_store(stores):
    source = make_source(600)

    def crash(row: int) -> bytes:
        if row == 500:
            raise KeyboardInterrupt
        return source.read(row)

    with pytest.raises(KeyboardInterrupt):
        store.open_store(Source(source.name, source.key, source.table, crash), 8, "error")
    assert only(stores).name.endswith(".partial")
    resumed = store.open_store(source, 8, "error")
    assert len(resumed.images) == 600
    assert only(stores).suffix == ""
    (stores.parent / "stores").rename(stores.parent / "first")
    assert store.open_store(source, 8, "error").checksum == resumed.checksum


def test_what_a_killed_build_left_is_not_a_store(stores):
    finished = store.open_store(make_source(9), 8, "error")
    folder = only(stores)
    # As after SIGKILL: everything but the rename has happened, or only a part of the pixels.
    folder.rename(folder.with_name(f"{folder.name}.0123.partial"))
    assert store.open_store(make_source(9), 8, "error").checksum == finished.checksum
    assert folder.is_dir()


@pytest.mark.parametrize("damage", ["truncated", "flipped", "no record", "bad record", "no pixels"])
def test_a_damaged_store_is_built_again(stores, damage):
    finished = store.open_store(make_source(9), 8, "error").checksum
    folder = only(stores)
    pixels = bytearray((folder / "pixels.npy").read_bytes())
    if damage == "truncated":
        (folder / "pixels.npy").write_bytes(pixels[:-5])
    elif damage == "flipped":
        pixels[-1] ^= 1
        (folder / "pixels.npy").write_bytes(pixels)
    elif damage == "no record":
        (folder / "store.json").unlink()
    elif damage == "bad record":
        (folder / "store.json").write_text("[]")
    else:
        (folder / "pixels.npy").unlink()
    again = store.open_store(make_source(9), 8, "error")
    assert again.checksum == finished
    assert hashlib.sha256(again.images.tobytes()).hexdigest() == finished
    assert only(stores) == folder


def test_pixels_are_never_unpickled(stores):
    store.open_store(make_source(2), 8, "error")
    folder = only(stores)
    np.save(folder / "pixels.npy", np.array([{"a": 1}] * 2, dtype=object), allow_pickle=True)
    assert store.open_store(make_source(2), 8, "error").images.dtype == np.uint8


def test_two_builds_at_once_end_in_one_store(stores):
    source = make_source(300)
    together = threading.Barrier(2)
    checksums = []

    def read(row: int) -> bytes:
        return source.read(row)

    def build() -> None:
        together.wait()
        opened = store.open_store(Source(source.name, source.key, source.table, read), 8, "error")
        checksums.append(opened.checksum)

    threads = [threading.Thread(target=build) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(checksums) == 2 and len(set(checksums)) == 1
    assert only(stores).is_dir()


def test_old_leftovers_are_removed_and_young_ones_are_not(stores, monkeypatch):
    for name in ("old", "young"):
        (stores / f"{name}.partial").mkdir(parents=True)
        (stores / f"{name}.partial" / "pixels.npy").write_bytes(b"x")
    now = time.time()
    long_ago = now - 8 * 24 * 3600
    os.utime(stores / "old.partial" / "pixels.npy", (long_ago, long_ago))
    os.utime(stores / "old.partial", (long_ago, long_ago))
    store.open_store(make_source(2), 8, "error")
    assert not (stores / "old.partial").exists()
    assert (stores / "young.partial").exists()


def test_a_home_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot write the image store.*JAXBIAS_HOME"):
        store.open_store(make_source(2), 8, "error")
