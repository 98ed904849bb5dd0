import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import jaxbias.data
from jaxbias.data.readers import fairface
from jaxbias.data.store import open_store
from jaxbias.errors import InputError
from jaxbias.study import DataSpec, DerivedSpec
from tests.data.readers.fairface_files import write
from tests.data.readers.pictures import paint, values

SHARED = Path(__file__).parents[3].parent / "shared" / "data" / "fairface"
SPLITS = {
    "train": {"pretrain": 0.5, "finetune": 0.4, "validation": 0.1},
    "val": {"test": 1.0},
}


@pytest.fixture
def root(tmp_path):
    """FairFace's layout with four and two images."""
    root = tmp_path / "fairface"
    rows = {
        "train": [("0-2", "Male", "Black"), ("20-29", "Female", "White")] * 2,
        "val": [("more than 70", "Male", "East Asian"), ("3-9", "Female", "Indian")],
    }
    write(root, rows)
    return root


def spec(root, **changes) -> DataSpec:
    settings = {"name": "fairface", "path": str(root), "image_size": 16, "splits": SPLITS}
    return DataSpec(**(settings | changes))


def test_the_published_layout(root):
    source = fairface.read(spec(root))
    table = source.table
    assert table["id"].tolist() == [
        *(f"train/{i}.jpg" for i in (1, 2, 3, 4)),
        "val/1.jpg",
        "val/2.jpg",
    ]
    assert table["split"].tolist() == ["train"] * 4 + ["val"] * 2
    assert list(table.columns) == ["id", "split", "age", "gender", "race"]
    assert table["age"].cat.categories.tolist() == ["0-2", "20-29", "3-9", "more than 70"]
    assert source.read(4).startswith(b"\xff\xd8")


def test_loading(root, tmp_path, monkeypatch):
    monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path / "home"))
    made = {"child": DerivedSpec("age", ("0-2", "3-9"))}
    dataset = jaxbias.data.load(spec(root, derived=made))
    assert dataset.name == "FairFace"
    np.testing.assert_array_equal(dataset.binary("child"), [1, 0, 1, 0, 0, 1])
    np.testing.assert_array_equal(dataset.codes("gender", ("Female", "Male")), [1, 0] * 3)
    assert dataset.table["split"].tolist()[4:] == ["test", "test"]


def test_what_is_missing_and_where_it_comes_from(root):
    with pytest.raises(InputError, match=r"data\.path is empty: .*fairface_label_train\.csv"):
        fairface.read(spec(""))
    with pytest.raises(InputError, match=r"does not exist: .*joojs/fairface"):
        fairface.read(spec(root / "nowhere"))
    (root / "train" / "3.jpg").unlink()
    with pytest.raises(InputError, match=r"1 of the 6 .* first is 'train/3\.jpg'"):
        fairface.read(spec(root))
    (root / "fairface_label_val.csv").unlink()
    (root / "train" / "3.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"has no fairface_label_val\.csv; .*joojs/fairface"):
        fairface.read(spec(root))


def test_another_table_of_that_name(root):
    (root / "fairface_label_val.csv").write_text(
        "file,ages,gender,race\nval/1.jpg,3-9,Male,White\n"
    )
    with pytest.raises(InputError, match=r"no column 'age' .*did you mean 'ages'"):
        fairface.read(spec(root))


def test_contract(root, holds_contract):
    for number, name in enumerate(["train/1", "train/2", "train/3", "train/4", "val/1", "val/2"]):
        paint(root / f"{name}.jpg", number, (224, 224))
    source = holds_contract(spec(root), [0, 1, 2, 3, 4, 5], ["train"] * 4 + ["val"] * 2)
    assert values(source, "race") == ["Black", "White"] * 2 + ["East Asian", "Indian"]


def damage(root, changes):
    path = root / "fairface_label_train.csv"
    for old, new in changes:
        path.write_text(path.read_text().replace(old, new, 1))


def test_words_for_unknown(root):
    damage(root, [(",0-2,", ",unknown,"), (",Male,", ",?,"), (",White", ",white")])
    source = fairface.read(spec(root))
    assert values(source, "age")[0] is None
    assert sum(value is None for value in values(source, "gender")) == 1
    assert source.notes == (
        "fairface_label_train.csv: Taken as unknown, by config.data.missing_values:"
        " 'age' 1 × 'unknown'; 'gender' 1 × '?'.",
        "fairface_label_train.csv: Words that differ in case, blanks or normal form alone are one:"
        " 'race' 'white' as 'White'.",
    )
    assert "white" not in values(source, "race")


def test_ages_that_a_spreadsheet_made_dates(root):
    damage(root, [(",0-2,", ",9-Mar,"), (",20-29,", ",Oct-19,")])
    with pytest.raises(
        InputError,
        match=r"train\.csv line 2 .'train.*: age '9-Mar' is a date .*'3-9', one of 2 such",
    ):
        fairface.read(spec(root))
    source = fairface.read(spec(root, damaged_labels="repair"))
    assert values(source, "age")[:4] == ["3-9", "10-19", "0-2", "20-29"]
    assert source.notes[0].startswith("2 ages of FairFace")
    damage(root, [(",20-29,", ",25,")])
    with pytest.raises(InputError, match=r"line 5 .*: age '25' is none of 0-2"):
        fairface.read(spec(root, damaged_labels="repair"))


@pytest.mark.parametrize(
    ("date", "age"),
    [
        *((text, "3-9") for text in ("9-Mar", "Mar-9", "03/09/2021", "3-Sep", "Sep-03")),
        *((text, "3-9") for text in ("2021-03-09", "2021-09-03", "9 March", "09-Mar-21")),
        *((text, "10-19") for text in ("19-Oct", "Oct-19", "2021-10-19", "10/19/2021", "Oct-2019")),
        *(
            (text, None)
            for text in ("1-Jan", "4-Apr", "25", "", "Oct", "more than 70", "2021-04-05")
        ),
    ],
)
def test_dates_and_what_they_were(date, age):
    assert fairface.mend(date) == age


@pytest.mark.skipif(not SHARED.is_dir(), reason="the FairFace images are not on this machine")
def test_the_real_files(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path / "home"))
    source = fairface.read(spec(SHARED))
    table = source.table
    assert table["split"].value_counts().to_dict() == {"train": 7_000, "val": 3_000}
    assert table["id"].is_unique
    assert len(table["age"].cat.categories) == 9
    assert len(table["race"].cat.categories) == 7
    assert len(table["gender"].cat.categories) == 2
    assert not table.isna().to_numpy().any()

    rows = range(0, 10_000, 50)
    some = dataclasses.replace(
        source,
        table=table.iloc[list(rows)].reset_index(drop=True),
        read=lambda row: source.read(rows[row]),
    )
    images = open_store(some, 64, "error").images
    # Row i is image i: the stored squares are those of the files, through another resampling.
    for row, name in enumerate(some.table["id"]):
        with Image.open(SHARED / name) as image:
            expected = np.asarray(image.resize((64, 64), Image.Resampling.LANCZOS), np.float64)
        assert np.abs(images[row] - expected).mean() < 6
