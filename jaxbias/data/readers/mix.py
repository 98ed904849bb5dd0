"""Several sources joined into one store, with the source as a group."""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd

from jaxbias.data.attach import attach
from jaxbias.data.dataset import FIXED_COLUMNS
from jaxbias.data.readers import read as read_source
from jaxbias.data.remote import here
from jaxbias.data.source import Source, locate
from jaxbias.data.table import SAME, add_derived, spelt
from jaxbias.data.vocabulary import unify
from jaxbias.errors import InputError
from jaxbias.study import DataSpec

_SOURCE = "source"
# What belongs to the whole and not to one of its sources.
_TAKEN_OVER = ("on_missing", "missing_values")
_SHARED = ("image_size", "seed", "splits", "on_bad_image", "sources", *_TAKEN_OVER)


def read(data: DataSpec) -> Source:
    """Reads `data.sources` (name -> data settings) and joins them.

    Ids and source splits get the source's name in front ('coco/train2014/...', 'coco/train'), and
    'source' is a label column. A column that a source does not have is unknown in its rows.
    Derived columns, annotations and scores of each source are made before they are joined.

    Raises:
      InputError: fewer than two sources, a setting that belongs to the whole, soft targets, or a
        column of two kinds.
    """
    if len(data.sources) < 2:
        raise InputError("config.data.sources must name at least two sources for a mix")
    standard = DataSpec()
    parts, tables = [], []
    for name, spec in data.sources.items():
        for setting in _SHARED:
            if getattr(spec, setting) != getattr(standard, setting):
                raise InputError(
                    f"config.data.sources.{name}.{setting} belongs to the whole: set"
                    f" config.data.{setting}"
                )
        if "/" in name or not name:
            raise InputError(f"config.data.sources: '{name}' must be a name without '/'")
        taken = {field: getattr(data, field) for field in _TAKEN_OVER}
        spec = here(dataclasses.replace(spec, **taken))
        source = read_source(spec)
        source, soft = attach(source, spec)
        if len(soft.columns):
            raise InputError(
                f"config.data.sources.{name}.scores: give the scores of a mix in"
                " config.data.scores, with ids of the mix"
            )
        table = add_derived(source.table, spec.derived, source.unusable)
        if _SOURCE in table:
            raise InputError(f"{source.name} has a column '{_SOURCE}' itself; it cannot be mixed")
        table = table.assign(id=f"{name}/" + table["id"], split=f"{name}/" + table["split"])
        table[_SOURCE] = pd.Categorical([name] * len(table), sorted(data.sources))
        parts.append((name, source))
        tables.append(table)
    digest = hashlib.sha256("\0".join(f"{n}={s.key}" for n, s in parts).encode())
    unusable: dict[str, str] = {}
    for _, source in parts:
        unusable |= source.unusable
    joined, same = _join(tables)

    def prepare() -> None:
        for _, source in parts:
            source.prepare()

    return Source(
        name=" + ".join(source.name for _, source in parts),
        key=f"mix/{digest.hexdigest()}",
        table=joined,
        read=_Reader(
            tuple(source.read for _, source in parts),
            tuple(np.cumsum([len(table) for table in tables]).tolist()),
        ),
        unusable={name: reason for name, reason in unusable.items() if name not in joined},
        notes=(*(note for _, source in parts for note in source.notes), *same),
        absent=pd.Index([f"{n}/{absent}" for n, source in parts for absent in source.absent]),
        prepare=prepare,
    )


@dataclasses.dataclass(frozen=True)
class _Reader:
    """From a row of the whole to the bytes of its image in its source."""

    reads: tuple[Callable[[int], bytes], ...]
    ends: tuple[int, ...]

    def __call__(self, row: int) -> bytes:
        """Returns the bytes of row `row`."""
        part, at = locate(self.ends, row)
        return self.reads[part](at)


def _join(tables: list[pd.DataFrame]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Returns the rows of all tables, and which words of one were taken as those of another."""
    joined = pd.DataFrame(
        {"id": np.concatenate([t["id"].to_numpy(object) for t in tables])}, dtype=str
    )
    joined["split"] = np.concatenate([t["split"].to_numpy(object) for t in tables])
    if any("stratum" in table for table in tables):
        joined["stratum"] = np.concatenate(
            [t["stratum"] if "stratum" in t else np.full(len(t), "") for t in tables]
        )
    same: list[str] = []
    names = dict.fromkeys(n for table in tables for n in table if n not in FIXED_COLUMNS)
    for name in names:
        kinds = {str(table[name].dtype) for table in tables if name in table}
        if len(kinds) > 1:
            raise InputError(
                f"column '{name}' is binary in one source and not in another: derive a"
                " binary one of another name (config.data.sources.NAME.derived)"
            )
        values = np.concatenate(
            [
                table[name].astype(object).where(table[name].notna(), None)
                if name in table
                else np.full(len(table), None)
                for table in tables
            ]
        )
        if kinds == {"boolean"}:
            joined[name] = pd.array(values, dtype="boolean")
            continue
        counts = Counter(value for value in values if value is not None)
        other = unify(list(counts), list(counts.values()))
        same += [f"'{name}' {spelt(other)}"] if other else []
        values = np.array([other.get(value, value) for value in values], object)
        joined[name] = pd.Categorical(values, sorted(set(counts) - set(other)))
    return joined, (f"{SAME}: {'; '.join(same)}.",) if same else ()
