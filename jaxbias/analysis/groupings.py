"""More groups, of any number, from the same scores: their rates, gaps and ranges in every arm."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from jaxbias.analysis.asked import Asked
from jaxbias.analysis.design import Design
from jaxbias.analysis.estimates import difference
from jaxbias.analysis.evaluation import ARM, Evaluation, evaluate_task
from jaxbias.analysis.grouped import LEAST, ROUNDING, Grouped, ends, place
from jaxbias.analysis.ranged import range_change
from jaxbias.analysis.uncertainty import Interval, intervals, simultaneous_level
from jaxbias.metrics import Groups
from jaxbias.metrics.resampling import Share
from jaxbias.study import STUDIED

METRICS = ("fpr", "tpr", "auc", "accuracy")


def family(asked: Asked) -> int:
    """Counts the ranges asked about: of every binary task, studied base, n and grouping."""
    binary = asked.planned["task"].isin([*asked.study.targets, *asked.study.pairs])
    studied = asked.planned[binary & asked.planned["role"].isin(STUDIED)]
    return max(len(studied[["task", "base", "n"]].drop_duplicates()) * len(asked.groupings), 1)


def of_task(asked: Asked, design: Design, fixes: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Returns the frames `grouping_*` of a task; none where the study has no groupings.

    Args:
      asked: what the study asks.
      design: what was planned of the task.
      fixes: its smallest fixes, with which groups are compared before and after.
    """
    rows: dict[str, list[dict]] = {
        name: [] for name in ("rates", "gaps", "ranges", "fixes", "changes")
    }
    if asked.groupings:
        evaluation = _evaluated(asked, design.task)
        for name in asked.groupings:
            for part in _of_grouping(asked, evaluation, design, name, fixes):
                for frame, own in part.items():
                    rows[frame] += own
    return {f"grouping_{frame}": pd.DataFrame(own) for frame, own in rows.items()}


def _evaluated(asked: Asked, task: str) -> Evaluation:
    """All groupings of one task at once, on the verdicts' population."""
    rule, families, start = asked.study.answer, {}, 0
    for name, grouping in asked.groupings.items():
        families[name] = tuple(range(start, start + len(grouping.names)))
        start += len(grouping.names)
    groups = Groups(
        tuple(place(name, each) for name, own in asked.groupings.items() for each in own.names),
        np.concatenate([grouping.membership() for grouping in asked.groupings.values()]),
        families,
    )
    return evaluate_task(
        asked.sound,
        asked.cells[task],
        rule.population,
        asked.study.evaluations[rule.population],
        "test",
        rule.replicates,
        rule.confidence,
        groups,
        METRICS,
    )


@dataclasses.dataclass(frozen=True)
class _Asked:
    """One metric of the groups of one grouping that have examples enough.

    Attributes:
      evaluation: of all groupings.
      grouping: its name.
      groups: G names.
      metric: its name.
      alone: the level of an interval by itself.
      together: the level at which those of all ranges asked about hold together; of the FPR, which
        is asked about.
    """

    evaluation: Evaluation
    grouping: str
    groups: tuple[str, ...]
    metric: str
    alone: float
    together: float

    def panels(self, base: str, curation: str, n: int) -> list:
        return [
            self.evaluation.panel(self.metric, base, curation, n, place(self.grouping, group))
            for group in self.groups
        ]

    @property
    def share(self) -> Share:
        shares = [
            self.evaluation.report.share(self.metric, place(self.grouping, group))
            for group in self.groups
        ]
        return Share(np.stack([share.size for share in shares]), shares[0].counted)

    def over(self, arms: pd.DataFrame, settings: list[dict]) -> Grouped:
        """In every arm."""
        panels = [self.panels(arm.base, arm.curation, arm.n) for arm in arms.itertuples()]
        return Grouped(self.metric, self.groups, settings, panels, self.share, self.alone)


def _of_grouping(
    asked: Asked, evaluation: Evaluation, design: Design, name: str, fixes: pd.DataFrame
) -> Iterator[dict[str, list[dict]]]:
    arms, counts = evaluation.arms(), _counts(asked, evaluation, name)
    keys = {"task": design.task, "population": evaluation.population, "grouping": name}
    settings = [keys | row for row in arms[ARM].to_dict("records")]
    enough = tuple(group for group, row in counts.items() if not row["left_out"])
    for metric in METRICS:
        if len(enough) < 2:
            yield {"rates": [s | {"metric": metric} | r for s in settings for r in counts.values()]}
            continue
        alone = 1 - asked.study.answer.confidence
        one = _Asked(evaluation, name, enough, metric, alone, alone / family(asked))
        over = one.over(arms, settings)
        yield {
            "rates": over.rates(counts),
            "gaps": over.gaps(),
            "ranges": _ranges(one, over, design, asked.study.answer.epsilon),
        }
        for fix in fixes.itertuples():
            if fix.curation or fix.nearest:
                own = keys | {"base": fix.base, "n": fix.n, "metric": metric}
                yield _fixed(one, own, fix, design, asked.study.answer.epsilon)


def _counts(asked: Asked, evaluation: Evaluation, name: str) -> dict[str, dict[str, Any]]:
    """Group -> its test examples and, where these are too few, that."""
    labels = evaluation.cells.labels()
    test = (asked.dataset.table["split"] == "test").to_numpy() & (labels >= 0)
    grouping, report, found = asked.groupings[name], evaluation.report, {}
    for code, group in enumerate(grouping.names):
        inside = labels[test & (grouping.codes == code)]
        positives, negatives = (int((inside == label).sum()) for label in (1, 0))
        # As many as the population's weights leave of them.
        least = report.sizes[:, report.groups.index(place(name, group))].min()
        few = f"{positives:,} positive and {negatives:,} negative test examples"
        found[group] = {
            "group": group,
            "positives": positives,
            "negatives": negatives,
            "left_out": f"too few: {few}" if least < LEAST - ROUNDING else "",
        }
    return found


def _ranges(one: _Asked, over: Grouped, design: Design, epsilon: float) -> list[dict]:
    together, rows = over.found.ranges(one.together), over.ranges()
    for row, found in zip(rows, together, strict=True):
        standing = design.arm(row["base"], row["curation"], row["n"])
        row |= {"low_family": found.low, "high_family": found.high}
        row |= {"marked": standing.marked, "verdict": ""}
        if one.metric == METRICS[0]:
            row["verdict"] = standing.unusable or _above(found, epsilon)
    return rows


def _above(found: Interval, epsilon: float) -> str:
    if found.low > epsilon:
        return "range"
    return "no range" if found.high < epsilon else "undecided"


def _fixed(
    one: _Asked, keys: dict, fix: tuple, design: Design, epsilon: float
) -> dict[str, list[dict]]:
    """The range, and each group's rate, at a fix beside the natural draw of the same base."""
    curation = fix.curation or fix.nearest
    names = ("natural", curation)
    panels = [one.panels(fix.base, name, fix.n) for name in names]
    values = [np.array([panel.mean for panel in own]) for own in panels]
    change, jointly = (
        range_change(*panels, one.share, level) for level in (one.alone, one.together)
    )
    row = keys | {"curation": curation, "confirmed": bool(fix.curation)}
    standing = [design.arm(fix.base, name, fix.n).unusable for name in names]
    verdict = ""
    if one.metric == METRICS[0]:
        verdict = next(filter(None, standing), "") or _worse(jointly, epsilon)
    ranges = {"before": float(np.ptp(values[0])), "after": float(np.ptp(values[1]))}
    extremes = ends(one.groups, values[0], "_before") | ends(one.groups, values[1], "_after")
    bounds = {"low": change.low, "high": change.high}
    bounds |= {"low_family": jointly.low, "high_family": jointly.high}
    found = [difference(after, before) for before, after in zip(*panels, strict=True)]
    alone = intervals(found, one.alone)
    all_ = intervals(found, simultaneous_level(found, one.together, len(found)))
    changes = [
        row
        | {"group": group, "before": before, "after": after}
        | own.named("change")
        | {"low_family": joint.low, "high_family": joint.high}
        for group, before, after, own, joint in zip(one.groups, *values, alone, all_, strict=True)
    ]
    fixed = row | ranges | {"change": change.value} | bounds | extremes | {"verdict": verdict}
    return {"fixes": [fixed], "changes": changes}


def _worse(change: Interval, epsilon: float) -> str:
    if change.low > 0:
        return "larger"
    return "not larger" if change.high < epsilon else "undecided"
