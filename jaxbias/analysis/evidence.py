"""Evidence: the bounds that a smallest fix is decided on, of every curation that can be used."""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxbias.analysis.candidates import Candidate, axes
from jaxbias.analysis.costs import curation_of
from jaxbias.analysis.design import Design
from jaxbias.analysis.question import COSTS, Question
from jaxbias.analysis.rules import Bounds, Evidence, Tried
from jaxbias.analysis.uncertainty import chosen_level, intervals
from jaxbias.study import AnswerSpec
from jaxbias.words import count


def evidence(asked: Question, design: Design, base: str, n: int, rule: AnswerSpec) -> Evidence:
    """Computes every bound that `rules.decide` may ask for, whatever epsilon and delta are.

    Bounds are one-sided: a curation whose gap is not inside errs on one side only.

    Args:
      asked: the question.
      design: what was planned.
      base: the studied base.
      n: finetuning images.
      rule: confidence.
    """
    alpha = (1 - rule.confidence) / design.questions
    natural, on_test = asked.natural, asked.on_test
    waiting = design.waiting(base, n)
    doses = axes(curation_of(arm) for arm in asked.costs.reset_index().itertuples())
    rank = asked.costs.groupby(COSTS).ngroup()
    (wide,) = intervals([natural], alpha)
    (inside,) = intervals([natural], 2 * alpha)
    tried: tuple[Tried, ...] = ()
    if not asked.reason and wide.outside(
        0
    ):  # Else nothing is decided, or no gap shown: none is tested.
        chosen = _bounds(on_test, _chosen(asked, doses, alpha, design.family(base, n)))
        going = np.arange(1, max(sum(len(axis) > 1 for axis in doses), 1) + 1)
        alone = _bounds(
            on_test, {name: [alpha / going] * len(one.parts) for name, one in on_test.items()}
        )
        tried = tuple(
            Tried(
                name,
                int(rank[name]),
                one.gap.value,
                asked.on_validation[name].measured,
                chosen[name],
                alone[name],
            )
            for name, one in on_test.items()
        )
    return Evidence(
        reason=asked.reason,
        waiting=f"{count(waiting, 'model')} of its curations not trained yet" if waiting else "",
        natural=wide,
        natural_inside=inside,
        natural_on_validation=asked.natural_on_validation,
        nearest=_nearest(natural.value, on_test),
        tried=tried,
        axes=tuple(map(tuple, doses)),
        cheapest=tuple(min(range(len(axis)), key=lambda i: rank[axis[i]]) for axis in doses),
        family=design.family(base, n),
    )


def _chosen(
    asked: Question, doses: Sequence[Sequence[str]], alpha: float, family: int
) -> dict[str, list[np.ndarray]]:
    """Curation -> of each part the level float64[A], where validation chose it and 1 to A begin."""
    on_test = asked.on_test
    usable = [[name for name in axis if name in on_test] for axis in doses]
    usable = [names for names in usable if names]
    shares = alpha / np.arange(1, len(usable) + 1)
    found = {}
    for names in usable:
        # Of curations that a screen left out, each axis answers for all.
        together = len(names) + max(family - len(on_test), 0)
        levels = []
        for part in range(len(on_test[names[0]].parts)):
            choosing, testing = (
                [split[name].parts[part] for name in names]
                for split in (asked.on_validation, on_test)
            )
            levels.append(chosen_level(choosing, testing, shares, together))
        found |= dict.fromkeys(names, levels)
    return found


def _bounds(
    on_test: Mapping[str, Candidate], levels: Mapping[str, Sequence[np.ndarray]]
) -> dict[str, tuple[Bounds, ...]]:
    """Curation -> its bounds at each of its one-sided levels, which are of part, then case."""
    flat = [
        (part, 2 * level)
        for name, of_parts in levels.items()
        for part, cases in zip(on_test[name].parts, of_parts, strict=True)
        for level in cases
    ]
    found = iter(intervals([part for part, _ in flat], np.array([level for _, level in flat])))
    bounds = {}
    for name, of_parts in levels.items():
        *gaps, changes = [[next(found) for _ in cases] for cases in of_parts]
        bounds[name] = tuple(
            Bounds(tuple(each), change) for *each, change in zip(*gaps, changes, strict=True)
        )
    return bounds


def _nearest(natural: float, on_test: Mapping[str, Candidate]) -> str:
    """The curation with the smallest |gap|; "" where none is smaller than natural's."""
    sizes = {name: abs(one.gap.value) for name, one in on_test.items()}
    sizes = {name: size for name, size in sizes.items() if size <= abs(natural)}
    return min(sizes, key=sizes.__getitem__) if sizes else ""
