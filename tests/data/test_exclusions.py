"""What a study leaves out is counted and said."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from jaxbias import data
from jaxbias.data.dataset import Dataset
from jaxbias.data.describe import describe
from jaxbias.data.exclusions import excluded, exclusions
from jaxbias.errors import InputError
from jaxbias.stages import outlook, train
from jaxbias.study import GroupSpec, make_study
from jaxbias.workdir.results import ResultDirectory
from tests.tiny import tiny_dataset, tiny_study

GROUP = GroupSpec(column="gender", values=("woman", "man"), names=("women", "men"))


def dataset(unusable=None) -> Dataset:
    """Twelve examples: ten in a split, of which two are in neither group and three unlabelled."""
    gender = "woman man other man woman man woman none man woman other man"
    table = pd.DataFrame(
        {
            "id": [f"{i}" for i in range(12)],
            "split": ["finetune"] * 6 + ["test"] * 4 + [""] * 2,
            "stratum": "",
            "gender": pd.Categorical(gender.split()).remove_categories("none"),
            "smiling": pd.array([1, 0, 1, None, None, 0, 1, 0, None, 1, 1, 1], dtype="boolean"),
            "hat": pd.array([0] * 10 + [1] * 2, dtype="boolean"),
            "coat": pd.array([1, 0] * 6, dtype="boolean"),
            "place": pd.Categorical(["home"] * 8 + [None] * 4),
            "job": pd.Categorical([None] * 10 + ["cook"] * 2),
        }
    )
    images = np.zeros((12, 4, 4, 3), np.uint8)
    return Dataset("people", images, table, "", notes=("a note",), unusable=unusable or {})


def test_groups_and_labels_are_counted_by_split():
    assert excluded(dataset(), GROUP, ("smiling", "coat", "gender")) == (
        "In neither group of 'gender' (women, men): 2 of 10 examples (finetune 1, test 1):"
        " 1 'other', 1 unknown. They are left out.",
        "Without a label of 'smiling': 3 of 10 examples (finetune 2, test 1). They are left out.",
    )


def test_pairs_and_a_group_of_many_values():
    found = dataset()
    found.table["coat"] = pd.array([1, 1, None, *[0] * 9], dtype="boolean")
    races = ["a", "b", *"cdefghij", "a", "b"]
    found.table["race"] = pd.Categorical(races)
    group = GroupSpec("race", ("a", "b"), ("A", "B"))
    assert excluded(found, group, ("smiling|coat",)) == (
        "In neither group of 'race' (A, B): 8 of 10 examples (finetune 4, test 4): 1 'c', 1 'd',"
        " 1 'e', 1 'f', 1 'g', 1 'h', 2 of 2 other values. They are left out.",
        "Outside the pair 'smiling|coat', as they have both: 1 of 10 examples (finetune 1)."
        " They are left out.",
        "Without a label of 'smiling|coat': 4 of 10 examples (finetune 3, test 1)."
        " They are left out.",
    )


def test_a_study_asks_for_its_targets_and_those_of_its_bases():
    scratch = {"Scratch": {"role": "scratch"}}
    group = {"column": "gender", "values": ("woman", "man"), "names": ("women", "men")}
    study = make_study({"targets": ("coat",), "bases": scratch, "group": group})
    assert [said.split(":")[0] for said in exclusions(dataset(), study)] == [
        "In neither group of 'gender' (women, men)"
    ]
    bases = scratch | {"S": {"role": "studied", "target": "smiling"}}
    study = make_study({"targets": ("coat",), "bases": bases, "group": group})
    assert "Without a label of 'smiling': 3 of 10" in exclusions(dataset(), study)[1]
    # Nobody asks for a group where pairs alone are finetuned for.
    study = make_study({"pairs": ("hat|coat",), "bases": scratch})
    assert exclusions(dataset(), study) == ()
    with pytest.raises(InputError, match="no label column 'Male'"):
        exclusions(dataset(), make_study({"targets": ("coat",), "bases": scratch}))


def test_describe_says_all_of_it():
    described = describe(dataset({"height": "is a number"}), GROUP, ["smiling"])
    assert described.splits["neither"].tolist() == [1, 1, 1]
    assert described.notes[0] == "a note"
    assert described.notes[1].startswith("In neither group of 'gender' (women, men): 2 of 10")
    assert described.notes[2].startswith("Without a label of 'smiling': 3 of 10")
    assert dict(described.unusable.to_numpy().tolist()) == {
        "height": "is a number",
        "hat": "is '0' in all 10 examples that have it, no positive",
        "place": "is 'home' in all 8 examples that have it",
        "job": "has no value in any example of a split",
    }
    text = str(described)
    assert "columns that are no label, or do not vary\nheight: is a number\n" in text
    assert "1 'other', 1 unknown" in text


def test_a_thousand_classes_are_described_by_their_largest_cells():
    rng = np.random.default_rng(0)
    count, classes = 20_000, 1_000
    label = rng.integers(0, classes, count)
    label[:500] = 7
    table = pd.DataFrame({"id": [str(i) for i in range(count)], "split": "test", "stratum": ""})
    table["label"] = pd.Categorical([f"c{i:03d}" for i in label])
    table["gender"] = pd.Categorical(rng.choice(["woman", "man"], count))
    found = Dataset("many", np.zeros((1, 1, 1, 3), np.uint8), table, "")
    described = describe(found, GROUP, ["label"])
    expected = table.groupby(["gender", "label"], observed=False).size()
    counts = described.cells.assign(
        gender=described.cells["group"].map({"women": "woman", "men": "man"})
    )
    assert counts.set_index(["gender", "cell"])["count"].to_dict() == expected.to_dict()
    text = str(described)
    assert "(1,940 smaller cells left out)" in text
    assert text.count("c007") == 2 and len(text.splitlines()) < 90


def test_a_study_records_and_a_dry_run_prints_what_is_left_out(tmp_path, monkeypatch):
    found = tiny_dataset()
    table = found.table.assign(target=found.table["target"].where(found.table.index % 40 > 0))
    table["group"] = table["group"].cat.add_categories("c").where(table.index % 25 > 0, "c")
    found = dataclasses.replace(found, table=table, notes=("a note",))
    monkeypatch.setattr(data, "load", lambda spec, check=None: found)
    train.train(tiny_study(), tmp_path, "plan")
    said = (
        "In neither group of 'group' (a, b): 16 of 400 examples (pretrain 4, finetune 4,"
        " validation 4, test 4): 16 'c'. They are left out.",
        "Without a label of 'target': 10 of 400 examples (pretrain 10). They are left out.",
    )
    assert tuple(ResultDirectory(tmp_path).stored_study()["notes"]) == ("a note", *said)
    lines = outlook.dry_run(tiny_study(), tmp_path).splitlines()
    assert all(sentence in lines for sentence in ("a note", *said))
