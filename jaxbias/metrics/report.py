"""The report: values, replicates and reasons of every metric, as frames."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from jaxbias import words
from jaxbias.errors import InputError, nearest
from jaxbias.metrics.comparisons import Comparison
from jaxbias.metrics.definitions import ALL, METRICS, Sums, compute, places, undefined_reason
from jaxbias.metrics.intervals import holm
from jaxbias.metrics.power import detectable
from jaxbias.metrics.ranges import Compared, Rate, compare_groups
from jaxbias.metrics.resampling import Resampled, Share, interval, simultaneous

# Variants × groups × replicates (or groups again) per part.
_PART = 2**22
_Pairs = tuple[list[str], list[str]]
_Difference = tuple[pd.DataFrame, Resampled]  # Rows that say what, and their differences.


@dataclasses.dataclass(frozen=True)
class GroupReport:
    """Metrics of V variants on one target, overall, per group and per family. Made by `evaluate`.

    Only sums are held; a metric is computed when asked for.

    Attributes:
      names: V names of the variants.
      metrics: what was asked for.
      groups: "all", then the groups' names.
      counts: int[C], examples of positive weight and known label, overall and in each group.
      family_counts: family -> examples in any of its groups.
      sizes: float64[2, C], effective numbers of negatives and positives, (Σw)²/Σw² (Kish, 1965).
      threshold_from: "validation", "test" or "fixed".
      shortfall: float64[V], the share of the positives' weight by which the base-rate threshold
        selects too little on the examples it was taken from, because of ties and weights; NaN for
        another rule.
      left_to_chance: float64[V], how many examples that is, of those that tie at the threshold: a
        selection of the right size would draw them by lot. 0 where none tie.
      two_values: bool[V], whether a variant's scores take two values only. They are cut midway
        between them (0 and 1 at 0.5), not at the base-rate threshold; its shortfall is NaN.
      confidence: of the intervals.
      interval: their kind, one of `settings.Interval`.
      bootstrap: R, the number of replicates.
      sums: column 0 the sample itself, then a column per replicate, then per part left out.
    """

    names: tuple[str, ...]
    metrics: tuple[str, ...]
    groups: tuple[str, ...]
    counts: np.ndarray
    family_counts: Mapping[str, int]
    sizes: np.ndarray
    threshold_from: str
    shortfall: np.ndarray
    left_to_chance: np.ndarray
    two_values: np.ndarray
    confidence: float
    interval: str
    bootstrap: int
    sums: Sums = dataclasses.field(repr=False)

    @property
    def families(self) -> tuple[str, ...]:
        """Names of the families whose groups are compared."""
        return tuple(self.sums.families)

    def value(self, metric: str, group: str = ALL) -> np.ndarray:
        """Returns a metric on the examples, float64[V]; NaN where undefined.

        Args:
          metric: its name.
          group: a group; for a metric that compares groups, a family.

        Raises:
          InputError: no such metric or group.
        """
        return compute(self.sums.columns(slice(0, 1)), metric, group)[:, 0]

    def replicates(self, metric: str, group: str = ALL) -> np.ndarray:
        """Returns a metric in every bootstrap replicate, float64[V, R]; NaN where undefined.

        Column r is the same resampling of the examples for every variant.

        Raises:
          InputError: no such metric or group.
        """
        return compute(self.sums.columns(slice(1, 1 + self.bootstrap)), metric, group)

    def resampled(self, metric: str, group: str = ALL) -> Resampled:
        """Returns a metric with all that an interval is made of."""
        values = compute(self.sums, metric, group)
        end = 1 + self.bootstrap
        return Resampled(values[:, 0], values[:, 1:end], values[:, end:])

    def undefined(self, metric: str, group: str = ALL) -> str:
        """Returns why a metric is NaN, or '' where every variant has a value."""
        return undefined_reason(self.sums.columns(slice(0, 1)), metric, group)

    def frame(self) -> pd.DataFrame:
        """Returns one row per variant, metric and group (or family).

        Columns: variant, metric, group, value, low, high (over bootstrapped examples; NaN without a
        bootstrap), n (examples of positive weight), p_value (of equal groups, of what compares
        them), chance (what a range or ratio would be in the mean of equal groups),
        undefined_reason.
        """
        return concat(self.rows(name, place) for name, place in self.entries())

    def gaps(self) -> pd.DataFrame:
        """Returns the rows of `frame` that compare the groups of a family.

        A further column says what is compared: "female − male" is signed, of more than two groups
        it is the range.
        """
        chosen = [(m, place) for m, place in self.entries() if METRICS[m].scope == "family"]
        rows = concat(self.rows(name, place) for name, place in chosen)
        compared = {family: self._compared(family) for family in self.families}
        rows.insert(3, "compared", rows["group"].map(compared))
        return rows

    def compare(
        self,
        a: str | Sequence[str],
        b: str | Sequence[str],
        metrics: Iterable[str] | None = None,
        group: str | None = None,
    ) -> pd.DataFrame:
        """Compares variants pairwise on the same resampled examples.

        Args:
          a: a variant, or several.
          b: what each is compared with: one for all, or as many.
          metrics: the family of tests; by default everything asked for.
          group: only this group or family.

        Returns:
          One row per pair, metric and group: variant, against, metric, group, difference (variant
          minus against), low, high, p_value (two-sided, of no difference); and over all rows
          together: p_holm (adjusted by Holm's method), low_all, high_all (intervals that hold all
          at once, from the largest standardised deviation in each replicate).

        Raises:
          InputError: no bootstrap, an unknown variant, metric or group, or lists of other lengths.
        """
        pairs = self.pairs(a, b)
        parts = [self.differences(pairs, *entry) for entry in self.entries(metrics, group)]
        return difference_frame(self, parts)

    def power(self, power: float = 0.8, gap: float | None = None) -> pd.DataFrame:
        """Returns the smallest gap these examples can tell from none.

        Args:
          power: the chance of finding it, tested two-sidedly at the report's confidence.
          gap: a gap of interest; adds how many examples would be needed to find it.

        Returns:
          One row per variant, gap metric and family: standard_error (the bootstrap's; without a
          bootstrap the binomial one at the common rate, for rates only; of more than two groups the
          largest of any two), half_width (of the interval; of more than two groups of all pairs at
          once), detectable_gap, n (examples), and examples_needed where `gap` is given.
        """
        return detectable(self, power, gap)

    def entries(
        self, metrics: Iterable[str] | None = None, group: str | None = None
    ) -> list[tuple[str, str]]:
        """Returns (metric, group or family) of everything asked for, or what is chosen of it."""
        entries = [
            (name, place)
            for name in (self.metrics if metrics is None else metrics)
            for place in places(self.sums, name)
            if group in (None, place)
        ]
        if not entries:
            valid = (*self.groups, *self.families)
            raise InputError(f"group '{group}' is unknown; {nearest(str(group), valid)}")
        return entries

    def rows(self, metric: str, place: str) -> pd.DataFrame:
        """Returns the rows of `frame` of one metric in one group or family."""
        value, reason = self.value(metric, place), self.undefined(metric, place)
        found = self.intervals(metric, place)
        return value_rows(
            self.names, metric, place, value, found, self.count(metric, place), reason
        )

    def intervals(self, metric: str, place: str, jointly: int = 1) -> Compared:
        """Returns interval, p-value and what chance makes of a metric, NaN without a bootstrap.

        Args:
          metric: its name.
          place: a group, or a family.
          jointly: how many ranges must be covered at once.
        """
        comparison = METRICS[metric].compares
        if comparison is not None and self.bootstrap:
            channels = self.sums.families[place] or (0,)
            signed = comparison.signed(len(channels))
            enough = len(channels) > 1 or comparison.form == "least"
            if enough and (not signed or self.interval == "standard"):
                return self._compared_in_parts(comparison, channels, jointly)
        resampled = self.resampled(metric, place)
        share = self.share(metric, place)
        low, high, p = interval(resampled, self.confidence, self.interval, share)
        low, high = (np.clip(x, *self.extent(metric, place)) for x in (low, high))
        nan = np.full(p.shape, np.nan)
        return Compared(low, high, nan if comparison is None else p, nan)

    def _compared_in_parts(
        self, comparison: Comparison, channels: Sequence[int], jointly: int
    ) -> Compared:
        """Compares groups, some variants at a time, which bounds the memory."""
        width = max(1, _PART // (len(channels) * max(self.bootstrap, len(channels))))
        found = []
        for first in range(0, max(len(self.names), 1), width):
            part = dataclasses.replace(self, sums=self.sums.variants(slice(first, first + width)))
            rates = [part.rate(name, channels) for name in comparison.rates]
            found.append(compare_groups(comparison, rates, self.confidence, jointly))
        return Compared(*(np.concatenate(arrays) for arrays in zip(*found, strict=True)))

    def rate(self, metric: str, channels: Sequence[int]) -> Rate:
        """Returns a metric of some groups, as comparisons of them need it."""
        each = [self.resampled(metric, self.groups[c]) for c in channels]
        shares = [self.share(metric, self.groups[c]) for c in channels]
        share = None
        if shares[0] is not None:
            share = Share(np.stack([one.size for one in shares]), shares[0].counted)
        values, replicates, _ = (np.stack(arrays) for arrays in zip(*each, strict=True))
        return Rate(values, replicates, share)

    def pairs(self, a: str | Sequence[str], b: str | Sequence[str]) -> _Pairs:
        """Returns the two lists of variants that `compare` goes through."""
        if not self.bootstrap:
            raise InputError("compare needs replicates: evaluate(..., bootstrap=1000)")
        ones, others = ([x] if isinstance(x, str) else list(x) for x in (a, b))
        if len(others) == 1:
            others *= len(ones)
        if len(ones) != len(others):
            raise InputError(
                f"compare has {words.count(len(ones), 'variant')} and {len(others)} to compare with"
            )
        for name in (*ones, *others):
            if name not in self.names:
                raise InputError(f"variant '{name}' is unknown; {nearest(name, self.names)}")
        return ones, others

    def differences(self, pairs: _Pairs, metric: str, place: str) -> _Difference:
        """Returns the differences of one metric in one group or family, one per pair."""
        resampled = self.resampled(metric, place)
        return difference(self.names, pairs, metric, place, resampled)

    def count(self, metric: str, place: str) -> int:
        """Returns how many examples a metric is of: a group's, or those of a family's groups."""
        if METRICS[metric].scope == "family":
            return self.family_counts[place]
        return int(self.counts[self.groups.index(place)])

    def share(self, metric: str, place: str) -> Share | None:
        """Returns how many examples a share rests on, at its smallest group; None of no share."""
        definition = METRICS[metric]
        if not definition.share:
            return None
        if definition.scope == "group":
            channels = [self.groups.index(place)]
        else:
            channels = list(self.sums.families[place]) or [0]
        classes = [
            i for i, name in enumerate(("negatives", "positives")) if name in definition.needs
        ]
        sizes = self.sizes[:, channels]
        size = np.array([(sizes[classes].min(axis=0) if classes else sizes.sum(axis=0)).min()])
        if "selected" in definition.needs:  # A share of those predicted positive.
            size = size * self.value("selection_rate", place)
        return Share(size, definition.counted)

    def extent(self, metric: str, place: str) -> tuple[float, float]:
        """Returns the least and the most a metric can be."""
        return METRICS[metric].extent(len(self.sums.families.get(place, ())))

    def _compared(self, family: str) -> str:
        names = [self.groups[c] for c in self.sums.families[family]]
        return " − ".join(names) if len(names) == 2 else f"range of {len(names)} groups"


def value_rows(
    names: Sequence[str],
    metric: str,
    place: str,
    value: np.ndarray,
    found: Compared,
    count: int,
    reason: str,
) -> pd.DataFrame:
    """Returns one row per variant."""
    return pd.DataFrame(
        {
            "variant": names,
            "metric": metric,
            "group": place,
            "value": value,
            "low": found.low,
            "high": found.high,
            "n": count,
            "p_value": found.p_value,
            "chance": found.chance,
            "undefined_reason": np.where(np.isnan(value), reason, ""),
        }
    )


def difference(
    names: Sequence[str], pairs: _Pairs, metric: str, place: str, resampled: Resampled
) -> _Difference:
    """Subtracts the second variant of each pair from the first."""
    mine, theirs = ([names.index(name) for name in side] for side in pairs)
    rows = pd.DataFrame(
        {"variant": pairs[0], "against": pairs[1], "metric": metric, "group": place}
    )
    return rows, resampled.of(mine) - resampled.of(theirs)


def difference_frame(report: GroupReport, parts: Sequence[_Difference]) -> pd.DataFrame:
    """Returns all rows of a comparison, with intervals each by itself and all together."""
    rows = pd.concat([rows for rows, _ in parts], ignore_index=True)
    every = [resampled for _, resampled in parts]
    joined = Resampled(*(np.concatenate(arrays) for arrays in zip(*every, strict=True)))
    low, high, p_value = interval(joined, report.confidence, report.interval)
    low_all, high_all = simultaneous(joined, report.confidence)
    most = np.concatenate([_largest_difference(report, rows) for rows, _ in parts])
    low, high, low_all, high_all = (np.clip(x, -most, most) for x in (low, high, low_all, high_all))
    return rows.assign(
        difference=joined.value,
        low=low,
        high=high,
        p_value=p_value,
        p_holm=holm(p_value),
        low_all=low_all,
        high_all=high_all,
    )


def _largest_difference(report: GroupReport, rows: pd.DataFrame) -> np.ndarray:
    """How far two models can be apart at most, float64[rows]."""
    found = []
    for metric, place in zip(rows["metric"], rows["group"], strict=True):
        low, high = (0.0, 1.0)  # A hit rate among the highest scores, or a gap of one.
        if metric in METRICS:
            low, high = report.extent(metric, place)
        elif metric.endswith("_gap"):
            low = -1.0
        found.append(high - low)
    return np.array(found)


def concat(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Puts frames under one another; of empty ones nothing but their columns is kept."""
    frames = [frame for frame in frames if len(frame.columns)]
    kept = [frame for frame in frames if len(frame)] or frames[:1]
    return pd.concat(kept, ignore_index=True) if kept else pd.DataFrame()
