"""Labels from elsewhere, joined to a source by the ids of its rows: annotations, and scores."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from jaxbias.data.dataset import FIXED_COLUMNS
from jaxbias.data.source import Source
from jaxbias.data.table import SAME, cleaned, labels, spelt
from jaxbias.data.table_file import ID, Table, read_table
from jaxbias.data.vocabulary import folded
from jaxbias.errors import InputError
from jaxbias.files.paths import expanded
from jaxbias.study import DataSpec


def attach(source: Source, data: DataSpec) -> tuple[Source, pd.DataFrame]:
    """Adds the labels of `data.annotations` and `data.scores` to a source.

    Args:
      source: what a reader returned.
      data: the settings.

    Returns:
      The source with more label columns; and the soft targets, float32[N] columns in [0, 1] with
      NaN where unknown (none without scores).

    Raises:
      InputError: a file that cannot be read, an id that the data does not have, a column there is
        already, or a score that is no probability.
    """
    soft = pd.DataFrame(index=source.table.index)
    if data.annotations:
        source = _annotated(source, data)
    if data.scores:
        source, soft = _scored(source, data)
    elif data.base_rates:
        raise InputError("config.data.base_rates changes nothing without config.data.scores")
    return source, soft


def beside(path: str, root: str, setting: str) -> Path:
    """Returns the file of a path: in the dataset's folder if it is there, else where the user is.

    Args:
      path: as it was given.
      root: the dataset's folder; "" where it has none.
      setting: what gave the path, for the message.
    """
    inside = expanded(root, "config.data.path") / path
    return inside if root and inside.is_file() else expanded(path, setting)


def rescaled(scores: np.ndarray, rate: float) -> np.ndarray:
    """Shifts probabilities so that their mean is a base rate.

    All logits move by one constant, which is what another prior does to a calibrated model
    (Saerens, Latinne & Decaestecker, 2002, with the likelihood ratio unchanged).

    Args:
      scores: float[N] in [0, 1]; NaN stays NaN.
      rate: the wanted mean, in (0, 1).

    Returns:
      float64[N].

    >>> float(rescaled(np.array([0.5, 0.5]), 0.2).round(6).mean())
    0.2
    """
    from scipy.optimize import brentq  # Slow to import, and rarely needed.
    from scipy.special import expit, logit

    logits = logit(np.clip(scores.astype(np.float64), 1e-7, 1 - 1e-7))
    shift = brentq(lambda by: float(np.nanmean(expit(logits + by))) - rate, -60, 60)
    return expit(logits + shift)


def _annotated(source: Source, data: DataSpec) -> Source:
    path = beside(data.annotations, data.path, "config.data.annotations")
    read, rows = _rows(read_table(path), source, "annotations")
    found, unusable, notes = labels(read.text.drop(columns=ID), data.missing_values)
    table, same = source.table.copy(), []
    for name, column in found.items():
        if name in FIXED_COLUMNS:
            raise InputError(f"{path} has a column '{name}', a name jaxbias uses itself")
        values = column.astype(object).where(column.notna(), None).to_numpy()
        merged = np.full(len(table), None, dtype=object)
        if name in table:  # Where the file has a row, the file is right.
            if table[name].dtype != column.dtype and "boolean" in (table[name].dtype, column.dtype):
                raise InputError(f"column '{name}' of {path} is not of the kind that the data has")
            if column.dtype == "category":
                other = _other_spellings(column.cat.categories, table[name].cat.categories)
                values = np.array([other.get(value, value) for value in values], object)
                same += [f"'{name}' {spelt(other)}"] if other else []
            merged = table[name].astype(object).where(table[name].notna(), None).to_numpy().copy()
        merged[rows] = values
        table[name] = (
            pd.array(merged, dtype="boolean")
            if column.dtype == "boolean"
            else pd.Categorical(merged, categories=sorted({v for v in merged if v is not None}))
        )
    said = [f"{SAME}: {'; '.join(same)}."] if same else []
    return dataclasses.replace(
        source,
        table=table,
        unusable={**source.unusable, **unusable, **read.unusable},
        notes=(*source.notes, *read.notes, *notes, *said),
    )


def _other_spellings(words: Iterable[str], there: Iterable[str]) -> dict[str, str]:
    """Returns the data's own spelling of words that are written otherwise."""
    known = {folded(word): word for word in there}
    own = {word: known.get(folded(word), word) for word in words}
    return {word: kept for word, kept in own.items() if word != kept}


def _scored(source: Source, data: DataSpec) -> tuple[Source, pd.DataFrame]:
    path = beside(data.scores, data.path, "config.data.scores")
    read, rows = _rows(read_table(path), source, "scores")
    names = [name for name in read.text.columns if name != ID]
    text, unknown = cleaned(read.text[names], data.missing_values)
    for name in data.base_rates:
        read.column(name, "config.data.base_rates")
    table, soft = source.table.copy(), {}
    for name in names:
        if name in table or name in FIXED_COLUMNS:
            raise InputError(f"{path}: the data has a column '{name}' already; rename the scores")
        scores = pd.to_numeric(text[name].replace("", "nan"), errors="coerce").to_numpy(np.float64)
        wrong = np.flatnonzero(~((scores >= 0) & (scores <= 1)) & (text[name] != "").to_numpy())
        if len(wrong):
            raise InputError(
                f"{read.where(wrong[0])}: {name}={text[name].iloc[wrong[0]]} must be a probability"
                " in 0..1"
            )
        if np.isnan(scores).all():
            raise InputError(f"{path}: column '{name}' has no score in any row")
        cut = 0.5
        if name in data.base_rates:
            rate = data.base_rates[name]
            scores = rescaled(scores, rate)
            cut = float(np.nanquantile(scores, 1 - rate))
        spread = np.full(len(table), np.nan)
        spread[rows] = scores
        soft[name] = spread.astype(np.float32)
        values = pd.array(spread >= cut, dtype="boolean")
        values[np.isnan(spread)] = pd.NA
        table[name] = values
    note = f"Labels {', '.join(names)} are the scores of a model ({path.name}), not annotations."
    notes = (*source.notes, *read.notes, *unknown, note)
    source = dataclasses.replace(source, table=table, notes=notes)
    return source, pd.DataFrame(soft, index=table.index)


def _rows(table: Table, source: Source, setting: str) -> tuple[Table, np.ndarray]:
    """Returns the rows whose image is there, and int64[M], the row of the source of each."""
    ids = table.column(ID, f"config.data.{setting}").str.strip()
    rows = pd.Index(source.table["id"]).get_indexer(ids)
    if source.numbers is not None and (rows < 0).all():
        rows = pd.Index(source.numbers).get_indexer(ids)
    unknown = np.flatnonzero((rows < 0) & ~ids.isin(source.absent).to_numpy())
    if len(unknown):
        raise InputError(
            f"{len(unknown):,} of the {len(ids):,} ids of {table.path} are not in {source.name};"
            f" the first is '{ids.iloc[unknown[0]]}', where the data has"
            f" '{source.table['id'].iloc[0]}'"
        )
    twice = np.flatnonzero(pd.Series(rows).duplicated() & (rows >= 0))
    if len(twice):
        raise InputError(f"{table.where(twice[0])}: this id is there twice")
    there = rows >= 0
    kept = table.text.loc[there].reset_index(drop=True)
    return dataclasses.replace(table, text=kept, lines=table.lines[there]), rows[there]
