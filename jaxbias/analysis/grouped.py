"""One metric of the groups of one grouping, in every arm: rates, pairwise gaps and ranges."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxbias.analysis.panels import Panel
from jaxbias.analysis.ranged import Rates
from jaxbias.metrics.resampling import Share

# Positives and negatives that a group must have: of fewer than ten, one bootstrap replicate in
# 20,000 has none, and an interval says little.
LEAST = 10
ROUNDING = 1e-9  # Of sizes that are sums of weights.


def place(grouping: str, group: str) -> str:
    """Returns what an evaluation calls a group: two groupings may have groups of one name."""
    return f"{grouping}: {group}"


def ends(groups: Sequence[str], values: np.ndarray, when: str = "") -> dict[str, str]:
    """Returns the groups of the highest and the lowest of their values, float64[G]."""
    known = np.isfinite(values).all()
    return {
        f"{which}{when}": groups[int(at(values))] if known else ""
        for which, at in (("highest", np.argmax), ("lowest", np.argmin))
    }


@dataclasses.dataclass(frozen=True)
class Grouped:
    """One metric of the groups of one grouping that have examples enough.

    Attributes:
      metric: its name.
      groups: G names.
      settings: what a row says of each of the V arms.
      panels: of each arm, one per group.
      share: what the metric is a share of, with sizes float64[G, 1].
      alone: the level of an interval by itself.
    """

    metric: str
    groups: tuple[str, ...]
    settings: Sequence[Mapping[str, Any]]
    panels: Sequence[Sequence[Panel]]
    share: Share
    alone: float

    @functools.cached_property
    def found(self) -> Rates:
        """The rates of all groups in all arms."""
        return Rates.of(self.panels, self.share)

    def rates(self, counts: Mapping[str, Mapping[str, Any]]) -> list[dict]:
        """Returns a row per arm and group, also of those left out.

        Args:
          counts: group -> what a row says of it; those that have no numbers are among them.
        """
        low, high = self.found.bounds(self.alone)
        places = {group: g for g, group in enumerate(self.groups)}
        nothing = dict.fromkeys(("value", "low", "high"), float("nan"))
        rows = []
        for v, arm in enumerate(self.settings):
            for group, row in counts.items():
                g = places.get(group)
                numbers = nothing
                if g is not None:
                    numbers = {"value": self.found.values[g, v]}
                    numbers |= {"low": low[g, v], "high": high[g, v]}
                rows.append({**arm, "metric": self.metric, **row, **numbers})
        return rows

    def gaps(self) -> list[dict]:
        """Returns a row per arm and pair of groups, the first minus the second."""
        found = self.found
        levels = (self.alone, found.of_pairs(self.alone))
        bounds = [found.differences(level) for level in levels]
        rows = []
        for v, arm in enumerate(self.settings):
            for g, h in zip(*np.triu_indices(len(self.groups), 1), strict=True):
                row = {"first": self.groups[g], "second": self.groups[h]}
                row["gap"] = found.values[g, v] - found.values[h, v]
                for suffix, (low, high) in zip(("", "_all"), bounds, strict=True):
                    row |= {f"low{suffix}": low[g, h, v], f"high{suffix}": high[g, h, v]}
                rows.append({**arm, "metric": self.metric, **row})
        return rows

    def ranges(self) -> list[dict]:
        """Returns a row per arm: the range over the groups, by itself."""
        alone, chance = self.found.ranges(self.alone), self.found.by_chance()
        rows = []
        for v, arm in enumerate(self.settings):
            first = self.panels[v][0]
            told = {"metric": self.metric, "groups": len(self.groups)}
            told |= {"checkpoints": len(set(first.units)), "draws": len(set(first.draws))}
            told |= {"range": alone[v].value, "low": alone[v].low, "high": alone[v].high}
            told |= {"chance": chance[v], **ends(self.groups, self.found.values[:, v])}
            rows.append({**arm, **told})
        return rows
