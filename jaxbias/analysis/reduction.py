"""Removal alone: a correlation level reached with fewer images, beside the same with all."""

import dataclasses

import pandas as pd

from jaxbias.analysis.design import Design
from jaxbias.analysis.estimates import Estimate, difference, estimate
from jaxbias.analysis.evaluation import Evaluation
from jaxbias.analysis.overwriting import GAP
from jaxbias.analysis.uncertainty import Interval, intervals, simultaneous_level
from jaxbias.study import STUDIED, AnswerSpec, Curation, parse_curation
from jaxbias.words import count

_METRICS = {"gap": GAP, "auc": "auc"}
_NOTHING = Interval(float("nan"), float("nan"), float("nan"))


def reduced(evaluation: Evaluation, design: Design, rule: AnswerSpec) -> pd.DataFrame:
    """Compares levels that were reached by removal alone with the same at the full size.

    Both arms share prefixes of one draw.

    Args:
      evaluation: the task's.
      design: what was planned of it.
      rule: confidence; epsilon and delta, within which fewer images are as good.

    Returns:
      One row per base, curation and n of which the level without removal is planned too: gap and
      AUC less its, with intervals that hold for all levels of a base and n together. "as good": the
      gap's lies inside ±epsilon and the AUC's above −delta; "worse": one lies wholly outside; else
      "undecided".
    """
    rows: list[dict] = []
    planned = design.planned
    for (base, role, n), arms in planned.groupby(["base", "role", "n"], sort=False):
        pairs = _pairs(arms)
        if pairs:
            rows += _of_base(evaluation, design, rule, (base, role), int(n), pairs)
    return pd.DataFrame(rows)


def sentences(table: pd.DataFrame, rule: AnswerSpec) -> list[str]:
    """Says of every studied base at which levels fewer images are as good."""
    said = []
    studied = table[table["role"].isin(STUDIED)] if len(table) else table
    by = ["task", "base", "n_full"]
    for (task, base, full), rows in studied.groupby(by, sort=False) if len(table) else ():
        named = {
            verdict: ", ".join(f"level {row.level:g} (n = {row.n:,})" for row in part.itertuples())
            for verdict, part in rows.sort_values("level").groupby("verdict", sort=False)
        }
        said.append(
            f"Removal alone ({task}, {base}): of {count(len(rows), 'level')} also reached by "
            f"removing images from n = {full:,}, as good as with all of them "
            f"(FPR gap within ±{rule.epsilon:g}, AUC at most {rule.delta:g} lower): "
            f"{named.get('as good', 'none')}; worse: {named.get('worse', 'none')}; undecided: "
            f"{named.get('undecided', 'none')} ({rule.confidence:.0%} intervals for all levels "
            "together)."
        )
    return said


def _pairs(arms: pd.DataFrame) -> list[tuple[Curation, str]]:
    """The curations that remove images, each with the one of its level that does not."""
    tried = {name: parse_curation(name, "variants") for name in arms["curation"].unique()}
    found = [
        (curation, dataclasses.replace(curation.whole, level=curation.level).name)
        for curation in tried.values()
        if curation.kind == "reduce_only"
    ]
    return [(curation, full) for curation, full in found if full in tried]


def _of_base(
    evaluation: Evaluation,
    design: Design,
    rule: AnswerSpec,
    who: tuple[str, str],
    n: int,
    pairs: list[tuple[Curation, str]],
) -> list[dict]:
    base = who[0]
    usable = [
        not any(design.arm(base, name, n).unusable for name in (curation.name, full))
        for curation, full in pairs
    ]
    bounds = {}
    for name, metric in _METRICS.items():
        found: list[Estimate] = [
            difference(*(evaluation.panel(metric, base, name, n) for name in (own.name, full)))
            for (own, full), there in zip(pairs, usable, strict=True)
            if there
        ]
        level = simultaneous_level(found, 1 - rule.confidence, len(pairs)) if found else 0.5
        together = iter(intervals(found, level))
        bounds[name] = [next(together) if there else _NOTHING for there in usable]
    rows = []
    for i, (curation, full) in enumerate(pairs):
        row = dict(zip(("base", "role"), who, strict=True)) | {"task": evaluation.task}
        row |= {"curation": curation.name, "level": float(curation.level), "start": curation.start}
        row |= {"n_full": n, "n": curation.size(n)}
        for name, metric in _METRICS.items():
            for suffix, arm in (("", curation.name), ("_full", full)):
                one = estimate(evaluation.panel(metric, base, arm, n))
                row[f"{name}{suffix}"] = one.value
            row |= bounds[name][i].named(f"{name}_change")
        row["verdict"] = _verdict(bounds["gap"][i], bounds["auc"][i], rule)
        row["marked"] = design.arm(base, curation.name, n).marked
        rows.append(row)
    return rows


def _verdict(gap: Interval, auc: Interval, rule: AnswerSpec) -> str:
    if gap.within(rule.epsilon) and auc.low > -rule.delta:
        return "as good"
    return "worse" if gap.outside(rule.epsilon) or auc.high < -rule.delta else "undecided"
