"""Power: the smallest gap a set of examples can tell from none."""

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import special

from jaxbias.errors import InputError
from jaxbias.metrics.definitions import METRICS, compute
from jaxbias.metrics.ranges import tukey

if TYPE_CHECKING:
    from jaxbias.metrics.report import GroupReport

# Rates are means of zeros and ones over these classes.
_OVER = {
    "fpr": ("negatives",),
    "tpr": ("positives",),
    "fnr": ("positives",),
    "tnr": ("negatives",),
    "selection_rate": ("positives", "negatives"),
    "accuracy": ("positives", "negatives"),
}


def detectable(report: "GroupReport", power: float, gap: float | None) -> pd.DataFrame:
    """Computes `GroupReport.power`.

    Raises:
      InputError: a power outside (0, 1), a gap that is not positive, or no gap to speak of.
    """
    if not 0 < power < 1:
        raise InputError(f"power={power} must lie between 0 and 1")
    if gap is not None and not gap > 0:
        raise InputError(f"gap={gap} must be positive")
    rows = []
    for metric in report.metrics:
        rate = metric.removesuffix("_gap")
        if rate == metric or METRICS[metric].scope != "family":
            continue
        if not report.bootstrap and rate not in _OVER:
            continue
        for family, groups in report.sums.families.items():
            if len(groups) < 2:
                continue
            critical = tukey(1 - report.confidence, len(groups))
            if report.bootstrap:
                error = _largest_error(report, rate, groups)
            else:
                error = _binomial_error(report, rate, groups)
            smallest = (critical + special.ndtri(power)) * error
            n = report.family_counts[family]
            row = {
                "variant": report.names,
                "metric": metric,
                "group": family,
                "standard_error": error,
                "half_width": critical * error,
                "detectable_gap": smallest,
                "n": n,
            }
            if gap is not None:
                row["examples_needed"] = np.ceil(n * (smallest / gap) ** 2)
            rows.append(pd.DataFrame(row))
    if not rows:
        raise InputError("power needs a metric such as 'fpr_gap' and a family of two groups")
    return pd.concat(rows, ignore_index=True)


def _largest_error(report: "GroupReport", rate: str, groups: tuple[int, ...]) -> np.ndarray:
    """The bootstrap's standard error of the difference of the two groups that show least."""
    each = [report.resampled(rate, report.groups[c]) for c in groups]
    return np.max([(a - b).error for a, b in itertools.combinations(each, 2)], axis=0)


def _binomial_error(report: "GroupReport", rate: str, groups: tuple[int, ...]) -> np.ndarray:
    """Standard error of a difference of two rates that are equal, at the smallest groups."""
    sums = report.sums.columns(slice(0, 1))
    classes = [("negatives", "positives").index(over) for over in _OVER[rate]]
    sizes = report.sizes[classes][:, list(groups)].sum(axis=0)
    smallest = np.sort(sizes)[:2]
    rates = np.stack([compute(sums, rate, report.groups[c])[:, 0] for c in groups])
    common = (rates * sizes[:, None]).sum(axis=0) / sizes.sum()
    return np.sqrt(common * (1 - common) * (1 / smallest).sum())
