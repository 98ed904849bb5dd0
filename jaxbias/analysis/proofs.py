"""Proofs: which curations the test split shows to be a fix, and which to be none."""

from collections.abc import Mapping, Sequence

from jaxbias.analysis.candidates import Candidate
from jaxbias.analysis.uncertainty import chosen_level, intervals
from jaxbias.study import AnswerSpec


class Proofs:
    """The tests of a question's curations, on the test split.

    Args:
      natural: the natural draw's gap.
      on_validation: the curations that can be used, on validation, where they were chosen.
      on_test: the same on test.
      alpha: the error of the question.
      family: curations planned.
      rule: epsilon and delta.
    """

    def __init__(
        self,
        natural: float,
        on_validation: Mapping[str, Candidate],
        on_test: Mapping[str, Candidate],
        alpha: float,
        family: int,
        rule: AnswerSpec,
    ) -> None:
        self.natural, self.alpha, self.family, self.rule = natural, alpha, family, rule
        self.on_validation, self.on_test = on_validation, on_test
        self.levels: dict[str, list[float]] = {}

    def walk(
        self, plan: Sequence[Sequence[str]], doses: Sequence[Sequence[str]]
    ) -> tuple[list[tuple[str, bool]], list[str]]:
        """Tests every sequence until it fails; returns what was tested, and what held."""
        tested, held, going = [], [], []
        for names in plan:
            (axis,) = [axis for axis in doses if names[0] in axis]
            if self.holds(names[0], self._chosen(axis, self.alpha / len(plan))):
                held.append(names[0])
                going += [names[1:]] if len(names) > 1 else []
            tested.append((names[0], names[0] in held))
        for names in going:
            for name in names:
                alone = [self.alpha / len(going)] * (len(self.rule.gaps) + 1)
                ok = name in self.on_test and self.holds(name, alone)
                tested.append((name, ok))
                if not ok:
                    break
                held.append(name)
        return tested, held

    def _chosen(self, axis: Sequence[str], level: float) -> list[float]:
        """The one-sided level of each part of a curation that validation chose on an axis."""
        names = [name for name in axis if name in self.on_test]
        # Of curations that a screen left out, each axis answers for all.
        family = len(names) + max(self.family - len(self.on_test), 0)
        found = []
        for part in range(len(self.rule.gaps) + 1):
            choosing, testing = (
                [(*split[name].gaps, split[name].auc_change)[part] for name in names]
                for split in (self.on_validation, self.on_test)
            )
            found.append(chosen_level(choosing, testing, level, family))
        return found

    def holds(self, name: str, levels: list[float]) -> bool:
        """Whether a curation is shown to be a fix, each bound erring at its one-sided level."""
        self.levels[name] = levels
        one = self.on_test[name]
        if abs(one.gap.value) > abs(self.natural):
            return False
        *gaps, change = (
            intervals([part], 2 * level)[0]
            for part, level in zip((*one.gaps, one.auc_change), levels, strict=True)
        )
        closed = all(part.within(self.rule.epsilon) for part in gaps)
        return closed and change.low >= -self.rule.delta

    def ruled_out(self, name: str) -> bool:
        """Whether a curation is shown to be no fix."""
        one = self.on_test[name]
        *gaps, change = intervals([*one.gaps, one.auc_change], 2 * self.alpha)
        open_gap = any(part.outside(self.rule.epsilon) for part in gaps)
        return open_gap or change.high < -self.rule.delta
