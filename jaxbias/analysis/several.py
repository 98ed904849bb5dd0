"""Tasks of several outputs: every arm's metrics, over the outputs and of each, per group.

The rules of the answer are of binary tasks and give no verdict here. An output's metrics are one
class or label against the rest; "macro" is their mean over the outputs in which it is defined.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from jaxbias.analysis.asked import Asked
from jaxbias.analysis.estimates import estimate
from jaxbias.analysis.evaluation import ARM, TOLD
from jaxbias.analysis.frames import together
from jaxbias.analysis.outputs import METRICS, NATURAL, Outputs
from jaxbias.analysis.panels import Panel
from jaxbias.analysis.several_groupings import FRAMES, compared_in, of_part
from jaxbias.analysis.uncertainty import intervals
from jaxbias.curation import Cells
from jaxbias.metrics import evaluate
from jaxbias.metrics.definitions import ALL
from jaxbias.metrics.targets import TargetsReport
from jaxbias.scores.scores import Scores
from jaxbias.study import AnswerSpec, Study

# Scores that are evaluated at once, which bounds the memory; arms are never cut.
_AT_ONCE = 2**24


def of_task(asked: Asked, cells: Cells) -> tuple[dict[str, pd.DataFrame], int]:
    """Evaluates the variants of one task of several outputs.

    Args:
      asked: what is asked.
      cells: of the task.

    Returns:
      Frames of the answer by name, and how many test examples they rest on: `macro`, of every arm
      the metrics over all outputs; `outputs`, those of each; `metrics`, tidy, of every variant;
      and those of its groupings.
    """
    outputs = Outputs.of(asked.study, asked.dataset, cells)
    rule, chosen = asked.study.answer, (asked.sound.variants["task"] == cells.task).to_numpy()
    compared = compared_in(asked.groupings, outputs)
    parts = []
    for part in _in_parts(asked.sound, chosen, outputs):
        parts.append(_of_part(*part, outputs, rule) | of_part(*part, outputs, compared, rule))
    names = ("macro", "outputs", "metrics", *FRAMES)
    return {name: together(part[name] for part in parts) for name in names}, len(outputs.weights)


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
        top_k=outputs.top,
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
