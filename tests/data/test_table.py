import numpy as np
import pandas as pd
import pytest

from jaxbias.data.dataset import Dataset
from jaxbias.data.table import add_derived, labels
from jaxbias.errors import InputError
from jaxbias.study import DerivedSpec


def column(values) -> pd.Series | str:
    found, unusable = labels(pd.DataFrame({"x": values}, dtype=str))
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
    found, unusable = labels(pd.DataFrame({"split": ["a", "a"], "id": ["1", "0"]}, dtype=str))
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
