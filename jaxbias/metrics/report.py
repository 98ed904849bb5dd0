"""The report: values, replicates and reasons of every metric, and all of it as one frame."""

import dataclasses

import numpy as np
import pandas as pd

from jaxbias.metrics.bootstrap import percentile_interval
from jaxbias.metrics.definitions import METRICS, Sums, compute, undefined_reason
from jaxbias.metrics.groups import ALL


@dataclasses.dataclass(frozen=True)
class GroupReport:
    """Metrics of V variants, overall and per group. Made by `evaluate`.

    Only sums are held; a metric is computed when asked for.

    Attributes:
      names: V names of the variants.
      groups: "all", then the groups' names.
      counts: int[C], examples of positive weight overall and in each group.
      threshold_from: "validation", "test" or "fixed".
      shortfall: float64[V], the share of the positives' weight by which the base-rate threshold
        selects too little on the examples it was taken from, because of ties and weights; NaN for
        a fixed threshold.
      confidence: of the intervals.
      sums: column 0 the sample itself, then a column per bootstrap replicate.
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    counts: np.ndarray
    threshold_from: str
    shortfall: np.ndarray
    confidence: float
    sums: Sums = dataclasses.field(repr=False)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return tuple(METRICS)

    def value(self, metric: str, group: str = ALL) -> np.ndarray:
        """Returns a metric on the examples, float64[V]; NaN where undefined.

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
        return compute(self.sums.columns(slice(1, None)), metric, group)

    def undefined(self, metric: str, group: str = ALL) -> str:
        """Returns why a metric is NaN, or '' where every variant has a value."""
        return undefined_reason(self.sums.columns(slice(0, 1)), metric, group)

    def frame(self) -> pd.DataFrame:
        """Returns one row per variant, metric and group.

        Columns: variant, metric, group, value, low, high (percentile interval over the bootstrap
        replicates in which the metric is defined; NaN without a bootstrap), n (examples of
        positive weight), undefined_reason.
        """
        parts = []
        for metric, definition in METRICS.items():
            for c, group in enumerate(self.groups if definition.per_group else (ALL,)):
                values = self.value(metric, group)
                missing = np.isnan(values)
                low, high = percentile_interval(self.replicates(metric, group), self.confidence)
                parts.append(
                    pd.DataFrame(
                        {
                            "variant": self.names,
                            "metric": metric,
                            "group": group,
                            "value": values,
                            "low": np.where(missing, np.nan, low),
                            "high": np.where(missing, np.nan, high),
                            "n": self.counts[c],
                            "undefined_reason": np.where(
                                missing, self.undefined(metric, group), ""
                            ),
                        }
                    )
                )
        return pd.concat(parts, ignore_index=True)
