"""Tasks of several outputs: every arm's metrics, over the outputs and of each, per group.

The rules of the answer are of binary tasks and give no verdict here. An output's metrics are one
class or label against the rest; "macro" is their mean over the outputs in which it is defined.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from jaxbias.analysis.asked import Asked
from jaxbias.analysis.estimates import estimate
from jaxbias.analysis.evaluation import ARM, TOLD
from jaxbias.analysis.frames import together
from jaxbias.analysis.panels import Panel
from jaxbias.analysis.uncertainty import intervals
from jaxbias.curation import Cells, class_names
from jaxbias.data.dataset import Dataset
from jaxbias.metrics import Groups, evaluate
from jaxbias.metrics.definitions import ALL
from jaxbias.metrics.targets import TargetsReport
from jaxbias.scores.measures import natural_weights
from jaxbias.scores.scores import Scores
from jaxbias.study import AnswerSpec, Study

METRICS = ("auc", "ap", "normalized_ap")
TOP = (1, 5)
# Its population: the test examples, weighted to the natural shares of the task's cells.
NATURAL = "natural"
# Scores that are evaluated at once, which bounds the memory; arms are never cut.
_AT_ONCE = 2**24


@dataclasses.dataclass(frozen=True)
class Outputs:
    """What the scores of one task are of, and its test examples.

    Attributes:
      task: the task.
      names: of its T classes or labels.
      labels: float64[N] classes, or float64[N, T] of 0, 1 and NaN where unknown.
      groups: of the N examples.
      weights: float64[N].
      inside: bool[N_test], which test examples are in the task.
    """

    task: str
    names: tuple[str, ...]
    labels: np.ndarray
    groups: Groups
    weights: np.ndarray
    inside: np.ndarray

    @classmethod
    def of(cls, study: Study, dataset: Dataset, cells: Cells) -> "Outputs":
        """Looks up what the test examples of a task are."""
        task, table = cells.task, dataset.table
        rows = np.flatnonzero((table["split"] == "test").to_numpy())
        inside = cells.codes[rows] >= 0
        rows = rows[inside]
        if task in study.labels:
            names = study.labels[task]
            labels = np.stack([dataset.binary(name)[rows] for name in names], axis=1)
        else:
            names, labels = class_names(dataset, task), cells.labels()[rows]
        return cls(
            task,
            names,
            np.where(labels < 0, np.nan, labels.astype(np.float64)),
            Groups(cells.group_names, cells.membership()[:, rows].astype(np.float64)),
            natural_weights(cells, rows, table, "the test split"),
            inside,
        )

    @property
    def positives(self) -> np.ndarray:
        """int64[T, 1 + G], the test examples of every output, in all and in each group."""
        known = self.labels
        if known.ndim == 1:
            known = known[:, None] == np.arange(len(self.names))
        inside = np.concatenate([np.ones((1, len(known))), self.groups.membership])
        return ((known == 1).T @ inside.T).astype(np.int64)


def of_task(asked: Asked, cells: Cells) -> tuple[dict[str, pd.DataFrame], int]:
    """Evaluates the variants of one task of several outputs.

    Args:
      asked: what is asked.
      cells: of the task.

    Returns:
      Frames of the answer by name, and how many test examples they rest on: `macro`, of every arm
      the metrics over all outputs; `outputs`, those of each; `metrics`, tidy, of every variant.
    """
    outputs = Outputs.of(asked.study, asked.dataset, cells)
    rule, chosen = asked.study.answer, (asked.sound.variants["task"] == cells.task).to_numpy()
    parts = [_of_part(*part, outputs, rule) for part in _in_parts(asked.sound, chosen, outputs)]
    frames = {name: together(part[name] for part in parts) for name in ("macro", "outputs")}
    return {**frames, "metrics": together(part["metrics"] for part in parts)}, len(outputs.weights)


def _in_parts(
    scores: Scores, chosen: np.ndarray, outputs: Outputs
) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
    """Yields variants, arm by arm, with their scores float32[V, N, T], some at a time."""
    places, count = np.flatnonzero(chosen), len(outputs.names)
    arms = scores.variants.loc[chosen, ARM].fillna(-1).groupby(ARM, sort=False).indices.values()
    most = max(1, _AT_ONCE // max(1, len(outputs.inside) * count))
    part: list[int] = []
    for arm in (places[at] for at in arms):
        if part and len(part) + len(arm) > most:
            yield _taken(scores, part, outputs)
            part = []
        part += arm.tolist()
    yield _taken(scores, part, outputs)


def _taken(
    scores: Scores, part: Sequence[int], outputs: Outputs
) -> tuple[pd.DataFrame, np.ndarray]:
    kept = np.zeros(len(scores.variants), bool)
    kept[list(part)] = True
    found = scores.matrix("test", kept)
    found = found.reshape(len(found), len(outputs.inside), len(outputs.names))
    return scores.variants[kept].reset_index(drop=True), found[:, outputs.inside]


def _of_part(
    variants: pd.DataFrame, scores: np.ndarray, outputs: Outputs, rule: AnswerSpec
) -> dict[str, pd.DataFrame]:
    report = evaluate(
        scores,
        outputs.labels,
        outputs.groups,
        weights=outputs.weights,
        metrics=(*METRICS, *(f"{metric}_gap" for metric in METRICS)),
        bootstrap=rule.replicates,
        confidence=rule.confidence,
        names=variants["variant"].tolist(),
        top_k=[k for k in TOP if k < len(outputs.names)],
    )
    return {
        "macro": _arms(variants, _over_outputs(report, outputs), outputs.task, rule),
        "outputs": _arms(variants, _of_outputs(report, outputs), outputs.task, rule),
        "metrics": _tidy(variants, report),
    }


# What a row says of its metric, and the metric of V variants: float64[V], float64[V, R].
_Entry = tuple[dict[str, Any], np.ndarray, np.ndarray]


def _over_outputs(report: TargetsReport, outputs: Outputs) -> Iterator[_Entry]:
    """The macro metrics and the hit rates: of all, of each group, their gap and the least."""
    named = [("mean", metric, f"macro_{metric}") for metric in METRICS]
    named += [("all", rate, rate) for rate in (f"top_{k}_hit_rate" for k in report.hits)]
    for target, metric, name in named:
        groups = {}
        for group in (ALL, *outputs.groups.names):
            value, replicates, _ = report.resampled(target, metric, group)
            groups[group] = value, replicates
            yield {"metric": name, "group": group}, value, replicates
        for family in outputs.groups.families:
            value, replicates, _ = report.resampled(target, f"{metric}_gap", family)
            yield {"metric": f"{name}_gap", "group": family}, value, replicates
        each = [groups[group] for group in outputs.groups.names]
        least = (np.min([part[i] for part in each], axis=0) for i in (0, 1))
        yield {"metric": f"worst_group_{name}", "group": ALL}, *least


def _of_outputs(report: TargetsReport, outputs: Outputs) -> Iterator[_Entry]:
    """The metrics of every output: of all, of each group, and their gap."""
    positives, places = outputs.positives, (ALL, *outputs.groups.names)
    for t, (name, one) in enumerate(zip(outputs.names, report.reports.values(), strict=True)):
        for metric, group in one.entries():
            value, replicates, _ = one.resampled(metric, group)
            told = {"output": name, "metric": metric, "group": group}
            count = positives[t, 0 if metric.endswith("_gap") else places.index(group)]
            reason = one.undefined(metric, group)
            yield told | {"positives": count, "undefined_reason": reason}, value, replicates


def _arms(
    variants: pd.DataFrame, entries: Iterable[_Entry], task: str, rule: AnswerSpec
) -> pd.DataFrame:
    """Returns a row per arm and metric, each with an interval of its own."""
    units, draws = (variants[name].to_numpy(np.int64) for name in ("pretrain_seed", "seed"))
    arms = [
        (variants.loc[at[0], ARM].to_dict(), at)
        for at in variants[ARM].fillna(-1).groupby(ARM, sort=False).indices.values()
    ]
    rows, found = [], []
    for told, values, replicates in entries:
        for settings, at in arms:
            one = estimate(Panel(units[at], draws[at], values[at], replicates[at]))
            counts = {"checkpoints": one.units, "draws": one.draws}
            rows.append({"task": task, **settings, **counts, **told})
            found.append(one)
    for row, one in zip(rows, intervals(found, 1 - rule.confidence), strict=True):
        least = -1.0 if row["metric"].endswith("_gap") else 0.0
        low, high = np.clip((one.low, one.high), least, 1.0)  # Few checkpoints say less than that.
        row |= {"value": one.value, "low": low, "high": high}
    return pd.DataFrame(rows)


def _tidy(variants: pd.DataFrame, report: TargetsReport) -> pd.DataFrame:
    """Returns one row per variant, metric over all outputs and group, with its settings."""
    frame = report.means().rename(columns={"n": "examples"})
    macro = frame.pop("target") == "mean"
    frame["metric"] = frame["metric"].where(~macro, "macro_" + frame["metric"])
    settings = variants[TOLD].assign(population=NATURAL)
    return settings.merge(frame, on="variant", validate="one_to_many")


def sentences(study: Study, macro: pd.DataFrame) -> list[str]:
    """Says of every task of several outputs that it gets no verdict, and where its numbers are."""
    if macro.empty:
        return []
    said = []
    for task, rows in macro.groupby("task", sort=False):
        what = "labels" if task in study.labels else "classes"
        gaps = rows[rows["metric"] == "macro_auc_gap"]
        clear = gaps[(gaps["low"] > 0) | (gaps["high"] < 0)]
        said.append(
            f"{task} is a task of {what}: the rules of the answer, of binary tasks, give no "
            f"verdict on it. Of {len(gaps)} arms, {len(clear)} have a gap of the macro AUC "
            f"({' − '.join(study.group.names)}) whose interval, each of its own, excludes 0."
        )
    return said
