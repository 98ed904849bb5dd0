"""Tables from files: what is read is what was written, or one line says which line does not fit."""

import codecs
import csv
import io
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jaxbias.data.table import labels
from jaxbias.data.table_file import read_table
from jaxbias.errors import InputError

SEPARATORS = {"commas": ",", "semicolons": ";", "tabs": "\t"}


def written(folder, content, name="t.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(path) -> str:
    with pytest.raises(InputError) as caught:
        read_table(path)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    return message


def test_csv_tsv_and_parquet_hold_the_same_text(tmp_path):
    table = pd.DataFrame({"file": ["ä.jpg", "b.jpg", "c.jpg"], "hat": ["1", "", "0"]})
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_csv(tmp_path / "t.tsv", index=False, sep="\t")
    table.to_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.tsv", "t.parquet"):
        read = read_table(tmp_path / name)
        pd.testing.assert_frame_equal(read.text.astype(object), table.astype(object))
    assert read.lines.tolist() == [1, 2, 3]


@pytest.mark.parametrize("separator", SEPARATORS.values(), ids=SEPARATORS)
@pytest.mark.parametrize(
    ("encoding", "mark"),
    [("utf-8", b""), ("utf-8-sig", b""), ("utf-16", b""), ("utf-16-be", codecs.BOM_UTF16_BE)],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separators_and_encodings(tmp_path, separator, encoding, mark, end):
    text = end.join(separator.join(row) for row in (["id", "naïve"], ["007", "NA"], ["é 2", ""]))
    path = written(tmp_path, mark + (text + end * 2).encode(encoding))
    table = read_table(path)
    assert table.text.columns.tolist() == ["id", "naïve"]
    assert table.text.to_numpy().tolist() == [["007", "NA"], ["é 2", ""]]
    assert table.lines.tolist() == [2, 3]
    assert table.where(1) == f"{path} line 3 ('é 2')"


def test_lines_are_those_of_the_file(tmp_path):
    path = written(tmp_path, 'id,caption\n1,"two\r\nlines"\n2,one\n')
    table = read_table(path)
    assert table.text["caption"].tolist() == ["two\r\nlines", "one"]
    assert table.lines.tolist() == [2, 4]


def test_a_header_that_two_separators_divide(tmp_path):
    path = written(tmp_path, "id,income;yearly\n1,5\n")  # The first row tells.
    assert read_table(path).text.columns.tolist() == ["id", "income;yearly"]
    message = refused(written(tmp_path, "id,income;yearly\n1,5;6\n"))
    assert "can be divided by commas and by semicolons alike" in message


def test_row_numbers_without_a_name_are_left_out_and_that_is_said(tmp_path):
    table = pd.DataFrame({"id": ["a", "b", "c"], "hat": ["1", "0", "1"]})
    table.iloc[[0, 2]].to_csv(tmp_path / "t.csv")
    table.iloc[[2, 0, 1]].to_parquet(tmp_path / "t.parquet")
    unnamed = pd.read_csv(tmp_path / "t.csv").rename(columns={"Unnamed: 0": ""})
    unnamed.to_csv(tmp_path / "again.tsv", sep="\t")
    for name, rows in (("t.csv", [0, 2]), ("t.parquet", [2, 0, 1]), ("again.tsv", [0, 2])):
        read = read_table(tmp_path / name)
        assert read.text.to_numpy().tolist() == table.iloc[rows].to_numpy().tolist()
        assert "has no name, holds row numbers and was left out." in read.notes[0]
        assert read.notes[0].startswith(f"{name}: column ")
    assert [note.split()[2] for note in read.notes] == ["1", "2"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\ufeff", "is empty"),
        ("\n\nid,hat\n", "line 1 is empty, where the names"),
        ("id,hat\n", "no rows"),
        ("id,hat\n\n\n", "no rows"),
        # pandas takes the first column of this for an index, and shifts the rest.
        ("id,hat\na,.1,1\nb,.2,0\n", "line 2, which begins 'a', has 3 fields, where the header"),
        ("id,hat\na,1\nb,1,\n", "line 3, which begins 'b', has 3 fields, .* 2 .*commas"),
        ("id;hat;m\na;1;2\nb;1\n", "line 3, which begins 'b', has 2 fields, .* 3 .*semicolons"),
        ("id\thatt\na\t1\nb\n", "line 3, which begins 'b', has 1 field,"),
        ("id,hat\na,1\n\nb,0\n", "line 3 is empty, and rows follow"),
        ("id,hat,hat\na,1,2\n", "more than one column 'hat'"),
        (",hat\nx,1\n", "column 1 has no name, and holds values such as 'x': name it"),
        (",hat\n1,1\n0,1\n", "column 1 has no name, and holds values such as '1'"),
        ('id,hat\na,"1\nb,0\n', "line 2: a quote is opened that is never closed"),
        ('id,hat\na,"1"x\nb,0\n', "line 2: a quote closes before its field ends"),
        ('"id"x,hat\na,1\n', "line 1: a quote closes before its field ends"),
        ("id,hat\na,1\nb\0,0\n", "line 3 holds a NUL"),
        ("id,hat\na,1\n".encode("utf-16-le"), "line 1 holds a NUL: .*UTF-16 without its"),
        ("id,hat\na,1\né,0\n".encode("latin-1"), "line 3 is not UTF-8 .byte 0xe9.*Latin-1"),
        (codecs.BOM_UTF16_LE + b"\x00\xd8,\x00\n\x00x", "begins like UTF-16"),  # A lone half.
        (f"id,hat\na,{'x' * 200_000}\n", "line 2 cannot be read: field larger"),
    ],
)
def test_text_that_cannot_be_read_names_its_line(tmp_path, content, message):
    path = written(tmp_path, content)
    assert re.search(message, refused(path)), refused(path)


def test_other_files(tmp_path):
    assert "must be a .csv, .tsv or .parquet file" in refused(written(tmp_path, "PK", "t.xlsx"))
    assert "does not exist" in refused(tmp_path / "none.csv")
    assert "is a folder" in refused(tmp_path)
    with pytest.raises(InputError, match=r"'.*n\\udcff.csv' is not UTF-8: rename it"):
        read_table(tmp_path / "n\udcff.csv")


# Parquet.


def test_typed_parquet_columns(tmp_path):
    typed = pd.DataFrame(
        {
            "flag": pd.array([True, None, False, True], dtype="boolean"),
            "number": [1.0, np.nan, 0.0, 1.0],
            "race": pd.Categorical(["x", "y", None, "x"]),
            "box": [[1, 2], [3], [], None],
        }
    )
    typed.to_parquet(tmp_path / "t.parquet")
    read = read_table(tmp_path / "t.parquet")
    assert list(read.text) == ["flag", "number", "race"]
    assert "list<" in read.unusable["box"]
    with pytest.raises(InputError, match=r"column 'box' \(--groups\) holds list"):
        read.column("box", "--groups")
    found, unusable, _ = labels(read.text, ())
    assert not unusable
    assert found["flag"].tolist() == [True, pd.NA, False, True]
    assert found["number"].tolist() == [True, pd.NA, False, True]
    assert found["race"].cat.categories.tolist() == ["x", "y"]


def class_labels(numbers) -> pa.Table:
    features = '{"info": {"features": {"hat": {"names": ["no", "yes"], "_type": "ClassLabel"}}}}'
    table = pa.table({"id": ["a", "b", "c"], "hat": numbers})
    return table.replace_schema_metadata({"huggingface": features})


def test_class_numbers_take_their_names(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(class_labels(pa.array([1, None, 0])), path)
    assert read_table(path).text["hat"].tolist() == ["yes", "", "no"]
    pq.write_table(class_labels([0, 1, 2]), path)
    assert "class number 2 in row 3, which has no name: there are 2" in refused(path)
    pq.write_table(class_labels([0.0, 1.0, 0.5]), path)
    assert "has class names, but holds double, not whole numbers" in refused(path)


def test_a_torn_parquet_file_is_one_line(tmp_path):
    path = tmp_path / "t.parquet"
    rows = [f"example {i}" for i in range(2000)]
    whole = io.BytesIO()
    pq.write_table(pa.table({"id": rows, "hat": rows}), whole, write_page_checksum=True)
    whole = whole.getvalue()
    assert "cannot be read as Parquet" in refused(written(tmp_path, b"PAR1 nonsense", path.name))
    assert "cannot be read as Parquet" in refused(written(tmp_path, whole[:-300], path.name))
    for place in range(20, 2000, 97):
        torn = bytearray(whole)
        torn[place : place + 8] = b"\0" * 8
        assert "cannot be read as Parquet" in refused(written(tmp_path, bytes(torn), path.name))
    pq.write_table(pa.table([rows, rows], names=["id", "id"]), path)
    assert "more than one column 'id'" in refused(path)
    pq.write_table(pa.table({"id": pa.array([], pa.string())}), path)
    assert "has no rows" in refused(path)


# What a csv module writes is what is read, or an error.

cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
hostile = st.text(st.sampled_from("a1\"',;\t\r\n \ufeffé"), max_size=5)


@settings(max_examples=100)
@given(
    st.integers(2, 4).flatmap(
        lambda width: st.lists(
            st.lists(cells | hostile, min_size=width, max_size=width), min_size=2, max_size=5
        )
    ),
    st.sampled_from(sorted(SEPARATORS.values())),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_is_read_was_written(tmp_path_factory, rows, separator, encoding, quoting, end):
    assume(not rows[0][0].startswith("\ufeff"))  # A mark, and no text.
    # Python before 3.13 writes a bare carriage return without quotes, as if a line ended.
    assume(
        end != "\n"
        or quoting == csv.QUOTE_ALL
        or all("\r" not in cell for row in rows for cell in row)
    )
    path = tmp_path_factory.getbasetemp() / "fuzzed.csv"
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=separator, quoting=quoting, lineterminator=end).writerows(rows)
    try:
        table = read_table(path)
    except InputError as error:
        assert "\n" not in str(error)
        return
    header = [" ".join(name.split()) for name in rows[0]]
    assert set(table.text) <= set(header)
    for place, name in enumerate(header):
        if name in table.text:
            assert table.text[name].tolist() == [row[place] for row in rows[1:]]
        else:  # Row numbers without a name.
            assert name == ""
            assert any(f"column {place + 1} has no name" in note for note in table.notes)
