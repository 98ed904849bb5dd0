"""Sources: metrics along the share of a second source, and where one base catches up with another.

Of tasks of several outputs whose finetuning data mix the two sources that are the groups.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from jaxbias.analysis.asked import Asked
from jaxbias.analysis.estimates import estimate
from jaxbias.analysis.outputs import Outputs
from jaxbias.analysis.panels import Panel
from jaxbias.analysis.uncertainty import intervals
from jaxbias.analysis.underrepresentation import REFERENCE, catching_up
from jaxbias.curation import Cells
from jaxbias.metrics import Groups, evaluate
from jaxbias.study import STUDIED, AnswerSpec
from jaxbias.words import count

FRAMES = ("source_curves", "catching_up")  # Of the answer.
# Name -> target and metric of the report over several outputs.
_METRICS = {
    "top_5_hit_rate": ("all", "top_5_hit_rate"),
    "macro_ap": ("mean", "ap"),
    "macro_normalized_ap": ("mean", "normalized_ap"),
}
_KIND, _TOP = "source_mix", 5


@dataclasses.dataclass(frozen=True)
class Place:
    """Where models are tested: a source, or those of it of one value of a grouping.

    Attributes:
      name: in tables.
      second: whether it is of the second source; else of the first.
      inside: bool[N], of the task's test examples.
    """

    name: str
    second: bool
    inside: np.ndarray


def of_task(asked: Asked, cells: Cells) -> dict[str, pd.DataFrame]:
    """Returns `source_curves` and `catching_up` of a task; none where no sources are mixed.

    Curves: every arm's metrics in each source, and in the second by every grouping of the study,
    each with an interval of its own. Catching up: for each place and two studied bases, the share
    of the place's source from which on one is ahead of the other at 10 % of it; intervals at all
    shares planned hold together, for all bases and places of a metric.

    Args:
      asked: what is asked.
      cells: of the task.
    """
    planned = asked.planned[asked.planned["task"] == cells.task]
    mixed = asked.sound.variants["kind"] == _KIND
    chosen = (mixed & (asked.sound.variants["task"] == cells.task)).to_numpy()
    if not chosen.any():
        return {}
    outputs = Outputs.of(asked.study, asked.dataset, cells)
    places = _places(asked, cells, outputs)
    variants = asked.sound.variants[chosen].reset_index(drop=True)
    scores = asked.sound.matrix("test", chosen)
    scores = scores.reshape(len(variants), len(outputs.inside), len(outputs.names))
    rule = asked.study.answer
    report = evaluate(
        scores[:, outputs.inside],
        outputs.labels,
        Groups(tuple(p.name for p in places), np.stack([p.inside for p in places])),
        weights=outputs.weights,
        metrics=("ap", "normalized_ap"),
        bootstrap=rule.replicates,
        confidence=rule.confidence,
        names=variants["variant"].tolist(),
        top_k=[_TOP] if len(outputs.names) > _TOP else [],
    )
    measured = {}
    for name, (target, metric) in _METRICS.items():
        if target == "all" and not report.hits:
            continue
        for place in places:
            value, replicates, _ = report.resampled(target, metric, place.name)
            measured[name, place.name] = value, replicates
    arms = _Arms(variants, measured)
    return {
        "source_curves": _curves(cells.task, arms, places, rule),
        "catching_up": _matched(cells.task, arms, places, planned, rule),
    }


@dataclasses.dataclass(frozen=True)
class _Arms:
    """The metrics of V variants: (metric, place) -> float64[V] and float64[V, R]."""

    variants: pd.DataFrame
    measured: Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray]]

    @property
    def metrics(self) -> list[str]:
        return list(dict.fromkeys(metric for metric, _ in self.measured))

    def panel(self, metric: str, place: str, base: str, level: float, n: int) -> Panel:
        of = self.variants
        at = ((of["base"] == base) & (of["level"] == level) & (of["n"] == n)).to_numpy()
        values, replicates = self.measured[metric, place]
        units, draws = (of.loc[at, name].to_numpy(np.int64) for name in ("pretrain_seed", "seed"))
        return Panel(units, draws, values[at], replicates[at])


def _places(asked: Asked, cells: Cells, outputs: Outputs) -> list[Place]:
    """The two sources, and the second by every grouping that is known of it."""
    rows = np.flatnonzero((asked.dataset.table["split"] == "test").to_numpy())[outputs.inside]
    sources = cells.membership()[:, rows]
    places = [Place(name, bool(i), sources[i]) for i, name in enumerate(cells.group_names)]
    for name, grouping in asked.groupings.items():
        for value, of in zip(grouping.names, grouping.membership()[:, rows], strict=True):
            inside = of & (sources[1] > 0)
            if inside.any():
                places.append(Place(value if "=" in value else f"{name} {value}", True, inside))
    return places


def _curves(task: str, arms: _Arms, places: list[Place], rule: AnswerSpec) -> pd.DataFrame:
    rows, found = [], []
    tried = arms.variants[["base", "role", "curation", "level", "n"]].drop_duplicates()
    for metric, place, arm in itertools.product(arms.metrics, places, tried.itertuples()):
        one = estimate(arms.panel(metric, place.name, arm.base, arm.level, arm.n))
        found.append(one)
        rows.append(
            {
                "task": task,
                "base": arm.base,
                "role": arm.role,
                "curation": arm.curation,
                "level": arm.level,
                "n": arm.n,
                "metric": metric,
                "place": place.name,
                "examples": int(place.inside.sum()),
                "checkpoints": one.units,
                "draws": one.draws,
            }
        )
    for row, one in zip(rows, intervals(found, 1 - rule.confidence), strict=True):
        low, high = np.clip((one.low, one.high), 0.0, 1.0)  # Student's tails know no bounds.
        row |= {"value": one.value, "low": low, "high": high}
    return pd.DataFrame(rows)


def _matched(
    task: str, arms: _Arms, places: list[Place], planned: pd.DataFrame, rule: AnswerSpec
) -> pd.DataFrame:
    asked = list(_asked(planned))
    rows = []
    alpha = (1 - rule.confidence) / max(len(asked) * len(places), 1)
    for metric, (n, base, against), place in itertools.product(arms.metrics, asked, places):
        of_base, of_other = (_by_share(planned, name, n, place.second) for name in (base, against))
        told = {"task": task, "n": n, "metric": metric, "place": place.name}
        told |= {"base": base, "against": against, "waiting": ""}
        missing = [
            name
            for name, levels in ((base, of_base), (against, of_other))
            if not levels.get(REFERENCE, (0, False))[1]
        ]
        if missing:
            rows.append(told | {"waiting": f"{' and '.join(missing)} at 10 % are not all trained"})
            continue
        along = {
            share: arms.panel(metric, place.name, base, level, n)
            for share, (level, whole) in sorted(of_base.items())
            if whole and share > 0
        }
        reference = arms.panel(metric, place.name, against, of_other[REFERENCE][0], n)
        number = sum(share > 0 for share in of_base)
        rows.append(
            told | {"reference": reference.mean} | catching_up(along, reference, number, alpha)
        )
    return pd.DataFrame(rows)


def _asked(planned: pd.DataFrame) -> Iterator[tuple[int, str, str]]:
    """Every n and ordered pair of studied bases of which mixes with 10 % are planned."""
    mixed = planned[(planned["kind"] == _KIND) & planned["role"].isin(STUDIED)]
    for n, rows in mixed.groupby("n"):
        for base, against in itertools.permutations(rows["base"].unique(), 2):
            yield int(n), base, against


def _by_share(
    planned: pd.DataFrame, base: str, n: int, second: bool
) -> dict[int, tuple[float, bool]]:
    """Tenths of a source -> the level that has them, and whether all its models are trained."""
    mine = (planned["base"] == base) & (planned["n"] == n) & (planned["kind"] == _KIND)
    found = {}
    for level, rows in planned[mine].groupby("level"):
        whole = (rows["status"] == "ok").any() and not (rows["status"] == "not trained").any()
        found[int(level if second else 10 - level)] = level, bool(whole)
    return found


def sentences(table: pd.DataFrame, rule: AnswerSpec) -> list[str]:
    """Says of each base and place where it catches up, by the first metric there is."""
    said = []
    if table.empty:
        return said
    first = table[table["metric"] == table["metric"].iloc[0]]
    for (task, n, base, against), rows in first.groupby(
        ["task", "n", "base", "against"], sort=False
    ):
        parts = [f"{row.place} {_where(row)}" for row in rows.itertuples()]
        said.append(
            f"Sources ({task}, n = {n:,}, {first['metric'].iloc[0].replace('_', ' ')}). The {base} "
            f"base beside {against} with 10 % of a source: {'; '.join(parts)} "
            f"({rule.confidence:.0%} intervals for all shares, bases and "
            f"{count(len(rows), 'place')} together)."
        )
    return said


def _where(row: tuple) -> str:
    if row.waiting:
        return f"undecided, {row.waiting}"
    at = f"{row.difference:+.3f} [{row.low:+.3f}, {row.high:+.3f}] at 10 %"
    if row.sure_share == row.sure_share:
        return f"{at}, surely ahead from {row.sure_share:.0%} on"
    if row.share_low == row.share_low:
        return (
            f"{at}, equality compatible with {row.share_low:.0%} to {row.share_high:.0%}, surely "
            "ahead at no share"
        )
    return f"{at}, surely ahead at no share, and equality is compatible with none"
