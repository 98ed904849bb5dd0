"""Candidates for a fix: every curation of a base as a split has it.

Validation chooses and never proves: the same checkpoints are evaluated on both splits, so what
looks good on one by the luck of its checkpoints looks good on the other.
"""

import dataclasses
from collections.abc import Iterable

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

    @property
    def parts(self) -> tuple[Estimate, ...]:
        """Every gap, then the change of the AUC."""
        return *self.gaps, self.auc_change

    @property
    def measured(self) -> tuple[tuple[float, float], ...]:
        """The same as estimates and their standard errors."""
        return tuple((one.value, one.error) for one in self.parts)


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
