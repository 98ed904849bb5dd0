"""Ranks with confidence: from intervals of all differences, held together, to bounds of ranks."""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxbias.analysis.estimates import difference
from jaxbias.analysis.panels import Panel
from jaxbias.analysis.uncertainty import Interval, intervals, simultaneous_level

Pair = tuple[str, str]


def smaller_size(minus: Interval, plus: Interval) -> Interval:
    """Returns the interval of |a| − |b| from those of a − b and of a + b.

    |a| − |b| is the smaller in size of a − b and a + b, and positive where they have the same
    sign; so it surely is where both intervals lie on the same side of zero, and no sign is taken
    for known. Its smallest and largest value are looked for over both intervals.

    Args:
      minus: of a − b.
      plus: of a + b.
    """
    value = min(abs(minus.value), abs(plus.value)) * np.sign(minus.value * plus.value)
    high = max(min(minus.high, plus.high), min(-minus.low, -plus.low))
    low = -max(min(minus.high, -plus.low), min(-minus.low, plus.high))
    if not np.isfinite([minus.low, minus.high, plus.low, plus.high]).all():
        low = high = float("nan")
    return Interval(float(value), float(low) + 0.0, float(high) + 0.0)  # No −0.


def differences(
    panels: Mapping[str, Panel], alpha: float, *, sizes: bool, planned: int
) -> dict[Pair, Interval]:
    """Compares all panels pairwise, with intervals that hold for all pairs together.

    Single-step max-t, or Bonferroni's where that is narrower: of sizes, a pair has two estimates,
    but errs only where one of them is zero, so pairs are what errors are shared out over.

    Args:
      panels: name -> a metric, model by model.
      alpha: the chance of any interval to miss.
      sizes: compares |means| instead of means.
      planned: of panels, at least those there are.

    Returns:
      (a, b) -> a minus b, every pair once.
    """
    names = list(panels)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    minus = [difference(panels[a], panels[b]) for a, b in pairs]
    plus = [difference(panels[a], panels[b].times(-1)) for a, b in pairs] if sizes else []
    if not pairs:
        return {}
    found, family = [*minus, *plus], planned * (planned - 1) // 2
    level = max(
        simultaneous_level(found, alpha, family * (2 if sizes else 1)), alpha / max(family, 1)
    )
    bounds = intervals(found, level)
    if not sizes:
        return dict(zip(pairs, bounds, strict=True))
    both = zip(bounds[: len(pairs)], bounds[len(pairs) :], strict=True)
    return {pair: smaller_size(*one) for pair, one in zip(pairs, both, strict=True)}


def bounds(
    names: Sequence[str], compared: Mapping[Pair, Interval], planned: int, *, smallest: bool
) -> dict[str, tuple[int, int]]:
    """Returns the lowest and highest rank that each may have, rank 1 being the best.

    With all intervals holding at once, so do all bounds (Klein, Wright & Wieczorek, 2020; Mohamad
    et al., 2019): the rank is above the number of those surely better, and those surely worse come
    after it.

    Args:
      names: what is ranked.
      compared: (a, b) -> a minus b.
      planned: how many are to be ranked; those without a panel may come anywhere.
      smallest: whether the smallest is the best.

    Returns:
      name -> lowest and highest rank.
    """
    better = dict.fromkeys(names, 0)
    worse = dict.fromkeys(names, 0)
    for (a, b), one in compared.items():
        if not (one.low > 0 or one.high < 0):
            continue
        first, second = (a, b) if (one.high < 0) == smallest else (b, a)
        worse[first] += 1
        better[second] += 1
    return {name: (1 + better[name], planned - worse[name]) for name in names}
