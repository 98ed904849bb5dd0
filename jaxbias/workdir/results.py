"""The result directory: plan, bases, one Parquet file per pack, and reading them back.

study.json       the settings this directory belongs to
plan.json        every pack, written before training, only ever appended to
claims/          which process is writing the plan or working on a pack
examples.parquet ids, splits, all labels: with the scores, all the report needs
bases/ID/        parameters of a base (Orbax)
pretraining/ID/  checkpoints of a base that is trained step by step
features/ID.npy  what a frozen base makes of every image, for heads trained on it, and ID.json
rungs/ID.npz     where the trials of a search stopped; gone when it is done
search.parquet   every trial of the search, with its learning curves
parts/ID/        what the processes of a gang have of a pack that is being written; gone with it
packs/ID.parquet settings, realised counts, status, layout and scores of a pack; existing means
                 done
failures/ID.N.json what went wrong the Nth time with a pack that is not done
events/          what each process did and when: JSON lines, and scalars for TensorBoard
report/          drawn from the above, any number of times
"""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from jaxbias import words
from jaxbias.capacity import require_ram
from jaxbias.errors import InputError
from jaxbias.files import pack_files
from jaxbias.files.atomic import damaged, make_directory, write_text
from jaxbias.files.content import checked_id
from jaxbias.files.json_files import load_json
from jaxbias.plan.packs import Pack, Plan
from jaxbias.plan.variants import LATER, Base
from jaxbias.scores.scores import Scores
from jaxbias.words import count
from jaxbias.workdir.failures import Failures
from jaxbias.workdir.records import Records

# Columns of packs: of bases, the hash of their parameters; of trainings, of what they started from.
PARAMETERS, _STARTED = "parameters", "base_parameters"


class ResultDirectory(Records):
    """A study's directory: its records, and the results of its packs.

    Args:
      path: of the directory, or its URL; made when a study claims it.

    Attributes:
      failures: of its packs.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.failures = Failures(self.place.objects("failures"))
        self._hashes: dict[str, dict[str, str]] = {}  # Of each pack of bases.

    def timings(self) -> dict[str, float]:
        """Returns where the time of the last training went; nothing else rests on them."""
        path = self.path / "timings.json"
        self.place.fetch("timings.json")
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
        self.place.send("timings.json")

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
        path = self.pack_path(pack)
        make_directory(path.parent)  # A copy of a bucket's has it not, where another made that.
        pack_files.write(path, rows)
        self.place.send(f"packs/{path.name}")

    def write_part(self, pack: Pack, place: int, rows: Sequence[dict[str, Any]]) -> None:
        """Writes what one process of a gang, at a place in it, has of a pack."""
        name = self._part(pack, place)
        make_directory((self.path / name).parent)
        pack_files.write(self.path / name, rows)
        self.place.send(name)

    def has_parts(self, pack: Pack, places: Iterable[int]) -> bool:
        """Whether there are the parts of some processes."""
        return all(self.place.has(self._part(pack, place)) for place in places)

    def joined(
        self, pack: Pack, rows: Sequence[dict[str, Any]], places: Sequence[int]
    ) -> list[dict[str, Any]]:
        """Returns all rows of a pack, and drops the parts.

        Args:
          pack: it.
          rows: some of them.
          places: of the processes whose parts have the others.
        """
        found = list(rows)
        for name in [self._part(pack, place) for place in places]:
            self.place.fetch(name)
            table = pack_files.read(self.path / name, _redone(pack))
            found += table.to_pandas().to_dict("records")
        if places:
            self.place.remove(f"parts/{checked_id(pack.id)}")
        by_id = {row.get("variant") or row["id"]: row for row in found}
        return [by_id[member.id] for member in pack.members]

    @staticmethod
    def _part(pack: Pack, place: int) -> str:
        return f"parts/{checked_id(pack.id)}/{place}.parquet"

    def read_pack(self, pack: Pack) -> pa.Table:
        """Reads the file of a finished pack.

        Raises:
          InputError: it is damaged, or holds other members than the plan says.
        """
        path, of_bases = self.pack_path(pack), isinstance(pack.members[0], Base)
        self.place.fetch(f"packs/{path.name}")
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
        return self.place.has(f"packs/{self.pack_path(pack).name}")

    def finished(self) -> set[str]:
        """Returns the ids of all packs that are done, of any plan, at one look."""
        names = self.place.names("packs")
        return {name.removesuffix(".parquet") for name in names if name.endswith(".parquet")}

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
        """Returns one row per finished base, without the scores that earlier versions kept."""
        tables = [
            _without(self.read_pack(pack), "validation_scores", PARAMETERS)
            for pack in plan.bases
            if self.has(pack)
        ]
        return _frame(_together(tables)) if tables else pd.DataFrame()

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
                f"{self.place} holds no {what}; run `jaxbias run`, which keeps what is finished"
            )
        examples = self.examples()
        scored = int(examples["split"].isin(["validation", "test"]).sum())
        models = [member for pack in done for member in pack.members]
        each = self._outputs({member.task for member in models}, examples)
        outputs = sum(each[member.task] for member in models)
        told = f"the scores of {words.count(len(models), 'model')}"
        what = f"{told} on {words.count(scored, 'example')}, as read and stacked"
        require_ram(12 * outputs * scored, what, "report on a machine with more memory")
        table = _together(self._started_well(pack, self.read_pack(pack)) for pack in done)
        names = ("validation_scores", "test_scores")
        validation, test = (_rows(table[name]) for name in names)
        return Scores(_frame(table.drop_columns(names)), validation, test, examples)

    def _outputs(self, tasks: set[str], examples: pd.DataFrame) -> dict[str, int]:
        """How many scores each task has of an example."""
        study = self.stored_study()["study"]
        several = {task: len(columns) for task, columns in study.labels.items()}
        several |= {task: examples[task].nunique() for task in tasks & {*study.classes}}
        return {task: several.get(task, 1) for task in tasks}

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


def _rows(column: pa.ChunkedArray) -> np.ndarray:
    """Returns the lists of a column, float32[V, N] where all are as long, else V arrays."""
    chunks = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    lengths = np.concatenate([chunk.value_lengths().to_numpy() for chunk in column.chunks])
    values = np.concatenate(chunks).astype(np.float32, copy=False)
    if (lengths == lengths[0]).all():
        return values.reshape(len(lengths), lengths[0])
    rows = np.empty(len(lengths), object)
    for place, each in enumerate(np.split(values, np.cumsum(lengths)[:-1])):
        rows[place] = each
    return rows


def _redone(pack: Pack) -> str:
    """What it costs to delete the file of a pack."""
    what = "base" if isinstance(pack.members[0], Base) else "training"
    return f"only this pack, of {count(len(pack.members), what)}, is redone"


def _together(tables: Iterable[pa.Table]) -> pa.Table:
    """Several packs as one table; those of earlier versions lack what came later."""
    return pa.concat_tables(tables, promote_options="default")


def _frame(table: pa.Table) -> pd.DataFrame:
    """Rows of packs, those of earlier versions with what they were; no layout was recorded."""
    frame = table.to_pandas()
    later = {**LATER, "layouts": "[]", "redraws": 0, "learnt": "{}"}
    return frame.fillna({k: v for k, v in later.items() if k in frame})


def _without(table: pa.Table, *columns: str) -> pa.Table:
    return table.drop_columns([name for name in columns if name in table.column_names])
