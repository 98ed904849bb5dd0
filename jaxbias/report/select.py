"""Picking the rows of the answer that a figure, a table or the terminal shows."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from jaxbias.report.style import label
from jaxbias.study import STUDIED, TASKS

# What identifies one curation of one base's finetuning data.
_KEYS = ["task", "base", "role", "curation", "kind", "level", "n"]


def shown(frame: pd.DataFrame, study: Mapping[str, Any]) -> pd.DataFrame:
    """Returns the rows to show: of the verdicts' population, tasks and sizes in order.

    Args:
      frame: any of the answer's frames with a task and an n; tasks of several outputs have one
        population of their own.
      study: the plain settings.

    Returns:
      The same rows in the study's order of tasks, then by n, otherwise as they were.
    """
    if frame.empty:
        return frame
    if "population" in frame:
        several = frame["task"].isin([*study["classes"], *study["labels"]])
        frame = frame[several | (frame["population"] == study["answer"]["population"])]
    places = {task: i for i, task in enumerate(task for kind in TASKS for task in study[kind])}
    order = pd.DataFrame({"task": frame["task"].map(places), "n": frame["n"]})
    return frame.loc[order.sort_values(["task", "n"], kind="stable").index]


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Returns the rows as dicts, each with its `place` in the answer's frame."""
    return frame.assign(place=frame.index).to_dict("records")


def along_curations(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of every base and size as natural, then levels in order, then the rest."""
    rank = frame["kind"].map({"natural": 0, "correlation": 1}).fillna(2)
    order = frame[["base", "n", "level"]].assign(rank=rank)
    return frame.loc[order.sort_values(["base", "n", "rank", "level"], kind="stable").index]


def metric(curves: pd.DataFrame, name: str, group: str | None = None) -> pd.DataFrame:
    """Returns one metric's rows of the curves, of one group or of whichever there is."""
    rows = curves[curves["metric"] == name]
    return rows if group is None else rows[rows["group"] == group]


def level_tasks(curves: pd.DataFrame) -> pd.DataFrame:
    """Returns the curves of the tasks and sizes for which correlation levels were tried.

    A size of a single level is no course where another has several.
    """
    if curves.empty:
        return curves
    keys = ["task", "n"]
    levels = curves[curves["kind"] == "correlation"].groupby(keys)["curation"].nunique()
    most = levels.groupby("task").transform("max")
    tried = levels.index[(levels > 1) | (most == 1)]
    return curves[pd.MultiIndex.from_frame(curves[keys]).isin(tried)]


def curated(curves: pd.DataFrame, study: Mapping[str, Any]) -> pd.DataFrame:
    """Returns the curves of the targets and sizes for which more than natural draws was tried.

    Of sizes with levels alone, those of `level_tasks`.
    """
    if curves.empty:
        return curves
    keys = ["task", "n"]
    more = curves[~curves["kind"].isin(["natural", "correlation"])]
    tried = pd.concat([level_tasks(curves)[keys], more[keys]])
    inside = pd.MultiIndex.from_frame(curves[keys]).isin(pd.MultiIndex.from_frame(tried))
    return curves[inside & curves["task"].isin(study["targets"])]


def others(rows: pd.DataFrame) -> list[str]:
    """Returns the curations that are neither the natural draw nor correlation levels."""
    return list(rows.loc[~rows["kind"].isin(["natural", "correlation"]), "curation"].unique())


def pictures(curves: pd.DataFrame) -> pd.DataFrame:
    """Returns one row per curation with its signed FPR gap and its AUC side by side.

    Args:
      curves: the answer's curves, of one population.

    Returns:
      Columns task, base, role, curation, kind, level, n, marked and value, low, high with the
      suffixes `_gap` and `_auc`.
    """
    gap = metric(curves, "fpr_gap")
    gap = gap.assign(marked=marked(gap))
    auc = metric(curves, "auc", "all")
    values = ["value", "low", "high"]
    return gap[[*_KEYS, "marked", *values]].merge(
        auc[_KEYS + values], on=_KEYS, suffixes=("_gap", "_auc")
    )


def marked(rows: pd.DataFrame) -> pd.Series:
    """Returns, as text, why the models of each row are degenerate, such as at chance; "": not."""
    if "marked" not in rows:
        return pd.Series("", index=rows.index, dtype=object)
    return rows["marked"].fillna("").astype(object)


def studied(frame: pd.DataFrame, study: Mapping[str, Any]) -> pd.DataFrame:
    """Returns the rows of the studied bases."""
    if frame.empty:
        return frame
    names = [name for name, base in study["bases"].items() if base["role"] in STUDIED]
    return frame[frame["base"].isin(names)]


def roles(study: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns (base, role) of every base of the study.

    >>> roles({"bases": {"Gendered": {"role": "studied"}}})
    [('Gendered', 'studied')]
    """
    return [(name, base["role"]) for name, base in study["bases"].items()]


def gap_name(study: Mapping[str, Any]) -> str:
    """Returns which group is subtracted from which.

    >>> gap_name({"group": {"names": ["female", "male"]}})
    'female − male'
    """
    first, second = study["group"]["names"][:2]
    return f"{first} − {second}"


def metric_name(name: str) -> str:
    """Returns a metric's name as a reader knows it.

    >>> metric_name("fpr_gap"), metric_name("worst_group_accuracy")
    ('FPR gap', 'worst group accuracy')
    """
    words = name.split("_")
    return " ".join(word.upper() if word in ("fpr", "tpr", "auc") else word for word in words)


def several_sizes(frame: pd.DataFrame) -> bool:
    """Returns whether finetunes of more than one size are among the rows."""
    return frame["n"].nunique() > 1


def panel_title(task: str, n: int, several: bool) -> str:
    """Returns a panel's heading, with the size where sizes differ.

    >>> panel_title("Blond_Hair", 128, True)
    'Blond Hair, n = 128'
    """
    return f"{label(task)}, n = {n:,}" if several else label(task)
