"""Finetuning size: the natural draws' gap and AUC along n, and where bases meet."""

import pandas as pd

from jaxbias.analysis.design import Design
from jaxbias.analysis.estimates import difference
from jaxbias.analysis.evaluation import Evaluation
from jaxbias.analysis.inheritance import Direction
from jaxbias.analysis.overwriting import GAP
from jaxbias.analysis.uncertainty import Interval, intervals, simultaneous_level
from jaxbias.study import STUDIED, AnswerSpec

FEWEST = 3  # Sizes: two are no course.
_METRICS = (GAP, "auc")


def compared(
    evaluation: Evaluation, design: Design, towards: Direction, rule: AnswerSpec
) -> pd.DataFrame:
    """Compares each studied base with every other along the sizes of the natural draw.

    Args:
      evaluation: the task's.
      design: what was planned of it.
      towards: the direction of the labels' correlation, in which the gap is signed.
      rule: confidence, and within which bounds bases count as met: epsilon of the gap, delta of
        the AUC.

    Returns:
      One row per base, other base, metric and size; `low_all` to `high_all` hold for all sizes and
      comparisons of the task and metric. Of sizes that cannot be used, numbers are missing.
    """
    lines = _lines(design)
    rows: list[dict] = []
    for (base, other), sizes in lines.items():
        for metric in _METRICS:
            rows += _along(
                evaluation, design, towards, rule, metric, base, other, sizes, len(lines)
            )
    return pd.DataFrame(rows)


def meeting(table: pd.DataFrame, rule: AnswerSpec) -> pd.DataFrame:
    """Finds from which size on two bases have surely met, and to which they are surely apart.

    Args:
      table: of `compared`, of all tasks.
      rule: epsilon and delta.

    Returns:
      One row per task, base, other base and metric: `met_from`, the smallest size from which on the
      whole interval lies inside the bounds, and `apart_to`, the largest at which it excludes zero;
      NaN where there is none.
    """
    keys = ["task", "base", "against", "metric"]
    found = []
    for key, rows in table.groupby(keys, sort=False) if len(table) else ():
        bound = rule.epsilon if key[-1] == GAP else rule.delta
        sizes, met, apart = rows["n"].tolist(), [], []
        for row in rows.itertuples():
            one = Interval(row.difference, row.low_all, row.high_all)
            met.append(one.within(bound))
            apart += [row.n] * one.outside(0)
        last = max((i for i, inside in enumerate(met) if not inside), default=-1)
        found.append(
            dict(zip(keys, key, strict=True))
            | {"bound": bound, "sizes": len(sizes), "smallest": sizes[0], "largest": sizes[-1]}
            | {"met_from": sizes[last + 1] if last + 1 < len(sizes) else float("nan")}
            | {"apart_to": max(apart, default=float("nan"))}
        )
    return pd.DataFrame(found)


def sentences(table: pd.DataFrame, rule: AnswerSpec) -> list[str]:
    """Says where bases meet, a sentence per task and studied base."""
    said = []
    for (task, base), rows in table.groupby(["task", "base"], sort=False) if len(table) else ():
        first = rows.iloc[0]
        parts = [
            f"in {'FPR gap' if metric == GAP else 'AUC'} (±{part['bound'].iloc[0]:g}) "
            + ", ".join(f"{row.against} {_where(row)}" for row in part.itertuples())
            for metric, part in rows.groupby("metric", sort=False)
        ]
        said.append(
            f"Size ({task}, natural draws of n = {first['smallest']:,} to {first['largest']:,}). "
            f"{base} meets {'; '.join(parts)} ({rule.confidence:.0%} intervals for all sizes and "
            "bases together)."
        )
    return said


def _where(row: tuple) -> str:
    if row.met_from == row.met_from:
        return f"surely from n = {row.met_from:,.0f} on"
    if row.apart_to == row.apart_to:
        return f"at no size surely, and is surely apart at n = {row.apart_to:,.0f}"
    return "at no size surely"


def _lines(design: Design) -> dict[tuple[str, str], list[int]]:
    """(studied base, other base) -> the sizes at which natural draws of both are planned."""
    lines: dict[tuple[str, str], list[int]] = {}
    for n in sorted(int(n) for n in design.planned["n"].unique()):
        roles = design.bases(n)
        for base in (name for name, role in roles.items() if role in STUDIED):
            for other in (name for name, role in roles.items() if role not in STUDIED):
                lines.setdefault((base, other), []).append(n)
    return {line: sizes for line, sizes in lines.items() if len(sizes) >= FEWEST}


def _why_not(design: Design, bases: tuple[str, str], n: int) -> str:
    reasons = ((base, design.arm(base, "natural", n).unusable) for base in bases)
    return "; ".join(f"{base}: {reason}" for base, reason in reasons if reason)


def _along(
    evaluation: Evaluation,
    design: Design,
    towards: Direction,
    rule: AnswerSpec,
    metric: str,
    base: str,
    other: str,
    sizes: list[int],
    together: int,
) -> list[dict]:
    """The differences of two bases along the sizes."""
    why = {n: _why_not(design, (base, other), n) for n in sizes}
    found = {
        n: difference(*(evaluation.panel(metric, b, "natural", n) for b in (base, other)))
        for n in sizes
        if not why[n]
    }
    estimates, alpha = list(found.values()), 1 - rule.confidence
    alone = dict(zip(found, intervals(estimates, alpha), strict=True))
    level = simultaneous_level(estimates, alpha / together, len(sizes)) if estimates else alpha
    jointly = dict(zip(found, intervals(estimates, level), strict=True))
    sign = towards.sign if metric == GAP else 1
    nothing = Interval(float("nan"), float("nan"), float("nan"))
    rows = []
    for n in sizes:
        bounds = {"": alone.get(n, nothing), "_all": jointly.get(n, nothing)}
        row = {
            "task": evaluation.task,
            "base": base,
            "against": other,
            "metric": metric,
            "n": n,
            "checkpoints": found[n].units if n in found else 0,
            "draws": found[n].draws if n in found else 0,
            "difference": sign * bounds[""].value,
        }
        for suffix, one in bounds.items():
            row[f"low{suffix}"], row[f"high{suffix}"] = sorted((sign * one.low, sign * one.high))
        rows.append(row | {"left_out": why[n]})
    return rows
