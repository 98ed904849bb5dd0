"""Cells and quotas of tasks of classes and of labels."""

import dataclasses

import numpy as np
import pytest

from jaxbias.curation import quotas, task_cells
from jaxbias.errors import InputError
from jaxbias.study import Curation, curations_of
from tests.several import KINDS, several_dataset, several_study

DATASET = several_dataset()


def test_cells_of_classes_are_crossed_with_the_group():
    cells = task_cells(several_study(), DATASET, "kind")
    assert cells.names == tuple(f"kind={kind}, {group}" for kind in KINDS for group in "ab")
    codes = DATASET.table["kind"].cat.codes.to_numpy()
    np.testing.assert_array_equal(cells.labels(), codes)


def test_cells_of_labels_are_the_groups_of_those_with_any():
    table = DATASET.table.copy()
    table.loc[:9, ["mark", "round", "other"]] = None
    cells = task_cells(several_study(), dataclasses.replace(DATASET, table=table), "looks")
    assert cells.names == ("a", "b") and cells.classes == 1
    assert (cells.codes[:10] == -1).all() and (cells.codes[10:] >= 0).all()


def test_the_minority_of_many_classes_is_a_group():
    cells = task_cells(several_study(), DATASET, "kind")
    small = int(np.bincount(cells.groups, cells.shares).argmin())
    natural = quotas(Curation("natural"), cells, 100)
    added = quotas(Curation("add_minority", k=20), cells, 100)
    replaced = quotas(Curation("replace_minority", k=20), cells, 100)
    more = added - natural
    assert more.sum() == 20 and (more[cells.groups != small] == 0).all()
    inside = cells.groups == small
    assert np.abs(more[inside] - 20 * cells.shares[inside] / cells.shares[inside].sum()).max() < 1
    by_class = [np.bincount(cells.targets, counts) for counts in (natural, replaced)]
    np.testing.assert_array_equal(*by_class)
    np.testing.assert_array_equal((replaced - natural)[inside], more[inside])
    with pytest.raises(InputError, match=r"replaces \d+ of \(kind=\w+, \w\), but a natural draw"):
        quotas(Curation("replace_minority", k=400), cells, 100)


def test_each_kind_of_task_is_tried_with_what_suits_it():
    curations = {
        "correlation": {"levels": (2,)},
        "class_balanced": True,
        "group_balanced": True,
        "add_minority": (5,),
    }
    study = several_study(targets=("target",), curations=curations)
    tried = {task: {c.kind for c in curations_of(study, task)} for task in study.tasks}
    both = {"natural", "group_balanced", "add_minority"}
    assert tried["looks"] == both
    assert tried["kind"] == both | {"class_balanced"}
    assert tried["target"] == both | {"class_balanced", "correlation"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ("kinds",)}, "no label column 'kinds'; did you mean 'kind'"),
        ({"labels": {"looks": ("mark", "kind")}}, "column 'kind' of tiny has the values"),
        ({"labels": {"other": ("mark", "round")}}, "config.labels: 'other' is a column of tiny"),
    ],
)
def test_wrong_columns_are_named(changes, message):
    study = several_study(**changes)
    with pytest.raises(InputError, match=message):
        for task in study.tasks:
            task_cells(study, DATASET, task)


def test_a_single_class_is_refused():
    table = DATASET.table.copy()
    table["kind"] = table["kind"].where(table["kind"] == "round").cat.remove_unused_categories()
    with pytest.raises(InputError, match="column 'kind' of tiny has a single class"):
        task_cells(several_study(), dataclasses.replace(DATASET, table=table), "kind")
