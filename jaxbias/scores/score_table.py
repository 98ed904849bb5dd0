"""Tables of scores: one row per example, one column of numbers per model."""

import dataclasses
import itertools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from jaxbias import words
from jaxbias.data.dataset import listed
from jaxbias.data.delimited import open_delimited, shown
from jaxbias.data.table_file import (
    ID,
    UNREADABLE,
    check_kind,
    check_names,
    named_by_place,
    read_parquet,
    refuse_unless_row_numbers,
    texts,
    unnamed,
)
from jaxbias.errors import InputError, nearest
from jaxbias.words import count

# What `reset_index` of pandas calls row numbers.
_INDEX = ("index", "level_0")
_NAMED = 10  # Models that a note names.
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, eq=False)
class ScoreTable:
    """Scores as they stand in a file.

    Attributes:
      path: the file.
      models: V names of its columns.
      ids: N ids of its rows; None where the file has no column "id".
      lines: int64[N], the line each row begins in, or the row of a Parquet file; from 1.
      scores: float32[V, N]; NaN where there is none.
      notes: what was left out of the file, in sentences.
    """

    path: Path
    models: tuple[str, ...]
    ids: np.ndarray | None
    lines: np.ndarray
    scores: np.ndarray
    notes: tuple[str, ...] = ()

    def where(self, row: int) -> str:
        """Returns how messages call row `row` (from 0): the file, the line, and the id."""
        return _where(self.path, self.lines[row], None if self.ids is None else self.ids[row])


def read_scores(
    path: Path, models: Sequence[str] | None = None, need_ids: bool = False
) -> ScoreTable:
    """Reads a CSV, TSV or Parquet file of scores, its numbers as float32.

    Args:
      path: one row per example; every column but "id" is a model. Read as strictly as
        `data.table_file.read_table` reads.
      models: the columns wanted; None: all.
      need_ids: whether there must be a column "id".

    Raises:
      InputError: no such file or column, another kind of file, a row that does not fit the header,
        a cell that is no number, no model, a row without an id, or an id twice.
    """
    read = _read_parquet if check_kind(path) == ".parquet" else _read_delimited
    table = read(path, models, need_ids)
    if models is None:
        table = _without_counts(table)
    if not table.models:
        raise InputError(f"{path} has no column of scores; every column but '{ID}' is a model")
    if table.ids is not None:
        check_ids(pd.Series(table.ids), table.lines, path)
    return table


def check_ids(ids: pd.Series, lines: np.ndarray, path: Path) -> None:
    """Raises an InputError where a row has no id, or two rows have one."""
    unit = _unit(path)
    empty = np.flatnonzero(ids.str.strip() == "")
    if len(empty):
        raise InputError(f"{path} {unit} {lines[empty[0]]} has no '{ID}'")
    twice = np.flatnonzero(ids.duplicated())
    if len(twice):
        name = ids.iloc[twice[0]]
        first = int(np.argmax(ids == name))
        raise InputError(
            f"{path} has '{name}' twice, in {unit}s {lines[first]} and {lines[twice[0]]}"
        )


def in_order_of(table: ScoreTable, ids: pd.Series) -> np.ndarray:
    """Returns the scores of some examples, float32[V, N] in their order; see `places_of`."""
    return rows_of(table, places_of(table, ids))


def places_of(table: ScoreTable, ids: pd.Series) -> np.ndarray:
    """Returns the rows of some examples, int64[N] in their order.

    Args:
      table: the scores, which have ids.
      ids: the examples'.

    Raises:
      InputError: an example without a row.
    """
    places = pd.Index(table.ids).get_indexer(pd.Index(ids))
    if (places < 0).any():
        missing = ids[places < 0]
        raise InputError(
            f"{table.path} has no score of {words.count(len(missing), 'labelled example')}, "
            "such as "
            f"'{missing.iloc[0]}'"
        )
    return places


def rows_of(table: ScoreTable, places: np.ndarray) -> np.ndarray:
    """Returns the scores of some rows, float32[V, N].

    Raises:
      InputError: a score that is missing, by the example's id and the model.
    """
    scores = table.scores[:, places]
    missing = np.isnan(scores)
    if missing.any():
        model, place = np.argwhere(missing)[0]
        models = int(missing.any(axis=1).sum())
        raise InputError(
            f"{table.where(places[place])}: the score by model '{table.models[model]}' is missing"
            f" ({count(int(missing.sum()), 'score')} of {count(models, 'model')}); leave out models"
            " that diverged, or examples that were not scored"
        )
    return scores


def cuts_said(models: Sequence[str], cuts: np.ndarray) -> list[str]:
    """Returns which models' scores are decisions already, and where they are cut.

    Args:
      models: V names.
      cuts: float64[V], as `metrics.thresholds.two_value_cuts` finds them.
    """
    cut = np.flatnonzero(~np.isnan(cuts))
    if not len(cut):
        return []
    at = {f"{cuts[v]:g}" for v in cut}
    where = f"at {at.pop()}" if len(at) == 1 else "midway"
    return [
        f"Scores of two values only are cut between them, {where}, and not at the base rate:"
        f" {listed([models[v] for v in cut], limit=_NAMED)}."
    ]


def _read_delimited(path: Path, models: Sequence[str] | None, need_ids: bool) -> ScoreTable:
    file = open_delimited(path)
    names = named_by_place(file.header)
    check_names(names, path)
    chosen, notes = _chosen(names, models, need_ids, path)
    place_of = {name: place for place, name in enumerate(names)}
    wanted = [place_of[name] for name in chosen]
    kept: dict[str, list[str]] = {n: [] for n in names if n == ID or unnamed(n)}
    parts, lines = [], []
    for rows in file.chunks():
        for name, column in kept.items():
            column += [fields[place_of[name]] for fields in rows.fields]
        ids = kept[ID][len(lines) :] if ID in kept else None
        cells = itertools.chain.from_iterable([f[p] for p in wanted] for f in rows.fields)
        parts.append(_parsed(list(cells), chosen, path, rows.lines, ids))
        lines += rows.lines
    if not lines:
        raise InputError(f"{path} has no rows")
    scores = np.ascontiguousarray(np.concatenate(parts).T)
    ids = np.array(kept.pop(ID), dtype=object) if ID in kept else None
    notes += [
        refuse_unless_row_numbers(pd.Series(column, name=name, dtype=str), path, ids is not None)
        for name, column in kept.items()
    ]
    return ScoreTable(path, chosen, ids, np.array(lines), scores, tuple(notes))


def _read_parquet(path: Path, models: Sequence[str] | None, need_ids: bool) -> ScoreTable:
    columns = read_parquet(path)
    named_index = [name for name in _pandas_index(path) if name in columns and not unnamed(name)]
    notes = [f"{path.name}: column '{name}' is pandas' index and no model." for name in named_index]
    others = {name: columns.pop(name) for name in named_index if name not in (models or ())}
    chosen, left = _chosen(list(columns), models, need_ids, path)
    number = len(next(iter((columns | others).values())))
    found, unusable = texts({n: c for n, c in columns.items() if n == ID or unnamed(n)})
    if ID in unusable:
        raise InputError(f"{path}: column '{ID}' {unusable[ID]}")
    keyed = ID in found
    notes += left
    notes += [refuse_unless_row_numbers(found[n], path, keyed) for n in found if n != ID]
    scores = np.empty((len(chosen), number), np.float32)
    for row, model in zip(scores, chosen, strict=True):
        # Beyond float32 is infinite, which is a fine score; a signalling NaN is one like another.
        with np.errstate(over="ignore", invalid="ignore"):
            row[:] = _typed(columns[model], model, path)
    ids = found[ID].to_numpy(object) if keyed else None
    return ScoreTable(path, chosen, ids, np.arange(1, number + 1), scores, tuple(notes))


def _chosen(
    names: Sequence[str], models: Sequence[str] | None, need_ids: bool, path: Path
) -> tuple[tuple[str, ...], list[str]]:
    """Returns the columns that are read, and a note on those that are not."""
    others = [name for name in names if name != ID and not unnamed(name)]
    if need_ids and ID not in names:
        raise InputError(f"{path} has no column '{ID}' (the example's id); {nearest(ID, others)}")
    for model in models or ():
        if model not in others:
            raise InputError(f"{path} has no column '{model}'; {nearest(model, others)}")
    if models is None:
        return tuple(others), []
    left = [name for name in others if name not in set(models)]
    said = f"Left out: {count(len(left), 'column')} of {path.name} that are none of the models"
    return tuple(models), [f"{said}, {listed(left, limit=3)}."] if left else []


def _parsed(
    cells: list[str],
    models: Sequence[str],
    path: Path,
    lines: Sequence[int],
    ids: Sequence[str] | None,
) -> np.ndarray:
    """Returns texts, row after row, as float32[rows, V]; NaN where a text is empty."""
    try:
        numbers = pa.array(cells, pa.string()).cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid:  # Blanks around a number, none at all, or what is none.
        numbers = np.array([_number(text) for text in cells], dtype=object)
        wrong = next((at for at, number in enumerate(numbers) if number is None), None)
        if wrong is not None:
            row, column = divmod(wrong, len(models))
            comma = _DECIMAL_COMMA.fullmatch(cells[wrong].strip())
            raise InputError(
                f"{_where(path, lines[row], None if ids is None else ids[row])}: the score by model"
                f" '{models[column]}' is no number, but {shown(cells[wrong])}"
                + ("; write decimals with a point" if comma else "")
            ) from None
        numbers = numbers.astype(np.float64)
    with np.errstate(over="ignore"):
        return numbers.astype(np.float32).reshape(len(lines), len(models))


def _number(text: str) -> float | None:
    text = text.strip()
    if not text:
        return np.nan
    try:  # What Python also takes for a number, Arrow does not.
        return float(text) if text.isascii() and "_" not in text else None
    except ValueError:
        return None


def _typed(column: pa.ChunkedArray, model: str, path: Path) -> np.ndarray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if not (number or pa.types.is_null(kind)):
        raise InputError(
            f"{path}: column '{model}' holds {kind}, and a score is a number (every column but"
            f" '{ID}' is a model)"
        )
    return column.cast(pa.float64(), safe=False).to_numpy()


def _pandas_index(path: Path) -> list[str]:
    try:
        metadata = pq.read_schema(path).pandas_metadata or {}
    except UNREADABLE:
        return []
    named: Iterable[object] = metadata.get("index_columns", [])
    return [name for name in named if isinstance(name, str) and name != ID]


def _without_counts(table: ScoreTable) -> ScoreTable:
    """Leaves out columns called like an index that count the rows."""
    numbers = np.arange(len(table.lines), dtype=np.float32)
    counting = [
        model in _INDEX and any(np.array_equal(row, numbers + start) for start in (0, 1))
        for model, row in zip(table.models, table.scores, strict=True)
    ]
    if not any(counting):
        return table
    names = [name for name, counts in zip(table.models, counting, strict=True) if counts]
    notes = [f"{table.path.name}: column '{n}' counts the rows and was left out." for n in names]
    return dataclasses.replace(
        table,
        models=tuple(name for name in table.models if name not in names),
        scores=table.scores[~np.array(counting)],
        notes=(*table.notes, *notes),
    )


def _where(path: Path, line: int, name: str | None) -> str:
    return f"{path} {_unit(path)} {line}" + ("" if name is None else f" ({shown(name)})")


def _unit(path: Path) -> str:
    return "row" if path.suffix.lower() == ".parquet" else "line"
