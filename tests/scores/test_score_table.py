"""Tables of scores: read as they stand, or refused by line, id and model; nothing is shifted."""

import csv
import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbias.errors import InputError
from jaxbias.scores import score_table
from jaxbias.scores.score_table import in_order_of, read_scores


def written(folder, text, name="S.csv"):
    path = folder / name
    path.write_text(text)
    return path


def test_scores_are_those_of_the_file(tmp_path):
    path = written(tmp_path, "m;id;k\n 0.5 ;007;-inf\n1e-3;NA;\n.25;é;nan\n")
    table = read_scores(path)
    assert table.models == ("m", "k") and table.ids.tolist() == ["007", "NA", "é"]
    np.testing.assert_array_equal(
        table.scores, np.array([[0.5, 1e-3, 0.25], [-np.inf, np.nan, np.nan]], np.float32)
    )
    assert table.scores.dtype == np.float32 and table.scores.flags.c_contiguous
    assert read_scores(path, ["k"]).scores.shape == (1, 3)
    assert read_scores(path, ["k"]).notes == (
        "Left out: 1 column of S.csv that are none of the models, 'm'.",
    )
    ordered = in_order_of(read_scores(path, ["m"]), pd.Series(["é", "007"]))
    assert ordered.tolist() == [[0.25, 0.5]]
    with pytest.raises(InputError, match=r"line 3 \('NA'\): the score by model 'k' is missing"):
        in_order_of(table, pd.Series(["NA", "007"]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # pandas reads these rows shifted by one: an index, and scores under another name.
        ("id,m\na,0,.1\nb,1,.9\n", r"line 2, which begins 'a', has 3 fields, where .* has 2"),
        ("id,m,m\na,.1,.2\n", "more than one column 'm'"),
        ("id,m\na,2024-01-01 10:00\n", r"line 2 \('a'\): .* 'm' is no number, but '2024-01-01 10"),
        ("id,m\na,1\nb,True\n", r"line 3 \('b'\): the score by model 'm' is no number, but 'True'"),
        ("id,m\na,1_0\n", "no number, but '1_0'"),
        ("id,m\na,１\n", "no number, but '１'"),
        ("id;m\na;0,5\n", "no number, but '0,5'; write decimals with a point"),
        ("m,k\n1,2\n3,x\n", r"S.csv line 3: the score by model 'k' is no number"),
        ("id,m\na,1\n,2\n", "line 3 has no 'id'"),
        ("id,m\na,1\nb,2\na,3\n", "has 'a' twice, in lines 2 and 4"),
        (",m\nx,1\ny,2\n", "column 1 has no name, and holds values such as 'x': name it .'id'"),
        ("id\na\n", "no column of scores"),
        ("id,m\n", "no rows"),
    ],
)
def test_what_is_no_table_of_scores(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_scores(written(tmp_path, text))


def test_row_numbers_are_no_model(tmp_path):
    frame = pd.DataFrame({"id": list("abc"), "m": [0.1, 0.2, 0.3]})
    frame.to_csv(tmp_path / "S.csv")
    frame.reset_index().to_csv(tmp_path / "R.csv")
    frame.iloc[[2, 0, 1]].to_parquet(tmp_path / "S.parquet")
    frame.set_index(pd.Index([3, 1, 2], name="row")).to_parquet(tmp_path / "I.parquet")
    for name, notes in (
        ("S.csv", ["S.csv: column 1 has no name, holds row numbers and was left out."]),
        (
            "R.csv",
            [
                "R.csv: column 1 has no name, holds row numbers and was left out.",
                "R.csv: column 'index' counts the rows and was left out.",
            ],
        ),
        (
            "S.parquet",
            ["S.parquet: column '__index_level_0__' has no name, holds row numbers and was left"],
        ),
        ("I.parquet", ["I.parquet: column 'row' is pandas' index and no model."]),
    ):
        table = read_scores(tmp_path / name)
        assert table.models == ("m",) and sorted(table.ids) == ["a", "b", "c"]
        assert [said[: len(note)] for said, note in zip(table.notes, notes, strict=True)] == notes


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ([datetime.datetime(2024, 1, 1)] * 2, "timestamp"),
        ([datetime.date(2024, 1, 1)] * 2, "date32"),
        ([datetime.timedelta(1)] * 2, "duration"),
        ([True, False], "bool"),
        (["0.5", "0.7"], "string"),
        ([[0.5], [0.7]], "list<"),
        ([b"a", b"b"], "binary"),
    ],
)
def test_typed_columns_that_are_no_scores(tmp_path, column, kind):
    pq.write_table(pa.table({"id": ["a", "b"], "m": column}), tmp_path / "S.parquet")
    with pytest.raises(InputError, match=f"column 'm' holds {kind}.*, and a score is a number"):
        read_scores(tmp_path / "S.parquet")


def test_class_labels_are_no_scores(tmp_path):
    features = '{"info": {"features": {"hat": {"names": ["no", "yes"], "_type": "ClassLabel"}}}}'
    for hat, message in (([0, 1], "'hat' holds string"), ([0.0, 1.0], "holds double, not whole")):
        table = pa.table({"m": [0.1, 0.2], "hat": hat})
        table = table.replace_schema_metadata({"huggingface": features})
        pq.write_table(table, tmp_path / "S.parquet")
        with pytest.raises(InputError, match=message):
            read_scores(tmp_path / "S.parquet")


def test_typed_columns_that_are_scores(tmp_path):
    columns = {
        "id": [1, 2, 3],
        "float": pa.array([0.5, None, np.nan]),
        "half": pa.array(np.array([0.5, 1, 2], np.float16)),
        "whole": pa.array([2**53 + 1, None, -1]),
        "decimal": pa.array([1, 2, 3]).cast(pa.decimal128(30, 2)),
        "none": pa.nulls(3),
    }
    pq.write_table(pa.table(columns), tmp_path / "S.parquet")
    table = read_scores(tmp_path / "S.parquet")
    assert table.ids.tolist() == ["1", "2", "3"] and table.where(1).endswith("row 2 ('2')")
    nan = np.nan
    expected = [[0.5, nan, nan], [0.5, 1, 2], [2.0**53, nan, -1], [1, 2, 3], [nan, nan, nan]]
    np.testing.assert_array_equal(table.scores, np.array(expected, np.float32))


def test_torn_pages_are_one_line(tmp_path):
    scores = np.random.default_rng(0).normal(size=4000)
    path = tmp_path / "S.parquet"
    pq.write_table(pa.table({"m": scores}), path, write_page_checksum=True)
    whole = path.read_bytes()
    for start, stop in ((1000, 2000), (10_000, 10_001), (len(whole) // 2, len(whole))):
        path.write_bytes(whole[:start] + bytes(stop - start) + whole[stop:])
        with pytest.raises(InputError, match="cannot be read as Parquet") as caught:
            read_scores(path)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 400 + len(str(path))


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.text("ab1 ;,'\"\n", min_size=1, max_size=4), st.floats(allow_nan=False)),
        min_size=1,
        max_size=12,
        unique_by=lambda row: row[0],
    ),
    st.sampled_from([",", ";", "\t"]),
    st.integers(1, 5),
)
def test_written_scores_are_read_or_refused(tmp_path_factory, rows, separator, chunk):
    path = tmp_path_factory.getbasetemp() / "fuzzed_scores.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerows([("id", "m", "negated"), *((i, repr(x), repr(-x)) for i, x in rows)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxbias.data.delimited._CELLS", chunk)
        try:
            table = score_table.read_scores(path)
        except InputError as error:
            assert "has no 'id'" in str(error) and any(not name.strip() for name, _ in rows)
            return
    assert table.ids.tolist() == [name for name, _ in rows]
    with np.errstate(over="ignore"):
        expected = np.array([[x for _, x in rows], [-x for _, x in rows]]).astype(np.float32)
    np.testing.assert_array_equal(table.scores, expected)
