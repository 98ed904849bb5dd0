"""Files of scores: one row per example, one column per model, with the labels beside them."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from jaxbias.atomic import write_bytes, write_csv
from jaxbias.data.table import Labels, labels
from jaxbias.data.table_file import read_table
from jaxbias.errors import InputError, nearest
from jaxbias.metrics import Examples, GroupReport, degenerate, evaluate
from jaxbias.study import DataSpec

ID = "id"
# What a terminal shows where no metrics were named.
SHOWN = ("auc", "fpr", "tpr", "fpr_gap", "tpr_gap", "auc_gap")
_MARKS = 10  # Degenerate models named in the notes.
_SEPARATORS = {".csv": ",", ".tsv": "\t"}


@dataclasses.dataclass(frozen=True)
class ScoreTable:
    """Scores as they stand in a file.

    Attributes:
      path: the file.
      models: V names of its columns.
      ids: N ids of its rows; None where the file has no column "id".
      scores: float32[V, N]; NaN where there is none.
    """

    path: Path
    models: tuple[str, ...]
    ids: np.ndarray | None
    scores: np.ndarray


def read_scores(
    path: Path, models: Sequence[str] | None = None, need_ids: bool = False
) -> ScoreTable:
    """Reads a CSV, TSV or Parquet file of scores, its numbers as float32.

    Args:
      path: one row per example; every column but "id" is a model.
      models: the columns wanted; None: all.
      need_ids: whether there must be a column "id".

    Raises:
      InputError: no such file or column, another kind of file, a cell that is no number, no model,
        or an id twice.
    """
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            table = pq.read_table(path)
            columns = dict(zip(table.column_names, table.columns, strict=True))
            for name in _pandas_index(table.schema):
                columns.pop(name, None)  # The row numbers pandas writes are no model.
        elif suffix in _SEPARATORS:
            frame = pd.read_csv(
                path, sep=_SEPARATORS[suffix], dtype={ID: str}, encoding="utf-8-sig"
            )
            columns = dict(frame.items())
        else:
            raise InputError(f"{path} must be a .csv, .tsv or .parquet file")
    except (OSError, ValueError, pa.ArrowException) as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())
        raise InputError(f"scores {path} cannot be read: {reason}") from error
    ids = columns.pop(ID, None)
    if need_ids and ids is None:
        raise InputError(f"{path} has no column '{ID}' (the example's id); {nearest(ID, columns)}")
    for model in models or ():
        if model not in columns:
            raise InputError(f"{path} has no column '{model}'; {nearest(model, columns)}")
    chosen = tuple(columns) if models is None else tuple(models)
    if not chosen:
        raise InputError(f"{path} has no column of scores; every column but '{ID}' is a model")
    count = len(columns[chosen[0]])
    if ids is not None:
        ids = np.array([str(value) for value in _plain(ids)], dtype=object)
        refuse_twice(pd.Series(ids), path)
    scores = np.empty((len(chosen), count), np.float32)
    for row, model in zip(scores, chosen, strict=True):
        row[:] = _numbers(columns[model], model, path, ids)
    return ScoreTable(path, chosen, ids, scores)


def refuse_twice(names: pd.Series, path: Path) -> None:
    """Raises an InputError where a name occurs more than once."""
    twice = names[names.duplicated()]
    if len(twice):
        raise InputError(f"{path} has '{twice.iloc[0]}' twice")


def in_order_of(table: ScoreTable, ids: pd.Series | None) -> np.ndarray:
    """Returns the scores in the order of the labels, float32[V, N].

    Args:
      table: the scores.
      ids: the labels' ids; None where they have none: then rows correspond by their order.

    Raises:
      InputError: one file has ids and the other has not, a label without scores, or, without ids,
        another number of rows.
    """
    if (ids is None) != (table.ids is None):
        raise InputError(
            f"only one of {table.path} and the labels has a column '{ID}'; give both or neither one"
        )
    if ids is None:
        return table.scores
    places = pd.Index(table.ids).get_indexer(pd.Index(ids.astype(str)))
    if (places < 0).any():
        missing = ids[places < 0]
        raise InputError(
            f"{table.path} has no score of {len(missing):,} labelled examples, such as "
            f"'{missing.iloc[0]}'"
        )
    return table.scores[:, places]


def evaluate_files(
    scores_path: Path,
    labels_path: Path,
    target: str,
    groups: Sequence[str],
    *,
    weights: str | None = None,
    against: str | None = None,
    **settings: Any,
) -> tuple[GroupReport, list[str]]:
    """Evaluates the models of a file of scores.

    Args:
      scores_path: see `read_scores`.
      labels_path: CSV, TSV or Parquet, one row per example: columns for target and groups, an "id"
        where the scores have one, and optionally "split": "validation" gives the thresholds and
        "test" is evaluated; without it everything is.
      target: a binary column.
      groups: columns of groups.
      weights: a column of weights.
      against: a model that there must be, and another beside it to compare with it.
      **settings: of `jaxbias.metrics.evaluate`.

    Returns:
      The report, and what to know about it, in sentences.

    Raises:
      InputError: files that do not fit together or with what is asked.
    """
    read = read_table(labels_path)
    text = read.text
    ids = text.get(ID)
    columns = {target: read.column(target, "--target")}
    columns |= {g: read.column(g, "--groups") for g in groups}
    weighed = None
    if weights is not None:
        weighed = _weights(read.column(weights, "--weights"), labels_path)
    table = read_scores(scores_path)
    if against is not None and against not in table.models:
        raise InputError(
            f"--against={against} is no model of {scores_path}; {nearest(against, table.models)}"
        )
    if against is not None and len(table.models) == 1:
        raise InputError(f"--against={against} leaves no other model to compare with it")
    if ids is None and len(text) != table.scores.shape[1]:
        raise InputError(
            f"{scores_path} has {table.scores.shape[1]:,} rows and {labels_path} {len(text):,}; "
            f"without a column '{ID}' they must be the same examples in the same order"
        )
    if ids is not None:
        refuse_twice(ids, labels_path)
    scores = in_order_of(table, ids)
    found = labels(pd.DataFrame(columns), DataSpec().missing_values)
    label = _binary(found, target, labels_path)
    parts = _splits(text, labels_path)

    def part(rows: np.ndarray) -> Examples:
        return Examples(
            scores[:, rows],
            label.iloc[rows],
            {g: _group(found, g, labels_path).iloc[rows] for g in groups} or None,
            None if weighed is None else weighed[rows],
        )

    test = part(parts["test"])
    report = evaluate(
        test.scores,
        test.labels,
        test.groups,
        weights=test.weights,
        validation=part(parts["validation"]) if "validation" in parts else None,
        names=table.models,
        **settings,
    )
    return report, [*found.notes, *_notes(label, parts, report, ids is None)]


def parse_threshold(text: str) -> Any:
    """Reads a threshold as the command line has it.

    >>> parse_threshold("fpr:0.1"), parse_threshold("0.5"), parse_threshold("youden")
    ({'fpr': 0.1}, 0.5, 'youden')
    """
    rule, colon, rate = text.partition(":")
    try:
        return {rule: float(rate)} if colon else float(text)
    except ValueError:
        return text


def parse_population(text: str | None) -> dict[str, float] | None:
    """Reads a population as the command line has it.

    >>> parse_population("level=2,prevalence=0.5")
    {'level': 2.0, 'prevalence': 0.5}
    """
    if text is None:
        return None
    try:
        return {k: float(v) for k, v in (part.split("=") for part in text.split(","))}
    except ValueError as error:
        raise InputError(
            f"--population={text} must be written like level=2,prevalence=0.5"
        ) from error


def frame_path(out: str) -> Path:
    """Returns where a frame is to be written; refuses what `write_frame` cannot write."""
    if Path(out).suffix.lower() not in (".csv", ".parquet"):
        raise InputError(f"--out={out} must end in .csv or .parquet")
    return Path(out)


def write_frame(frame: pd.DataFrame, path: Path) -> Path:
    """Writes a frame as .csv or .parquet, whole or not at all."""
    if path.suffix.lower() == ".parquet":
        return write_bytes(path, frame.to_parquet(index=False))
    return write_csv(path, frame)


def _notes(
    label: pd.Series, parts: Mapping[str, np.ndarray], report: GroupReport, by_order: bool
) -> list[str]:
    """What a reader must know before believing the numbers."""
    rows = parts["test"]
    missing = int(label.iloc[rows].isna().sum())
    said = [f"{len(report.names):,} models, {len(rows) - missing:,} examples"]
    said[0] += f" ({missing:,} more have no label)." if missing else "."
    if by_order:
        said.append(f"There is no column '{ID}': rows of scores and labels correspond by order.")
    if report.threshold_from != "fixed":
        said.append(f"Thresholds were taken from the {report.threshold_from} examples.")
    worst = np.nanmax(report.shortfall, initial=0.0)
    if worst > 0.01:
        said.append(
            f"Ties keep the base-rate threshold from selecting up to {worst:.1%} of what it should."
        )
    return said + _marks(report)


def _marks(report: GroupReport) -> list[str]:
    """Which models say nothing, so that their gaps do not either; the first few by name."""
    reasons = degenerate(report)
    marked = [i for i, reason in enumerate(reasons) if reason]
    said = [f"Degenerate: {report.names[i]} ({reasons[i]})." for i in marked[:_MARKS]]
    if len(marked) > _MARKS:
        said.append(f"Degenerate: {len(marked) - _MARKS:,} more of {len(reasons):,} models.")
    return said


def _splits(text: pd.DataFrame, path: Path) -> dict[str, np.ndarray]:
    if "split" not in text:
        return {"test": np.arange(len(text))}
    split = text["split"].to_numpy()
    parts = {name: np.flatnonzero(split == name) for name in ("validation", "test")}
    if not len(parts["test"]):
        raise InputError(
            f"{path} has a column split without a row 'test'; it says "
            f"{', '.join(sorted(set(split))[:6])}"
        )
    return {name: rows for name, rows in parts.items() if len(rows)}


def _binary(found: Labels, name: str, path: Path) -> pd.Series:
    if name in found.unusable:
        raise InputError(f"{path}: column '{name}' (--target) {found.unusable[name]}")
    column = found.columns[name]
    if column.dtype != "boolean":
        values = list(column.cat.categories)
        raise InputError(
            f"{path}: column '{name}' (--target) has {len(values)} values "
            f"({', '.join(values[:6])}); a target is binary, such as 0 and 1"
        )
    return column.astype("Int8")


def _group(found: Labels, name: str, path: Path) -> pd.Series:
    if name in found.unusable:
        raise InputError(f"{path}: column '{name}' (--groups) {found.unusable[name]}")
    column = found.columns[name]
    return column.astype("Int8") if column.dtype == "boolean" else column


def _weights(column: pd.Series, path: Path) -> np.ndarray:
    found = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    if np.isnan(found).any():
        row = int(np.argmax(np.isnan(found)))
        raise InputError(f"{path}: weight '{column.iloc[row]}' in row {row + 2} is no number")
    return found


def _pandas_index(schema: pa.Schema) -> list[str]:
    named = (schema.pandas_metadata or {}).get("index_columns", [])
    return [name for name in named if isinstance(name, str) and name != ID]


def _plain(column: Any) -> np.ndarray:
    return column.to_numpy() if isinstance(column, pa.ChunkedArray) else np.asarray(column)


def _numbers(column: Any, model: str, path: Path, ids: np.ndarray | None) -> np.ndarray:
    """Returns a column as float32, NaN where it is empty."""
    plain = _plain(column)
    if plain.dtype.kind not in "fiub":
        numbers = pd.to_numeric(pd.Series(plain), errors="coerce")
        wrong = numbers.isna() & ~pd.isna(plain)
        if wrong.any():
            row = int(np.argmax(wrong))
            example = f"row {row + 2}" if ids is None else f"'{ids[row]}'"
            raise InputError(
                f"{path}: the score of {example} by model '{model}' is no number, but "
                f"'{plain[row]}'"
            )
        plain = numbers.to_numpy()
    with np.errstate(over="ignore"):
        return plain.astype(np.float32)
