import dataclasses

import numpy as np
import pandas as pd
import pytest

import jaxbias.data
from jaxbias.data.readers import mix
from jaxbias.errors import InputError
from jaxbias.study import DataSpec, DerivedSpec
from tests.data.readers import coco_files, dollar_street_files
from tests.data.readers.pictures import values


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "coco").mkdir()
    sources = {
        "coco": coco_files.write(tmp_path / "coco"),
        "dollar": dollar_street_files.write(tmp_path / "dollar"),
    }
    return DataSpec(name="mix", sources=sources)


def test_contract(spec, holds_contract):
    splits = ["coco/train"] * 3 + ["coco/val"] * 2 + ["dollar/all"] * 4
    source = holds_contract(spec, [0, 1, 2, 3, 4, 0, 1, 2, 3], splits)
    assert values(source, "source") == ["coco"] * 5 + ["dollar"] * 4
    assert values(source, "cup") == [True, False, False, False, True, False, False, True, False]
    assert values(source, "bed") == [None] * 5 + [True, True, False, False]
    assert values(source, "gender")[:3] == ["Female", None, "Male"]
    assert source.table["id"][5] == "dollar/assets/5d4b/5d4b.jpg"


def test_derived_and_annotated_before_they_are_joined(spec, tmp_path):
    pd.DataFrame({"id": ["5d4b"], "hat": [1]}).to_csv(tmp_path / "hats.csv", index=False)
    derived = {"european": DerivedSpec("region", ("eu",))}
    dollar = dataclasses.replace(
        spec.sources["dollar"], derived=derived, annotations=str(tmp_path / "hats.csv")
    )
    chosen = dataclasses.replace(
        spec,
        sources={**spec.sources, "dollar": dollar},
        image_size=8,
        splits={"coco/train": {"finetune": 1.0}, "dollar/all": {"test": 1.0}},
    )
    dataset = jaxbias.data.load(chosen)
    np.testing.assert_array_equal(dataset.binary("european"), [-1] * 5 + [0, 0, 1, 1])
    np.testing.assert_array_equal(dataset.binary("hat"), [-1] * 5 + [1, -1, -1, -1])
    assert dataset.table["split"].tolist() == ["finetune"] * 3 + [""] * 2 + ["test"] * 4


def test_what_cannot_be_mixed(spec):
    def with_coco(**changes):
        coco = dataclasses.replace(spec.sources["coco"], **changes)
        return dataclasses.replace(spec, sources={**spec.sources, "coco": coco})

    with pytest.raises(InputError, match=r"sources\.coco\.image_size belongs to the whole"):
        mix.read(with_coco(image_size=32))
    with pytest.raises(InputError, match="at least two sources"):
        mix.read(dataclasses.replace(spec, sources={"a": spec.sources["coco"]}))
    with pytest.raises(InputError, match="column 'region' is binary in one"):
        mix.read(with_coco(derived={"region": DerivedSpec("gender", ("Male",))}))


def test_one_word_in_two_spellings_is_one(spec, tmp_path):
    for name, words in (
        ("coco", ("Town", "Hills", "Town")),
        ("dollar", ("town", "hills", "town")),
    ):
        ids = mix.read(spec).table["id"]
        ids = [id.removeprefix(f"{name}/") for id in ids if id.startswith(name)][:3]
        pd.DataFrame({"id": ids, "place": words}).to_csv(tmp_path / f"{name}.csv", index=False)
    chosen = {
        name: dataclasses.replace(part, annotations=str(tmp_path / f"{name}.csv"))
        for name, part in spec.sources.items()
    }
    source = mix.read(dataclasses.replace(spec, sources=chosen))
    expected = ["Town", "Hills", "Town", None, None, "Town", "Hills", "Town", None]
    assert values(source, "place") == expected
    assert source.notes[-1].endswith("alone are one: 'place' 'town' as 'Town', 'hills' as 'Hills'.")
