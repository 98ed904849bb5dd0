"""Natural draws of two studies, evaluated together where they are of the same examples."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from jaxbias.analysis.answer import Answer
from jaxbias.analysis.asked import Asked
from jaxbias.analysis.estimates import difference, independent
from jaxbias.analysis.evaluation import Evaluation, evaluate_task
from jaxbias.analysis.overwriting import GAP
from jaxbias.analysis.panels import Panel
from jaxbias.analysis.ranks import smaller_size
from jaxbias.analysis.uncertainty import Interval, intervals
from jaxbias.data.dataset import Dataset
from jaxbias.errors import InputError
from jaxbias.scores.scores import Scores
from jaxbias.study import Study

SIZE = "|fpr_gap|"
METRICS = (GAP, SIZE, "auc")
SPLITS = ("validation", "test")
_NOTHING = Interval(float("nan"), float("nan"), float("nan"))
Arm = tuple[str, str, int, int]  # Task, base, and n in either study.


@dataclasses.dataclass(frozen=True)
class Side:
    """One of the two studies.

    Attributes:
      name: of its directory, as it was given.
      study: its settings.
      dataset: its labels.
      scores: every finished variant.
      answer: what it found.
    """

    name: str
    study: Study
    dataset: Dataset
    scores: Scores
    answer: Answer


def refuse_apart(names: tuple[str, str], studies: tuple[Study, Study]) -> None:
    """Refuses studies that have nothing to compare, whatever is trained.

    Raises:
      InputError: they have other groups, or no target or no base in common.
    """
    both = " and ".join(names)
    for name, study in zip(names, studies, strict=True):
        if not study.targets:
            raise InputError(
                f"{name} has no config.targets: pairs, classes and labels are not compared"
            )
    groups = [(study.group.column, study.group.values) for study in studies]
    if groups[0] != groups[1]:
        told = " and ".join(f"{column} ({', '.join(values)})" for column, values in groups)
        raise InputError(f"{both} have other groups, {told}: their gaps are not of the same thing")
    targets = [list(study.targets) for study in studies]
    bases = [list(study.bases) for study in studies]
    for what, (mine, theirs) in {"target": targets, "base": bases}.items():
        if not set(mine) & set(theirs):
            told = f"{', '.join(mine)} and {', '.join(theirs)}"
            raise InputError(f"{both} have no {what} in common: {told}")


@dataclasses.dataclass(frozen=True)
class Drawn:
    """The natural draws of one side, evaluated alone or with the other's."""

    evaluation: Evaluation
    prefix: str

    def panel(self, metric: str, base: str, n: int) -> Panel:
        """Returns a metric of a base's models."""
        return self.evaluation.panel(metric, f"{self.prefix}{base}", "natural", n)


def drawn_of(sides: Sequence[Asked], task: str, together: bool) -> tuple[Drawn, Drawn]:
    """Evaluates the natural draws of both; of the same examples in one bootstrap."""
    naturals = []
    for place, one in enumerate(sides):
        rows = one.sound.variants
        mine = one.sound.only(((rows["task"] == task) & (rows["curation"] == "natural")).to_numpy())
        told = {name: f"{place} " + mine.variants[name] for name in ("variant", "base")}
        naturals.append(dataclasses.replace(mine, variants=mine.variants.assign(**told)))
    if together:
        whole = _evaluated(_joined(*naturals), sides[0], task)
        return Drawn(whole, "0 "), Drawn(whole, "1 ")
    first, second = (_evaluated(*one, task) for one in zip(naturals, sides, strict=True))
    return Drawn(first, "0 "), Drawn(second, "1 ")


def _evaluated(scores: Scores, side: Asked, task: str) -> Evaluation:
    rule = side.study.answer
    population = side.study.evaluations[rule.population]
    return evaluate_task(
        scores, side.cells[task], rule.population, population, "test", rule.replicates,
        rule.confidence,
    )  # fmt: skip


def _joined(first: Scores, second: Scores) -> Scores:
    """The models of both on the same examples, in the order of the first."""
    scores = []
    for split in SPLITS:
        ids = [one.examples.loc[one.examples["split"] == split, "id"] for one in (first, second)]
        places = pd.Index(ids[1]).get_indexer(pd.Index(ids[0]))
        mine, theirs = (
            one.matrix(split, np.ones(len(one.variants), bool)) for one in (first, second)
        )
        scores.append(np.concatenate([mine, theirs[:, places]]))
    variants = pd.concat([first.variants, second.variants], ignore_index=True)
    return Scores(variants, *scores, first.examples)


def natural_rows(side: Side, task: str) -> pd.DataFrame:
    """The rows of the natural draws in the side's answer."""
    rows = side.answer.overwritten
    if rows.empty:
        return rows
    rows = rows[(rows["task"] == task) & (rows["kind"] == "natural")]
    return rows[rows["population"] == side.study.answer.population]


def differences(
    sides: tuple[Side, Side],
    drawn: Mapping[str, tuple[Drawn, Drawn]],
    arms: Sequence[Arm],
    together: bool,
    alpha: float,
) -> pd.DataFrame:
    """Rows of every arm and metric; intervals alone and for all rows of a metric."""
    minus = difference if together else independent
    rows = []
    for metric in METRICS:
        for task, base, *sizes in arms:
            panels = [
                each.panel(GAP if metric == SIZE else metric, base, n)
                for each, n in zip(drawn[task], sizes, strict=True)
            ]
            reasons = [_unusable(one, task, base, n) for one, n in zip(sides, sizes, strict=True)]
            left_out = "; ".join(
                f"{one.name}: {why}" for one, why in zip(sides, reasons, strict=True) if why
            )
            alone, jointly = (
                [_NOTHING] * 2
                if left_out
                else [_moved(minus, panels, metric, level) for level in (alpha, alpha / len(arms))]
            )
            values = [abs(p.mean) if metric == SIZE else p.mean for p in panels]
            rows.append(
                {"task": task, "base": base, "n_first": sizes[0], "n_second": sizes[1]}
                | {"metric": metric, "first": values[0], "second": values[1]}
                | alone.named("difference")
                | {"difference_low_all": jointly.low, "difference_high_all": jointly.high}
                | {"paired": together, "left_out": left_out}
            )
    # As it is read: of every arm its metrics, one after another.
    order = [m * len(arms) + i for i in range(len(arms)) for m in range(len(METRICS))]
    return pd.DataFrame([rows[place] for place in order])


def _moved(minus: Callable, panels: Sequence[Panel], metric: str, level: float) -> Interval:
    """The second minus the first."""
    first, second = panels
    (straight,) = intervals([minus(second, first)], level)
    if metric != SIZE:
        return straight
    (crossed,) = intervals([minus(second, first.times(-1))], level)
    return smaller_size(straight, crossed)


def _unusable(side: Side, task: str, base: str, n: int) -> str:
    """Why no difference rests on a natural draw; "" where one can."""
    rows = natural_rows(side, task)
    row = rows[(rows["base"] == base) & (rows["n"] == n)].iloc[0]
    if row["marked"]:
        return row["marked"]
    return "not all of its models are trained yet" if row["verdict"] == "not trained" else ""
