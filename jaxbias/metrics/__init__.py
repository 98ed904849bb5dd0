"""Metrics: ranking, thresholds, rates and gaps of many models at once, with their uncertainty."""

from jaxbias.lazy import offer

__getattr__, __all__ = offer(
    __name__,
    {
        "definitions": "ALL DEFAULT_METRICS METRICS",
        "degeneracy": "degenerate",
        "evaluation": "evaluate",
        "examples": "Examples",
        "groups": "Groups",
        "intervals": "Contrast contrast_interval crossed_interval equivalence holm t_interval",
        "populations": "population_shares population_weights",
        "report": "GroupReport",
        "targets": "TargetsReport",
        "traced": "group_metrics",
    },
)
