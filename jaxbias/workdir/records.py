"""Records: what a result directory belongs to, its study, its plan and its examples."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from jaxbias.data.dataset import Dataset
from jaxbias.errors import InputError
from jaxbias.files import sealed
from jaxbias.files.atomic import damaged, make_directory, write_parquet
from jaxbias.plan.packs import Plan
from jaxbias.study import Study
from jaxbias.words import count
from jaxbias.workdir import stored
from jaxbias.workdir.places import place_of


class Records:
    """The records of a result directory, read anew whenever their files have changed.

    Args:
      path: of the directory, or its URL; made when a study claims it.

    Attributes:
      place: where it lies.
      path: of its files on this machine.
    """

    def __init__(self, path: str | Path) -> None:
        self.place = place_of(path)
        self.path = self.place.path
        self._record = self.path / "study.json"
        # Records as they were read last, each with a mark of its file; the plan also with the
        # studies that it was checked against.
        self._known: tuple[tuple[int, ...], dict[str, Any]] | None = None
        self._planned: tuple[tuple[int, ...], Plan, list[Study | None]] | None = None

    def check(self, study: Study, dataset: Dataset | None = None) -> None:
        """Refuses a study that the directory does not belong to; one without a study takes any.

        Raises:
          InputError: it belongs to a study of other data, another task or other fixed settings.
        """
        if self.place.has("study.json"):
            known = self.stored_study()
            if dataset is not None:
                self._refuse_strange_record(dataset)
                stored.refuse_other_data(self.path, known, dataset)
            stored.refuse_changes(self.path, known["settings"], study)
            stored.refuse_another_search(self.path, known["study"], study)
        plan = self._plan_of(study, dataset.fingerprint if dataset is not None else None)
        if plan is not None:
            stored.refuse_other_bases(self.path, plan, study)

    def _refuse_strange_record(self, dataset: Dataset) -> None:
        """Refuses study.json of another directory: the plan is of this data, it is not."""
        plan, known = self._plan_of(None), self.stored_study()
        if plan is not None and plan.data == dataset.fingerprint != known["data"]:
            raise stored.strange(self._record, "it is of other data than plan.json")

    def claim(self, study: Study, dataset: Dataset) -> None:
        """Makes the directory this study's, or checks that it is.

        Raises:
          InputError: as of `check`.
        """
        self.check(study, dataset)
        make_directory(self.path / "packs")
        there = self.place.has("study.json")
        first = self.stored_study()["first_answer"] if there else None
        stored.write(self._record, study, dataset, first)
        self.place.send("study.json")
        examples = self.path / "examples.parquet"
        if self.place.has("examples.parquet"):
            try:
                self.examples()
                return
            except InputError:  # The data is at hand, and is what the study belongs to.
                print(f"jaxbias: {examples} is damaged or edited; written anew", file=sys.stderr)
        write_parquet(examples, pa.Table.from_pandas(dataset.table, preserve_index=False))
        self.place.send("examples.parquet")

    def is_claimed(self, study: Study, dataset: Dataset) -> bool:
        """Whether the directory is this study's, and `claim` would write what is there already."""
        if not self.place.has("study.json"):
            return False
        known = self.stored_study()
        mine = known["study"] == study and known["data"] == dataset.fingerprint
        if not mine or known["examples"] is None:
            return False
        try:
            self.examples()
        except InputError:
            return False
        return True

    def stored_study(self) -> dict[str, Any]:
        """Returns what `claim` recorded.

        Raises:
          InputError: the directory holds no study, or a damaged one.
        """
        self.place.fetch("study.json")
        try:
            mark = _mark(self._record)
        except OSError as error:
            raise InputError(
                f"{self.place} holds no study (no study.json); run `jaxbias run` first"
            ) from error
        if self._known is None or self._known[0] != mark:
            self._known = mark, stored.read(self._record)
        return self._known[1]

    def dataset(self) -> Dataset:
        """Returns the study's labels as a dataset without images."""
        known = self.stored_study()
        frequencies = known["frequencies"]
        return Dataset(
            name=known["dataset"],
            images=np.zeros((0, 1, 1, 3), np.uint8),
            table=self.examples(),
            fingerprint=known["data"],
            frequencies=None
            if frequencies is None
            else pd.DataFrame.from_dict(frequencies, orient="index", columns=[0, 1]),
            group_share=known["group_share"],
            notes=tuple(known["notes"]),
        )

    def plan(self) -> Plan | None:
        """Returns the plan, or None where there is none yet.

        Raises:
          InputError: it is damaged, or an id in it is not that of its content.
        """
        if not self.place.has("study.json"):
            return self._plan_of(None)
        known = self.stored_study()
        return self._plan_of(known["study"], known["data"])

    def _plan_of(self, study: Study | None, data: str | None = None) -> Plan | None:
        """Returns the plan, checked against the study and the data that it must be of."""
        path = self.path / "plan.json"
        self.place.fetch("plan.json")
        try:
            mark = _mark(path)
            if self._planned is None or self._planned[0] != mark:
                self._planned = mark, Plan.of(sealed.read(path)), []
            _, plan, checked = self._planned
            of_data = data in (None, plan.data)
            if of_data and study is not None and not any(study is other for other in checked):
                plan.check_members(study)
                checked.append(study)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            packs = count(len(self.place.names("packs")), "finished pack")
            cost = (
                f"of {packs} those are kept that the new plan has too, all where the study has not "
                "grown since and the config is the same; the rest is trained again"
            )
            raise damaged(path, error, cost) from error
        if not of_data:
            raise InputError(
                f"{path} is of data {plan.data[:12]}, {self._record} of {data[:12]}; delete the "
                "one from another directory, or both, and run again with the config they were "
                "made of: finished packs that are still planned are kept"
            )
        return plan

    def write_plan(self, plan: Plan) -> None:
        """Replaces the plan; it must extend the one that is there."""
        sealed.write(self.path / "plan.json", plan.content)
        self.place.send("plan.json")

    def examples(self) -> pd.DataFrame:
        """Returns ids, splits and all labels of the study's examples.

        Raises:
          InputError: they are not those that the study recorded.
        """
        path, cost = self.path / "examples.parquet", "it is written anew, and nothing is trained"
        recorded = self.stored_study()["examples"]
        self.place.fetch("examples.parquet")
        try:
            with path.open("rb") as file:  # Of a directory, Parquet would read what lies in it.
                table = pq.read_table(file).to_pandas()
            if recorded not in (None, stored.table_hash(table)):
                raise ValueError("its ids, splits and labels are not those the study recorded")
            return table
        except Exception as error:  # A damaged file may raise anything.
            raise damaged(path, error, cost) from error


def _mark(path: Path) -> tuple[int, ...]:
    """What tells whether a file has been replaced or written since."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
