import math

import pytest

from jaxbias.data.readers import dollar_street
from jaxbias.errors import InputError
from jaxbias.study import DataSpec
from tests.data.readers.dollar_street_files import ROWS, write
from tests.data.readers.pictures import paint, values


def test_contract(tmp_path, holds_contract):
    source = holds_contract(write(tmp_path / "dollar"), [0, 1, 2, 3], ["all"] * 4)
    assert values(source, "topic") == ["beds", "kids_bed", "kitchen_sinks", "family_snapshots"]
    assert values(source, "bed") == [True, True, False, False]
    assert values(source, "sink") == values(source, "cup") == [False, False, True, False]
    assert values(source, "region") == ["as", "af", "eu", "eu"]
    assert values(source, "country")[1] == "Côte d'Ivoire"
    bins = [str(round(math.log(income) / 3)) for income in (58.0, 1998.3, 10098)]
    assert values(source, "income_bin") == [*bins, None] == ["1", "3", "3", None]
    assert source.numbers.tolist() == ["5d4b", "5d4c", "5d4d", "5d4e"]


def test_columns_without_a_topic_are_said(tmp_path):
    rows = [row.replace("'beds', 'bedrooms'", "'toilet', 'book'") for row in ROWS]
    source = dollar_street.read(write(tmp_path, rows))
    assert values(source, "toilet") == [False] * 4
    (note,) = source.notes
    assert note.startswith("No image has a topic of the columns 'book' (books; there is 'book'), ")
    assert "'toilet' (toilets; there is 'toilet'), 'toothbrush' (toothbrushes), " in note
    assert "'bed'" not in note
    assert note.endswith("'clock' (wall_clocks): they have no positive.")


def test_words_for_unknown(tmp_path):
    rows = [row.replace(",France,fr,eu,", ",Unknown,fr,N/A,") for row in ROWS]
    source = dollar_street.read(
        write(tmp_path, [row.replace(",fr-1,,", ",fr-1,NA,") for row in rows])
    )
    assert values(source, "country")[2:] == values(source, "region")[2:] == [None, None]
    assert values(source, "income_bin") == ["1", "3", "3", None]
    taken = "missing_values: 'country' 2 × 'Unknown'; 'region' 2 × 'N/A'; 'income' 1 × 'NA'."
    assert source.notes[0].endswith(taken)


def test_the_splits_of_its_imagenet_subset(tmp_path):
    spec = write(tmp_path)
    write(tmp_path, ROWS[:1], "images_v2_imagenet_train.csv")
    write(tmp_path, ROWS[1:2], "images_v2_imagenet_test.csv")
    assert dollar_street.read(spec).table["split"].tolist() == ["train", "test", "all", "all"]


def test_the_older_metadata(tmp_path, holds_contract):
    rows = [
        "India,https://static.example/300/a.jpg?x=1,245.5,20.1,78.9,Asia,\"['wall clocks']\"",
        "Peru,https://static.example/301/b.jpg,30,-9.1,-75.0,America,['toilets']",
    ]
    root = tmp_path / "old"
    paint(root / "images" / "a.jpg", 0)
    paint(root / "images" / "b.jpg", 1)
    (root / "metadata.csv").write_text(
        "\n".join(["country,url,income,lat,lng,region,label", *rows])
    )
    source = holds_contract(DataSpec(name="dollar_street", path=str(root)), [0, 1], ["all"] * 2)
    assert values(source, "clock") == [True, False]
    assert values(source, "income_bin") == ["2", "1"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("58.0", "-58", r"line 2 .*: income '-58' must be a positive"),
        ("58.0", "inf", r"line 2 .*: income 'inf' must be a positive"),
        ("58.0", "much", r"line 2 .*: income 'much' must be a positive"),
        ("['Kids bed']", "[__import__('os')]", r"line 3 .*: topics .* no list of words"),
        ("['Kids bed']", "[" * 9000, r"line 3 .*: topics .* no list of words"),
        (
            "assets/5d4c/5d4c.jpg",
            "../secret.jpg",
            r"names '\.\./secret\.jpg', which",
        ),
    ],
)
def test_rows_that_are_not_as_published(tmp_path, old, new, words):
    spec = write(tmp_path, [row.replace(old, new) for row in ROWS])
    with pytest.raises(InputError, match=words):
        dollar_street.read(spec)
