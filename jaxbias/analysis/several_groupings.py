"""More groups of the scores of tasks of several outputs: macro metrics, hit rates, their ranges.

Groups are compared on the same outputs: a macro metric is the mean over those of which every
compared group has positives and negatives enough, else groups would differ by what is averaged.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from jaxbias.analysis.evaluation import ARM
from jaxbias.analysis.grouped import LEAST, ROUNDING, Grouped, place
from jaxbias.analysis.outputs import METRICS, NATURAL, Outputs
from jaxbias.analysis.panels import Panel
from jaxbias.data.groupings import Grouping
from jaxbias.metrics import Groups, evaluate
from jaxbias.metrics.definitions import ALL
from jaxbias.metrics.resampling import Resampled, Share
from jaxbias.metrics.targets import TargetsReport
from jaxbias.study import AnswerSpec
from jaxbias.words import count

FRAMES = ("grouping_rates", "grouping_gaps", "grouping_ranges")
_NAN = float("nan")


@dataclasses.dataclass(frozen=True)
class Compared:
    """What of one grouping is compared in one task.

    Attributes:
      grouping: its name.
      membership: bool[G, N], of the task's test examples.
      groups: those with examples enough.
      outputs: those that every one of these has examples enough of.
      counts: group -> its fewest positives and negatives of any of these outputs, and why it is
        left out.
    """

    grouping: str
    membership: np.ndarray
    groups: tuple[str, ...]
    outputs: tuple[str, ...]
    counts: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, name: str, grouping: Grouping, outputs: Outputs) -> "Compared":
        """Says which groups and outputs have examples enough.

        A group is compared that has enough of at least half of the outputs that the whole test
        split has enough of.
        """
        membership, true = grouping.membership()[:, outputs.rows], outputs.true
        inside = np.concatenate([np.ones((1, len(true))), membership]) * outputs.weights
        fewest = np.minimum(inside @ (true == 1), inside @ (true == 0)) >= LEAST - ROUNDING
        there, enough = fewest[0], fewest[1:]
        sound = 2 * enough[:, there].sum(axis=1) >= max(there.sum(), 1)
        common = there & enough[sound].all(axis=0)
        told = common if common.any() else there
        counts = {}
        for g, group in enumerate(grouping.names):
            inside = true[membership[g]]
            own = inside[:, told]
            least = [int(n) for n in (_least(own == 1), _least(own == 0))]
            enough_of = sound[g] and common.any()
            why = "" if enough_of else _few(inside[:, there], bool(common.any()))
            row = {"group": group, "positives": least[0], "negatives": least[1]}
            counts[group] = row | {"left_out": why}
        kept = tuple(group for group, own in counts.items() if not own["left_out"])
        named = tuple(one for one, there in zip(outputs.names, common, strict=True) if there)
        return cls(name, membership, kept, named, counts)


def compared_in(groupings: Mapping[str, Grouping], outputs: Outputs) -> list[Compared]:
    """Returns what of every grouping is compared in one task."""
    return [Compared.of(name, grouping, outputs) for name, grouping in groupings.items()]


def _least(there: np.ndarray) -> int:
    return int(there.sum(axis=0).min(initial=len(there)))


def _few(own: np.ndarray, common: bool) -> str:
    if not common:
        return "no output has ten positives and ten negatives in every group"
    both = np.minimum((own == 1).sum(axis=0), (own == 0).sum(axis=0)) >= LEAST
    return (
        f"too few: {count(len(own), 'test example')}, with ten positives and ten negatives of "
        f"{both.sum()} of {len(both)} outputs"
    )


def of_part(
    variants: pd.DataFrame,
    scores: np.ndarray,
    outputs: Outputs,
    compared: Sequence[Compared],
    rule: AnswerSpec,
) -> dict[str, pd.DataFrame]:
    """Evaluates variants of a task of several outputs in all groupings at once.

    Args:
      variants: V of them, all of every arm among them.
      scores: float32[V, N, T].
      outputs: the task's.
      compared: a grouping each; none: the frames are empty.
      rule: replicates and the confidence.

    Returns:
      The frames `FRAMES`.
    """
    rows: dict[str, list[dict]] = {frame: [] for frame in FRAMES}
    report = _evaluated(variants, scores, outputs, compared, rule) if compared else None
    arms = [
        (variants.loc[at[0], ARM].to_dict(), at)
        for at in variants[ARM].fillna(-1).groupby(ARM, sort=False).indices.values()
    ]
    keys = {"task": outputs.task, "population": NATURAL}
    for one in compared:
        settings = [{**keys, "grouping": one.grouping, **arm} for arm, _ in arms]
        told = {"outputs": ", ".join(one.outputs)}
        for metric, found in _measured(report, one):
            if len(one.groups) < 2:
                left = [s | {"metric": metric, **row} for s in settings for row in _alone(one)]
                rows["grouping_rates"] += left
                continue
            panels = [_panels(variants, at, found) for _, at in arms]
            share = Share(np.stack([size for _, size in found]), metric.startswith("top_"))
            over = Grouped(metric, one.groups, settings, panels, share, 1 - rule.confidence)
            rows["grouping_rates"] += [row | told for row in over.rates(one.counts)]
            rows["grouping_gaps"] += over.gaps()
            unasked = {"low_family": _NAN, "high_family": _NAN, "marked": "", "verdict": ""}
            rows["grouping_ranges"] += [row | unasked | told for row in over.ranges()]
    return {frame: pd.DataFrame(own) for frame, own in rows.items()}


def _evaluated(
    variants: pd.DataFrame,
    scores: np.ndarray,
    outputs: Outputs,
    compared: Sequence[Compared],
    rule: AnswerSpec,
) -> TargetsReport:
    families, start = {}, 0
    for one in compared:
        families[one.grouping] = tuple(range(start, start + len(one.counts)))
        start += len(one.counts)
    names = tuple(place(one.grouping, group) for one in compared for group in one.counts)
    return evaluate(
        scores,
        outputs.labels,
        Groups(names, np.concatenate([one.membership for one in compared]), families),
        weights=outputs.weights,
        targets=outputs.names,
        metrics=METRICS,
        bootstrap=rule.replicates,
        confidence=rule.confidence,
        names=variants["variant"].tolist(),
        top_k=outputs.top,
    )


def _alone(one: Compared) -> Iterator[dict]:
    """What is said of a grouping of which fewer than two groups can be compared."""
    for row in one.counts.values():
        why = row["left_out"] or "no other group to compare with"
        yield {**row, "left_out": why, "value": _NAN, "low": _NAN, "high": _NAN}


def _measured(
    report: TargetsReport, one: Compared
) -> Iterator[tuple[str, list[tuple[Resampled, np.ndarray]]]]:
    """Yields a metric's name, and of every compared group its values and what they rest on."""
    places = [place(one.grouping, group) for group in one.groups]
    own = {name: report[name] for name in one.outputs}
    common = dataclasses.replace(report, reports=own)
    for metric in METRICS:
        found = []
        for at in places:
            sizes = [each.share(metric, at).size for each in own.values()]
            found.append((common.resampled("mean", metric, at), np.min(sizes, axis=0)))
        yield f"macro_{metric}", found
    for k, hits in report.hits.items():
        name = f"top_{k}_hit_rate"
        found = [
            (report.resampled(ALL, name, at), hits.share("selection_rate", at).size)
            for at in places
        ]
        yield name, found


def _panels(
    variants: pd.DataFrame, at: np.ndarray, found: Sequence[tuple[Resampled, np.ndarray]]
) -> list[Panel]:
    units, draws = (variants[name].to_numpy(np.int64)[at] for name in ("pretrain_seed", "seed"))
    return [Panel(units, draws, one.value[at], one.replicates[at]) for one, _ in found]
