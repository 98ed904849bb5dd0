"""Outputs: what the scores of a task of classes or labels are of, and its test examples."""

import dataclasses

import numpy as np

from jaxbias.curation import Cells, class_names
from jaxbias.data.dataset import Dataset
from jaxbias.metrics import Groups
from jaxbias.scores.measures import natural_weights
from jaxbias.study import Study

METRICS = ("auc", "ap", "normalized_ap")  # Of each output.
TOP = (1, 5)  # Of the hit rates.
# Their population: the test examples, weighted to the natural shares of the task's cells.
NATURAL = "natural"


@dataclasses.dataclass(frozen=True)
class Outputs:
    """What the scores of one task are of, and its test examples.

    Attributes:
      task: the task.
      names: of its T classes or labels.
      labels: float64[N] classes, or float64[N, T] of 0, 1 and NaN where unknown.
      groups: of the N examples.
      weights: float64[N].
      inside: bool[N_test], which test examples are in the task.
      rows: int64[N], these of the dataset.
    """

    task: str
    names: tuple[str, ...]
    labels: np.ndarray
    groups: Groups
    weights: np.ndarray
    inside: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, study: Study, dataset: Dataset, cells: Cells) -> "Outputs":
        """Looks up what the test examples of a task are."""
        task, table = cells.task, dataset.table
        rows = np.flatnonzero((table["split"] == "test").to_numpy())
        inside = cells.codes[rows] >= 0
        rows = rows[inside]
        if task in study.labels:
            names = study.labels[task]
            labels = np.stack([dataset.binary(name)[rows] for name in names], axis=1)
        else:
            names, labels = class_names(dataset, task), cells.labels()[rows]
        return cls(
            task,
            names,
            np.where(labels < 0, np.nan, labels.astype(np.float64)),
            Groups(cells.group_names, cells.membership()[:, rows].astype(np.float64)),
            natural_weights(cells, rows, table, "the test split"),
            inside,
            rows,
        )

    @property
    def top(self) -> list[int]:
        """Which hit rates say anything: of fewer than all outputs."""
        return [k for k in TOP if k < len(self.names)]

    @property
    def true(self) -> np.ndarray:
        """float64[N, T] of 0, 1 and NaN where unknown."""
        if self.labels.ndim == 2:
            return self.labels
        return (self.labels[:, None] == np.arange(len(self.names))).astype(np.float64)

    @property
    def positives(self) -> np.ndarray:
        """int64[T, 1 + G], the test examples of every output, in all and in each group."""
        inside = np.concatenate([np.ones((1, len(self.labels))), self.groups.membership])
        return ((self.true == 1).T @ inside.T).astype(np.int64)
