"""Data in a bucket: copied once, and not trusted to stay as it was but for images."""

import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from jaxbias.data import remote
from jaxbias.data.loading import load
from jaxbias.errors import InputError
from jaxbias.files.objects import Objects
from jaxbias.study import DataSpec
from tests import buckets

SPLITS = {"all": {"pretrain": 0.25, "finetune": 0.25, "validation": 0.25, "test": 0.25}}


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path / "home"))


@pytest.fixture
def pictures(tmp_path):
    """Sixteen images and a table."""
    folder, rng = tmp_path / "pictures", np.random.default_rng(0)
    (folder / "a").mkdir(parents=True)
    names = [f"a/{i:02}.png" for i in range(16)]
    for name in names:
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).save(folder / name)
    table = pd.DataFrame({"file": names, "odd": [i % 2 for i in range(16)]})
    table.to_csv(folder / "labels.csv", index=False)
    return folder


def put(objects, folder):
    for path in folder.rglob("*"):
        if path.is_file():
            objects.put(path.relative_to(folder).as_posix(), path.read_bytes())


def content(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


class Counted(Objects):
    """Objects that note which were read."""

    def __init__(self, place):
        super().__init__(place)
        self.seen = []

    def read(self, key, unless=None):
        found = super().read(key, unless)
        if found is not None:
            self.seen.append(key)
        return found


def test_a_copy_has_what_is_there_and_asks_again_for_what_may_have_changed(pictures, tmp_path):
    objects, folder = Counted(pictures), tmp_path / "copy" / "pictures"

    def copied():
        objects.seen.clear()
        remote.copied(objects, objects.listing(), folder)
        assert content(folder) == content(pictures)
        return sorted(objects.seen)

    assert len(copied()) == 17
    assert copied() == []
    (folder / "a/03.png").unlink()  # As a copy that was interrupted.
    (pictures / "a/04.png").unlink()
    (pictures / "labels.csv").write_text("file,odd\n")
    assert copied() == ["a/03.png", "labels.csv"]


@pytest.mark.parametrize("name", ["../outside.csv", "a/../../outside.csv", "/etc/outside"])
def test_no_name_leads_out_of_the_copy(tmp_path, name):
    with pytest.raises(InputError, match="cannot be a file of a copy"):
        remote.copied(Objects(tmp_path), [name], tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.fixture
def bucket(monkeypatch):
    pytest.importorskip("moto", reason="moto is not installed: make test-engines")
    with buckets.served() as url:
        for name, text in buckets.environment(url).items():
            monkeypatch.setitem(os.environ, name, text)
        yield buckets.made(url)


@pytest.mark.engines
def test_a_dataset_in_a_bucket_is_the_dataset_on_a_disk(pictures, bucket):
    put(Objects(f"{bucket}/data/pictures"), pictures)
    spec = {"name": "folder", "image_size": 8, "splits": SPLITS}
    there = load(DataSpec(path=f"{bucket}/data/pictures", **spec))
    here = load(DataSpec(path=str(pictures), **spec))
    assert there.fingerprint == here.fingerprint
    np.testing.assert_array_equal(there.images, here.images)
    file = remote.local(f"{bucket}/data/pictures/labels.csv")
    assert file.read_bytes() == (pictures / "labels.csv").read_bytes()
    with pytest.raises(InputError, match="there is nothing at s3://grids/data/nowhere"):
        remote.local(f"{bucket}/data/nowhere")
