"""Panels: a metric of one arm, model by model, and which models of two arms pair.

The unit of replication is a checkpoint: one set of pretrained parameters. Models that share one are
averaged within it first, so five finetunes of one checkpoint are one unit, not five.
"""

import dataclasses

import numpy as np

KIND, CHECKPOINT = "kind", "checkpoint"


@dataclasses.dataclass(frozen=True)
class Panel:
    """A metric of the models of one arm (base, curation, n), or a paired difference of two arms.

    Attributes:
      units: int64[M], the checkpoint of each model.
      draws: int64[M], its finetuning draw.
      values: float64[M].
      replicates: float64[M, B], under B bootstrap replicates of the examples, shared by all arms.
      scope: "kind" where every arm in it has at least two checkpoints, else "checkpoint": what is
        found then holds for that checkpoint over its draws.
    """

    units: np.ndarray
    draws: np.ndarray
    values: np.ndarray
    replicates: np.ndarray
    scope: str = ""

    def __post_init__(self) -> None:
        if not self.scope:
            several = len(np.unique(self.units)) > 1
            object.__setattr__(self, "scope", KIND if several else CHECKPOINT)

    def times(self, factor: float) -> "Panel":
        """The panel times a number."""
        return dataclasses.replace(
            self, values=factor * self.values, replicates=factor * self.replicates
        )

    def of(self, rows: np.ndarray) -> "Panel":
        """The models at these places."""
        return Panel(
            self.units[rows], self.draws[rows], self.values[rows], self.replicates[rows], self.scope
        )

    @property
    def mean(self) -> float:
        """The mean over units; NaN where the metric is undefined in one, or there is none."""
        if not len(self.values):
            return float("nan")
        by = self.units if len(np.unique(self.units)) > 1 else self.draws
        _, places, models = np.unique(by, return_inverse=True, return_counts=True)
        return float((np.bincount(places, self.values) / models).mean())


def paired(mine: Panel, theirs: Panel) -> Panel | None:
    """Returns mine − theirs model by model, or None where fewer than two models pair.

    A model pairs with that of the same unit and draw. Against a single checkpoint, and where every
    unit has a draw of its own on both sides, the same draw is enough.
    """
    several = [len(np.unique(panel.units)) > 1 for panel in (mine, theirs)]
    scope = KIND if all(several) else CHECKPOINT
    if several[0] == several[1]:
        a, b = _matches(_keys(mine), _keys(theirs))
        if len(np.unique(mine.units[a])) >= 2 or (not any(several) and len(a) >= 1):
            return _minus(mine, theirs, a, b, mine.units[a], scope)
    own = [len(np.unique(panel.draws)) == len(panel.draws) for panel in (mine, theirs)]
    if all(several) and not all(own):
        return None
    a, b = _matches(mine.draws, theirs.draws)
    if len(np.unique(mine.draws[a])) < 2:
        return None
    units = (mine.units[a], theirs.units[b])[not several[0]]
    return _minus(mine, theirs, a, b, units, scope)


def in_common(mine: Panel, theirs: Panel) -> tuple[Panel, Panel]:
    """Returns the models of the same unit and draw, in the same order."""
    a, b = _matches(_keys(mine), _keys(theirs))
    return mine.of(a), theirs.of(b)


def _keys(panel: Panel) -> np.ndarray:
    """One whole number for each (unit, draw)."""
    return panel.units * 2**32 + panel.draws


def _matches(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of every pair of equal keys."""
    return np.nonzero(a[:, None] == b[None, :])


def _minus(
    mine: Panel, theirs: Panel, a: np.ndarray, b: np.ndarray, units: np.ndarray, scope: str
) -> Panel:
    return Panel(
        units,
        mine.draws[a],
        mine.values[a] - theirs.values[b],
        mine.replicates[a] - theirs.replicates[b],
        scope,
    )
