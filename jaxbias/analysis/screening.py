"""Screening: which curations that were tried as heads are confirmed by finetuning.

Heads on a frozen base are cheap and keep more of the base's bias than finetuning does, so they say
where to look, not what the answer is. Curations of one kind are an axis in order of their dose; one
that has no dose is an axis by itself. On each axis a window is confirmed: at first what the heads
would choose and its neighbours; then, round by round, whatever the confirmed results ask for. Where
|gap| grows on both sides of a smallest value and the images changed do too, as along correlation
levels, a finished window holds the smallest fix of the whole axis, or shows that there is none.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from jaxbias.analysis.candidates import candidate
from jaxbias.analysis.costs import by_cost
from jaxbias.analysis.evaluation import Evaluation
from jaxbias.analysis.overwriting import gap
from jaxbias.analysis.rules import margin
from jaxbias.study import AnswerSpec


@dataclasses.dataclass(frozen=True)
class Standing:
    """How a curation of one base and n stands on validation.

    Attributes:
      images_changed: its cost.
      gap: mean signed FPR gap over repeats.
      qualifies: whether its estimates are those of a fix, by the rule of `smallest_fix`.
    """

    images_changed: float
    gap: float
    qualifies: bool


def standings(validation: Evaluation, base: str, n: int, rule: AnswerSpec) -> dict[str, Standing]:
    """Returns how every curation but the natural draw stands; those without a gap are left out.

    Args:
      validation: evaluation on the validation split. Screening never sees the test split.
      base: the studied base.
      n: finetuning images.
      rule: epsilon and delta.
    """
    arms = validation.arms()
    own = arms[(arms["base"] == base) & (arms["n"] == n) & (arms["curation"] != "natural")]
    found: dict[str, Standing] = {}
    if own.empty:
        return found
    natural = gap(validation, base, "natural", n, rule).value
    for arm in by_cost(own, validation.cells).itertuples():
        one = candidate(validation, base, arm.curation, n, rule)
        if math.isfinite(one.gap.value):
            fix = margin(one.measured, natural, rule.epsilon, rule.delta) > 0
            found[arm.curation] = Standing(arm.images_changed, one.gap.value, fix)
    return found


def centre(standing: Mapping[str, Standing]) -> str:
    """Returns the fix that changes the fewest images or, where there is none, the smallest |gap|.

    >>> centre({"a": Standing(9, 0.01, True), "b": Standing(5, 0.03, True)})
    'b'
    """
    fixes = [name for name, one in standing.items() if one.qualifies]
    if fixes:
        return min(fixes, key=lambda name: standing[name].images_changed)
    return min(standing, key=lambda name: abs(standing[name].gap), default="")


def to_confirm(
    axis: Sequence[str],
    screened: Mapping[str, Standing],
    confirmed: Mapping[str, Standing | None],
    epsilon: float,
) -> list[str]:
    """Returns all curations of an axis to confirm by what is known: a function of results alone.

    The first window is the screen's centre and its neighbours; without a screened gap, the axis.
    While all of a window is confirmed it grows, until nothing more is asked for:

    - to the neighbours of the centre of what is confirmed, which moves to where the fix is;
    - beyond an end of the window whose |gap| is below epsilon, as there may be a fix next to it,
      unless a fix is known that changes fewer images than that end.

    Args:
      axis: names in order of dose.
      screened: standings of the heads.
      confirmed: standings of the finetuned; None: they have no gap, every repeat diverged.
      epsilon: a smaller |gap| may be a fix.
    """
    place = {name: i for i, name in enumerate(axis)}
    screened = {name: one for name, one in screened.items() if name in place}
    if not screened:
        return list(axis)
    first = place[centre(screened)]
    low, high = max(first - 1, 0), min(first + 1, len(axis) - 1)
    while all(name in confirmed for name in axis[low : high + 1]):
        known = {name: one for name in axis[low : high + 1] if (one := confirmed[name])}
        if not known:
            break
        best = centre(known)
        wanted_low, wanted_high = min(low, place[best] - 1), max(high, place[best] + 1)
        if _may_lead_on(known, axis[low], best, epsilon):
            wanted_low = min(wanted_low, low - 1)
        if _may_lead_on(known, axis[high], best, epsilon):
            wanted_high = max(wanted_high, high + 1)
        wider = max(wanted_low, 0), min(wanted_high, len(axis) - 1)
        if wider == (low, high):
            break
        low, high = wider
    return list(axis[low : high + 1])


def _may_lead_on(known: Mapping[str, Standing], end: str, best: str, epsilon: float) -> bool:
    """Whether a smaller fix than the best may lie beyond an end of the window."""
    if end not in known or abs(known[end].gap) >= epsilon:
        return False
    return not known[best].qualifies or known[end].images_changed <= known[best].images_changed
