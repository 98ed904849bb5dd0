"""Underrepresentation: AUC on each subgroup along the mix of a pair, and the matching share."""

import pandas as pd

from jaxbias.analysis.evaluation import Evaluation
from jaxbias.study import AnswerSpec

# The paper compares with the specialised base at 10 % of its own attribute.
_REFERENCE = 1


def subgroup_curves(evaluation: Evaluation, rule: AnswerSpec) -> pd.DataFrame:
    """Returns the AUC on each subgroup against the shared negatives, for every arm of a mix."""
    rows = []
    for arm in evaluation.arms().itertuples():
        if arm.kind != "pair_mix":
            continue
        for group in evaluation.cells.group_names:
            panel = evaluation.panel("auc", arm.base, arm.curation, arm.n, group)
            interval = panel.interval(rule.confidence)
            rows.append(
                {
                    "task": evaluation.task,
                    "base": arm.base,
                    "role": arm.role,
                    "level": arm.level,
                    "n": arm.n,
                    "group": group,
                    "auc": interval.value,
                    "low": interval.low,
                    "high": interval.high,
                    "repeats": interval.repeats,
                }
            )
    return pd.DataFrame(rows)


def matching_share(
    evaluation: Evaluation, targets: dict[str, str], rule: AnswerSpec
) -> pd.DataFrame:
    """Finds how much of a subgroup makes up for a base that was not pretrained on it.

    For each subgroup S of a pair: the smallest share of S among the finetuning positives at which
    the base pretrained on the other attribute reaches, on AUC of S, the base pretrained on S
    finetuned with 10 % of S (Wang & Russakovsky, 2023).

    Args:
      evaluation: the pair's evaluation.
      targets: base name -> the column it was pretrained on.
      rule: confidence.

    Returns:
      One row per subgroup and n; `share` is NaN where no share tried reaches it.
    """
    first, second = evaluation.cells.group_names
    by_target = {target: base for base, target in targets.items()}
    arms = evaluation.arms()
    rows = []
    for n in arms["n"].unique():
        for subgroup, other in ((first, second), (second, first)):
            if subgroup in by_target and other in by_target:
                row = _match(evaluation, by_target[subgroup], by_target[other], subgroup, n, rule)
                rows += [row] if row else []
    return pd.DataFrame(rows)


def _match(
    evaluation: Evaluation, own: str, other: str, subgroup: str, n: int, rule: AnswerSpec
) -> dict | None:
    arms = evaluation.arms()
    mix = arms[(arms["kind"] == "pair_mix") & (arms["base"] == other) & (arms["n"] == n)]
    is_second = subgroup == evaluation.cells.group_names[1]
    # The level counts tenths of the second attribute; a share is of this subgroup.
    by_share = {
        int(arm.level if is_second else 10 - arm.level): arm.curation for arm in mix.itertuples()
    }
    if _REFERENCE not in by_share:
        return None
    reference = evaluation.panel("auc", own, by_share[_REFERENCE], n, subgroup)
    differences = {
        share: evaluation.panel("auc", other, curation, n, subgroup) - reference
        for share, curation in sorted(by_share.items())
        if share > 0
    }
    gap = differences[_REFERENCE].interval(rule.confidence)
    reached = [s for s, d in differences.items() if d.mean >= 0]
    surely = [s for s, d in differences.items() if d.interval(rule.confidence).low > 0]
    share = reached[0] / 10 if reached else float("nan")
    sure = surely[0] / 10 if surely else float("nan")
    sentence = (
        f"Underrepresentation ({evaluation.task}, n={n}): with 10 % {subgroup} among the "
        f"positives, the {other} base is {gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}] in AUC "
        f"on {subgroup} from the {own} base; "
        + (f"it catches up at {share:.0%} {subgroup}" if reached else "no share tried catches up")
        + (
            f", surely (its interval excludes zero) at {sure:.0%}."
            if surely
            else ", at none with an interval that excludes zero."
        )
    )
    return {
        "task": evaluation.task,
        "n": n,
        "subgroup": subgroup,
        "base": other,
        "against": own,
        "reference_auc": reference.mean,
        "difference": gap.value,
        "low": gap.low,
        "high": gap.high,
        "repeats": gap.repeats,
        "share": share,
        "sure_share": sure,
        "sentence": sentence,
    }
