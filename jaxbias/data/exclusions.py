"""What a study leaves out of its data, in sentences: without a group, a label or a split."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from jaxbias import words
from jaxbias.data.dataset import UNKNOWN, Dataset, as_text
from jaxbias.study import SPLITS, GroupSpec, Study
from jaxbias.words import count

_NAMED = 6  # Values that a sentence counts one by one.


def exclusions(dataset: Dataset, study: Study) -> tuple[str, ...]:
    """Returns what a study leaves out of the examples that are in a split."""
    learnt = [base.target for base in study.bases.values() if base.target]
    return exclusions_of_tasks(dataset, study, learnt)


def exclusions_of_tasks(
    dataset: Dataset, study: Study, learnt: Sequence[str] = ()
) -> tuple[str, ...]:
    """Returns what the tasks of a study leave out, and what else is learnt."""
    targets = [*study.targets, *study.classes, *learnt]
    grouped = study.labels or any(target not in study.pairs for target in targets)
    said = excluded(
        dataset, study.group if grouped else None, (*dict.fromkeys(targets), *study.pairs)
    )
    used = (dataset.table["split"] != "").to_numpy()
    split = dataset.table["split"].to_numpy(object)
    for task, columns in study.labels.items():  # One that is known is enough.
        unknown = np.all([dataset.binary(column) == UNKNOWN for column in columns], axis=0)
        said += (*_said(f"Without any label of '{task}'", used & unknown, used, split),)
    return said


def excluded(dataset: Dataset, group: GroupSpec | None, tasks: Sequence[str]) -> tuple[str, ...]:
    """Returns which examples in a split have neither group, or lack a label, counted.

    Args:
      dataset: the dataset.
      group: the sensitive attribute; None where no task asks for it.
      tasks: label columns, or pairs 'A|B'.

    Raises:
      InputError: an unknown column or value.
    """
    said = []
    split = dataset.table["split"].to_numpy(object)
    used = split != ""
    if group is not None:
        out = used & (dataset.codes(group.column, group.values) == UNKNOWN)
        values = as_text(dataset.column(group.column))[out]
        said += _said(
            f"In neither group of '{group.column}' ({', '.join(group.names)})", out, used, split,
            _counted(values),
        )  # fmt: skip
    for task in dict.fromkeys(tasks):
        if group is not None and task == group.column:
            continue
        if "|" in task:
            first, second = (dataset.binary(name) for name in task.split("|", 1))
            both = used & (first == 1) & (second == 1)
            said += _said(f"Outside the pair '{task}', as they have both", both, used, split)
            unknown = used & ((first == UNKNOWN) | (second == UNKNOWN))
        else:
            unknown = used & dataset.column(task).isna().to_numpy()
        said += _said(f"Without a label of '{task}'", unknown, used, split)
    return tuple(said)


def without_split(sources: pd.Series, assigned: np.ndarray) -> tuple[str, ...]:
    """Returns which examples are in none of our splits, counted by the source's own."""
    out = assigned == ""
    if not out.any():
        return ()
    values = _counted(sources[out].where(sources[out].str.strip() != "", None))
    return (f"In no split: {_share(out, np.ones(len(out), bool))}, of the source's {values}.",)


def _said(
    what: str, out: np.ndarray, used: np.ndarray, split: np.ndarray, values: str = ""
) -> list[str]:
    if not out.any():
        return []
    by_split = ", ".join(
        f"{name} {here:,}" for name in SPLITS if (here := int((out & (split == name)).sum()))
    )
    values = values and f": {values}"
    return [f"{what}: {_share(out, used)} ({by_split}){values}. They are left out."]


def _share(out: np.ndarray, used: np.ndarray) -> str:
    return f"{int(out.sum()):,} of {count(int(used.sum()), 'example')}"


def _counted(values: pd.Series) -> str:
    """Returns values with their counts, the most frequent first."""
    counts = Counter(values.dropna())
    parts = [f"{number:,} '{value}'" for value, number in counts.most_common(_NAMED)]
    rest = sum(counts.values()) - sum(number for _, number in counts.most_common(_NAMED))
    parts += [f"{rest:,} of {words.count(len(counts) - _NAMED, 'other value')}"] if rest else []
    missing = int(values.isna().sum())
    return ", ".join([*parts, *([f"{missing:,} unknown"] if missing else [])])
