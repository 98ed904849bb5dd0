"""Groupings: which group of each grouping of a study every example belongs to."""

import dataclasses
import itertools
import re
from collections.abc import Mapping

import numpy as np

from jaxbias.data.dataset import UNKNOWN, Dataset, as_text
from jaxbias.errors import InputError
from jaxbias.study import GroupingSpec, Study

MOST_GROUPS = 40  # Every pair of them is compared, before and after a curation.
_WHOLE = re.compile(r"[0-9]+")


@dataclasses.dataclass(frozen=True)
class Grouping:
    """Groups that do not overlap.

    Attributes:
      names: G names, different.
      codes: int32[N], the group of every example; -1 in none.
      named: whether the study names every group, and not the data.
    """

    names: tuple[str, ...]
    codes: np.ndarray
    named: bool

    def membership(self) -> np.ndarray:
        """Returns bool[G, N]."""
        return self.codes == np.arange(len(self.names))[:, None]


def groupings_of(dataset: Dataset, study: Study) -> dict[str, Grouping]:
    """Returns the groupings of a study, by name.

    Groups that are crossed are named "first, second"; a value that is a number has its column in
    front, such as "income_bin=2".

    Raises:
      InputError: no such column (with the nearest), a value that no example has, fewer than two
        groups or more than 40.
    """
    group = study.group
    single = {
        name: _of_column(dataset, spec, f"config.groupings.{name}")
        for name, spec in study.groupings.items()
        if spec.column
    }
    crossing = single | {
        "group": Grouping(group.names, dataset.codes(group.column, group.values), named=True)
    }
    found = {
        name: _crossed([crossing[one] for one in spec.crossed]) if spec.crossed else single[name]
        for name, spec in study.groupings.items()
    }
    for name, grouping in found.items():
        _check_count(name, study.groupings[name], grouping)
    return found


def refuse_empty(
    groupings: Mapping[str, Grouping], labels: Mapping[str, np.ndarray], test: np.ndarray
) -> None:
    """Refuses groups named by the study that no task has both classes of.

    Args:
      groupings: by name.
      labels: task -> int32[N], 1 positive, 0 negative, -1 outside the task.
      test: bool[N], the examples that are evaluated.

    Raises:
      InputError: naming the group and what it has; groups that the data name are left out instead.
    """
    for name, grouping in groupings.items():
        for code, group in enumerate(grouping.names if grouping.named else ()):
            inside = test & (grouping.codes == code)
            counts = {
                task: tuple(int((own[inside] == label).sum()) for label in (1, 0))
                for task, own in labels.items()
            }
            if counts and not any(all(each) for each in counts.values()):
                task, (positives, negatives) = next(iter(counts.items()))
                raise InputError(
                    f"config.groupings.{name}: group '{group}' has {positives:,} positive and "
                    f"{negatives:,} negative examples of '{task}' in the test split, and needs "
                    "both; leave it out, or give the test split more"
                )


def _of_column(dataset: Dataset, spec: GroupingSpec, place: str) -> Grouping:
    try:
        column = as_text(dataset.column(spec.column))
        values = spec.values or tuple(sorted(column.dropna().unique(), key=_in_order))
        codes = dataset.codes(spec.column, values)
    except InputError as error:
        raise InputError(f"{place}: {error}") from error
    names = spec.names or tuple(
        f"{spec.column}={value}" if _WHOLE.fullmatch(value) else value for value in values
    )
    return Grouping(names, codes, bool(spec.values))


def _in_order(value: str) -> list[str | int]:
    """Sorts by the numbers in a text.

    >>> sorted(["10-19", "3-9", "more than 70", "0-2"], key=_in_order)
    ['0-2', '3-9', '10-19', 'more than 70']
    """
    parts = re.split(r"([0-9]+)", value)  # Text and numbers by turns.
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


def _crossed(parts: list[Grouping]) -> Grouping:
    """The combinations that occur, in order."""
    sizes = [len(part.names) for part in parts]
    inside = np.all([part.codes >= 0 for part in parts], axis=0)
    places = np.ravel_multi_index([np.maximum(part.codes, 0) for part in parts], sizes)
    places = np.where(inside, places, UNKNOWN)
    present = np.unique(places[inside])
    every = list(itertools.product(*(part.names for part in parts)))
    codes = np.where(inside, np.searchsorted(present, places), UNKNOWN).astype(np.int32)
    named = all(part.named for part in parts)
    return Grouping(tuple(", ".join(every[place]) for place in present), codes, named)


def _check_count(name: str, spec: GroupingSpec, grouping: Grouping) -> None:
    count = len(grouping.names)
    if len(set(grouping.names)) < count:
        twice = next(one for one in grouping.names if grouping.names.count(one) > 1)
        raise InputError(f"config.groupings.{name} has two groups named '{twice}'; rename one")
    if count < 2:
        raise InputError(
            f"config.groupings.{name} has {count} group, {', '.join(grouping.names) or 'none'}; "
            "at least two are compared"
        )
    if count > MOST_GROUPS:
        what = f"config.groupings.{name}"
        way_out = (
            f"name those to compare in the values of what it crosses ({', '.join(spec.crossed)})"
            if spec.crossed
            else f"name those to compare in {what}.values, or make a column of fewer"
        )
        raise InputError(f"{what} has {count:,} groups, more than {MOST_GROUPS}; {way_out}")
