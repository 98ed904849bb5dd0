"""Metrics: ranking, thresholds, rates and gaps of many models at once, with their uncertainty."""

from jaxbias.metrics.definitions import DEFAULT_METRICS, METRICS
from jaxbias.metrics.degenerate import degenerate
from jaxbias.metrics.evaluate import evaluate
from jaxbias.metrics.examples import Examples
from jaxbias.metrics.groups import ALL, Groups
from jaxbias.metrics.intervals import (
    Contrast,
    contrast_interval,
    crossed_interval,
    equivalence,
    holm,
    t_interval,
)
from jaxbias.metrics.populations import population_shares, population_weights
from jaxbias.metrics.report import GroupReport
from jaxbias.metrics.targets import TargetsReport
from jaxbias.metrics.traced import group_metrics

__all__ = [
    "ALL",
    "DEFAULT_METRICS",
    "METRICS",
    "Contrast",
    "Examples",
    "GroupReport",
    "Groups",
    "TargetsReport",
    "contrast_interval",
    "crossed_interval",
    "degenerate",
    "equivalence",
    "evaluate",
    "group_metrics",
    "holm",
    "population_shares",
    "population_weights",
    "t_interval",
]
