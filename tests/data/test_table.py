import dataclasses

import numpy as np
import pandas as pd
import pytest

from jaxbias.data.dataset import Dataset
from jaxbias.data.table import add_derived, labels
from jaxbias.errors import InputError
from jaxbias.study import DataSpec, DerivedSpec

MISSING = DataSpec().missing_values


def column(values) -> pd.Series | str:
    found, unusable, _ = labels(pd.DataFrame({"x": values}, dtype=str), MISSING)
    return found["x"] if "x" in found else unusable["x"]


@pytest.mark.parametrize(
    "values",
    [
        ["0", "1", ""],
        ["-1", "1", ""],
        ["false", "true", ""],
        ["False", "TRUE", ""],
        ["no", "yes", ""],
        ["No", " YES ", ""],
        ["0.0", "1.0", ""],
        ["-1.0", "1", " "],
        ["N", "Y", ""],
        ["n", " y", " "],
        ["absent", "Present", ""],
        ["not smiling", "smiling", ""],
        ["no_smile", "smiling", ""],
        ["Non-Smoker", "smoker", ""],
        ["non smoking", "smoking", ""],
        ["nonsmoker", "smoker", ""],
        ["NotSmiling", "Smiling", ""],
        ["without glasses", "with glasses", ""],
        ["no glasses", "glasses", ""],
        ["doesn't smile", "smiles", ""],
        ["is not wearing a hat", "is wearing a hat", ""],
        ["unattractive", "attractive", ""],
    ],
)
def test_binary_vocabularies(values):
    found = column(values)
    assert found.dtype == "boolean"
    assert found.tolist()[:2] == [False, True]
    assert found.isna().tolist() == [False, False, True]


def test_a_constant_column_is_binary():
    assert column(["1", "1"]).tolist() == [True, True]
    assert column(["-1", "-1"]).tolist() == [False, False]


def test_two_other_words_are_a_category_and_not_binary():
    found = column(["Male", "Female", "", "Male"])
    assert found.cat.categories.tolist() == ["Female", "Male"]
    assert found.isna().sum() == 1


@pytest.mark.parametrize("two", [("female", "male"), ("no", "hat"), ("under", "over"), ("a", "b")])
def test_words_that_only_look_like_a_negation(two):
    assert column([*two, *two]).dtype == "category"


@pytest.mark.parametrize("word", ["NA", "n/a", "?", "Unknown", "NONE", "null", "NaN", " - "])
@pytest.mark.parametrize(
    ("negative", "positive"), [("0", "1"), ("-1.0", "1.0"), ("No", "Yes"), ("no hat", "hat")]
)
def test_words_for_unknown_are_no_class(word, negative, positive):
    found, unusable, notes = labels(
        pd.DataFrame({"x": [negative, word, positive, word, ""]}), MISSING
    )
    assert not unusable
    assert found["x"].tolist() == [False, pd.NA, True, pd.NA, pd.NA]
    taken = f"Taken as unknown, by config.data.missing_values: 'x' 2 × '{word.strip()}'."
    assert notes[0] == taken
    kept = labels(pd.DataFrame({"x": ["a", word, "b", word, "b", "a"]}), ()).columns["x"]
    assert kept.cat.categories.tolist() == sorted(["a", "b", word.strip()])


def test_a_note_names_every_column_and_word():
    table = pd.DataFrame(
        {"a": ["x", "NA", "y", "na", "NA", "x", "y"], "b": ["1", "", "?", "0", "?", "?", "1"]}
    )
    (note,) = labels(table, MISSING).notes
    assert note.endswith("missing_values: 'a' 2 × 'NA', 1 × 'na'; 'b' 3 × '?'.")
    wide = pd.DataFrame({f"c{i}": ["1", "?", "0"] for i in range(15)})
    assert labels(wide, MISSING).notes[0].endswith("; 'c11' 1 × '?' and 3 more columns.")


def test_a_column_of_unknowns():
    assert column(["NA", "?", "NA"]) == "has no value in any row but 2 × 'NA', 1 × '?'"


def test_spellings_of_one_word_are_one_and_said():
    table = pd.DataFrame({"x": ["man", "Man ", "man", "woman", "Woman", " WOMAN", "Woman", "x  y"]})
    table["y"] = ["ä", "a\u0308", "b", "b", "b", "ä", "x y", "x\u00a0y"]
    found, _, notes = labels(table, MISSING)
    assert found["x"].tolist() == ["man", "man", "man", *["Woman"] * 4, "x  y"]
    assert found["y"].tolist() == ["ä", "ä", "b", "b", "b", "ä", "x y", "x y"]
    assert notes == (
        "Words that differ in case, blanks or normal form alone are one: 'x' 'Man' as 'man',"
        " 'WOMAN' as 'Woman', 'woman' as 'Woman'; 'y' 'a\u0308' as 'ä', 'x\u00a0y' as 'x y'.",
    )


def test_a_negation_is_said_with_its_direction():
    table = pd.DataFrame({"mood": ["not smiling", "Smiling"] * 3, "hat": ["yes", "no"] * 3})
    (note,) = labels(table, MISSING).notes
    assert note == (
        "Binary, as one word negates the other: 'mood' 1 is 'Smiling' and 0 is 'not smiling'."
    )


def test_numbers_that_are_names_stay_as_they_are():
    assert column(["007", "7", "007", "7"]).tolist() == ["007", "7", "007", "7"]
    large = ["9007199254740993", "9007199254740992"] * 2
    assert column(large).tolist() == large


def test_names_of_classes_are_read_like_words():
    classes = {
        "mood": (np.array([0, 1, 2, -1]), ["smiling", "not smiling", "unknown"]),
        "kind": (np.array([2, 1, 0, 2]), ["cat", "Cat", "dog"]),
    }
    found, unusable, notes = labels(pd.DataFrame(), MISSING, classes)
    assert found["mood"].tolist() == [True, False, pd.NA, pd.NA]
    assert found["kind"].tolist() == ["dog", "Cat", "cat", "dog"]  # Declared: two classes.
    assert not unusable
    assert notes[0].endswith("'mood' 1 × 'unknown'.")


def test_words_of_two_vocabularies_are_a_category():
    assert column(["0", "yes", "0", "yes"]).dtype == "category"


def test_whole_numbers_are_a_category():
    assert column(["3.0", "2", "3", "2.0", "", "5", "5"]).tolist()[:4] == ["3", "2", "3", "2"]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([f"{i}.5" for i in range(3211)], "neither binary nor categorical: 3,211 distinct numbers"),
        ([str(i) for i in range(50)], "50 distinct numbers in 50 rows"),
        ([f"name {i}" for i in range(50)], "50 distinct values in 50 rows"),
        ([f"name {i % 501}" for i in range(1000)], "501 distinct values in 1,000 rows"),
        ([f"{i % 32768}" for i in range(65536)], "32,768 distinct numbers in 65,536 rows"),
        (["0.5", "0.5", "1.5", "1.5"], "2 distinct numbers"),
        (["inf", "1", "1", "1"], "2 distinct numbers"),
        (["", " ", ""], "no value in any row"),
    ],
)
def test_what_is_no_label_says_why(values, reason):
    assert reason in column(values)


@pytest.mark.parametrize("classes", [100, 1000, 32_767])
def test_many_categories_are_allowed(classes):
    found = column([f"name {i % classes}" for i in range(2 * classes)])
    assert found.cat.categories.tolist() == sorted(f"name {i}" for i in range(classes))
    assert found.value_counts().unique().tolist() == [2]


def test_columns_named_like_our_own_are_kept_out():
    table = pd.DataFrame({"split": ["a", "a"], "id": ["1", "0"]}, dtype=str)
    found, unusable, _ = labels(table, MISSING)
    assert found.empty
    assert "rename it" in unusable["split"]


# Derived columns.

PEOPLE = pd.DataFrame(
    {
        "id": list("abcdef"),
        "age": pd.Categorical(["child", "adult", "old", None, "adult", "old"]),
        "hat": pd.array([True, False, None, True, True, False], dtype="boolean"),
    }
)


def derived(**spec) -> list:
    return add_derived(PEOPLE, {"new": DerivedSpec(**spec)}, {"size": "is no label"})[
        "new"
    ].tolist()


def test_every_other_known_value_is_negative():
    expected = [False, False, True, pd.NA, False, True]
    assert derived(column="age", positive=("old",)) == expected


def test_values_in_neither_list_are_unknown():
    expected = [False, pd.NA, True, pd.NA, pd.NA, True]
    assert derived(column="age", positive=("old",), negative=("child",)) == expected


def test_a_binary_column_can_be_turned_round():
    assert derived(column="hat", positive=("0",)) == [False, True, pd.NA, False, False, True]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"column": "agee", "positive": ("old",)}, r"new\.column='agee'.*did you mean 'age'"),
        ({"column": "id", "positive": ("a",)}, r"column='id' is no label"),
        (
            {"column": "age", "positive": ("ancient",)},
            r"no value 'ancient'; it has 'adult', 'child', 'old'",
        ),
        ({"column": "age", "positive": ("old",), "negative": ("young",)}, r"negative: .*'young'"),
        ({"column": "age", "positive": ("old",), "negative": ("old",)}, "'old' cannot be both"),
        ({"column": "size", "positive": ("1",)}, "column 'size' is no label"),
        ({"column": "age"}, "positive is empty"),
        ({"column": "age", "positive": ("adult", "child", "old")}, "every value of 'age'"),
    ],
)
def test_wrong_derived_columns(spec, message):
    with pytest.raises(InputError, match=message):
        derived(**spec)


def test_a_value_that_is_taken_as_unknown_says_so():
    with pytest.raises(InputError, match=r"no value 'none'; it has .*; 'none' is taken as unknown"):
        derived(column="age", positive=("none",))
    way_out = r"'N/A' is taken as .* unless config\.data\.missing_values leaves it out"
    with pytest.raises(InputError, match=way_out):
        DATASET.codes("age", ("old", "N/A"))


@pytest.mark.parametrize("name", ["hat", "size", "split"])
def test_a_derived_column_does_not_hide_another(name):
    with pytest.raises(InputError, match=rf"derived\.{name}.*already"):
        add_derived(PEOPLE, {name: DerivedSpec("age", ("old",))}, {"size": "is no label"})


# The dataset's own accessors.

DATASET = Dataset(
    name="people",
    images=np.zeros((6, 1, 1, 3), np.uint8),
    table=PEOPLE.assign(split="test", stratum=""),
    fingerprint="",
    unusable={"height": "is neither binary nor categorical: 3,211 distinct numbers"},
)


def test_binary_and_codes():
    assert DATASET.label_columns == ["age", "hat"]
    binary = DATASET.binary("hat")
    assert binary.dtype == np.int8
    assert binary.tolist() == [1, 0, -1, 1, 1, 0]
    codes = DATASET.codes("age", ("old", "child"))
    assert codes.dtype == np.int32
    assert codes.tolist() == [1, -1, 0, -1, -1, 0]
    assert DATASET.codes("hat", ("0", "1")).tolist() == [1, 0, -1, 1, 1, 0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("no", "yes"), [1, 0, -1, 1, 1, 0]),
        (("no hat", "hat"), [1, 0, -1, 1, 1, 0]),
        (("smoker", "non-smoker"), [0, 1, -1, 0, 0, 1]),
        (("-1", "1"), [1, 0, -1, 1, 1, 0]),
    ],
)
def test_two_words_for_no_and_yes_name_the_values_of_a_binary_column(values, expected):
    assert DATASET.codes("hat", values).tolist() == expected


@pytest.mark.parametrize(
    ("values", "suggested"),
    [
        ("0 1 2", "positive=('1',), negative=('0',))"),
        ("maybe no yes", "positive=('yes',), negative=('no',))"),
        ("N U Y", "positive=('Y',), negative=('N',))"),
        ("glasses no_glasses sunglasses", "positive=('glasses',), negative=('no_glasses',))"),
        ("-1 0 1", "positive=('1',), negative=('0',))"),
        ("cat dog", "positive=('cat',))"),
    ],
)
def test_the_derived_column_that_is_suggested_is_not_turned_round(values, suggested):
    table = PEOPLE.assign(x=pd.Categorical((values.split() * 3)[:6]), split="test", stratum="")
    with pytest.raises(InputError) as refused:
        dataclasses.replace(DATASET, table=table).binary("x")
    assert str(refused.value).endswith(f"dict(column='x', {suggested}")


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: DATASET.column("hatt"), "no label column 'hatt'; did you mean 'hat'"),
        (lambda: DATASET.column("split"), "no label column 'split'"),
        (lambda: DATASET.column("height"), "'height' of people is neither binary nor"),
        (lambda: DATASET.binary("age"), "has the values 'adult', 'child', 'old'.*data.derived"),
        (lambda: DATASET.codes("age", ("older", "child")), "no value 'older'; it has 'adult'"),
        (lambda: DATASET.codes("hat", ("female", "male")), "no value 'female'; it has '0', '1'"),
    ],
)
def test_wrong_columns_and_values(ask, message):
    with pytest.raises(InputError, match=message):
        ask()
