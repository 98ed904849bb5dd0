"""Removal alone: a correlation level reached with fewer images, beside the same with all."""

import pandas as pd

from jaxbias.analysis.design import Design
from jaxbias.analysis.estimates import Estimate, difference, estimate
from jaxbias.analysis.evaluation import Evaluation
from jaxbias.analysis.overwriting import GAP
from jaxbias.analysis.uncertainty import Interval, intervals, simultaneous_level
from jaxbias.study import STUDIED, AnswerSpec
from jaxbias.words import count

FEWEST = 2  # Levels reached by removal.
_METRICS = {"gap": GAP, "auc": "auc"}
_NOTHING = Interval(float("nan"), float("nan"), float("nan"))


def reduced(evaluation: Evaluation, design: Design, rule: AnswerSpec) -> pd.DataFrame:
    """Compares levels that were tried at one smaller size each with the same at the full size.

    The full size is that of most levels; a smaller one with a single level is what removal leaves
    (`sweep.zipped` of levels and n). Both arms share prefixes of one draw.

    Args:
      evaluation: the task's.
      design: what was planned of it.
      rule: confidence; epsilon and delta, within which fewer images are as good.

    Returns:
      One row per base and level: gap and AUC less those of the full size, with intervals that hold
      for all levels of a base together. "as good": the gap's lies inside ±epsilon and the AUC's
      above −delta; "worse": one lies wholly outside; else "undecided".
    """
    rows: list[dict] = []
    leveled = design.planned[design.planned["kind"] == "correlation"]
    for (base, role), arms in leveled.groupby(["base", "role"], sort=False):
        full, pairs = _pairs(arms)
        if len(pairs) >= FEWEST:
            rows += _of_base(evaluation, design, rule, (base, role), full, pairs)
    return pd.DataFrame(rows)


def sentences(table: pd.DataFrame, rule: AnswerSpec) -> list[str]:
    """Says of every studied base at which levels fewer images are as good."""
    said = []
    studied = table[table["role"].isin(STUDIED)] if len(table) else table
    for (task, base), rows in studied.groupby(["task", "base"], sort=False) if len(table) else ():
        named = {
            verdict: ", ".join(f"level {row.level:g} (n = {row.n:,})" for row in part.itertuples())
            for verdict, part in rows.sort_values("level").groupby("verdict", sort=False)
        }
        said.append(
            f"Removal alone ({task}, {base}): of {count(len(rows), 'level')} also reached by "
            f"removing images from n = {rows['n_full'].iloc[0]:,}, as good as with all of them "
            f"(FPR gap within ±{rule.epsilon:g}, AUC at most {rule.delta:g} lower): "
            f"{named.get('as good', 'none')}; worse: {named.get('worse', 'none')}; undecided: "
            f"{named.get('undecided', 'none')} ({rule.confidence:.0%} intervals for all levels "
            "together)."
        )
    return said


def _pairs(arms: pd.DataFrame) -> tuple[int, list[tuple[str, float, int]]]:
    """The full size, and (curation, level, size) of what removal left of it."""
    tried = arms.groupby("n")["curation"].agg(lambda names: sorted(set(names)))
    full = int(tried.map(len).sort_index(ascending=False).idxmax())
    levels = arms.drop_duplicates("curation").set_index("curation")["level"]
    return full, [
        (names[0], float(levels[names[0]]), int(n))
        for n, names in tried.items()
        if n < full and len(names) == 1 and names[0] in tried[full]
    ]


def _of_base(
    evaluation: Evaluation,
    design: Design,
    rule: AnswerSpec,
    who: tuple[str, str],
    full: int,
    pairs: list[tuple[str, float, int]],
) -> list[dict]:
    base = who[0]
    usable = [
        not any(design.arm(base, curation, size).unusable for size in (n, full))
        for curation, _, n in pairs
    ]
    bounds = {}
    for name, metric in _METRICS.items():
        found: list[Estimate] = [
            difference(*(evaluation.panel(metric, base, curation, size) for size in (n, full)))
            for (curation, _, n), there in zip(pairs, usable, strict=True)
            if there
        ]
        level = simultaneous_level(found, 1 - rule.confidence, len(pairs)) if found else 0.5
        together = iter(intervals(found, level))
        bounds[name] = [next(together) if there else _NOTHING for there in usable]
    rows = []
    for i, (curation, level, n) in enumerate(pairs):
        row = dict(zip(("base", "role"), who, strict=True)) | {"task": evaluation.task}
        row |= {"curation": curation, "level": level, "n_full": full, "n": n}
        for name, metric in _METRICS.items():
            for suffix, size in (("", n), ("_full", full)):
                one = estimate(evaluation.panel(metric, base, curation, size))
                row[f"{name}{suffix}"] = one.value
            row |= bounds[name][i].named(f"{name}_change")
        row["verdict"] = _verdict(bounds["gap"][i], bounds["auc"][i], rule)
        row["marked"] = design.arm(base, curation, n).marked
        rows.append(row)
    return rows


def _verdict(gap: Interval, auc: Interval, rule: AnswerSpec) -> str:
    if gap.within(rule.epsilon) and auc.low > -rule.delta:
        return "as good"
    return "worse" if gap.outside(rule.epsilon) or auc.high < -rule.delta else "undecided"
