import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbias.data.splits import assign
from jaxbias.errors import InputError

SHARES = {"all": {"pretrain": 0.4, "finetune": 0.3, "validation": 0.1, "test": 0.15}}


def table(count: int, split: str = "all") -> pd.DataFrame:
    return pd.DataFrame({"id": [f"images/{i}.jpg" for i in range(count)], "split": split})


@given(st.integers(0, 400), st.integers(0, 5), st.lists(st.integers(0, 6), min_size=4, max_size=4))
@settings(max_examples=50)
def test_sizes_are_within_one_of_the_shares_and_add_up(count, seed, parts):
    total = sum(parts) + 1  # The unassigned rest is one part.
    names = ("pretrain", "finetune", "validation", "test")
    shares = {name: part / total for name, part in zip(names, parts, strict=True) if part}
    if not shares or not count:
        return
    assigned = assign(table(count), {"all": shares}, seed)
    for name in names:
        assert abs(np.sum(assigned == name) - shares.get(name, 0) * count) < 1
    assert abs(np.sum(assigned == "") - count / total) < 1


def test_hand_worked_sizes():
    assigned = pd.Series(assign(table(10), SHARES, seed=0))
    # 4, 3, 1, 1.5, .5: of the equal remainders the named split comes first.
    assert assigned.value_counts().to_dict() == {
        "pretrain": 4,
        "finetune": 3,
        "validation": 1,
        "test": 2,
    }


def test_shares_that_add_up_to_one_use_every_example():
    shares = {"all": dict.fromkeys(("pretrain", "finetune", "validation"), 1 / 3)}
    for count in range(1, 40):
        assert "" not in assign(table(count), shares, seed=0)


@given(st.permutations(range(60)))
@settings(max_examples=20)
def test_the_order_of_rows_does_not_matter(order):
    rows = table(60)
    expected = dict(zip(rows["id"], assign(rows, SHARES, 3), strict=True))
    shuffled = rows.iloc[list(order)].reset_index(drop=True)
    assert dict(zip(shuffled["id"], assign(shuffled, SHARES, 3), strict=True)) == expected


def test_added_rows_move_few_of_the_old_ones():
    before = assign(table(2000), SHARES, 0)
    after = assign(table(2100), SHARES, 0)[:2000]
    assert np.mean(before != after) < 0.05


def test_seeds_give_independent_assignments():
    first, second = (assign(table(4000), {"all": {"test": 0.5}}, seed) == "test" for seed in (0, 1))
    # Independent halves agree on a half of the examples; five standard deviations are 0.04.
    assert abs(np.mean(first == second) - 0.5) < 0.04


def test_a_split_is_a_random_sample_of_its_source():
    rows = table(4000)
    chosen = assign(rows, {"all": {"test": 0.25}}, 0) == "test"
    place = np.arange(4000)
    assert abs(place[chosen].mean() - place.mean()) < 5 * place.std() / np.sqrt(1000)


def test_several_sources_each_have_their_shares():
    rows = pd.concat([table(100, "train"), table(50, "val").assign(id=lambda t: "v" + t["id"])])
    shares = {"train": {"pretrain": 0.5, "finetune": 0.5}, "val": {"test": 1.0}}
    assigned = assign(rows, shares, 0)
    counts = pd.crosstab(rows["split"].to_numpy(), assigned)
    assert counts.loc["train"].to_dict() == {"finetune": 50, "pretrain": 50, "test": 0}
    assert counts.loc["val"].to_dict() == {"finetune": 0, "pretrain": 0, "test": 50}


def test_sources_that_are_not_named_are_unused():
    rows = pd.DataFrame({"id": list("abcd"), "split": ["train", "train", "extra", "extra"]})
    assert assign(rows, {"train": {"test": 1.0}}, 0).tolist() == ["test", "test", "", ""]


def test_our_own_names_and_their_aliases_need_no_shares():
    names = ["pretrain", "train", "Val", "validation", "test", ""]
    rows = pd.DataFrame({"id": list("abcdef"), "split": names})
    assert assign(rows, {}, 0).tolist() == [
        "pretrain",
        "finetune",
        "validation",
        "validation",
        "test",
        "",
    ]


def test_without_splits_the_error_says_what_to_write():
    with pytest.raises(InputError, match=r"config\.data\.splits = \{'all': \{'pretrain': 0\.4"):
        assign(table(5), {}, 0)


def test_no_example_in_any_split():
    with pytest.raises(InputError, match="in any split"):
        assign(table(3, ""), {}, 0)


def test_an_unknown_source_names_the_nearest():
    with pytest.raises(InputError, match=r"splits\.trian.*did you mean 'train'"):
        assign(table(5, "train"), {"trian": {"test": 1.0}}, 0)
