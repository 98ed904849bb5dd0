"""Which group every example belongs to, and columns that make no groups."""

import numpy as np
import pandas as pd
import pytest

from jaxbias.data.dataset import Dataset
from jaxbias.data.groupings import MOST_GROUPS, groupings_of, refuse_empty
from jaxbias.errors import InputError
from tests.tiny import tiny_study

ROWS = 120


def dataset():
    place = np.arange(ROWS)
    table = pd.DataFrame({"id": place.astype(str), "split": "test", "stratum": ""}).assign(
        hat=pd.array(place % 2 == 0, dtype="boolean"),
        group=pd.Categorical(np.where(place % 3 == 0, "a", "b")),
        age=pd.Categorical(np.array(["10-19", "3-9", "0-2"])[place % 3]),
        bin=pd.Categorical((place % 3 + 9).astype(str)),
        country=pd.Categorical([f"c{i % 60}" for i in place]),
        one=pd.Categorical(["x"] * ROWS),
    )
    table.loc[0, "age"] = np.nan
    return Dataset("made up", np.zeros((0, 1, 1, 3), np.uint8), table, "f")


def found(**groupings):
    return groupings_of(dataset(), tiny_study(groupings=groupings))


def test_all_values_are_groups_in_the_order_of_their_numbers():
    age = found(age={"column": "age"})["age"]
    assert age.names == ("0-2", "3-9", "10-19")
    assert age.codes[:4].tolist() == [-1, 1, 0, 2]
    assert age.codes.dtype == np.int32 and not age.named
    assert found(bin={"column": "bin"})["bin"].names == ("bin=9", "bin=10", "bin=11")
    assert found(hat={"column": "hat"})["hat"].names == ("hat=0", "hat=1")


def test_values_and_names_are_as_given_and_the_rest_is_in_no_group():
    spec = {"column": "age", "values": ("10-19", "0-2"), "names": ("older", "baby")}
    age = found(age=spec)["age"]
    assert (age.names, age.named) == (("older", "baby"), True)
    assert age.codes[:4].tolist() == [-1, -1, 1, 0]
    assert age.membership().sum(axis=1).tolist() == [39, 40]


def test_crossed_groups_are_the_combinations_that_occur():
    both = found(
        age={"column": "age"}, hat={"column": "hat"}, x={"crossed": ("group", "age", "hat")}
    )["x"]
    # The group is fixed by the age: "a" is every third, whose age is 10-19.
    assert both.names == (
        "a, 10-19, hat=0",
        "a, 10-19, hat=1",
        *(f"b, {age}, hat={hat}" for age in ("0-2", "3-9") for hat in (0, 1)),
    )
    assert [both.names[i] if i >= 0 else "" for i in both.codes[:4]] == [
        "",
        "b, 3-9, hat=0",
        "b, 0-2, hat=1",
        "a, 10-19, hat=0",
    ]
    table = dataset().table
    for code, name in enumerate(both.names):
        group, age, hat = name.split(", ")
        mine = (
            (table["group"] == group) & (table["age"] == age) & (table["hat"] == (hat[-1] == "1"))
        )
        assert (both.codes == code).tolist() == mine.fillna(False).tolist()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"column": "agr"}, r"config\.groupings\.x: made up has no label column 'agr'.*'age'"),
        (
            {"column": "age", "values": ("0-2", "3-8")},
            r"config\.groupings\.x: column 'age' of made up has no value '3-8'; it has '0-2'",
        ),
        ({"column": "country"}, r"x has 60 groups, more than 40; name those to compare in.*values"),
        ({"column": "one"}, r"config\.groupings\.x has 1 group, x; at least two"),
        (
            {"column": "age", "values": ("0-2", "3-9"), "names": ("young", "young")},
            r"x\.names has 'young' twice",
        ),
    ],
)
def test_columns_that_make_no_groups_are_refused(spec, message):
    assert MOST_GROUPS == 40
    with pytest.raises(InputError, match=message):
        found(x=spec)


def test_a_named_group_without_positives_is_refused_and_one_of_the_data_is_not():
    spec = {"column": "age", "values": ("0-2", "3-9")}
    named = found(age=spec)
    labels = np.where(named["age"].codes == 1, 0, np.arange(ROWS) % 2).astype(np.int32)
    test = np.ones(ROWS, bool)
    with pytest.raises(
        InputError, match=r"age: group '3-9' has 0 positive and 40 negative"
    ) as told:
        refuse_empty(named, {"Smiling": labels}, test)
    assert "'Smiling' in the test split" in str(told.value)
    # What one task lacks another may have.
    refuse_empty(named, {"Smiling": labels, "Hat": np.arange(ROWS) % 2}, test)
    refuse_empty(found(age={"column": "age"}), {"Smiling": labels}, test)
