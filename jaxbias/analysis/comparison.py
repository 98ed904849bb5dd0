"""Initialisations side by side: which base ends with the smallest gap, and with the largest AUC."""

from collections.abc import Mapping, Sequence

import pandas as pd

from jaxbias.analysis import ranks
from jaxbias.analysis.asked import Asked
from jaxbias.analysis.design import Design
from jaxbias.analysis.estimates import estimate
from jaxbias.analysis.evaluation import Evaluation
from jaxbias.analysis.frames import together
from jaxbias.analysis.overwriting import GAP
from jaxbias.analysis.rules import CONFIRMED
from jaxbias.analysis.uncertainty import Interval, intervals
from jaxbias.study import STUDIED, AnswerSpec
from jaxbias.words import count

_METRICS = (GAP, "auc")
_ARM = ["n", "curation", "kind", "level"]
_NOTHING = Interval(float("nan"), float("nan"), float("nan"))
_Frames = tuple[pd.DataFrame, pd.DataFrame]


def rankings(planned: pd.DataFrame, targets: Sequence[str]) -> int:
    """Counts (target, n) whose bases are ranked: the family of every ranking.

    Args:
      planned: every model of the study.
      targets: of it.
    """
    of_targets = planned[planned["task"].isin(targets)]
    return sum(_asked(arms) for _, arms in of_targets.groupby(["task", "n"], sort=False))


def of_task(
    asked: Asked, tests: Mapping[str, Evaluation], design: Design
) -> dict[str, pd.DataFrame]:
    """Returns the frames `comparison` and `comparison_pairs` of a task, of all populations.

    Args:
      asked: what the study asks.
      tests: population -> the task's evaluation.
      design: what was planned of the task.
    """
    family = rankings(asked.planned, asked.study.targets)
    ranked = [compared(one, design, asked.study.answer, family) for one in tests.values()]
    rows, pairs = zip(*ranked, strict=True)
    return {"comparison": together(rows), "comparison_pairs": together(pairs)}


def compared(evaluation: Evaluation, design: Design, rule: AnswerSpec, family: int) -> _Frames:
    """Ranks the bases of a task at every curation and size, where the bias of several is studied.

    The smallest |FPR gap| is the best, and the largest AUC. All pairs of bases are compared at
    once, and for all targets and sizes of the study (Bonferroni); curations each for themselves. A
    base whose models are degenerate is not ranked; one that is not trained yet may come anywhere.

    Args:
      evaluation: the task's, in one population.
      design: what was planned of it.
      rule: confidence.
      family: of `rankings`.

    Returns:
      One row per n, curation, metric and base: its value, its interval alone, and the bounds of
      its rank among `bases`; and one per pair: the difference of their |FPR gap|, or AUC.
    """
    rows: list[dict] = []
    pairs: list[dict] = []
    for n, arms in design.planned.groupby("n", sort=True):
        if not _asked(arms):
            continue
        for key, block in arms.groupby(_ARM, sort=False, dropna=False):
            roles = dict(zip(block["base"], block["role"], strict=True))
            arm = dict(zip(_ARM, key, strict=True)) | {"n": int(n)}
            if len(roles) > 1:
                ranked = _ranked(evaluation, design, rule, arm, roles, family)
                rows += ranked[0]
                pairs += ranked[1]
    return pd.DataFrame(rows), pd.DataFrame(pairs)


def sentences(table: pd.DataFrame, fixes: pd.DataFrame, rule: AnswerSpec) -> list[str]:
    """Says of each task and size which base is the best at the natural draw, and the cheapest fix.

    Args:
      table: of `compared`, of all tasks.
      fixes: of `smallest_fix.smallest_fix`, of all tasks.
      rule: whose population, and confidence.
    """
    if table.empty:
        return []
    said = []
    natural = table[(table["kind"] == "natural") & (table["population"] == rule.population)]
    for (task, n), rows in natural.groupby(["task", "n"], sort=False):
        by_metric = {metric: part for metric, part in rows.groupby("metric", sort=False)}
        ranked = by_metric[GAP]["bases"].iloc[0]
        parts = [
            f"Bases ({task}, natural draws of n = {n:,}, {count(ranked, 'base')}; "
            f"{rule.confidence:.0%} intervals for all pairs together).",
            f"Smallest FPR gap: {_best(by_metric[GAP], '{:+.3f}')}.",
            f"Largest AUC: {_best(by_metric['auc'], '{:.3f}')}.",
        ]
        out = by_metric[GAP][by_metric[GAP]["left_out"] != ""]
        if len(out):
            reasons = (f"{row.base} ({row.left_out})" for row in out.itertuples())
            parts.append(f"Not ranked: {', '.join(reasons)}.")
        if len(fixes):
            mine = fixes[(fixes["task"] == task) & (fixes["n"] == n)]
            parts += [_cheapest(mine)] if len(mine) else []
        said.append(" ".join(parts))
    return said


def _asked(arms: pd.DataFrame) -> bool:
    """Whether the bias of several bases is studied in these."""
    return arms.loc[arms["role"].isin(STUDIED), "base"].nunique() > 1


def _ranked(
    evaluation: Evaluation,
    design: Design,
    rule: AnswerSpec,
    arm: dict,
    roles: Mapping[str, str],
    family: int,
) -> tuple[list[dict], list[dict]]:
    """Rows of the bases, and of their pairs, at one curation and size."""
    n, curation = arm["n"], arm["curation"]
    standing = {base: design.arm(base, curation, n) for base in roles}
    out = {base: one.unusable for base, one in standing.items()}
    # What is not trained yet may still come anywhere; what is degenerate never will.
    bases = sum(not out[base] or one.waiting > 0 for base, one in standing.items())
    what = {"task": evaluation.task, "population": evaluation.population, **arm}
    rows, pairs = [], []
    for metric in _METRICS:
        panels = {
            base: evaluation.panel(metric, base, curation, n) for base in roles if not out[base]
        }
        alpha, sizes = 1 - rule.confidence, metric == GAP
        differences = ranks.differences(panels, alpha / family, sizes=sizes, planned=bases)
        ranked = ranks.bounds(list(panels), differences, bases, smallest=sizes)
        alone = dict(
            zip(panels, intervals([estimate(p) for p in panels.values()], alpha), strict=True)
        )
        for base, role in roles.items():
            low, high = ranked.get(base, (float("nan"), float("nan")))
            rows.append(
                {**what, "metric": metric, "base": base, "role": role}
                | alone.get(base, _NOTHING).named("value")
                | {"rank_low": low, "rank_high": high, "bases": bases, "left_out": out[base]}
            )
        for (base, against), one in differences.items():
            pairs.append(
                {**what, "metric": metric, "base": base, "against": against}
                | one.named("difference")
            )
    return rows, pairs


def _best(rows: pd.DataFrame, written: str) -> str:
    """Which base is the best, or may be."""
    ranked = rows[rows["left_out"] == ""]
    values = {row.base: written.format(row.value) for row in ranked.itertuples()}
    may_be = ranked[ranked["rank_low"] == 1]
    waiting = rows["bases"].iloc[0] - len(ranked)
    later = [f"{count(waiting, 'base')} not trained yet"] if waiting else []
    if len(may_be) == 1 and may_be["rank_high"].item() == 1:
        return f"surely {may_be['base'].item()} ({values[may_be['base'].item()]})"
    named = [f"{base} ({values[base]})" for base in may_be["base"]]
    text = f"undecided between {', '.join([*named, *later])}"
    not_it = [base for base in ranked["base"] if base not in set(may_be["base"])]
    return f"{text}; surely not {', '.join(not_it)}" if not_it else text


def _cheapest(fixes: pd.DataFrame) -> str:
    """Which base has the cheapest fix, and what the others have."""
    confirmed = fixes[fixes["verdict"] == CONFIRMED].sort_values("images_changed", kind="stable")
    named = [
        f"{row.base} ({row.curation}, {count(round(row.images_changed), 'image')} changed)"
        for row in confirmed.itertuples()
    ]
    others = fixes[fixes["verdict"] != CONFIRMED]
    named += [f"{row.base} ({row.verdict})" for row in others.itertuples()]
    order = ", cheapest first" if len(confirmed) > 1 else ""
    return f"Smallest fix{order}: {', '.join(named)}."
