"""Rules: every verdict as a function of bounds, epsilon and delta, and of nothing else.

What a report's page says of other values of epsilon and delta is decided by the same rules:
`report/rules.js` is this module in JavaScript, function by function.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from jaxbias.analysis.uncertainty import Interval

CONFIRMED, NONE, UNDECIDED = "confirmed", "none", "undecided"
NOTHING_TO_FIX, NO_GAP_SHOWN = "nothing to fix", "no gap shown"


def inherited(compared: Sequence[Mapping[str, float]], sure: bool, epsilon: float) -> str:
    """Returns whether a bias is inherited.

    Yes: every lower bound is above zero; practically none: yes, and every one-sided upper bound is
    below epsilon; reversed: every upper bound is below zero; no: every one-sided upper bound is
    below epsilon; else undecided.

    Args:
      compared: per control and scratch the bounds of the difference from it, signed in the
        direction of the bias: low_family and high_family, two-sided, low_no and high_no, one-sided.
      sure: whether that direction is; else bias in both is looked for.
      epsilon: a smaller difference counts as none.
    """
    above = all(row["low_family"] > 0 for row in compared)
    below = all(row["high_family"] < 0 for row in compared)
    close = all(row["high_no"] < epsilon for row in compared)
    if not sure:  # Bias in both directions is looked for, so "no" excludes both.
        close &= all(row["low_no"] > -epsilon for row in compared)
        above, below = above or below, False
    if above:
        return "practically none" if close else "yes"
    if below:
        return "reversed"
    return "no" if close else UNDECIDED


def overwritten(gap: Interval, epsilon: float) -> str:
    """Returns "no gap" inside ±epsilon, "gap" outside, else "undecided"."""
    if gap.within(epsilon):
        return "no gap"
    return "gap" if gap.outside(epsilon) else UNDECIDED


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Of a curation on test, each at its one-sided level.

    Attributes:
      gaps: of every gap that a fix must close, that of the FPR first.
      auc_change: from the natural draw.
    """

    gaps: tuple[Interval, ...]
    auc_change: Interval

    def closed(self, epsilon: float, delta: float) -> bool:
        """Whether every gap lies inside ±epsilon and the AUC not below −delta."""
        return all(gap.within(epsilon) for gap in self.gaps) and self.auc_change.low >= -delta

    def ruled_out(self, epsilon: float, delta: float) -> bool:
        """Whether a gap lies outside ±epsilon or the AUC below −delta."""
        return any(gap.outside(epsilon) for gap in self.gaps) or self.auc_change.high < -delta


@dataclasses.dataclass(frozen=True)
class Tried:
    """A curation that can be used.

    Attributes:
      name: of the curation.
      cost: its rank; curations of the same cost have the same.
      gap: the FPR gap on test.
      validation: of every gap and then of the AUC's change: the estimate there, and its error.
      chosen: bounds where validation chose it on its axis and 1, 2, ... axes begin.
      alone: bounds where it is the next dose and 1, 2, ... axes go on.
    """

    name: str
    cost: int
    gap: float
    validation: tuple[tuple[float, float], ...]
    chosen: tuple[Bounds, ...]
    alone: tuple[Bounds, ...]


@dataclasses.dataclass(frozen=True)
class Evidence:
    """All that a smallest fix is decided on; epsilon and delta have no part in it.

    Attributes:
      reason: why nothing can be decided, whatever the numbers; "" where something can.
      waiting: why nothing can be concluded yet; "" where everything is trained.
      natural: the natural draw's gap on test, two-sided.
      natural_inside: the same, each bound one-sided.
      natural_on_validation: its estimate there.
      nearest: the curation with the smallest |gap|; "" where none is smaller than natural's.
      tried: the curations that can be used, cheapest first.
      axes: the names of all planned in order of dose, axis by axis.
      cheapest: the place of the cheapest on each axis.
      family: curations planned, usable or not.
    """

    reason: str
    waiting: str
    natural: Interval
    natural_inside: Interval
    natural_on_validation: float
    nearest: str
    tried: tuple[Tried, ...]
    axes: tuple[tuple[str, ...], ...]
    cheapest: tuple[int, ...]
    family: int


@dataclasses.dataclass(frozen=True)
class Decision:
    """What is decided of one base and n.

    Attributes:
      verdict: "nothing to fix", "no gap shown", "confirmed", "none" or "undecided".
      curation: the fix; else the curation nearest to one, "" where there is none.
      tested: the curations tested on test, in order, and whether each held.
      bounds: of the fix, as it was tested.
      reason: why the verdict is open whatever the numbers; "" where it is not.
    """

    verdict: str
    curation: str
    tested: tuple[tuple[str, bool], ...] = ()
    bounds: Bounds | None = None
    reason: str = ""


def decide(known: Evidence, epsilon: float, delta: float) -> Decision:
    """Decides on the smallest fix.

    Where the natural draw's gap is shown to lie inside ±epsilon there is nothing to fix; where it
    is not surely different from zero, no gap is shown. Otherwise validation orders the curations
    (`sequences`) and test proves them (`_walk`). Of all that hold, the cheapest is confirmed. None:
    every curation of the family is ruled out on test.

    Args:
      known: the bounds.
      epsilon: a gap inside ±epsilon counts as none.
      delta: the AUC a fix may cost.
    """
    if known.reason:
        return Decision(UNDECIDED, known.nearest, reason=known.reason)
    if known.natural_inside.within(epsilon):
        return Decision(NOTHING_TO_FIX, "")
    if not known.natural.outside(0):
        return Decision(NO_GAP_SHOWN, "")
    decision = _tried(known, epsilon, delta)
    if known.waiting and decision.verdict in (CONFIRMED, NONE):
        # A cheaper one may still hold.
        return dataclasses.replace(decision, verdict=UNDECIDED, reason=known.waiting)
    return decision


def _tried(known: Evidence, epsilon: float, delta: float) -> Decision:
    """Decides where there is a gap and something was tried."""
    natural = known.natural_on_validation
    margins = {one.name: margin(one.validation, natural, epsilon, delta) for one in known.tried}
    plan = sequences(margins, known.axes, known.cheapest)
    tested, held = _walk(known, plan, epsilon, delta)
    if held:
        costs = {one.name: one.cost for one in known.tried}
        best = min(held, key=costs.__getitem__)
        return Decision(CONFIRMED, best, tuple(tested), held[best])
    # Each alone, for the whole question.
    out = [one for one in known.tried if one.alone[0].ruled_out(epsilon, delta)]
    if out and len(out) >= known.family:
        return Decision(NONE, known.nearest, tuple(tested))
    closest = max(margins, key=margins.__getitem__) if plan else known.nearest
    return Decision(UNDECIDED, closest, tuple(tested))


def margin(
    validation: Sequence[tuple[float, float]], natural: float, epsilon: float, delta: float
) -> float:
    """Returns how far inside the rule the estimates of a curation lie, in standard errors.

    The least of what epsilon leaves each gap and delta the AUC; below zero outside, or where its
    |FPR gap| is larger than that of the natural draw.

    Args:
      validation: of every gap and then of the AUC's change: the estimate there, and its error.
      natural: the natural draw's gap there.
      epsilon: a gap inside ±epsilon counts as none.
      delta: the AUC a fix may cost.
    """
    *gaps, (change, error) = validation
    room = [(epsilon - abs(gap), each) for gap, each in gaps] + [(change + delta, error)]
    if abs(gaps[0][0]) > abs(natural) or not all(math.isfinite(left) for left, _ in room):
        return -math.inf
    return min(left / each if each > 0 else math.copysign(math.inf, left) for left, each in room)


def sequences(
    margins: Mapping[str, float], axes: Sequence[Sequence[str]], cheapest: Sequence[int]
) -> list[list[str]]:
    """Returns the order in which the curations of each axis are tested; validation fixes it.

    An axis begins where validation leaves the most room and goes on, dose by dose, towards where
    the fewest images change, which is down to the cheapest of the axis. An axis without any room
    has no sequence.

    Args:
      margins: curation -> its margin on validation.
      axes: names in order of dose.
      cheapest: the place of the cheapest on each.

    >>> sequences({"a": -1.0, "b": 0.5, "c": 2.0}, [["a", "b", "c"]], [0])
    [['c', 'b', 'a']]
    """
    found = []
    for axis, last in zip(axes, cheapest, strict=True):
        known = [name for name in axis if margins.get(name, -1.0) > 0]
        if known:
            start = axis.index(max(known, key=margins.__getitem__))
            step = 1 if last > start else -1
            found.append([axis[i] for i in range(start, last + step, step)])
    return found


def _walk(
    known: Evidence, plan: Sequence[Sequence[str]], epsilon: float, delta: float
) -> tuple[list[tuple[str, bool]], dict[str, Bounds]]:
    """Tests every sequence until it fails; returns what was tested, and the bounds of what held.

    The first of each, at a level that answers for its having been chosen on the same checkpoints,
    the error shared out over the axes; then dose by dose, each alone.
    """
    usable = {one.name: one for one in known.tried}
    tested, held, going = [], {}, []

    def test(name: str, bounds: Bounds) -> bool:
        holds = abs(usable[name].gap) <= abs(known.natural.value)
        holds = holds and bounds.closed(epsilon, delta)
        tested.append((name, holds))
        if holds:
            held[name] = bounds
        return holds

    for first, *rest in plan:
        if test(first, usable[first].chosen[len(plan) - 1]) and rest:
            going.append(rest)
    for names in going:
        for name in names:
            if name not in usable:
                tested.append((name, False))
                break
            if not test(name, usable[name].alone[len(going) - 1]):
                break
    return tested, held
