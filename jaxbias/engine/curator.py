"""The curator: from a variant or a base to the examples it is trained on."""

import contextlib
import functools
from collections.abc import Iterator

import numpy as np
import pandas as pd

from jaxbias.curation import (
    Draw,
    check_scored,
    class_names,
    draw,
    read_example_scores,
    realised,
    table_path,
    task_cells,
)
from jaxbias.data.dataset import Dataset, listed
from jaxbias.engine.identities import identities
from jaxbias.errors import InputError
from jaxbias.files.content import bytes_id, content_id
from jaxbias.plan.variants import Base, Variant, expand
from jaxbias.study import SPLITS, Curation, Study, parse_curation
from jaxbias.training.objectives import label_type


class Curator:
    """Draws of one study over one dataset; cells are built once per task.

    Args:
      study: the study.
      dataset: its data.
    """

    def __init__(self, study: Study, dataset: Dataset) -> None:
        self.study = study
        self.dataset = dataset
        split = dataset.table["split"].to_numpy()
        self.pools = {name: split == name for name in SPLITS}
        # What variants are scored on: int32, rows of the image store.
        self.validation, self.test = (
            np.flatnonzero(self.pools[name]).astype(np.int32) for name in ("validation", "test")
        )
        self.cells = functools.cache(functools.partial(task_cells, study, dataset))
        self.task_labels = functools.cache(self._task_labels)
        self.available = functools.cache(
            lambda task, split, column=None: (
                self.cells(task).along(column).available(self.pools[split])
            )
        )
        self.counts = functools.cache(self._counts)
        self.finetune = functools.cache(self._finetune)
        self.harm = functools.cache(self._harm)

    def task_outputs(self, task: str) -> int:
        """Returns the logits of the network that is finetuned for a task."""
        if task in self.study.labels:
            return len(self.study.labels[task])
        return self.cells(task).classes if task in self.study.classes else 1

    def _counts(self, task: str, curation: Curation, n: int) -> np.ndarray:
        """Returns int64[C], the realised counts of a finetuning set, told without drawing it.

        Of a curation that drops images by scores, those of the draw that it drops them from.
        """
        return realised(
            curation,
            self.cells(task).along(curation.column),
            self.available(task, "finetune", curation.column),
            n,
            on_shortage=self.study.curations.on_shortage,
        )

    def size(self, task: str, curation: Curation, n: int) -> int:
        """Returns the realised n of a finetuning set, told without drawing it."""
        dropped = curation.k if curation.kind == "drop" else 0
        return int(self.counts(task, curation, n).sum()) - dropped

    def pretrain_size(self, base: Base) -> int:
        """Returns the realised n of a pretraining set, told from counts without drawing it."""
        cells, available = self.cells(base.target), self.available(base.target, "pretrain")
        with _of_base(base):
            counts = realised(
                parse_curation(base.curation, f"config.bases.{base.name}.curation"),
                cells,
                available,
                self.study.pretrain.n,
                "pretrain",
            )
            classes = {int(y) for y, count in zip(cells.targets, counts, strict=True) if count}
            if base.objective == "supervised" and len(classes) < 2:
                raise InputError(
                    f"curation '{base.curation}' leaves one class of '{base.target}', and there is "
                    "nothing to learn; choose another curation, or objective='simclr'"
                )
        return int(counts.sum())

    def _finetune(self, variant: Variant) -> Draw:
        """Returns what a variant is finetuned on."""
        return draw(
            self.cells(variant.task),
            self.pools["finetune"],
            variant.curation,
            variant.n,
            variant.seed,
            self.dataset.fingerprint,
            on_shortage=self.study.curations.on_shortage,
            harm=self.harm(variant.task, variant.curation.table, variant.curation.digest),
        )

    def _harm(self, task: str, table: str | None, digest: str | None) -> np.ndarray | None:
        """Returns float64[N], how much each example hurts by a table; None where there is none.

        Raises:
          InputError: the table is wrong, lacks an example, or is not what the plan was made by.
        """
        if table is None:
            return None
        path = table_path(self.study, table)
        if digest not in (None, bytes_id(path.read_bytes())):
            raise InputError(f"{path} has changed since the plan was made; run again")
        found = read_example_scores(path, self.dataset)
        check_scored(found, path, self.cells(task), self.pools["finetune"])
        return found

    def pretrain(self, base: Base) -> Draw:
        """Returns what a base is pretrained on."""
        with _of_base(base):
            return draw(
                self.cells(base.target),
                self.pools["pretrain"],
                parse_curation(base.curation, f"config.bases.{base.name}.curation"),
                self.study.pretrain.n,
                base.seed,
                self.dataset.fingerprint,
                split="pretrain",
            )

    def outputs(self, base: Base) -> int:
        """Returns the logits of the network a base is pretrained with."""
        if base.objective == "simclr":  # It has a head, but does not train it.
            return 1
        classes = self.cells(base.target).classes
        return 1 + len(base.also) if classes == 2 else classes

    def _task_labels(self, task: str) -> np.ndarray:
        """Returns [N, K], what a task is finetuned for, as of `objectives.example_losses`."""
        columns = self.study.labels.get(task, ())
        each = [self.dataset.binary(name) for name in columns] or [self.cells(task).labels()]
        return np.stack(each, axis=1).astype(label_type(len(each), self.task_outputs(task)))

    def base_labels(self, base: Base) -> np.ndarray:
        """Returns [N, K], what a base is pretrained for, as of `objectives.example_losses`.

        Raises:
          InputError: several columns are to be learnt together, and one is not binary.
        """
        first = self.cells(base.target).labels()
        with _of_base(base):
            if base.also:
                first = self.dataset.binary(base.target)
            more = [self.dataset.binary(name) for name in base.also]
        return np.stack([first, *more], axis=1).astype(
            label_type(1 + len(more), self.outputs(base))
        )

    def check_evaluation(self, task: str) -> None:
        """Refuses a task that cannot be learnt or evaluated.

        Raises:
          InputError: a cell has no example in the finetuning, validation or test split; of a task
            of several outputs, a group has none, or a class or label none to learn from.
        """
        cells, several = self.cells(task), task in self.study.several
        for split in ("finetune", "validation", "test"):
            counts, names = cells.available(self.pools[split]), cells.names
            if several:  # Of rare classes some cells are empty: their metrics are undefined.
                counts = np.bincount(cells.groups, counts, minlength=2)
                names = tuple(f"{task}, {name}" for name in cells.group_names)
            if (counts == 0).any():
                cell = names[int(np.argmin(counts))]
                raise InputError(
                    f"task '{task}': the {split} split has no example of ({cell}); give it some, "
                    "or choose another target, group or config.data.splits"
                )
        lacking = self._unlearnable(task) if several else []
        if lacking:
            raise InputError(
                f"task '{task}': the finetune split has no example of {listed(lacking, limit=6)}; "
                "give it some, leave them out, or choose other config.data.splits"
            )

    def _unlearnable(self, task: str) -> list[str]:
        """What a task of several outputs has no example of to learn from."""
        inside = self.pools["finetune"] & (self.cells(task).codes >= 0)
        learnt = self.task_labels(task)[inside]
        if task in self.study.classes:
            counts = np.bincount(learnt[:, 0], minlength=self.task_outputs(task))
            names = class_names(self.dataset, task)
            return [f"{task}={names[k]}" for k in np.flatnonzero(counts == 0)]
        return [
            f"{column}={value}"
            for k, column in enumerate(self.study.labels[task])
            for value in (0, 1)
            if not (learnt[:, k] == value).any()
        ]


@contextlib.contextmanager
def _of_base(base: Base) -> Iterator[None]:
    """Names the base in what is wrong with its pretraining set."""
    try:
        yield
    except InputError as error:
        raise InputError(f"base '{base.name}': {error}") from error


def curate(study: Study, dataset: Dataset) -> pd.DataFrame:
    """Draws every curated finetuning set of a study, for people who train elsewhere.

    Returns:
      One row per set and example: curated_set (an id), task, curation, n, seed, example (the
      source's id), cell, weight. Bases share sets.
    """
    curator = Curator(study, dataset)
    ids = dataset.table["id"].to_numpy()
    frames, seen = [], set()
    for variant in expand(study, dataset.fingerprint, identities(study)):
        key = (variant.task, variant.curation.name, variant.n, variant.seed)
        if key in seen:
            continue
        seen.add(key)
        chosen, cells = curator.finetune(variant), curator.cells(variant.task)
        frames.append(
            pd.DataFrame(
                {
                    "curated_set": content_id(list(key)),
                    "task": key[0],
                    "curation": key[1],
                    "n": key[2],
                    "seed": key[3],
                    "example": ids[chosen.ids],
                    "cell": np.array(cells.names)[cells.codes[chosen.ids]],
                    "weight": chosen.weights,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)
