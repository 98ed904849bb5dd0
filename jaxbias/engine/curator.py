"""The curator: from a variant or a base to the examples it is trained on."""

import contextlib
import functools
from collections.abc import Iterator

import numpy as np
import pandas as pd

from jaxbias.curation import (
    Cells,
    Draw,
    Wanted,
    base_cells,
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
from jaxbias.study import SPLITS, Curation, Study, excluded, parse_curation
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
        self.left_out = functools.cache(self._left_out)
        self._of_target = functools.cache(self._cells_of_target)
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

    def _left_out(self, without: tuple[str, ...]) -> np.ndarray | None:
        """Returns bool[N], who is of one of some "column=value", or may be; None: nobody is."""
        out = np.zeros(len(self.dataset.table), bool)
        for text in without:
            column, value = excluded(text, "without")
            out |= self.dataset.codes(column, [value]) == 0
            out |= self.dataset.column(column).isna().to_numpy()
        return out if without else None

    def _drawable(self, base: Base, split: str) -> np.ndarray:
        """Returns bool[N], who of a split has a base's target and is not left out."""
        inside = self.pools[split] & (self.base_cells(base).codes >= 0)
        out = self.left_out(base.without)
        return inside if out is None else inside & ~out

    def _cells_of_target(self, target: str, without: tuple[str, ...]) -> Cells:
        return base_cells(self.dataset, target, self.study.group, self.left_out(without))

    def base_cells(self, base: Base) -> Cells:
        """Returns the cells of what a base is pretrained on.

        Raises:
          InputError: its target does not exist, or nobody is left to learn from.
        """
        with _of_base(base):
            return self._of_target(base.target, base.without)

    def wanted(self, base: Base) -> Wanted:
        """Returns the pretraining set that a base asks for."""
        curation = parse_curation(base.curation, f"config.bases.{base.name}.curation")
        cells = self.base_cells(base)
        available = cells.available(self._drawable(base, "pretrain"))
        return Wanted(curation, cells, available, self.study.pretrain.n, f"base '{base.name}': ")

    def pretrain_size(self, base: Base) -> int:
        """Returns the realised n of a pretraining set, told from counts without drawing it."""
        wanted = self.wanted(base)
        cells = wanted.cells
        with _of_base(base):
            counts = realised(*wanted[:4], "pretrain")
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
        cells = self.base_cells(base)
        with _of_base(base):
            return draw(
                cells,
                self.pools["pretrain"],
                parse_curation(base.curation, f"config.bases.{base.name}.curation"),
                self.study.pretrain.n,
                base.seed,
                self.dataset.fingerprint,
                split="pretrain",
                left_out=self.left_out(base.without),
            )

    def outputs(self, base: Base) -> int:
        """Returns the logits of the network a base is pretrained with."""
        if base.objective == "simclr":  # It has a head, but does not train it.
            return 1
        classes = self.base_cells(base).classes
        return 1 + len(base.also) if classes == 2 else classes

    def _task_labels(self, task: str) -> np.ndarray:
        """Returns [N, K], what a task is finetuned for, as of `objectives.example_losses`."""
        columns = self.study.labels.get(task, ())
        each = [self.dataset.binary(name) for name in columns] or [self.cells(task).labels()]
        return np.stack(each, axis=1).astype(label_type(len(each), self.task_outputs(task)))

    def base_labels(self, base: Base) -> np.ndarray:
        """Returns [N, K], what a base is pretrained for, as of `objectives.example_losses`.

        Raises:
          InputError: several columns are to be learnt together, and one is not binary; there are
            no probabilities of one; or it is unknown of everybody.
        """
        columns = (base.target, *base.also)
        if not (base.soft or base.also):
            labels = [self.base_cells(base).labels()]
        else:
            read = self.dataset.probabilities if base.soft else self.dataset.binary
            with _of_base(base):
                labels = [read(name) for name in columns]
        stacked = np.stack(labels, axis=1).astype(label_type(len(columns), self.outputs(base)))
        known = (stacked[self._drawable(base, "pretrain")] >= 0).any(axis=0)
        if not known.all():
            raise InputError(
                f"base '{base.name}': '{columns[int(np.argmin(known))]}' is known of none of the "
                f"pretraining examples that have a '{base.target}'; leave it out"
            )
        return stacked

    def validation_labels(self, base: Base) -> np.ndarray:
        """Returns [M, K], labels of the validation examples; of who is left out none is known."""
        labels = self.base_labels(base)[self.validation]
        labels[~self._drawable(base, "validation")[self.validation]] = -1
        return labels

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
