"""Candidates for a fix: every curation of a base as validation has it, in an order to test them in.

Validation chooses and never proves: the same checkpoints are evaluated on both splits, so what
looks good on one by the luck of its checkpoints looks good on the other.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from jaxbias.analysis.estimates import Estimate
from jaxbias.analysis.evaluation import Evaluation
from jaxbias.analysis.overwriting import auc_change, gap
from jaxbias.study import AnswerSpec, Curation

# By what curations of one kind differ along an axis: the first that they have.
_DOSES = ("share", "k", "level")


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A curation on one split.

    Attributes:
      gaps: the signed gap of every metric in `answer.gaps`, that of the FPR first.
      auc_change: paired, from the natural draw.
    """

    gaps: tuple[Estimate, ...]
    auc_change: Estimate

    @property
    def gap(self) -> Estimate:
        """The signed FPR gap."""
        return self.gaps[0]

    def margin(self, natural: float, rule: AnswerSpec) -> float:
        """Returns how far inside the rule its estimates lie, in standard errors.

        The least of what epsilon leaves each gap and delta the AUC; below zero outside, or where
        its |gap| is larger than that of the natural draw.
        """
        if abs(self.gap.value) > abs(natural):
            return -math.inf
        room = [(rule.epsilon - abs(one.value), one.error) for one in self.gaps]
        room.append((self.auc_change.value + rule.delta, self.auc_change.error))
        parts = [
            left / error if error > 0 else math.copysign(math.inf, left) for left, error in room
        ]
        return float(np.min(parts)) if np.isfinite([left for left, _ in room]).all() else -math.inf


def candidate(
    evaluation: Evaluation, base: str, curation: str, n: int, rule: AnswerSpec
) -> Candidate:
    """Returns a curation as the evaluation has it."""
    return Candidate(
        tuple(gap(evaluation, base, curation, n, rule, metric) for metric in rule.gaps),
        auc_change(evaluation, base, curation, n),
    )


def axes(curations: Iterable[Curation]) -> list[list[str]]:
    """Returns the names of curations, axis by axis, each from the smallest dose to the largest.

    >>> axes([Curation("correlation", 5, 0.5), Curation("dfr"), Curation("correlation", 2, 0.5)])
    [['correlation 2', 'correlation 5'], ['dfr']]
    """
    found: dict[tuple, dict[str, float]] = {}
    for curation in curations:
        if curation.kind != "natural":
            # Of mixtures of one level, the dose is what is not natural.
            name = next((n for n in _DOSES if getattr(curation, n) is not None), "level")
            dose = getattr(curation, name) or 0
            fixed = dataclasses.astuple(dataclasses.replace(curation, **{name: None}))
            axis = found.setdefault(fixed, {})
            axis[curation.name] = -dose if name == "share" else dose
    return [sorted(axis, key=axis.__getitem__) for axis in found.values()]


def sequences(
    margins: Mapping[str, float], axes: Iterable[list[str]], costs: pd.DataFrame
) -> list[list[str]]:
    """Returns the order in which the curations of each axis are tested; validation fixes it.

    An axis begins where validation leaves the most room and goes on, dose by dose, towards where
    the fewest images change, which is down to the cheapest of the axis. An axis without any room
    has no sequence.

    Args:
      margins: curation -> its margin on validation.
      axes: names in order of dose.
      costs: curation (the index) -> images_changed and images_screened.
    """
    found = []
    for axis in axes:
        known = [name for name in axis if margins.get(name, -1.0) > 0]
        if not known:
            continue
        start = axis.index(max(known, key=margins.__getitem__))
        cheapest = axis.index(min(axis, key=lambda name: tuple(costs.loc[name])))
        step = 1 if cheapest > start else -1
        found.append(
            axis[start : cheapest + step : step] if cheapest + step >= 0 else axis[start::-1]
        )
    return found
