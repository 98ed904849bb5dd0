"""What every reader must pass: the same checks, on a small tree in the published format."""

import dataclasses
import pickle
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import jaxbias.data
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
    """Returns a function that checks a reader: settings, and the picture of every row in order."""

    def holds(spec: DataSpec, pictures: list[int], splits: list[str]) -> Source:
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
