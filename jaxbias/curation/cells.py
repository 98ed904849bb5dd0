"""Cells: the (target, group) strata of a task, from which every curation draws."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from jaxbias.data.dataset import Dataset, as_text, listed
from jaxbias.errors import InputError
from jaxbias.study import GroupSpec, Study

# A cell of this group belongs to both groups (the shared negatives of a pair).
_BOTH = -1


@dataclasses.dataclass(frozen=True)
class Cells:
    """The cells of one task over one dataset.

    Attributes:
      task: the target's column, "A|B" for a pair, or the name of labels learnt together.
      names: C names, such as "Smiling=1, female".
      targets: int32[C], the class of each cell (1 is positive in a binary task); of labels all 0.
      groups: int32[C], 0 for the first group, 1 for the second, `_BOTH` for both.
      group_names: the names of the two groups.
      codes: int32[N], the cell of every example of the dataset; -1 outside the task.
      shares: float64[C], natural shares of the population; they add up to 1.
      parts_of: int32[C], where cells are parts of others along a column, which cell of the task
        each is a part of; None where they are the task's own.
      dataset: whose examples they are, where they can be parted.
    """

    task: str
    names: tuple[str, ...]
    targets: np.ndarray
    groups: np.ndarray
    group_names: tuple[str, str]
    codes: np.ndarray
    shares: np.ndarray
    parts_of: np.ndarray | None = None
    dataset: Dataset | None = dataclasses.field(default=None, repr=False)

    def available(self, pool: np.ndarray) -> np.ndarray:
        """Returns int64[C], how many examples of the pool bool[N] lie in each cell."""
        return np.bincount(self.codes[pool & (self.codes >= 0)], minlength=len(self.names))

    def labels(self) -> np.ndarray:
        """Returns int32[N], the class of every example; -1 outside the task."""
        return np.where(self.codes >= 0, self.targets[self.codes], np.int32(-1))

    def membership(self) -> np.ndarray:
        """Returns bool[2, N], whether an example belongs to the first and the second group."""
        groups = np.where(self.codes >= 0, self.groups[self.codes], np.int32(2))
        return np.stack([(groups == g) | (groups == _BOTH) for g in (0, 1)])

    @property
    def classes(self) -> int:
        """The number of classes of the target."""
        return int(self.targets.max()) + 1

    @property
    def grouped(self) -> bool:
        """Whether cells are of groups, and not of classes alone."""
        return bool((self.groups != _BOTH).any())

    def along(self, column: str | None) -> "Cells":
        """Returns the cells parted by the two values of a column; None: as they are.

        The two are those that finetuning examples of the task have, in the column's order: of a
        cell, the part of the first comes before the part of the second. Examples of other values
        are in none.

        Raises:
          InputError: no such column, or finetuning examples have not two of its values.
        """
        if column is None:
            return self
        if column not in self._parted:
            self._parted[column] = _parted(self, column)
        return self._parted[column]

    @functools.cached_property
    def _parted(self) -> "dict[str, Cells]":
        return {}


def task_cells(study: Study, dataset: Dataset, task: str) -> Cells:
    """Builds the cells of one of a study's tasks, or of a column that a base learns.

    Raises:
      InputError: the columns do not exist, or are not what the task needs.
    """
    kind = study.tasks.get(task, "")
    if kind == "pairs":
        return pair_cells(dataset, task)
    if kind == "labels":
        return label_cells(dataset, task, study.labels[task], study.group)
    if kind == "targets":
        dataset.binary(task)  # Bases may learn other columns.
    cells = target_cells(dataset, task, study.group)
    if kind == "classes" and cells.classes < 2:
        raise InputError(
            f"config.classes: column '{task}' of {dataset.name} has a single class "
            f"({cells.names[0]}), and there is nothing to learn"
        )
    return cells


def label_cells(dataset: Dataset, task: str, columns: Sequence[str], group: GroupSpec) -> Cells:
    """Builds the cells of labels learnt together: the two groups.

    Examples of which no label is known are outside the task.

    Args:
      dataset: the data.
      task: its name, which is no column.
      columns: binary columns.
      group: the column and the two values compared.

    Raises:
      InputError: a column does not exist or is not binary, or the task is named as one.
    """
    if task in dataset.label_columns:
        raise InputError(
            f"config.labels: '{task}' is a column of {dataset.name}; give the task another name"
        )
    known = np.any([dataset.binary(column) >= 0 for column in columns], axis=0)
    groups = dataset.codes(group.column, group.values)
    codes = np.where(known & _eligible(dataset, ""), groups, -1)
    no_class, own = np.array([0, 0]), np.array([0, 1])
    return _cells(dataset, task, tuple(group.names), no_class, own, group.names, codes)


def target_cells(
    dataset: Dataset, target: str, group: GroupSpec, pool: np.ndarray | None = None
) -> Cells:
    """Builds the cells of a target crossed with a group.

    Args:
      dataset: the data.
      target: a binary or categorical column. Where it is the group's own column, the cells are
        its two values.
      group: the column and the two values compared.
      pool: bool[N], whom natural shares are counted in, 0 where nobody is; None: as the data
        declares them, or in the finetuning split.

    Returns:
      The cells, in the order (class 0, first group), (class 0, second group), (class 1, ...).

    Raises:
      InputError: the column does not exist or is neither binary nor categorical.
    """
    values = class_names(dataset, target)
    classes = dataset.codes(target, values)
    groups = dataset.codes(group.column, group.values)
    eligible = _eligible(dataset, target)
    if target == group.column:
        codes = np.where(eligible, groups, -1)
        cell_targets = cell_groups = np.array([0, 1])
        names = tuple(group.names)
    else:
        inside = eligible & (classes >= 0) & (groups >= 0)
        codes = np.where(inside, 2 * classes + groups, -1)
        cell_targets = np.repeat(np.arange(len(values)), 2)
        cell_groups = np.tile([0, 1], len(values))
        names = tuple(f"{target}={value}, {name}" for value in values for name in group.names)
    return _cells(dataset, target, names, cell_targets, cell_groups, group.names, codes, pool)


def class_cells(dataset: Dataset, target: str, group: GroupSpec, pool: np.ndarray) -> Cells:
    """Builds the classes of a target, of both groups each; see `target_cells`."""
    values = class_names(dataset, target)
    codes = np.where(_eligible(dataset, target), dataset.codes(target, values), -1)
    names = tuple(f"{target}={value}" for value in values)
    both, places = np.full(len(values), _BOTH), np.arange(len(values))
    return _cells(dataset, target, names, places, both, group.names, codes, pool)


def pair_cells(dataset: Dataset, pair: str) -> Cells:
    """Builds the cells of a pair "A|B": positive is exclusively A or exclusively B.

    Negatives have neither and belong to both groups, so the AUC of a group is the AUC of
    "A only against neither" and "B only against neither". Examples with both, or with either
    unknown, are outside the task.
    """
    first, second = pair.split("|")
    a, b = dataset.binary(first), dataset.binary(second)
    codes = np.select(
        [(a == 0) & (b == 0), (a == 1) & (b == 0), (a == 0) & (b == 1)], [0, 1, 2], -1
    )
    codes = np.where(_eligible(dataset, ""), codes, -1)
    names = ("neither", f"{first} only", f"{second} only")
    groups = np.array([_BOTH, 0, 1])
    return _cells(dataset, pair, names, np.array([0, 1, 1]), groups, (first, second), codes)


def _parted(cells: Cells, column: str) -> Cells:
    dataset = cells.dataset
    if dataset is None:
        raise InputError(f"task '{cells.task}' has no column '{column}' to part its cells by")
    try:
        values = class_names(dataset, column)
    except InputError as error:
        raise InputError(f"curation 'source_mix': {error}") from error
    present = as_text(dataset.column(column))
    finetuned = (dataset.table["split"] == "finetune").to_numpy() & (cells.codes >= 0)
    finetuned &= (dataset.table["stratum"] == "").to_numpy()
    found = set(present[finetuned].dropna())
    two = [value for value in values if value in found]
    if len(two) != 2:
        raise InputError(
            f"curation 'source_mix' mixes two values of column '{column}', but finetuning examples "
            f"of task '{cells.task}' have {len(two)}: {listed(two)}"
        )
    codes = dataset.codes(column, two)
    inside = (cells.codes >= 0) & (codes >= 0)
    codes = np.where(inside, 2 * cells.codes + codes, -1).astype(np.int32)
    parts = Cells(
        task=cells.task,
        names=tuple(f"{name}, {value}" for name in cells.names for value in two),
        targets=np.repeat(cells.targets, 2),
        groups=np.repeat(cells.groups, 2),
        group_names=cells.group_names,
        codes=codes,
        shares=np.zeros(2 * len(cells.names)),
        parts_of=np.repeat(np.arange(len(cells.names), dtype=np.int32), 2),
    )
    counts = parts.available(finetuned).astype(np.float64).reshape(-1, 2)
    # A cell that nobody of the population is in is parted as all are.
    counts[counts.sum(axis=1) == 0] = counts.sum(axis=0)
    shares = cells.shares[:, None] * counts / counts.sum(axis=1, keepdims=True)
    return dataclasses.replace(parts, shares=shares.reshape(-1))


def class_names(dataset: Dataset, target: str) -> tuple[str, ...]:
    """Returns the values of a column in class order: ("0", "1") where it is binary."""
    column = dataset.column(target)
    if column.dtype == "category":
        return tuple(str(value) for value in column.cat.categories)
    return ("0", "1")


def _cells(
    dataset: Dataset,
    task: str,
    names: tuple[str, ...],
    targets: np.ndarray,
    groups: np.ndarray,
    group_names: tuple[str, ...],
    codes: np.ndarray,
    pool: np.ndarray | None = None,
) -> Cells:
    first, second = group_names
    cells = Cells(
        task=task,
        names=names,
        targets=targets.astype(np.int32),
        groups=groups.astype(np.int32),
        group_names=(first, second),
        codes=codes.astype(np.int32),
        shares=np.zeros(len(names)),
        dataset=dataset,
    )
    shares = _natural_shares(dataset, cells) if pool is None else _shares_in(dataset, cells, pool)
    return dataclasses.replace(cells, shares=shares)


def _eligible(dataset: Dataset, target: str) -> np.ndarray:
    """Rendered-on-purpose examples of other attributes would distort what varies within a cell."""
    stratum = dataset.table["stratum"].to_numpy()
    return (stratum == "") | (stratum == target)


def _natural_shares(dataset: Dataset, cells: Cells) -> np.ndarray:
    """Declared by the data where it says so; else counted in the finetuning split."""
    frequencies = dataset.frequencies
    if frequencies is not None and cells.task in frequencies.index and len(cells.names) == 4:
        p_second = dataset.group_share
        positive = frequencies.loc[cells.task].to_numpy(dtype=np.float64)[cells.groups]
        group = np.where(cells.groups == 1, p_second, 1 - p_second)
        return group * np.where(cells.targets == 1, positive, 1 - positive)
    population = (dataset.table["stratum"] == "").to_numpy()
    counts = cells.available(population & (dataset.table["split"] == "finetune").to_numpy())
    if counts.sum() == 0:
        raise InputError(f"no finetuning example of task '{cells.task}' has known labels")
    return counts / counts.sum()


def _shares_in(dataset: Dataset, cells: Cells, pool: np.ndarray) -> np.ndarray:
    """Counted in a pool; 0 where it has nobody."""
    counts = cells.available(pool & (dataset.table["stratum"] == "").to_numpy())
    if not counts.any():  # All were rendered for the target.
        counts = cells.available(pool)
    return counts / max(counts.sum(), 1)
