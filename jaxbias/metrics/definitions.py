"""Definitions: every metric as a function of a few weighted sums, and why it may be undefined.

Written once for NumPy (reports) and JAX (inside a program): a function uses the arrays' own module.
"""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxbias.errors import InputError, nearest
from jaxbias.metrics.comparisons import Comparison

ALL = "all"  # The name of the row over all examples, and of the one family that has no name.
Array = Any  # A NumPy or a JAX array.
_ROUNDING = 1e-12  # Weighted rates that are equal differ by no more.


@dataclasses.dataclass(frozen=True)
class Sums:
    """Weighted sums of V variants and R replicates in C channels (all, then each group).

    Attributes:
      groups: C names, the first "all".
      families: family -> the channels of its groups.
      negatives: float64[C, 1, R], weight of the negative examples, the same for all variants.
      positives: float64[C, 1, R].
      thresholds: float64[T, V, R], T = 1, or C where every group has its own; NaN where there was
        no weight to take one from; None where nothing is selected.
      arrays: sum -> float64[C, V, R]; "distances" float64[F, V, R].
      shares: float64[2, C], the training shares of negatives and positives of each channel, for
        `train_weighted_accuracy`; None where they were not given.
      xp: `numpy` or `jax.numpy`.
    """

    groups: tuple[str, ...]
    families: Mapping[str, tuple[int, ...]]
    negatives: Array
    positives: Array
    thresholds: Array | None
    arrays: Mapping[str, Array]
    shares: np.ndarray | None = None
    xp: Any = np

    def columns(self, chosen: slice) -> "Sums":
        """Returns the sums of some replicates."""
        return dataclasses.replace(
            self,
            negatives=self.negatives[..., chosen],
            positives=self.positives[..., chosen],
            thresholds=None if self.thresholds is None else self.thresholds[..., chosen],
            arrays={name: array[..., chosen] for name, array in self.arrays.items()},
        )

    def variants(self, chosen: slice) -> "Sums":
        """Returns the sums of some variants."""
        return dataclasses.replace(
            self,
            thresholds=None if self.thresholds is None else self.thresholds[:, chosen],
            arrays={name: array[:, chosen] for name, array in self.arrays.items()},
        )

    def total(self, c: int) -> Array:
        """Weight of a channel, float64[1, R]."""
        return self.positives[c] + self.negatives[c]

    def divide(self, numerator: Array, denominator: Array) -> Array:
        """The quotient, NaN where the denominator is not positive."""
        safe = self.xp.where(denominator > 0, denominator, 1.0)
        return self.xp.where(denominator > 0, numerator / safe, np.nan)


_Compute = Callable[[Sums, int], Array]


def _auc(s: Sums, c: int) -> Array:
    return s.divide(s.arrays["pairs"][c], s.positives[c] * s.negatives[c])


def _fpr(s: Sums, c: int) -> Array:
    return s.divide(s.arrays["false_positives"][c], s.negatives[c])


def _tpr(s: Sums, c: int) -> Array:
    return s.divide(s.arrays["true_positives"][c], s.positives[c])


def _predicted(s: Sums, c: int) -> Array:
    return s.arrays["true_positives"][c] + s.arrays["false_positives"][c]


def _ppv(s: Sums, c: int) -> Array:
    return s.divide(s.arrays["true_positives"][c], _predicted(s, c))


def _selection_rate(s: Sums, c: int) -> Array:
    return s.divide(_predicted(s, c), s.total(c))


def _accuracy(s: Sums, c: int) -> Array:
    right = s.arrays["true_positives"][c] + s.negatives[c] - s.arrays["false_positives"][c]
    return s.divide(right, s.total(c))


def _per_positive(name: str) -> _Compute:
    return lambda s, c: s.divide(
        s.xp.where(s.positives[c] > 0, s.arrays[name][c], 0.0), s.positives[c]
    )


def _per_example(name: str) -> _Compute:
    return lambda s, c: s.divide(s.arrays[name][c], s.total(c))


def _threshold(s: Sums, c: int) -> Array:
    return s.thresholds[c if len(s.thresholds) > 1 else 0]


# A metric of a family is a function of the sums and its groups' channels.


def _cells(s: Sums, groups: Sequence[int]) -> Array:
    return s.xp.stack([r for g in groups for r in (1 - _fpr(s, g), _tpr(s, g))])


def _train_weighted(s: Sums, groups: Sequence[int]) -> Array:
    if s.shares is None:
        raise InputError(
            "metric 'train_weighted_accuracy' needs train_shares: the training set's share of "
            "(negatives, positives) of every group"
        )
    shares = np.array([s.shares[label, g] for g in groups for label in (0, 1)])
    return (_cells(s, groups) * (shares / shares.sum())[:, None, None]).sum(axis=0)


def _bias_amplification(s: Sums, groups: Sequence[int]) -> Array:
    """Mean over groups of ±[P(T̂|A) − P(T|A)], + where P(A, T) > P(A)·P(T)."""
    positives, totals = sum(s.positives[g] for g in groups), sum(s.total(g) for g in groups)
    prevalence = s.divide(positives, totals)
    amplified = []
    for g in groups:
        rate = s.divide(s.positives[g], s.total(g))
        # P(A,T) − P(A)P(T) has the sign of P(T|A) − P(T).
        sign = s.xp.where(rate - prevalence > _ROUNDING, 1.0, -1.0)
        amplified.append(sign * (_selection_rate(s, g) - rate))
    return s.xp.stack(amplified).mean(axis=0)


@dataclasses.dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
      compute: of the sums and a channel (scope "group"), or of the sums and the channels of a
        family's groups (scope "family"); float64[V, R].
      sums: what it is made of; see `program.Asked`.
      needs: "positives" and "negatives": the classes it divides by; "any": one example;
        "selected": needs a positive prediction; "groups": needs two groups.
      scope: "group": overall and in each group; "family": of a family's groups together.
      share: whether it lies in 0..1 by its nature, so that its interval does too.
      counted: whether it is a share of examples, or a mean of such.
      compares: how it compares the rates of groups; None where it does not.
      limits: between which it lies, of one that is no share and compares no rates.
    """

    compute: Callable
    sums: tuple[str, ...]
    needs: tuple[str, ...]
    scope: str = "group"
    share: bool = False
    counted: bool = False
    compares: Comparison | None = None
    limits: tuple[float, float] = (-np.inf, np.inf)

    @property
    def threshold(self) -> bool:
        """Whether it depends on the threshold."""
        return "selected" in self.sums

    def extent(self, groups: int) -> tuple[float, float]:
        """Returns the least and the most it can be, of so many groups."""
        if self.share:
            return 0.0, 1.0
        if self.compares is None:
            return self.limits
        low, high = _RATES[self.compares.rates[0]].extent(1)
        return (low - high if self.compares.signed(groups) else 0.0), high - low


_SELECTED = ("selected",)
_BOTH = ("positives", "negatives")
_RATES: dict[str, Metric] = {
    name: Metric(
        compute,
        sums,
        needs,
        share=name != "log_loss",
        counted="selected" in sums,
        limits=(0.0, np.inf),
    )
    for name, compute, sums, needs in (
        ("auc", _auc, ("pairs",), _BOTH),
        ("ap", _per_positive("precisions"), ("precisions",), ("positives",)),
        (
            "normalized_ap",
            _per_positive("normalized_precisions"),
            ("normalized_precisions",),
            ("positives",),
        ),
        ("fpr", _fpr, _SELECTED, ("negatives",)),
        ("tpr", _tpr, _SELECTED, ("positives",)),
        ("fnr", lambda s, c: 1 - _tpr(s, c), _SELECTED, ("positives",)),
        ("tnr", lambda s, c: 1 - _fpr(s, c), _SELECTED, ("negatives",)),
        ("ppv", _ppv, _SELECTED, ("any", "selected")),
        ("selection_rate", _selection_rate, _SELECTED, ("any",)),
        ("accuracy", _accuracy, _SELECTED, ("any",)),
        ("balanced_error", lambda s, c: (1 - _tpr(s, c) + _fpr(s, c)) / 2, _SELECTED, _BOTH),
        ("ece", _per_example("calibration"), ("calibration",), ("any",)),
        ("ece_equal_mass", _per_example("mass_calibration"), ("mass_calibration",), ("any",)),
        ("brier", _per_example("brier"), ("brier",), ("any",)),
        ("log_loss", _per_example("log_loss"), ("log_loss",), ("any",)),
    )
}


def _comparing(
    rates: tuple[str, ...], form: str, needs: tuple[str, ...], take: str = "max"
) -> Metric:
    comparison = Comparison(rates, form, take)

    def compute(s: Sums, groups: Sequence[int]) -> Array:
        each = [s.xp.stack([_RATES[name].compute(s, g) for g in groups]) for name in rates]
        return comparison.of(each, s.xp)

    sums, least = _RATES[rates[0]].sums, form == "least"
    return Metric(compute, sums, needs, "family", least, least, comparison)


_ODDS, _ODDS_NEED = ("fpr", "tpr"), (*_BOTH, "groups")

METRICS: dict[str, Metric] = {
    **_RATES,
    "threshold": Metric(_threshold, _SELECTED, ()),
    **{
        f"{name}_gap": _comparing((name,), "gap", (*metric.needs, "groups"))
        for name, metric in _RATES.items()
    },
    "worst_group_accuracy": _comparing(("tnr", "tpr"), "least", _BOTH, "min"),
    "mean_group_accuracy": Metric(
        lambda s, groups: _cells(s, groups).mean(axis=0), _SELECTED, _BOTH, "family", True, True
    ),
    "train_weighted_accuracy": Metric(_train_weighted, _SELECTED, _BOTH, "family", True, True),
    "equalized_odds_difference": _comparing(_ODDS, "range", _ODDS_NEED),
    "equalized_odds_mean_difference": _comparing(_ODDS, "range", _ODDS_NEED, "mean"),
    "equalized_odds_ratio": _comparing(_ODDS, "ratio", (*_ODDS_NEED, "selected"), "min"),
    "average_odds_difference": _comparing(_ODDS, "gap", _ODDS_NEED, "mean"),
    "demographic_parity_difference": _comparing(("selection_rate",), "range", ("any", "groups")),
    "demographic_parity_ratio": _comparing(
        ("selection_rate",), "ratio", ("any", "groups", "selected")
    ),
    "bias_amplification": Metric(
        _bias_amplification, _SELECTED, ("any", "groups"), "family", limits=(-1.0, 1.0)
    ),
    "score_distance": Metric(
        lambda s, groups: s.arrays["distances"][list(s.families.values()).index(tuple(groups))],
        ("distances",),
        ("any", "groups"),
        "family",
        limits=(0.0, np.inf),
    ),
}

# What `evaluate` computes when it is not told: one sort and the sweep after it give them all.
DEFAULT_METRICS = tuple(
    name
    for name, metric in METRICS.items()
    if set(metric.sums) <= {"pairs", "selected"} and name != "train_weighted_accuracy"
)


def sums_for(metrics: Sequence[str]) -> frozenset[str]:
    """Returns which sums some metrics are made of.

    Raises:
      InputError: no such metric.
    """
    for name in metrics:
        if name not in METRICS:
            raise InputError(f"metric '{name}' is unknown; {nearest(name, METRICS)}")
    return frozenset(itertools.chain.from_iterable(METRICS[name].sums for name in metrics))


def places(sums: Sums, metric: str) -> tuple[str, ...]:
    """Returns the groups, or families, in which a metric has a value."""
    return sums.groups if METRICS[metric].scope == "group" else tuple(sums.families)


def compute(sums: Sums, metric: str, group: str) -> Array:
    """Computes a metric, float64[V, R]; NaN where undefined.

    Raises:
      InputError: no such metric, group or family.
    """
    definition, where = _find(sums, metric, group)
    if "groups" in definition.needs and len(where) < 2:
        shape = next(iter(sums.arrays.values())).shape[1:]
        return sums.xp.full(shape, np.nan)
    with np.errstate(invalid="ignore"):  # Infinite thresholds of two groups have no difference.
        values = definition.compute(sums, where)
    if not definition.threshold or metric == "threshold":
        return values
    channels = np.atleast_1d(where) if where else np.arange(1, len(sums.groups))
    if len(sums.thresholds) == 1:
        unknown = sums.xp.isnan(sums.thresholds[0])
    else:  # A group without examples needs no threshold.
        present = sums.positives[channels] + sums.negatives[channels] > 0
        unknown = (sums.xp.isnan(sums.thresholds[channels]) & present).any(axis=0)
    return sums.xp.where(unknown, np.nan, values)


def undefined_reason(sums: Sums, metric: str, group: str) -> str:
    """Says why a metric is NaN where it is, or '' where nothing about the examples makes it so.

    The sums of the sample itself are looked at, replicate 0.
    """
    definition, where = _find(sums, metric, group)
    channels = [where] if definition.scope == "group" else list(where)
    if "groups" in definition.needs and len(channels) < 2:
        return f"a gap needs two groups, there {'is 1' if channels != [0] else 'are 0'}"
    for c in channels:
        inside = "" if c == 0 else f" in group {sums.groups[c]}"
        positives, negatives = sums.positives[c, 0, 0] > 0, sums.negatives[c, 0, 0] > 0
        if definition.needs and not (positives or negatives):
            return f"no example{inside}"
        if "positives" in definition.needs and not positives:
            return f"no positive example{inside}"
        if "negatives" in definition.needs and not negatives:
            return f"no negative example{inside}"
    values = compute(sums, metric, group)[:, 0]
    if not np.isnan(values).any():
        return ""
    if metric == "threshold" and group == ALL and len(sums.thresholds) > 1:
        return "every group has its own"
    if definition.threshold and np.isnan(sums.thresholds[:, :, 0]).any(axis=0).any():
        return "no example to take the threshold from"
    if metric == "score_distance":
        return "infinite scores have no distance"
    if metric.endswith("_ratio"):
        return "a rate is 0 in every group"
    return "nothing predicted positive"


def _find(sums: Sums, metric: str, group: str) -> tuple[Metric, Any]:
    if metric not in METRICS:
        raise InputError(f"metric '{metric}' is unknown; {nearest(metric, METRICS)}")
    definition = METRICS[metric]
    missing = set(definition.sums) - _available(sums)
    if missing:
        raise InputError(
            f"metric '{metric}' was not asked for; name it in evaluate(metrics=(..., '{metric}'))"
        )
    if definition.scope == "group":
        if group not in sums.groups:
            raise InputError(f"group '{group}' is unknown; {nearest(group, sums.groups)}")
        return definition, sums.groups.index(group)
    if group == ALL and len(sums.families) == 1:
        group = next(iter(sums.families))
    if group not in sums.families:
        raise InputError(
            f"metric '{metric}' compares the groups of a family, not '{group}'; "
            f"{nearest(group, sums.families)}"
        )
    return definition, sums.families[group] or (0,)  # Without groups, everyone is one.


def _available(sums: Sums) -> set[str]:
    renamed = {"false_positives": "selected", "true_positives": "selected"}
    return {renamed.get(name, name) for name in sums.arrays}
