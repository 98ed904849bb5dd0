"""Estimates: what the mean of a panel, or the difference of two, is worth."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jaxbias.analysis.panels import CHECKPOINT, KIND, Panel, paired


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over units and examples, with the parts of its variance.

    Attributes:
      value: the mean over units.
      unit_variance: of the mean, from what differs between units.
      df: degrees of freedom of `unit_variance`.
      example_variance: of the mean, from the examples that all units answer.
      deviations: float64[U], each unit's mean minus the value.
      labels: int64[U], the units.
      replicates: float64[U, B], the units' means in each replicate, centred over replicates.
      units: how many checkpoints the (studied side of the) mean rests on.
      draws: how many finetuning draws.
      scope: "kind" or "checkpoint".
    """

    value: float
    unit_variance: float
    df: float
    example_variance: float
    deviations: np.ndarray
    labels: np.ndarray
    replicates: np.ndarray
    units: int
    draws: int
    scope: str

    @property
    def error(self) -> float:
        """The standard error; NaN for a single unit and draw."""
        return float(np.sqrt(self.unit_variance + self.example_variance))

    @property
    def share(self) -> float:
        """The part of the variance that is between units."""
        total = self.unit_variance + self.example_variance
        return self.unit_variance / total if total > 0 else float(self.unit_variance > 0)


def estimate(panel: Panel) -> Estimate:
    """Estimates the mean of a panel over units, draws and examples.

    The variance is that between units (s²/U, U − 1 degrees of freedom) plus the covariance that
    the bootstrap finds between *different* units: what the examples do to all of them alike. What
    they do to each alone is in s² already. Where units share draws, the part of the draws is added:
    with mean squares of units, draws and rest, max(MSU + MSD − MSR, MSR)/(U·D), Satterthwaite's
    degrees of freedom. One unit's mean is one over its draws.
    """
    if len(np.unique(panel.units)) > 1:
        rows, labels = _averaged(panel, panel.units)
        variance, df = _over_units(panel)
    else:
        rows, labels = _averaged(panel, panel.draws)
        variance, df = _of_mean(rows.values)
    if not len(labels):
        nan = float("nan")
        empty = np.zeros(0)
        return Estimate(nan, nan, nan, nan, empty, labels, rows.replicates, 0, 0, panel.scope)
    value = float(rows.values.mean())
    centred = rows.replicates - _nanmean(rows.replicates, 1)[:, None]
    return Estimate(
        value=value,
        unit_variance=variance,
        df=df,
        example_variance=max(_shared(centred, centred), 0.0),
        deviations=rows.values - value,
        labels=labels,
        replicates=centred,
        units=len(np.unique(panel.units)),
        draws=len(np.unique(panel.draws)),
        scope=panel.scope,
    )


def difference(mine: Panel, theirs: Panel) -> Estimate:
    """Estimates mine − theirs: paired where models share a unit or a draw, else Welch's."""
    pairs = paired(mine, theirs)
    if pairs is not None:
        return estimate(pairs)
    a, b = estimate(mine), estimate(theirs)
    common = (_nanmean(a.replicates, 0) - _nanmean(b.replicates, 0))[None]
    return _welch(a, b, _shared(common, common), common)


def independent(mine: Panel, theirs: Panel) -> Estimate:
    """Estimates mine − theirs where neither checkpoints nor examples are shared: Welch's."""
    a, b = estimate(mine), estimate(theirs)
    return _welch(a, b, a.example_variance + b.example_variance, np.zeros((1, 0)))


def _welch(a: Estimate, b: Estimate, examples: float, replicates: np.ndarray) -> Estimate:
    """Their difference, of different units, with what the examples add to its variance."""
    variance = a.unit_variance + b.unit_variance
    parts = a.unit_variance**2 / a.df + b.unit_variance**2 / b.df if min(a.df, b.df) > 0 else 0.0
    return Estimate(
        value=a.value - b.value,
        unit_variance=variance,
        df=variance**2 / parts if parts else min(a.df, b.df),
        example_variance=examples,
        deviations=np.zeros(0),
        labels=np.zeros(0, np.int64),
        replicates=replicates,
        units=min(a.units, b.units),
        draws=min(a.draws, b.draws),
        scope=KIND if a.units > 1 and b.units > 1 else CHECKPOINT,
    )


@dataclasses.dataclass(frozen=True)
class Covariances:
    """Covariances of K means over the same U units, each float64[K, K].

    Attributes:
      between: of the means, from what differs between units: what they are, and `own`.
      own: of one unit, what the examples do to it alone; falls as examples grow.
      shared: what the examples do to all units alike.
    """

    between: np.ndarray
    own: np.ndarray
    shared: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """Of the means."""
        return self.between + self.shared


def covariances(found: Sequence[Estimate]) -> Covariances | None:
    """Returns the covariances of estimates; None where their units are not the same.

    Covariances between units are estimated from few and shrunk by 1 − 1/(U − 1); else max-t over
    five units that differ in everything erred 9 % for 5 %.
    """
    labels = found[0].labels
    count = len(labels)
    if count < 2 or not all(np.array_equal(one.labels, labels) for one in found):
        return None
    deviations = np.stack([one.deviations for one in found])
    between = deviations @ deviations.T / (count * (count - 1)) * (1 - 1 / (count - 1))
    np.fill_diagonal(between, [one.unit_variance for one in found])
    rows = np.stack([one.replicates for one in found])
    rows = rows[:, :, np.isfinite(rows).all(axis=(0, 1))]
    sums, flat = rows.sum(axis=1), rows.reshape(len(found), -1)
    size = max(rows.shape[-1] - 1, 1)
    alone = flat @ flat.T / size
    shared = (sums @ sums.T / size - alone) / (count * (count - 1))
    own = alone / count - shared
    np.fill_diagonal(shared, [one.example_variance for one in found])
    return Covariances(between, own, shared)


def _averaged(panel: Panel, by: np.ndarray) -> tuple[Panel, np.ndarray]:
    """The means of models that agree in `by`, one row each."""
    labels, places = np.unique(by, return_inverse=True)
    if len(labels) == len(by):
        order = np.argsort(places, kind="stable")
        return panel.of(order), labels
    weights = (places == np.arange(len(labels))[:, None]).astype(np.float64)
    weights /= weights.sum(axis=1, keepdims=True)
    means = Panel(labels, labels, weights @ panel.values, weights @ panel.replicates, panel.scope)
    return means, labels


def _over_units(panel: Panel) -> tuple[float, float]:
    """Variance of the mean over units, and its degrees of freedom."""
    by_unit, units = _averaged(panel, panel.units)
    variance, df = _of_mean(by_unit.values)
    draws, places = np.unique(panel.draws, return_inverse=True)
    if np.bincount(places).max() == 1:  # Every unit has draws of its own: they are in its mean.
        return variance, df
    # Draws that several units share move all of them: an additive fit tells the parts.
    u = np.searchsorted(units, panel.units)
    design = np.zeros((len(panel.values), len(units) + len(draws)))
    design[np.arange(len(u)), u] = design[np.arange(len(u)), len(units) + places] = 1
    fit = np.linalg.lstsq(design, panel.values, rcond=None)[0]
    rest_df = len(panel.values) - len(units) - len(draws) + 1
    by_draws, draws_df = _of_mean(fit[len(units) :])
    if rest_df < 1 or len(draws) < 2:
        return variance + np.nan_to_num(by_draws), df
    rest = float(((panel.values - design @ fit) ** 2).sum()) / rest_df / len(panel.values)
    total = max(variance + by_draws - rest, rest)
    parts = variance**2 / df + by_draws**2 / draws_df + rest**2 / rest_df
    return total, total**2 / parts if parts > 0 else df


def _of_mean(values: np.ndarray) -> tuple[float, float]:
    count = len(values)
    if count < 2:
        return float("nan"), 0.0
    return float(values.var(ddof=1)) / count, float(count - 1)


def _shared(a: np.ndarray, b: np.ndarray) -> float:
    """Mean bootstrap covariance of different units' rows; of the rows themselves for one unit."""
    count = len(a)
    ok = np.isfinite(a).all(axis=0) & np.isfinite(b).all(axis=0)
    a, b = a[:, ok], b[:, ok]
    size = max(a.shape[1] - 1, 1)
    own = float((a * b).sum()) / size
    if count == 1:
        return own
    return (float(a.sum(axis=0) @ b.sum(axis=0)) / size - own) / (count * (count - 1))


def _nanmean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean over what is defined; 0 where nothing is."""
    there = np.isfinite(values)
    return np.where(there, values, 0.0).sum(axis=axis) / np.maximum(there.sum(axis=axis), 1)
