"""Underrepresentation: AUC on each subgroup along the mix of a pair, and the matching share."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from jaxbias.analysis.design import Design
from jaxbias.analysis.estimates import difference, estimate
from jaxbias.analysis.evaluation import Evaluation
from jaxbias.analysis.panels import Panel
from jaxbias.analysis.uncertainty import intervals, simultaneous_level
from jaxbias.study import AnswerSpec
from jaxbias.words import count

# The paper compares with the specialised base at 10 % of its own attribute.
REFERENCE = 1
_NUMBERS = ("reference_auc", "difference", "low", "high", "share_low", "share_high", "sure_share")


def subgroup_curves(evaluation: Evaluation, rule: AnswerSpec) -> pd.DataFrame:
    """Returns the AUC on each subgroup against the shared negatives, for every arm of a mix."""
    rows, found = [], []
    for arm in evaluation.arms().itertuples():
        if arm.kind != "pair_mix":
            continue
        for group in evaluation.cells.group_names:
            one = estimate(evaluation.panel("auc", arm.base, arm.curation, arm.n, group))
            found.append(one)
            rows.append(
                {
                    "task": evaluation.task,
                    "base": arm.base,
                    "role": arm.role,
                    "level": arm.level,
                    "n": arm.n,
                    "group": group,
                    "checkpoints": one.units,
                    "draws": one.draws,
                }
            )
    for row, one in zip(rows, intervals(found, 1 - rule.confidence), strict=True):
        row |= {"auc": one.value, "low": one.low, "high": one.high}
    return pd.DataFrame(rows)


def matching_share(
    evaluation: Evaluation, design: Design, targets: dict[str, str], rule: AnswerSpec
) -> pd.DataFrame:
    """Finds how much of a subgroup makes up for a base that was not pretrained on it.

    For each subgroup S of a pair: the share of S among the finetuning positives from which the base
    pretrained on the other attribute is ahead, on AUC of S, of the base pretrained on S finetuned
    with 10 % of S (Wang & Russakovsky, 2023). Intervals of the differences at all shares planned
    hold together, for all comparisons of the study.

    Args:
      evaluation: the pair's evaluation.
      design: what was planned.
      targets: base name -> the column it was pretrained on.
      rule: confidence.

    Returns:
      One row per subgroup and n; `share_low` to `share_high` are the shares compatible with
      equality, NaN where none is; `sure_share` is the smallest from which on the difference is
      surely above zero, NaN where it never is.
    """
    first, second = evaluation.cells.group_names
    by_target = {target: base for base, target in targets.items()}
    asked = [
        (n, subgroup, other)
        for n in dict.fromkeys(evaluation.arms()["n"])
        for subgroup, other in ((first, second), (second, first))
        if subgroup in by_target and other in by_target
    ]
    alpha = (1 - rule.confidence) / max(len(asked), 1)
    rows = [
        _match(evaluation, design, by_target[subgroup], by_target[other], subgroup, int(n), alpha)
        for n, subgroup, other in asked
    ]
    return pd.DataFrame([row for row in rows if row])


def _match(
    evaluation: Evaluation,
    design: Design,
    own: str,
    other: str,
    subgroup: str,
    n: int,
    alpha: float,
) -> dict | None:
    planned = design.curations(other, n)
    mix = planned[planned["kind"] == "pair_mix"]
    is_second = subgroup == evaluation.cells.group_names[1]
    # The level counts tenths of the second attribute; a share is of this subgroup.
    by_share = {
        int(arm.level if is_second else 10 - arm.level): arm.curation for arm in mix.itertuples()
    }
    if REFERENCE not in by_share:
        return None
    row = {
        "task": evaluation.task,
        "n": n,
        "subgroup": subgroup,
        "base": other,
        "against": own,
        "scope": "kind",
        **dict.fromkeys(("checkpoints", "draws"), 0),
        **dict.fromkeys(_NUMBERS, float("nan")),
    }
    at = by_share[REFERENCE]
    for base in (own, other):
        reason = design.arm(base, at, n).absent
        if reason:
            return row | {
                "sentence": f"Underrepresentation ({evaluation.task}, n = {n:,}): undecided on "
                f"{subgroup}; {base} at {at}: {reason}."
            }
    shares = [
        share
        for share, curation in sorted(by_share.items())
        if share > 0 and not design.arm(other, curation, n).absent
    ]
    reference = evaluation.panel("auc", own, by_share[REFERENCE], n, subgroup)
    along = {
        share: evaluation.panel("auc", other, by_share[share], n, subgroup) for share in shares
    }
    row |= {"reference_auc": reference.mean}
    row |= catching_up(along, reference, sum(share > 0 for share in by_share), alpha)
    # An AUC at chance is a finding here, not a way to look good; it is named all the same.
    arms = [(own, at), *((other, by_share[share]) for share in shares)]
    marked = [
        f"{base} at {curation}" for base, curation in arms if design.arm(base, curation, n).marked
    ]
    note = f" Degenerate: {', '.join(marked)}." if marked else ""
    return row | {"sentence": _sentence(row, evaluation.examples) + note}


def catching_up(
    along: Mapping[int, Panel], reference: Panel, planned: int, alpha: float
) -> dict[str, Any]:
    """Finds the share from which on a base is ahead of another's at the share `REFERENCE`.

    Args:
      along: tenths, ascending and above 0, that of `REFERENCE` among them -> the base's metric.
      reference: the other base's.
      planned: how many shares are planned; where some are missing nothing is surely ahead.
      alpha: what the intervals at all shares may err together.

    Returns:
      `scope`, `checkpoints` and `draws`; `difference`, `low` and `high` at `REFERENCE`;
      `share_low` to `share_high`, the shares compatible with equality, and `sure_share`, the
      smallest from which on the difference is surely above zero; NaN where there is none.
    """
    shares = list(along)
    found = [difference(panel, reference) for panel in along.values()]
    together = intervals(found, simultaneous_level(found, alpha, planned))
    gap = together[shares.index(REFERENCE)]
    whole = len(shares) == planned  # One that is missing may not be ahead.
    equal = [s for s, one in zip(shares, together, strict=True) if one.low <= 0 <= one.high]
    return {
        "scope": found[0].scope,
        "checkpoints": min(one.units for one in found),
        "draws": min(one.draws for one in found),
        "difference": gap.value,
        "low": gap.low,
        "high": gap.high,
        "share_low": equal[0] / 10 if equal else float("nan"),
        "share_high": equal[-1] / 10 if equal else float("nan"),
        "sure_share": _from(shares, [one.low > 0 for one in together]) if whole else float("nan"),
    }


def _from(shares: list[int], ahead: list[bool]) -> float:
    """The smallest share from which on all are ahead."""
    if not ahead[-1]:
        return float("nan")
    last = max((i for i, sure in enumerate(ahead) if not sure), default=-1)
    return shares[last + 1] / 10


def _sentence(row: dict, examples: int) -> str:
    subgroup, other = row["subgroup"], row["base"]
    equal, sure = row["share_low"] == row["share_low"], row["sure_share"] == row["sure_share"]
    return (
        f"Underrepresentation ({row['task']}, n = {row['n']:,}): with 10 % {subgroup} among the "
        f"positives, the {other} base is {row['difference']:+.3f} [{row['low']:+.3f}, "
        f"{row['high']:+.3f}] in AUC on {subgroup} from the {row['against']} base; "
        + (
            f"equality is compatible with {row['share_low']:.0%} to {row['share_high']:.0%} "
            f"{subgroup}"
            if equal
            else "equality is compatible with no share tried"
        )
        + (f"; surely ahead from {row['sure_share']:.0%} on" if sure else "; surely ahead at none")
        + f" ({count(row['checkpoints'], 'checkpoint')}, {count(row['draws'], 'draw')}, "
        f"{count(examples, 'test example')}; intervals hold for all shares together)."
    )
