"""Definitions: every metric as a function of a few weighted sums, and why it may be undefined."""

import dataclasses
from collections.abc import Callable

import numpy as np

from jaxbias.errors import InputError
from jaxbias.metrics.groups import ALL
from jaxbias.study import nearest


@dataclasses.dataclass(frozen=True)
class Sums:
    """Weighted sums of V variants and R replicates in C channels (all, then each group).

    Attributes:
      groups: C names, the first "all".
      negatives: float64[C, R], weight of the negative examples.
      positives: float64[C, R].
      pairs: float64[C, V, R], weight of rightly ranked pairs, ties half.
      false_positives: float64[C, V, R], weight of the negatives above the threshold.
      true_positives: float64[C, V, R].
      thresholds: float64[V, R]; NaN where there was no weight to take one from.
    """

    groups: tuple[str, ...]
    negatives: np.ndarray
    positives: np.ndarray
    pairs: np.ndarray
    false_positives: np.ndarray
    true_positives: np.ndarray
    thresholds: np.ndarray

    def columns(self, chosen: slice) -> "Sums":
        """Returns the sums of some replicates."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return Sums(**{k: v if k == "groups" else v[..., chosen] for k, v in fields.items()})


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    shape = np.broadcast_shapes(numerator.shape, denominator.shape)
    result = np.full(shape, np.nan)
    np.divide(numerator, denominator, out=result, where=np.broadcast_to(denominator > 0, shape))
    return result


def _auc(s: Sums, c: int) -> np.ndarray:
    return _divide(s.pairs[c], s.positives[c] * s.negatives[c])


def _fpr(s: Sums, c: int) -> np.ndarray:
    return _divide(s.false_positives[c], s.negatives[c])


def _tpr(s: Sums, c: int) -> np.ndarray:
    return _divide(s.true_positives[c], s.positives[c])


def _ppv(s: Sums, c: int) -> np.ndarray:
    return _divide(s.true_positives[c], s.true_positives[c] + s.false_positives[c])


def _selection_rate(s: Sums, c: int) -> np.ndarray:
    selected = s.true_positives[c] + s.false_positives[c]
    return _divide(selected, s.positives[c] + s.negatives[c])


def _accuracy(s: Sums, c: int) -> np.ndarray:
    right = s.true_positives[c] + s.negatives[c] - s.false_positives[c]
    return _divide(right, s.positives[c] + s.negatives[c])


def _gap(rate: Callable[[Sums, int], np.ndarray]) -> Callable[[Sums, int], np.ndarray]:
    def gap(s: Sums, c: int) -> np.ndarray:
        del c
        if len(s.groups) == 3:
            return rate(s, 1) - rate(s, 2)
        if len(s.groups) < 3:
            return np.full(s.thresholds.shape, np.nan)
        rates = np.stack([rate(s, g) for g in range(1, len(s.groups))])
        return rates.max(axis=0) - rates.min(axis=0)

    return gap


def _cells(s: Sums) -> np.ndarray:
    groups = range(1, len(s.groups)) if len(s.groups) > 1 else range(1)
    return np.stack([r for g in groups for r in (1 - _fpr(s, g), _tpr(s, g))])


@dataclasses.dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
      compute: of sums and channel, float64[V, R].
      needs: "positives" and "negatives": the classes it divides by; "selected": needs a positive
        prediction; "any": one example.
      per_group: whether each group has its own value; else there is one, under "all".
      threshold: whether it depends on the threshold.
    """

    compute: Callable[[Sums, int], np.ndarray]
    needs: tuple[str, ...]
    per_group: bool = True
    threshold: bool = True


METRICS: dict[str, Metric] = {
    "auc": Metric(_auc, ("positives", "negatives"), threshold=False),
    "threshold": Metric(lambda s, c: s.thresholds, (), per_group=False),
    "fpr": Metric(_fpr, ("negatives",)),
    "tpr": Metric(_tpr, ("positives",)),
    "fnr": Metric(lambda s, c: 1 - _tpr(s, c), ("positives",)),
    "tnr": Metric(lambda s, c: 1 - _fpr(s, c), ("negatives",)),
    "ppv": Metric(_ppv, ("any", "selected")),
    "selection_rate": Metric(_selection_rate, ("any",)),
    "accuracy": Metric(_accuracy, ("any",)),
    "fpr_gap": Metric(_gap(_fpr), ("negatives",), per_group=False),
    "tpr_gap": Metric(_gap(_tpr), ("positives",), per_group=False),
    "auc_gap": Metric(_gap(_auc), ("positives", "negatives"), per_group=False, threshold=False),
    "worst_group_accuracy": Metric(
        lambda s, c: _cells(s).min(axis=0), ("positives", "negatives"), per_group=False
    ),
    "mean_group_accuracy": Metric(
        lambda s, c: _cells(s).mean(axis=0), ("positives", "negatives"), per_group=False
    ),
}


def compute(sums: Sums, metric: str, group: str) -> np.ndarray:
    """Computes a metric, float64[V, R]; NaN where undefined.

    Raises:
      InputError: no such metric or group, or the metric has no value per group.
    """
    definition, channel = _find(sums, metric, group)
    values = definition.compute(sums, channel)
    if definition.threshold:
        return np.where(np.isnan(sums.thresholds), np.nan, values)
    return values


def undefined_reason(sums: Sums, metric: str, group: str) -> str:
    """Says why a metric is NaN where it is, or '' where nothing about the examples makes it so.

    The sums of the sample itself are looked at, replicate 0.
    """
    definition, channel = _find(sums, metric, group)
    if definition.per_group or metric == "threshold":
        channels = [channel]
    elif metric.endswith("_gap") and len(sums.groups) < 3:
        return f"a gap needs two groups, there are {len(sums.groups) - 1}"
    else:
        channels = list(range(1, len(sums.groups))) or [0]
    for c in channels:
        inside = "" if c == 0 else f" in group {sums.groups[c]}"
        positives, negatives = sums.positives[c, 0] > 0, sums.negatives[c, 0] > 0
        if definition.needs and not (positives or negatives):
            return f"no example{inside}"
        if "positives" in definition.needs and not positives:
            return f"no positive example{inside}"
        if "negatives" in definition.needs and not negatives:
            return f"no negative example{inside}"
    values = compute(sums, metric, group)[:, 0]
    if definition.threshold and np.isnan(sums.thresholds[:, 0]).any():
        return "no example to take the threshold from"
    return "nothing predicted positive" if np.isnan(values).any() else ""


def _find(sums: Sums, metric: str, group: str) -> tuple[Metric, int]:
    if metric not in METRICS:
        raise InputError(f"metric '{metric}' is unknown; {nearest(metric, METRICS)}")
    if group not in sums.groups:
        raise InputError(f"group '{group}' is unknown; {nearest(group, sums.groups)}")
    if group != ALL and not METRICS[metric].per_group:
        raise InputError(f"metric '{metric}' has one value, under group '{ALL}', not '{group}'")
    return METRICS[metric], sums.groups.index(group)
