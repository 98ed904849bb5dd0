import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from jaxbias.data.dataset import Dataset
from jaxbias.data.duplicates import duplicates_text, near_duplicates


def pictures(count, size, seed=0):
    """Smooth pictures with some noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 6, 6, 3), np.uint8)
    smooth = [np.asarray(Image.fromarray(c).resize((size, size), 2)) for c in coarse]
    return np.stack(smooth)


def make_dataset(images, splits) -> Dataset:
    table = pd.DataFrame({"id": [f"{i}.jpg" for i in range(len(images))], "split": splits})
    return Dataset("toy", images, table.assign(stratum=""), "")


def saved_again(image):
    """Resized and through JPEG."""
    file = io.BytesIO()
    small = Image.fromarray(image).resize((48, 48))
    small.save(file, "JPEG", quality=70)
    return np.asarray(Image.open(file).resize(image.shape[:2]))


@pytest.mark.parametrize("size", [64, 33, 8])
def test_copies_across_splits_are_found_and_others_are_not(size):
    images = pictures(300, size).copy()
    splits = np.array(["finetune"] * 150 + ["test"] * 150, object)
    images[200] = images[10]
    images[20] = images[10]  # In the same split: no matter.
    images[201] = saved_again(images[11]) if size > 16 else images[11]
    splits[12], images[12] = "", images[202]
    pairs = near_duplicates(make_dataset(images, splits))
    got = {(row.id_a, row.id_b) for row in pairs.itertuples()}
    assert got == {("10.jpg", "200.jpg"), ("20.jpg", "200.jpg"), ("11.jpg", "201.jpg")}
    assert (pairs["split_a"] == "finetune").all()
    assert pairs["exact"].sum() == (2 if size > 16 else 3)
    text = duplicates_text(pairs)
    assert "near-duplicates across splits: 3" in text
    assert "finetune and test: 3" in text


def test_flat_pictures_of_other_colours_are_no_copies():
    images = np.repeat(np.arange(0, 250, 25, dtype=np.uint8), 20 * 20 * 3).reshape(10, 20, 20, 3)
    splits = ["finetune", "test"] * 5
    assert near_duplicates(make_dataset(images, splits)).empty
    assert duplicates_text(near_duplicates(make_dataset(images, splits))).endswith("none found")


def test_a_split_alone():
    pairs = near_duplicates(make_dataset(pictures(1, 16), ["test"]))
    assert list(pairs.columns) == ["id_a", "split_a", "id_b", "split_b", "exact"]
    assert pairs.empty
