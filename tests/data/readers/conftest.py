"""What every reader must pass: the same checks, on a small tree in the published format."""

import dataclasses
import pickle
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import jaxbias.data
from jaxbias.data.files import Reader
from jaxbias.data.readers import READERS, reader
from jaxbias.data.source import Source, check
from jaxbias.errors import InputError
from jaxbias.study import DataSpec
from tests.data.readers.pictures import shade

DOCS = Path(__file__).parents[3] / "docs" / "datasets.md"


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path / "home"))


@pytest.fixture
def holds_contract(tmp_path):
    """Returns a function that checks a reader: settings, and the picture of every row in order.

    `missing` is a row that a table names; None: the reader takes what is in the folder.
    """

    def holds(
        spec: DataSpec, pictures: list[int], splits: list[str], missing: int | None = 0
    ) -> Source:
        read = reader(spec.name)
        source = read(spec)
        check(source)
        assert source.table["split"].tolist() == splits
        again = read(spec)
        pd.testing.assert_frame_equal(source.table, again.table)
        assert source.key == again.key
        assert source.numbers is None or source.numbers.is_unique

        sent = pickle.loads(pickle.dumps(source.read))
        for row in range(len(source.table)):
            assert sent(row) == source.read(row)

        shares = {split: {"finetune": 1.0} for split in splits}
        dataset = jaxbias.data.load(dataclasses.replace(spec, image_size=8, splits=shares))
        assert dataset.images.shape == (len(pictures), 8, 8, 3)
        painted = [shade(number) for number in pictures]
        np.testing.assert_allclose(dataset.images.mean((1, 2, 3)), painted, atol=2)
        assert dataset.label_columns == [
            name for name in source.table if name not in ("id", "split")
        ]

        if isinstance(source.read, Reader) and missing is not None:
            _holds_without(spec, source, missing)

        for path, words in (("", "is empty"), (str(tmp_path / "none"), "does not exist")):
            if spec.name != "mix":
                with pytest.raises(InputError, match=rf"^config\.data\.path.*{words}.*"):
                    read(dataclasses.replace(spec, path=path))
        (tmp_path / "bare").mkdir()
        if spec.name != "mix":
            with pytest.raises(InputError, match="bare"):
                read(dataclasses.replace(spec, path=str(tmp_path / "bare")))

        heading = "tfds:NAME" if spec.name.startswith("tfds:") else spec.name
        assert re.search(rf"^## .*`{re.escape(heading)}`", DOCS.read_text(), re.MULTILINE)
        assert heading == "tfds:NAME" or heading in READERS
        return source

    return holds


def _holds_without(spec: DataSpec, source: Source, row: int) -> None:
    """A part of a dataset is refused with the numbers, or its rows are left out and counted."""
    read, id, count = reader(spec.name), source.table["id"][row], len(source.table)
    path = source.read.root / id
    away = path.rename(path.with_name("away"))
    with pytest.raises(InputError) as refused:
        read(spec)
    numbers = f"1 of the {count} image files"
    assert numbers in str(refused.value) and f"first is '{id}'" in str(refused.value)
    assert "config.data.on_missing='skip'" in str(refused.value)
    part = read(dataclasses.replace(spec, on_missing="skip"))
    check(part)
    kept = [i for i in range(count) if i != row]
    expected = source.table.drop(index=row).reset_index(drop=True)
    for name in expected.select_dtypes("category"):
        expected[name] = expected[name].cat.remove_unused_categories()
    pd.testing.assert_frame_equal(part.table, expected)
    assert [part.read(i) for i in range(count - 1)] == [source.read(i) for i in kept]
    (note,) = (note for note in part.notes if note not in source.notes)
    assert note.startswith(f"Left out, not being there: 1 of the {count} images named in ")
    assert f"such as '{id}'" in note
    assert id in part.absent
    if source.numbers is not None:
        assert part.numbers.tolist() == source.numbers[kept].tolist()
        assert source.numbers[row] in part.absent
    away.rename(path)
