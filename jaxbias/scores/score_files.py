"""`jaxbias evaluate`: a file of scores and a file of labels, every row of them accounted for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jaxbias import words
from jaxbias.data import splits
from jaxbias.data.dataset import listed
from jaxbias.data.delimited import shown
from jaxbias.data.table import Labels, labels
from jaxbias.data.table_file import ID, Table, read_table
from jaxbias.errors import InputError, nearest
from jaxbias.metrics import Examples, GroupReport, degenerate, evaluate
from jaxbias.metrics.one_target import calibrated
from jaxbias.scores.score_table import (
    ScoreTable,
    check_ids,
    cuts_said,
    places_of,
    read_scores,
    rows_of,
)
from jaxbias.study import SPLITS, DataSpec
from jaxbias.words import count

_MARKS = 10  # Degenerate models named in the notes.


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
    columns = {target: read.column(target, "--target")}
    columns |= {g: read.column(g, "--groups") for g in groups}
    weighed = np.ones(len(read.text)) if weights is None else _weights(read, weights)
    table = read_scores(scores_path)
    if against is not None and against not in table.models:
        raise InputError(
            f"--against={against} is no model of {scores_path}; {nearest(against, table.models)}"
        )
    if against is not None and len(table.models) == 1:
        raise InputError(f"--against={against} leaves no other model to compare with it")
    if ID in read.text:
        check_ids(read.text[ID], read.lines, labels_path)
    _check_rows_correspond(table, read)
    found = labels(pd.DataFrame(columns), DataSpec().missing_values)
    label = _binary(found, target, labels_path)
    grouped = {g: _group(found, g, labels_path) for g in groups}
    split, said = splits.of_rows(read)
    parts = {name: np.flatnonzero(split == name) for name in SPLITS}
    if not len(parts["test"]):
        raise InputError(
            f"{labels_path} has a column split without a row 'test'; it says"
            f" {listed(sorted(read.text['split'].unique()))}"
        )
    counted = label.notna().to_numpy() & (weighed > 0)

    def part(name: str) -> Examples:
        rows = parts[name][counted[parts[name]]]
        if not len(rows):
            raise InputError(f"{labels_path}: no {name} row has a '{target}' and a weight above 0")
        places = rows if table.ids is None else places_of(table, read.text[ID].iloc[rows])
        if settings.get("link", "identity") == "identity":
            _check_probabilities(table, places, settings.get("metrics", ()))
        return Examples(
            rows_of(table, places),
            label.iloc[rows],
            {g: column.iloc[rows] for g, column in grouped.items()} or None,
            None if weights is None else weighed[rows],
        )

    test = part("test")
    report = evaluate(
        test.scores,
        test.labels,
        test.groups,
        weights=test.weights,
        validation=part("validation") if len(parts["validation"]) else None,
        names=table.models,
        **settings,
    )
    for name, rows in parts.items():
        if name in ("test", "validation"):
            said += _left_out(name, rows, label, weighed, grouped)
        elif len(rows):
            said.append(f"Left out: {count(len(rows), 'row')} of split '{name}'.")
    said += [*_unused(table, read), *table.notes, *read.notes]
    return report, [*_notes(report), *found.notes, *said]


def _notes(report: GroupReport) -> list[str]:
    """What a reader must know before believing the numbers."""
    models = count(len(report.names), "model")
    said = [f"{models}, {count(int(report.counts[0]), 'example')}."]
    if report.threshold_from != "fixed":
        said.append(f"Thresholds were taken from the {report.threshold_from} examples.")
    worst = np.nanmax(report.shortfall, initial=0.0)
    if worst > 0.01:
        said.append(
            f"Ties keep the base-rate threshold from selecting up to {worst:.1%} of what it should."
        )
    return said + _cuts(report) + _marks(report)


def _cuts(report: GroupReport) -> list[str]:
    if report.sums.thresholds is None:
        return []
    found = report.sums.thresholds[-1, :, 0]  # Of a group, where each has its own: all are alike.
    return cuts_said(report.names, np.where(report.two_values, found, np.nan))


def _left_out(
    part: str,
    rows: np.ndarray,
    label: pd.Series,
    weighed: np.ndarray,
    grouped: Mapping[str, pd.Series],
) -> list[str]:
    """Which rows of a part count nowhere, and which in no group."""
    unlabelled = label.iloc[rows].isna().to_numpy()
    weightless = (weighed[rows] == 0) & ~unlabelled
    said = []
    reasons = {"no label": int(unlabelled.sum()), "weight 0": int(weightless.sum())}
    reasons = [f"{number:,} with {reason}" for reason, number in reasons.items() if number]
    if reasons:
        said.append(f"Left out of {count(len(rows), f'{part} row')}: {' and '.join(reasons)}.")
    used = rows[~unlabelled & ~weightless]
    for name, column in grouped.items():
        without = int(column.iloc[used].isna().sum())
        if without:
            said.append(
                f"No '{name}' in {without:,} of {count(len(used), f'{part} example')}: these count"
                " in 'all' and in none of its groups."
            )
    return said


def _unused(table: ScoreTable, read: Table) -> list[str]:
    """What is in the scores and not in the labels."""
    if table.ids is None:
        return [f"There is no column '{ID}': rows of scores and labels correspond by order."]
    unknown = int((~pd.Series(table.ids).isin(read.text[ID])).sum())
    if not unknown:
        return []
    return [f"Left out: {count(unknown, 'scored example')} without a row in {read.path.name}."]


def _marks(report: GroupReport) -> list[str]:
    """Which models say nothing, so that their gaps do not either; the first few by name."""
    reasons = degenerate(report)
    marked = [i for i, reason in enumerate(reasons) if reason]
    said = [f"Degenerate: {report.names[i]} ({reasons[i]})." for i in marked[:_MARKS]]
    if len(marked) > _MARKS:
        said.append(f"Degenerate: {len(marked) - _MARKS:,} more of {len(reasons):,} models.")
    return said


def _check_probabilities(table: ScoreTable, places: np.ndarray, metrics: Sequence[str]) -> None:
    """Refuses scores that are no probabilities by the example's id; `evaluate` has none."""
    needing = calibrated(metrics)
    for model, row in zip(table.models, table.scores if needing else (), strict=False):
        outside = places[(row[places] < 0) | (row[places] > 1)]
        if len(outside):
            raise InputError(
                f"{table.where(outside[0])}: the score by model '{model}' is {row[outside[0]]:g},"
                f" but {', '.join(needing)} needs probabilities; --link=sigmoid takes logits"
            )


def _check_rows_correspond(table: ScoreTable, read: Table) -> None:
    if (ID in read.text) != (table.ids is not None):
        raise InputError(
            f"only one of {table.path} and the labels has a column '{ID}'; give both or neither one"
        )
    if table.ids is None and len(read.text) != len(table.lines):
        raise InputError(
            f"{table.path} has {words.count(len(table.lines), 'row')} and {read.path} "
            f"{len(read.text):,};"
            f" without a column '{ID}' they must be the same examples in the same order"
        )


def _binary(found: Labels, name: str, path: Path) -> pd.Series:
    if name in found.unusable:
        raise InputError(f"{path}: column '{name}' (--target) {found.unusable[name]}")
    column = found.columns[name]
    if column.dtype != "boolean":
        values = list(column.cat.categories)
        raise InputError(
            f"{path}: column '{name}' (--target) has {words.count(len(values), 'value')} "
            f"({', '.join(values[:6])}); a target is binary, such as 0 and 1"
        )
    return column.astype("Int8")


def _group(found: Labels, name: str, path: Path) -> pd.Series:
    if name in found.unusable:
        raise InputError(f"{path}: column '{name}' (--groups) {found.unusable[name]}")
    column = found.columns[name]
    return column.astype("Int8") if column.dtype == "boolean" else column


def _weights(read: Table, name: str) -> np.ndarray:
    """Returns the weights, float64[N], none of them negative or missing."""
    column = read.column(name, "--weights")
    found = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    wrong = np.flatnonzero(~(np.isfinite(found) & (found >= 0)))
    if len(wrong):
        raise InputError(
            f"{read.where(wrong[0])}: {name} {shown(column.iloc[wrong[0]])} is no weight, a number"
            f" of at least 0 ({count(len(wrong), 'such row')})"
        )
    return found
