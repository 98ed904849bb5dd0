"""Several targets: multilabel and multiclass scores, one report per target and their mean."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from jaxbias.errors import InputError
from jaxbias.metrics.arrays import as_array
from jaxbias.metrics.definitions import ALL, METRICS
from jaxbias.metrics.examples import Examples, check_indices, check_weights, variant_names
from jaxbias.metrics.groups import as_groups
from jaxbias.metrics.one_target import evaluate_target
from jaxbias.metrics.ranges import Compared
from jaxbias.metrics.report import (
    GroupReport,
    concat,
    difference,
    difference_frame,
    value_rows,
)
from jaxbias.metrics.resampling import Resampled, interval
from jaxbias.metrics.settings import Settings

_MEAN = "mean"
_SELECTION = ("selection_rate", "selection_rate_gap")  # What hit rates and their gaps are.


@dataclasses.dataclass(frozen=True)
class TargetsReport:
    """Reports of several targets. Made by `evaluate`.

    Attributes:
      reports: target -> its report; all have the same variants, groups and metrics.
      hits: k -> a report of the hits among the k highest scores: "selection_rate" is their share.
    """

    reports: dict[str, GroupReport]
    hits: dict[int, GroupReport]

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the targets."""
        return tuple(self.reports)

    def __getitem__(self, target: str) -> GroupReport:
        """Returns one target's report."""
        return self.reports[target]

    def frame(self) -> pd.DataFrame:
        """Returns the rows of every target's `frame` and of `means`, the target in front."""
        parts = [report.frame().assign(target=name) for name, report in self.reports.items()]
        return _target_first(concat([*parts, self.means()]))

    def means(self) -> pd.DataFrame:
        """Returns the rows of `frame` that are of all targets together.

        Target "mean" is the mean over the targets in which the metric is defined; target "all" has
        the top-k hit rates.
        """
        parts = []
        first = next(iter(self.reports.values()))
        for target, (metric, place), resampled in self._derived():
            source = next(iter(self.hits.values())) if target == ALL else first
            named = metric
            if target == ALL:
                named = _SELECTION[metric.endswith("_gap")]
            found = self._intervals(target, metric, place, named, resampled)
            count = source.count(named, place)
            rows = value_rows(
                first.names, metric, place, resampled.value, found, count, "undefined everywhere"
            )
            parts.append(rows.assign(target=target))
        return _target_first(concat(parts))

    def resampled(self, target: str, metric: str, group: str = ALL) -> Resampled:
        """Returns a metric with all that an interval is made of.

        Args:
          target: its name; "mean": the mean over the targets in which it is defined; "all": of a
            hit rate.
          metric: its name, such as "auc", or "top_5_hit_rate" and "top_5_hit_rate_gap".
          group: a group, or a family.
        """
        if target == ALL:
            k = next(k for k in self.hits if metric.startswith(f"top_{k}_"))
            return self.hits[k].resampled(_SELECTION[metric.endswith("_gap")], group)
        if target == _MEAN:
            return _mean([report.resampled(metric, group) for report in self.reports.values()])
        return self.reports[target].resampled(metric, group)

    def gaps(self) -> pd.DataFrame:
        """Returns the rows of every target's `gaps`, with the column target in front."""
        named = [report.gaps().assign(target=name) for name, report in self.reports.items()]
        return _target_first(concat(named))

    def compare(
        self,
        a: str | Sequence[str],
        b: str | Sequence[str],
        metrics: Iterable[str] | None = None,
        group: str | None = None,
    ) -> pd.DataFrame:
        """Compares variants pairwise in every target; Holm's adjustment is over all rows."""
        first = next(iter(self.reports.values()))
        pairs, chosen = first.pairs(a, b), first.entries(metrics, group)
        parts, targets = [], []
        for name, report in self.reports.items():
            parts += [report.differences(pairs, *entry) for entry in chosen]
            targets += [name] * len(chosen)
        for target, entry, resampled in self._derived(metrics is None and group is None):
            if target == ALL or entry in chosen:
                parts.append(difference(first.names, pairs, *entry, resampled))
                targets.append(target)
        rows = difference_frame(first, parts)
        return _target_first(rows.assign(target=np.repeat(targets, len(pairs[0]))))

    def power(self, power: float = 0.8, gap: float | None = None) -> pd.DataFrame:
        """Returns the rows of every target's `power`, with the column target in front."""
        named = [
            report.power(power, gap).assign(target=name) for name, report in self.reports.items()
        ]
        return _target_first(concat(named))

    def _intervals(
        self, target: str, metric: str, place: str, named: str, resampled: Resampled
    ) -> Compared:
        """Intervals of the mean over targets, or of a hit rate, which is a selection rate."""
        if target == ALL:
            k = next(k for k in self.hits if metric.startswith(f"top_{k}_"))
            return self.hits[k].intervals(named, place)
        reports = list(self.reports.values())
        first = reports[0]
        comparison = METRICS[metric].compares
        if comparison is None or comparison.signed(len(first.sums.families[place])):
            low, high, p = interval(resampled, first.confidence, first.interval)
            low, high = (np.clip(x, *first.extent(metric, place)) for x in (low, high))
            nan = np.full(p.shape, np.nan)
            return Compared(low, high, nan if comparison is None else p, nan)
        # All too large by chance, so that their mean is too: only bounds of each hold for it.
        each = [report.intervals(metric, place, jointly=len(reports)) for report in reports]
        low, high, p, chance = (np.stack(arrays) for arrays in zip(*each, strict=True))
        p = np.where(np.isnan(p).all(axis=0), np.nan, np.fmin.reduce(p, axis=0))
        return Compared(_defined_mean(low), _defined_mean(high), p, _defined_mean(chance))

    def _derived(self, hits: bool = True) -> Iterator[tuple[str, tuple[str, str], Resampled]]:
        """Yields target, (metric, group) and values of the mean over targets and the hit rates."""
        reports = list(self.reports.values())
        for entry in reports[0].entries():
            if entry[0] != "threshold":
                yield _MEAN, entry, self.resampled(_MEAN, *entry)
        for k, report in self.hits.items() if hits else ():
            for metric, place in report.entries():
                name = metric.replace("selection_rate", f"top_{k}_hit_rate")
                yield ALL, (name, place), self.resampled(ALL, name, place)


def evaluate_targets(
    examples: Examples,
    validation: Examples | None,
    names: Any,
    targets: Any,
    settings: Settings,
    top_k: Sequence[int],
) -> TargetsReport:
    """Evaluates scores of several targets; see `evaluate`.

    Raises:
      InputError: labels of another shape, or classes that do not exist.
    """
    names = variant_names(examples.scores, names)
    test = _Several.of(examples, targets, "")
    other = None if validation is None else _Several.of(validation, test.targets, "validation.")
    if settings.common_positives is None and _asks_normalized(settings):
        if settings.population is not None:
            raise InputError(
                "normalized_ap of several targets weighted to a population has no common number of "
                "positives; give common_positives"
            )
        settings = dataclasses.replace(settings, common_positives=_mean_positives(test, settings))
    reports = {
        target: evaluate_target(
            test.one(t), None if other is None else other.one(t), names, settings
        )
        for t, target in enumerate(test.targets)
    }
    if top_k and settings.population is not None:
        raise InputError("top_k does not go with a population, which is of one target; ask apart")
    hits = {k: _hits(test, k, names, settings) for k in top_k}
    return TargetsReport(reports, hits)


@dataclasses.dataclass(frozen=True)
class _Several:
    """Examples of several targets: scores [V, N, T], labels [N, T] with NaN where missing."""

    targets: tuple[str, ...]
    scores: Any
    labels: np.ndarray
    groups: Any
    weights: Any

    @classmethod
    def of(cls, examples: Examples, targets: Any, where: str) -> "_Several":
        scores = as_array(examples.scores, f"{where}scores")
        if scores.ndim != 3:
            raise InputError(
                f"{where}scores has shape {scores.shape}; expected [variants, examples, targets]"
            )
        _, n, count = scores.shape
        check_indices(examples, where)
        if not count:
            raise InputError(
                f"{where}scores has shape {scores.shape}; expected at least one target"
            )
        labels = examples.labels
        if targets is None:
            targets = labels.columns if isinstance(labels, pd.DataFrame) else range(count)
        targets = tuple(str(name) for name in targets)
        if len(targets) != count or len(set(targets)) != count or {_MEAN, ALL} & set(targets):
            raise InputError(
                f"targets={targets} must be {count} different names, as in scores, and not "
                f"'{_MEAN}' or '{ALL}'"
            )
        labels = _as_floats(labels, f"{where}labels")
        if labels.shape == (n,):
            labels = _one_per_class(labels, targets, where)
        if labels.shape != (n, count):
            raise InputError(
                f"{where}labels has shape {labels.shape}; expected ({n}, {count}) of 0 and 1 "
                f"(multilabel) or ({n},) classes (multiclass), as in scores"
            )
        return cls(targets, scores, labels, examples.groups, examples.weights)

    def one(self, t: int) -> Examples:
        """One target's examples."""
        return Examples(self.scores[:, :, t], self.labels[:, t], self.groups, self.weights)


def _as_floats(labels: Any, argument: str) -> np.ndarray:
    """Returns labels as float64, NaN where they are missing."""
    if isinstance(labels, list | tuple):  # These may hold None or NA.
        labels = pd.DataFrame(labels).squeeze(axis=1) if len(labels) else np.zeros(0)
    try:
        if isinstance(labels, pd.DataFrame | pd.Series):
            plain = labels.astype(object).to_numpy()
            return np.where(pd.isna(plain), np.nan, plain).astype(np.float64)
        return np.asarray(as_array(labels, argument), np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{argument} must be numbers, 0 and 1 or classes ({error})") from error


def _one_per_class(classes: np.ndarray, targets: tuple[str, ...], where: str) -> np.ndarray:
    known = ~np.isnan(classes)
    wrong = known & ~np.isin(classes, np.arange(len(targets)))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"{where}labels must be classes 0..{len(targets) - 1}, or missing; row {row} is "
            f"{classes[row]:g}"
        )
    each = (classes[:, None] == np.arange(len(targets))).astype(np.float64)
    return np.where(known[:, None], each, np.nan)


def _asks_normalized(settings: Settings) -> bool:
    return any("normalized_precisions" in METRICS[name].sums for name in settings.metrics)


def _mean_positives(test: _Several, settings: Settings) -> np.ndarray:
    """Mean over targets of each channel's positives, float64[C, 1]; 1 where there are none."""
    n = len(test.labels)
    groups = as_groups(test.groups, n, intersections=settings.intersections)
    inside = np.concatenate([np.ones((1, n)), groups.membership]) * check_weights(test.weights, n)
    mean = (inside @ np.nan_to_num(test.labels)).mean(axis=1, keepdims=True)
    return np.where(mean > 0, mean, 1.0)


def _hits(test: _Several, k: int, names: list[str], settings: Settings) -> GroupReport:
    """Whether a true target is among the k of highest score; ties go to the earlier target."""
    count = len(test.targets)
    if not 1 <= k <= count:
        raise InputError(f"top_k has {k}; it must be in 1..{count}, the number of targets")
    true = np.nan_to_num(test.labels).astype(bool)
    hits = np.zeros(test.scores.shape[:2], np.float32)
    for v in range(len(hits)):
        best = np.argsort(-np.asarray(test.scores[v], np.float64), axis=1, kind="stable")[:, :k]
        hits[v] = np.take_along_axis(true, best, axis=1).any(axis=1)
    # An example without any known label can be no hit and no miss.
    labels = np.where(np.isnan(test.labels).all(axis=1), np.nan, 0.0)
    plain = dataclasses.replace(settings, metrics=_SELECTION, threshold=0.5, population=None)
    return evaluate_target(Examples(hits, labels, test.groups, test.weights), None, names, plain)


def _mean(each: Sequence[Resampled]) -> Resampled:
    """The mean over the targets in which the metric is defined on the sample."""
    defined = ~np.isnan(np.stack([one.value for one in each]))
    count = defined.sum(axis=0)
    means = []
    for values in zip(*each, strict=True):
        stacked = np.stack(values)
        kept = defined.reshape(defined.shape + (1,) * (stacked.ndim - 2))
        total = np.where(kept, stacked, 0.0).sum(axis=0)
        by = count.reshape(count.shape + (1,) * (stacked.ndim - 2))
        means.append(np.where(by > 0, total / np.maximum(by, 1), np.nan))
    return Resampled(*means)


def _defined_mean(values: np.ndarray) -> np.ndarray:
    """The mean over the first axis of what is defined; NaN where nothing is."""
    defined = ~np.isnan(values)
    count = defined.sum(axis=0)
    total = np.where(defined, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _target_first(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[["target", *(name for name in rows.columns if name != "target")]]
