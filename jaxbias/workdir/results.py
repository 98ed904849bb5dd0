"""The result directory: plan, bases, one Parquet file per pack, and reading them back.

study.json       the settings this directory belongs to
plan.json        every pack, written before training, only ever appended to
leases/          which process is writing the plan or working on a pack
examples.parquet ids, splits, all labels: with the scores, all the report needs
bases/ID/        parameters of a base (Orbax)
pretraining/ID/  checkpoints of a base that is trained step by step
features/ID.npy  what a frozen base makes of every image, for heads trained on it, and ID.json
rungs/ID.npz     where the trials of a search stopped; gone when it is done
search.parquet   every trial of the search, with its learning curves
packs/ID.parquet settings, realised counts, status and scores of a pack; existing means done
events/          what each process did and when: JSON lines, and scalars for TensorBoard
report/          drawn from the above, any number of times
"""

import json
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from jaxbias import words
from jaxbias.capacity import require_ram
from jaxbias.data.dataset import Dataset
from jaxbias.errors import InputError
from jaxbias.files import pack_files, sealed
from jaxbias.files.atomic import damaged, make_directory, write_parquet, write_text
from jaxbias.files.content import checked_id
from jaxbias.files.json_files import load_json
from jaxbias.plan.packs import Pack, Plan
from jaxbias.plan.variants import Base
from jaxbias.scores.scores import Scores
from jaxbias.study import Study
from jaxbias.words import count
from jaxbias.workdir import stored

# Columns of packs: of bases, the hash of their parameters; of trainings, of what they started from.
PARAMETERS, _STARTED = "parameters", "base_parameters"


class ResultDirectory:
    """A study's directory.

    Args:
      path: made when a study claims it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._record = self.path / "study.json"
        # Records as they were read last, each with a mark of its file; the plan also with the
        # studies that it was checked against.
        self._known: tuple[tuple[int, ...], dict[str, Any]] | None = None
        self._planned: tuple[tuple[int, ...], Plan, list[Study | None]] | None = None
        self._hashes: dict[str, dict[str, str]] = {}  # Of each pack of bases.

    def check_writable(self) -> None:
        """Refuses a directory that cannot be written, before anything long has begun.

        Raises:
          InputError: it, or the nearest parent that exists, is no directory or is read-only.
        """
        place = self.path.absolute()
        while not place.exists():
            place = place.parent
        try:
            with tempfile.TemporaryFile(dir=place):
                pass
        except OSError as error:
            raise InputError(f"workdir {self.path} cannot be written: {error.strerror}") from error

    def check(self, study: Study, dataset: Dataset | None = None) -> None:
        """Refuses a study that the directory does not belong to; one without a study takes any.

        Raises:
          InputError: it belongs to a study of other data, another task or other fixed settings.
        """
        if self._record.exists():
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
        first = self.stored_study()["first_answer"] if self._record.exists() else None
        stored.write(self._record, study, dataset, first)
        examples = self.path / "examples.parquet"
        if examples.exists():
            try:
                self._examples()
                return
            except InputError:  # The data is at hand, and is what the study belongs to.
                print(f"jaxbias: {examples} is damaged or edited; written anew", file=sys.stderr)
        write_parquet(examples, pa.Table.from_pandas(dataset.table, preserve_index=False))

    def stored_study(self) -> dict[str, Any]:
        """Returns what `claim` recorded.

        Raises:
          InputError: the directory holds no study, or a damaged one.
        """
        try:
            mark = _mark(self._record)
        except OSError as error:
            raise InputError(
                f"{self.path} holds no study (no study.json); run `jaxbias run` first"
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
            table=self._examples(),
            fingerprint=known["data"],
            frequencies=None
            if frequencies is None
            else pd.DataFrame.from_dict(frequencies, orient="index", columns=[0, 1]),
            group_share=known["group_share"],
            notes=tuple(known["notes"]),
        )

    def timings(self) -> dict[str, float]:
        """Returns where the time of the last training went; nothing else rests on them."""
        path = self.path / "timings.json"
        try:
            times = load_json(path)
            return {name: float(value) for name, value in times.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            told = damaged(path, error, "times alone are lost, and left out of this report")
            print(f"jaxbias: {told}", file=sys.stderr)
            return {}

    def write_timings(self, timings: dict[str, float]) -> None:
        """Records where the time went."""
        write_text(self.path / "timings.json", json.dumps(timings, indent=1))

    def plan(self) -> Plan | None:
        """Returns the plan, or None where there is none yet.

        Raises:
          InputError: it is damaged, or an id in it is not that of its content.
        """
        if not self._record.exists():
            return self._plan_of(None)
        known = self.stored_study()
        return self._plan_of(known["study"], known["data"])

    def _plan_of(self, study: Study | None, data: str | None = None) -> Plan | None:
        """Returns the plan, checked against the study and the data that it must be of."""
        path = self.path / "plan.json"
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
            packs = count(len([*self.path.glob("packs/*.parquet")]), "finished pack")
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

    def pack_path(self, pack: Pack) -> Path:
        """Returns the file whose existence means that the pack is done."""
        return self.path / "packs" / f"{checked_id(pack.id)}.parquet"

    def rung_path(self, pack: Pack) -> Path:
        """Returns where the states of a pack of trials lie that are to go on."""
        return self.path / "rungs" / f"{checked_id(pack.id)}.npz"

    def training_path(self, id: str) -> Path:
        """Returns where the checkpoints of a base that is trained step by step lie."""
        return self.path / "pretraining" / checked_id(id)

    def base_path(self, base_id: str) -> Path:
        """Returns the checkpoint directory of a base."""
        return self.path / "bases" / checked_id(base_id)

    @property
    def features_path(self) -> Path:
        """The directory of the features of frozen bases."""
        return self.path / "features"

    def write_pack(self, pack: Pack, rows: Sequence[dict[str, Any]]) -> None:
        """Writes a pack's rows in one piece, with the hash of the base that each started from."""
        if not isinstance(pack.members[0], Base):
            known = self.parameters()
            started = [known.get(member.base.id, "") for member in pack.members]
            rows = [{**row, _STARTED: base} for row, base in zip(rows, started, strict=True)]
        pack_files.write(self.pack_path(pack), rows)

    def read_pack(self, pack: Pack) -> pa.Table:
        """Reads the file of a finished pack.

        Raises:
          InputError: it is damaged, or holds other members than the plan says.
        """
        path, of_bases = self.pack_path(pack), isinstance(pack.members[0], Base)
        cost = _redone(pack)
        table = pack_files.read(path, cost)
        column = "id" if of_bases else "variant"
        found = table[column].to_pylist() if column in table.column_names else []
        if found != [member.id for member in pack.members]:
            raise damaged(path, "its rows are not the members that the plan has", cost)
        return table

    def parameters(self) -> dict[str, str]:
        """Returns the hash of the parameters of every base that has one recorded, by its id."""
        plan = self.plan()
        for pack in plan.bases if plan else ():
            if pack.id not in self._hashes and self.has(pack):
                table = self.read_pack(pack)
                hashes = table[PARAMETERS] if PARAMETERS in table.column_names else []
                ids = [base.id for base in pack.members]
                # Of packs of earlier versions none is known.
                self._hashes[pack.id] = dict(zip(ids, map(str, hashes), strict=False))
        return {id: hash for hashes in self._hashes.values() for id, hash in hashes.items()}

    def lost_base(self, base: Base, error: InputError) -> InputError:
        """Returns what to do about a base whose checkpoint cannot be used, and what it costs."""
        plan = self.plan()
        (pack,) = (p for p in plan.bases if any(member.id == base.id for member in p.members))
        return InputError(
            f"{error}; delete {self.base_path(base.id)} and {self.pack_path(pack)} and run again: "
            f"{_redone(pack)}"
        )

    def has(self, pack: Pack) -> bool:
        """Whether a pack is done."""
        return self.pack_path(pack).exists()

    def done(self) -> set[str]:
        """Returns the ids of the variants that finished packs hold."""
        plan = self.plan()
        packs = plan.finetunes if plan else ()
        return {member.id for pack in packs if self.has(pack) for member in pack.members}

    def check_packs(self, packs: Iterable[Pack]) -> None:
        """Refuses damaged files among those of finished packs."""
        for pack in filter(self.has, packs):
            self.read_pack(pack)

    def base_rows(self, plan: Plan) -> pd.DataFrame:
        """Returns one row per finished base, without its scores."""
        tables = [
            _without(self.read_pack(pack), "validation_scores", PARAMETERS)
            for pack in plan.bases
            if self.has(pack)
        ]
        return pa.concat_tables(tables).to_pandas() if tables else pd.DataFrame()

    def scores(self) -> Scores:
        """Reads every finished variant back.

        Raises:
          InputError: there is none, or a file is damaged.
        """
        plan = self.plan()
        done = [p for p in (plan.finetunes if plan else ()) if self.has(p)]
        if not done:
            what = "finished variant" if plan else "plan (no plan.json)"
            raise InputError(
                f"{self.path} holds no {what}; run `jaxbias run`, which keeps what is finished"
            )
        examples = self._examples()
        scored = int(examples["split"].isin(["validation", "test"]).sum())
        models = sum(len(pack.members) for pack in done)
        told = f"the scores of {words.count(models, 'model')} on {words.count(scored, 'example')}"
        what = f"{told}, as read and stacked"
        require_ram(12 * models * scored, what, "report on a machine with more memory")
        # Packs of earlier versions lack the settings that came later.
        table = pa.concat_tables(
            [self._started_well(pack, self.read_pack(pack)) for pack in done],
            promote_options="default",
        )
        matrices = {
            name: np.stack(table[name].to_numpy()).astype(np.float32)
            for name in ("validation_scores", "test_scores")
        }
        variants = table.drop_columns(["validation_scores", "test_scores"]).to_pandas()
        return Scores(variants, matrices["validation_scores"], matrices["test_scores"], examples)

    def _started_well(self, pack: Pack, table: pa.Table) -> pa.Table:
        """Returns a pack without the hashes of its bases, which must be those of the bases here."""
        known = self.parameters()
        hashes = table[_STARTED].to_pylist() if _STARTED in table.column_names else []
        for member, started in zip(pack.members, hashes, strict=False):
            now = known.get(member.base.id, "")
            if started and now and started != now:
                raise InputError(
                    f"{self.pack_path(pack)} was trained from other parameters of base "
                    f"'{member.base.name}' (hash {started[:12]}) than {self.path / 'bases'} has "
                    f"({now[:12]}); delete it and run again: {_redone(pack)}"
                )
        return _without(table, _STARTED)

    def _examples(self) -> pd.DataFrame:
        path, cost = self.path / "examples.parquet", "it is written anew, and nothing is trained"
        recorded = self.stored_study()["examples"]
        try:
            with path.open("rb") as file:  # Of a directory, Parquet would read what lies in it.
                table = pq.read_table(file).to_pandas()
            if recorded not in (None, stored.table_hash(table)):
                raise ValueError("its ids, splits and labels are not those the study recorded")
            return table
        except Exception as error:  # A damaged file may raise anything.
            raise damaged(path, error, cost) from error


def _redone(pack: Pack) -> str:
    """What it costs to delete the file of a pack."""
    what = "base" if isinstance(pack.members[0], Base) else "training"
    return f"only this pack, of {count(len(pack.members), what)}, is redone"


def _mark(path: Path) -> tuple[int, ...]:
    """What tells whether a file has been replaced or written since."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _without(table: pa.Table, *columns: str) -> pa.Table:
    return table.drop_columns([name for name in columns if name in table.column_names])
