"""Degenerate models: those whose gaps say nothing, because the model says nothing."""

import numpy as np
from scipy import special

from jaxbias.metrics.definitions import ALL
from jaxbias.metrics.report import GroupReport
from jaxbias.metrics.resampling import interval

# Of the base rate, and in examples: fewer than two are no choice between examples.
_LEFT_TO_CHANCE = 0.02
_EXAMPLES = 2
# Its one-sided lower bound decides whether a model is better than chance.
_CONFIDENCE = 0.95
_ROUNDING = 1e-9


def degenerate(report: GroupReport) -> np.ndarray:
    """Says of every model why it is degenerate.

    A model is when it predicts all or nothing, when ties at its base-rate threshold leave more than
    2 % of the base rate and at least two examples to chance, when its AUC's one-sided 95 % lower
    bound is at most 0.5, or when its AUC is undefined. The bound is of the report's replicates and
    kind of interval; without them it is AUC − 1.645·√((n₀ + n₁ + 1)/(12·n₀·n₁)), the Mann–
    Whitney test of no difference. What the report was not asked for (the AUC, rates at a threshold)
    marks nothing.

    Args:
      report: of V models.

    Returns:
      str[V], of dtype object: the reasons, joined by "; ", or '' where the model is sound.

    >>> from jaxbias.metrics import evaluate
    >>> labels = [0, 1] * 20
    >>> scores = [[0.5] * 40, [0.1, 0.9] * 20]
    >>> degenerate(evaluate(scores, labels)).tolist()  # doctest: +NORMALIZE_WHITESPACE
    ['predicts nothing; ties leave 20 examples (100.0% of the base rate) to chance;
      AUC 0.500, at least 0.348: not surely better than chance', '']
    """
    reasons = [[] for _ in report.names]
    for found in (_one_sided(report), _tied(report), _at_chance(report)):
        for mine, reason in zip(reasons, found, strict=True):
            if reason:
                mine.append(reason)
    return np.array(["; ".join(mine) for mine in reasons], dtype=object)


def _one_sided(report: GroupReport) -> list[str]:
    """Whether everything or nothing is predicted positive among the examples evaluated."""
    if report.sums.thresholds is None or not report.counts[0]:
        return [""] * len(report.names)
    sums = report.sums.columns(slice(0, 1))
    selected = sums.arrays["true_positives"][0] + sums.arrays["false_positives"][0]
    total = sums.total(0)
    missing = np.isnan(sums.thresholds).any(axis=0)[:, 0]
    nothing = (selected <= _ROUNDING * total)[:, 0] & ~missing
    everything = (selected >= (1 - _ROUNDING) * total)[:, 0] & ~missing
    return np.select([nothing, everything], ["predicts nothing", "predicts all"], "").tolist()


def _tied(report: GroupReport) -> list[str]:
    """Whether ties at the base-rate threshold leave a part of the predictions to chance."""
    with np.errstate(invalid="ignore"):  # NaN of another rule.
        many = (report.shortfall > _LEFT_TO_CHANCE + _ROUNDING) & (
            report.left_to_chance >= _EXAMPLES * (1 - _ROUNDING)
        )
    return [
        f"ties leave {count:,.0f} examples ({share:.1%} of the base rate) to chance" if tied else ""
        for tied, count, share in zip(many, report.left_to_chance, report.shortfall, strict=True)
    ]


def _at_chance(report: GroupReport) -> list[str]:
    if "pairs" not in report.sums.arrays:
        return [""] * len(report.names)
    undefined = report.undefined("auc")
    if undefined:
        return [f"AUC undefined: {undefined}"] * len(report.names)
    value = report.value("auc")
    negatives, positives = report.sizes[:, 0]
    error = np.sqrt((negatives + positives + 1) / (12 * negatives * positives))
    bound = np.maximum(value - special.ndtri(_CONFIDENCE) * error, 0)
    if report.bootstrap:
        # The two-sided interval's lower bound that is missed as often as the one-sided one's.
        found, _, _ = interval(
            report.resampled("auc"), 2 * _CONFIDENCE - 1, report.interval, report.share("auc", ALL)
        )
        bound = np.where(np.isnan(found), bound, found)  # Of few examples a class may never occur.
    return [
        "" if low > 0.5 else f"AUC {one:.3f}, at least {low:.3f}: not surely better than chance"
        for one, low in zip(value, bound, strict=True)
    ]
