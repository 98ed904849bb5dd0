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

import dataclasses
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from jaxbias import pack_files
from jaxbias.atomic import make_directory, write_parquet, write_text
from jaxbias.data.dataset import Dataset
from jaxbias.errors import InputError
from jaxbias.grid.plan import Pack, Plan
from jaxbias.study import Study, make_study, search_basis, to_dict

# A study may grow in these; everything else must stay as the directory has it.
_GROWS = ("name", "bases", "curations", "evaluations", "answer", "grid", "experiments", "screen")
_GROWS_WITHIN = {
    "finetune": ("n", "seeds"),
    "data": ("path",),
    "pretrain": ("engine", "lift", "save_every", "keep"),  # How it is computed.
    "search": ("curation", "pair_curation"),  # See `search_basis`.
}
# Settings of earlier versions that say nothing any more.
_RETIRED = {"grid": ("heads_mib",)}
# What study.json holds.
_RECORDED = {"data", "dataset", "settings", "first_answer", "notes", "group_share", "frequencies"}


@dataclasses.dataclass(frozen=True)
class Scores:
    """Every finished variant with its scores.

    Attributes:
      variants: V rows: settings, realised counts, status. `n` is what the study asks for and
        `realised_n` what was trained on: under curations.on_shortage="shrink" it may be less (with
        add_minority it is n + k). `quotas` is JSON: name of a cell -> images of it, adding up to
        `realised_n`; of models trained elsewhere it is "{}" and `realised_n` is their n.
      validation: float32[V, N_val], scores in the order of `examples` with split "validation".
      test: float32[V, N_test], likewise for "test".
      examples: id, split, stratum and labels of every example.
    """

    variants: pd.DataFrame
    validation: np.ndarray
    test: np.ndarray
    examples: pd.DataFrame

    def only(self, kept: np.ndarray) -> "Scores":
        """Returns the variants for which kept: bool[V] is true."""
        return dataclasses.replace(
            self,
            variants=self.variants[kept].reset_index(drop=True),
            validation=self.validation[kept],
            test=self.test[kept],
        )


class ResultDirectory:
    """A study's directory.

    Args:
      path: made when a study claims it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

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
        if not (self.path / "study.json").exists():
            return
        stored = self.stored_study()
        if dataset is not None and stored["data"] != dataset.fingerprint:
            raise InputError(
                f"workdir {self.path} belongs to a study of other data ({stored['dataset']}, "
                f"fingerprint {stored['data'][:12]}, not {dataset.name}, "
                f"{dataset.fingerprint[:12]}); use a new workdir"
            )
        _refuse_changes(self.path, stored["settings"], _settings(study))
        _refuse_another_search(self.path, make_study(stored["settings"]), study)

    def claim(self, study: Study, dataset: Dataset) -> None:
        """Makes the directory this study's, or checks that it is.

        Raises:
          InputError: as of `check`.
        """
        self.check(study, dataset)
        make_directory(self.path / "packs")
        settings = _settings(study)
        record = self.path / "study.json"
        first = self.stored_study()["first_answer"] if record.exists() else settings["answer"]
        write_text(
            record,
            json.dumps(
                {
                    "data": dataset.fingerprint,
                    "dataset": dataset.name,
                    "settings": settings,
                    "first_answer": first,
                    "notes": list(dataset.notes),
                    "group_share": dataset.group_share,
                    "frequencies": None
                    if dataset.frequencies is None
                    else {
                        str(k): v.tolist()
                        for k, v in zip(
                            dataset.frequencies.index, dataset.frequencies.to_numpy(), strict=True
                        )
                    },
                },
                indent=1,
            ),
        )
        examples = self.path / "examples.parquet"
        if not examples.exists():
            write_parquet(examples, pa.Table.from_pandas(dataset.table, preserve_index=False))

    def stored_study(self) -> dict[str, Any]:
        """Returns what `claim` recorded.

        Raises:
          InputError: the directory holds no study, or a damaged one.
        """
        record = self.path / "study.json"
        if not record.exists():
            raise InputError(f"{self.path} holds no study (no study.json); run `jaxbias run` first")
        try:
            stored = json.loads(record.read_text())
            absent = sorted(_RECORDED - stored.keys())
            if absent:
                raise ValueError(f"it lacks {', '.join(absent)}")
            settings = stored["settings"]
            for group, fields in _RETIRED.items():
                for field in fields:
                    settings[group].pop(field, None)
        except (ValueError, AttributeError, KeyError, TypeError) as error:
            raise InputError(f"{record} is damaged ({error}); use a new workdir") from error
        # Settings that came later have their defaults.
        return {**stored, "settings": _settings(make_study(settings))}

    def dataset(self) -> Dataset:
        """Returns the study's labels as a dataset without images."""
        stored = self.stored_study()
        frequencies = stored["frequencies"]
        return Dataset(
            name=stored["dataset"],
            images=np.zeros((0, 1, 1, 3), np.uint8),
            table=self._examples(),
            fingerprint=stored["data"],
            frequencies=None
            if frequencies is None
            else pd.DataFrame.from_dict(frequencies, orient="index", columns=[0, 1]),
            group_share=stored["group_share"],
            notes=tuple(stored["notes"]),
        )

    def timings(self) -> dict[str, float]:
        """Returns where the time of the last training went."""
        path = self.path / "timings.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def write_timings(self, timings: dict[str, float]) -> None:
        """Records where the time went."""
        write_text(self.path / "timings.json", json.dumps(timings, indent=1))

    def plan(self) -> Plan | None:
        """Returns the plan, or None where there is none yet."""
        path = self.path / "plan.json"
        return Plan.read(path) if path.exists() else None

    def write_plan(self, plan: Plan) -> None:
        """Replaces the plan; it must extend the one that is there."""
        write_text(self.path / "plan.json", plan.to_json())

    def pack_path(self, pack: Pack) -> Path:
        """Returns the file whose existence means that the pack is done."""
        return self.path / "packs" / f"{pack.id}.parquet"

    def training_path(self, id: str) -> Path:
        """Returns where the checkpoints of a base that is trained step by step lie."""
        return self.path / "pretraining" / id

    def base_path(self, base_id: str) -> Path:
        """Returns the checkpoint directory of a base."""
        return self.path / "bases" / base_id

    @property
    def features_path(self) -> Path:
        """The directory of the features of frozen bases."""
        return self.path / "features"

    def write_pack(self, pack: Pack, rows: Sequence[dict[str, Any]]) -> None:
        """Writes a pack's rows in one piece."""
        pack_files.write(self.pack_path(pack), rows)

    def has(self, pack: Pack) -> bool:
        """Whether a pack is done."""
        return self.pack_path(pack).exists()

    def done(self) -> set[str]:
        """Returns the ids of the variants that finished packs hold."""
        plan = self.plan()
        packs = plan.finetunes if plan else ()
        return {member.id for pack in packs if self.has(pack) for member in pack.members}

    def check_pack(self, pack: Pack) -> None:
        """Refuses the file of a finished pack that is damaged."""
        pack_files.read(self.pack_path(pack))

    def base_rows(self, plan: Plan) -> pd.DataFrame:
        """Returns one row per finished base, without its scores."""
        tables = [
            pack_files.read(self.pack_path(pack)).drop_columns(["validation_scores"])
            for pack in plan.bases
            if self.has(pack)
        ]
        return pa.concat_tables(tables).to_pandas() if tables else pd.DataFrame()

    def write_manifest(self, scores: Scores) -> Path:
        """Writes which examples every variant was finetuned on, by the source's own ids.

        Returns:
          manifest.parquet: variant, and its example ids as a list.
        """
        names = pa.array(scores.examples["id"].to_numpy(dtype=object), pa.string())
        ids = scores.variants["ids"].tolist()
        offsets = np.cumsum([0, *map(len, ids)])
        examples = names.take(pa.array(np.concatenate(ids))).dictionary_encode()
        table = pa.table(
            {
                "variant": scores.variants["variant"].tolist(),
                "examples": pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), examples),
            }
        )
        return write_parquet(self.path / "manifest.parquet", table)

    def scores(self) -> Scores:
        """Reads every finished variant back.

        Raises:
          InputError: there is none, or a file is damaged.
        """
        plan = self.plan()
        done = [p for p in (plan.finetunes if plan else ()) if self.has(p)]
        if not done:
            raise InputError(f"{self.path} holds no finished variant; run `jaxbias run` first")
        # Packs of earlier versions lack the settings that came later.
        table = pa.concat_tables(
            [pack_files.read(self.pack_path(pack)) for pack in done], promote_options="default"
        )
        matrices = {
            name: np.stack(table[name].to_numpy()).astype(np.float32)
            for name in ("validation_scores", "test_scores")
        }
        variants = table.drop_columns(["validation_scores", "test_scores"]).to_pandas()
        return Scores(
            variants, matrices["validation_scores"], matrices["test_scores"], self._examples()
        )

    def _examples(self) -> pd.DataFrame:
        path = self.path / "examples.parquet"
        try:
            return pq.read_table(path).to_pandas()
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"{path} is damaged ({str(error).splitlines()[0]}); delete it and run again: it "
                "is written anew"
            ) from error


def _refuse_another_search(path: Path, stored: Study, wanted: Study) -> None:
    """Growth must not move what hyperparameters were chosen by."""
    if not (stored.search.on or wanted.search.on):
        return
    old, new = search_basis(stored), search_basis(wanted)
    for name in old.keys() | new.keys():
        if old.get(name) != new.get(name):
            raise InputError(
                f"workdir {path} has hyperparameters searched with {name}={old.get(name)}, but the "
                f"config now says {new.get(name)}; keep it, or use a new workdir"
            )


def _settings(study: Study) -> dict[str, Any]:
    return json.loads(json.dumps(to_dict(study)))


def _refuse_changes(path: Path, stored: dict[str, Any], wanted: dict[str, Any]) -> None:
    for field in stored:
        if field in _GROWS:
            continue
        old, new = stored[field], wanted[field]
        if isinstance(old, dict):
            skip = _GROWS_WITHIN.get(field, ())
            changed = [f"{field}.{key}" for key in old if key not in skip and old[key] != new[key]]
            values = [(old[name.split(".")[1]], new[name.split(".")[1]]) for name in changed]
        else:
            changed, values = ([field], [(old, new)]) if old != new else ([], [])
        if changed:
            raise InputError(
                f"workdir {path} belongs to a study with {changed[0]}={values[0][0]}, but the "
                f"config says {values[0][1]}; use a new workdir"
            )
    for name, base in stored["bases"].items():
        # Weights are known by their content, which the ids of variants are made of.
        new = wanted["bases"].get(name, base)
        if any(new[key] != value for key, value in base.items() if key != "weights"):
            raise InputError(
                f"workdir {path} holds another base named '{name}': {base}, but the "
                f"config says {wanted['bases'][name]}; give it another name"
            )
