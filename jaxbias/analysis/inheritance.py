"""Inherited? The studied base's gap beyond each control's, on the same draws and examples."""

import numpy as np
import pandas as pd

from jaxbias.analysis.evaluation import Evaluation
from jaxbias.metrics import holm
from jaxbias.study import STUDIED, AnswerSpec

METRIC = "fpr_gap"


def direction(evaluation: Evaluation) -> int:
    """Returns +1 where the target is more frequent in the first group, else -1."""
    cells = evaluation.cells
    by_group = [
        cells.shares[(cells.groups == g) & (cells.targets == 1)].sum()
        / cells.shares[cells.groups == g].sum()
        for g in (0, 1)
    ]
    return 1 if by_group[0] >= by_group[1] else -1


def excess_gaps(evaluation: Evaluation, rule: AnswerSpec) -> pd.DataFrame:
    """Compares each studied base with every control and scratch, at every curation.

    The difference is signed in the direction of the bias: positive means that the studied base
    leaves more of it.
    """
    sign = direction(evaluation)
    arms = evaluation.arms()
    rows = []
    for studied in arms[arms["role"].isin(STUDIED)].itertuples():
        others = arms[~arms["role"].isin(STUDIED) & (arms["n"] == studied.n)]
        for other in others[others["curation"] == studied.curation].itertuples():
            mine = evaluation.panel(METRIC, studied.base, studied.curation, studied.n)
            theirs = evaluation.panel(METRIC, other.base, other.curation, other.n)
            difference = (mine - theirs).times(sign)
            interval = difference.interval(rule.confidence)
            rows.append(
                {
                    "task": evaluation.task,
                    "population": evaluation.population,
                    "base": studied.base,
                    "against": other.base,
                    "curation": studied.curation,
                    "level": studied.level,
                    "n": studied.n,
                    "metric": METRIC,
                    "direction": sign,
                    "repeats": interval.repeats,
                    "difference": interval.value,
                    "low": interval.low,
                    "high": interval.high,
                    "p_value": interval.p_value,
                    "excludes_zero": interval.outside(0.0),
                    "inside_epsilon": interval.within(rule.epsilon),
                    "_panel": difference,
                }
            )
    return pd.DataFrame(rows)


def inherited(excess: pd.DataFrame, rule: AnswerSpec) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Applies the rule to the natural draws of all tasks.

    yes: every lower bound is above zero, at the confidence Holm's step-down leaves this target;
    no: every interval lies inside ±epsilon; else undecided.

    Args:
      excess: `excess_gaps` of every task.
      rule: epsilon and confidence.

    Returns:
      The comparisons with their Holm-adjusted intervals, and one verdict per target, base and n.
    """
    natural = excess[excess["curation"] == "natural"].reset_index(drop=True)
    if natural.empty:  # Models trained elsewhere may have been given no natural draw.
        return pd.DataFrame(), pd.DataFrame()
    comparisons, verdicts = [], []
    for (base, n), family in natural.groupby(["base", "n"], sort=False):
        # A target counts as inherited only against every control: its p is its weakest.
        weakest = family.assign(p=np.where(family["difference"] > 0, family["p_value"], 1.0))
        p_target = weakest.groupby("task", sort=False)["p"].max()
        adjusted = dict(zip(p_target.index, holm(p_target.to_numpy()), strict=True))
        rank = dict(
            zip(p_target.sort_values(kind="stable").index, range(len(p_target)), strict=True)
        )
        for task, rows in family.groupby("task", sort=False):
            confidence = 1 - (1 - rule.confidence) / (len(p_target) - rank[task])
            intervals = [panel.interval(confidence) for panel in rows["_panel"]]
            rows = rows.drop(columns="_panel").assign(
                p_holm=adjusted[task],
                low_holm=[i.low for i in intervals],
                high_holm=[i.high for i in intervals],
            )
            comparisons.append(rows)
            if adjusted[task] < 1 - rule.confidence:
                verdict = "yes"
            elif rows["inside_epsilon"].all():
                verdict = "no"
            else:
                verdict = "undecided"
            verdicts.append(
                {
                    "task": task,
                    "population": rows["population"].iloc[0],
                    "base": base,
                    "n": n,
                    "direction": rows["direction"].iloc[0],
                    "verdict": verdict,
                    "p_holm": adjusted[task],
                    "sentence": _sentence(rows, base, task, n, verdict, rule),
                }
            )
    return pd.concat(comparisons, ignore_index=True), pd.DataFrame(verdicts)


def _sentence(
    rows: pd.DataFrame, base: str, task: str, n: int, verdict: str, rule: AnswerSpec
) -> str:
    parts = [
        f"{row.difference:+.3f} [{row.low:+.3f}, {row.high:+.3f}] against {row.against}"
        for row in rows.itertuples()
    ]
    opening = {
        "yes": f"Inherited: after finetuning on {n} natural images of {task}, the {base} base "
        "keeps a larger FPR gap than every control",
        "no": f"Not inherited: after finetuning on {n} natural images of {task}, the {base} base's "
        f"FPR gap differs from no control's by more than {rule.epsilon:g}",
        "undecided": f"Undecided whether inherited: after finetuning on {n} natural images of "
        f"{task}, the {base} base's extra FPR gap is",
    }[verdict]
    repeats = rows["repeats"].min()
    return (
        f"{opening}{':' if verdict != 'undecided' else ''} {'; '.join(parts)} "
        f"({rule.confidence:.0%} intervals, {repeats} repeats; Holm-adjusted "
        f"p {_p(rows['p_holm'].iloc[0])})."
    )


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
