"""The answer in words: one paragraph per target, base and n, saying what it rests on."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from jaxbias.analysis.overwriting import best_cut, studied_curations
from jaxbias.analysis.panels import CHECKPOINT
from jaxbias.analysis.uncertainty import MAX_T_UNITS
from jaxbias.study import AnswerSpec, parse_curation
from jaxbias.words import count

_MOST_NAMED = 4


def paragraphs(
    verdicts: pd.DataFrame,
    comparisons: pd.DataFrame,
    overwritten: pd.DataFrame,
    fixes: pd.DataFrame,
    rule: AnswerSpec,
    examples: Mapping[str, int],
) -> list[str]:
    """Returns one paragraph per target, studied base and n.

    Args:
      verdicts: of `inheritance.inherited`.
      comparisons: of the same.
      overwritten: of `overwriting.overwritten`, of the population of the verdicts.
      fixes: of `smallest_fix.smallest_fix`.
      rule: the rules of the answer.
      examples: target -> test examples.
    """
    tried = studied_curations(overwritten) if len(overwritten) else overwritten
    asked = [_by_question(table) for table in (verdicts, comparisons, tried, fixes)]
    said = []
    for key in dict.fromkeys(key for table in asked for key in table):
        task, base, n = key
        mine, compared, curations, fixed = (table.get(key, pd.DataFrame()) for table in asked)
        others = compared.to_dict("records")
        parts = [_inherited(row, others, rule) for row in mine.to_dict("records")]
        if len(curations):
            parts.append(_overwritten(curations, rule))
        parts += [_fix(row, rule) for row in fixed.to_dict("records")]
        basis = _basis([compared, curations, fixed], examples[task])
        said.append(f"{task}, {base}, n = {n:,} ({basis}). " + " ".join(parts))
    return said


def _by_question(table: pd.DataFrame) -> dict[tuple[str, str, int], pd.DataFrame]:
    """(task, base, n) -> its rows."""
    if table.empty:
        return {}
    parts = table.groupby(["task", "base", "n"], sort=False)
    return {(task, base, int(n)): rows for (task, base, n), rows in parts}


def _basis(tables: list[pd.DataFrame], examples: int) -> str:
    """What a paragraph rests on: of the arms it speaks of, the fewest checkpoints and draws."""
    rows = [
        row
        for table in tables
        if "checkpoints" in table
        for row in table[["checkpoints", "draws"]].dropna(subset="checkpoints").to_dict("records")
    ]
    counts = []
    for name in ("checkpoint", "draw"):
        numbers = sorted({int(row[f"{name}s"]) for row in rows})
        if numbers:
            least, most = numbers[0], numbers[-1]
            counts.append(count(most, name) if least == most else f"{least} to {most} {name}s")
    return ", ".join([*counts, count(examples, "test example")])


def _inherited(row: dict, compared: list[dict], rule: AnswerSpec) -> str:
    text = {
        "yes": "Inherited: yes. ",
        "practically none": f"Inherited: yes, but by less than {rule.epsilon:g}. ",
        "no": "Inherited: no. ",
        "reversed": "Inherited: reversed, the gap is surely moved against the direction of the "
        "labels' correlation. ",
        "undecided": "Inherited: undecided. ",
    }[row["verdict"]]
    if row["reason"]:
        text += f"{_capital(row['reason'])}. "
    if compared:
        text += _differences(row, compared, rule) + " "
    if row["scope"] == CHECKPOINT and compared and not row["reason"]:
        single = [one["against"] for one in compared if one["scope"] == CHECKPOINT]
        text += (
            f"This is said of one checkpoint over its draws (against {', '.join(single)}); of this "
            "kind of base it is undecided. "
        )
    if not row["direction_sure"] and compared:
        text += (
            "In the training split the target is not surely more frequent in either group, so bias "
            "in both directions was looked for. "
        )
    if row["left_out"]:
        text += f"Left out: {row['left_out']}. "
    if row["lost"]:
        text += f"Lost to divergence: checkpoints {row['lost']}. "
    return text.rstrip()


def _differences(row: dict, compared: list[dict], rule: AnswerSpec) -> str:
    gap, sign = compared[0]["gap"], row["direction"]
    larger = all(abs(gap) > abs(one["gap_against"]) for one in compared)
    towards = row["verdict"] in ("yes", "practically none") and not larger
    parts = [
        f"{_estimate(one['difference'], one['low_family'], one['high_family'])} beyond "
        f"{one['against']} ({one['gap_against']:+.3f})"
        for one in compared
    ]
    word = (
        f"shifted in the direction of the labels' correlation ({'+' if sign > 0 else '−'}), "
        "not larger than every other"
        if towards
        else "so that bias counts as positive"
        if sign > 0
        else "with its sign turned, so that bias counts as positive"
    )
    return (
        f"After natural draws its FPR gap is {gap:+.3f}, {word}: {'; '.join(parts)} "
        f"({rule.confidence:.0%} intervals{_together(row['questions'])}, p "
        f"{_p(row['p_value'])})."
    )


def _together(questions: int) -> str:
    return f" for all {questions} questions together" if questions > 1 else ""


def _overwritten(rows: pd.DataFrame, rule: AnswerSpec) -> str:
    what = "FPR gap" if not rule.relative_to else f"FPR gap beyond {rule.relative_to}'s"
    closed = rows.loc[rows["verdict"] == "no gap", "curation"].tolist()
    text = f"Overwritten: of {count(len(rows), 'curation')} tried, "
    text += (
        f"{_names(closed)} {'has' if len(closed) == 1 else 'have'} an {what} shown to lie inside "
        f"±{rule.epsilon:g}"
        if closed
        else f"none is shown to bring the {what} inside ±{rule.epsilon:g}"
    )
    best = best_cut(rows)
    if best is not None:
        text += (
            f"; the largest sure cut is {best['curation']}'s, |gap| smaller by "
            f"{_of(best, 'gap_reduction')} with AUC {_of(best, 'auc_change')}"
        )
    if len(rows) > 1:
        text += " (intervals hold for all curations together)"
    marked = rows[rows["marked"] != ""]
    if len(marked):
        reasons = "; ".join(dict.fromkeys(marked["marked"]))
        text += f". Left out: {_names(marked['curation'].tolist())} ({reasons})"
    return text + "."


def _fix(row: dict, rule: AnswerSpec) -> str:
    gap = _of(row, "gap_before")
    bounds = f"±{rule.epsilon:g}"
    if row["verdict"] == "nothing to fix":
        return (
            f"Smallest fix: nothing to fix, the natural draw's FPR gap, {gap}, is shown to lie "
            f"inside {bounds}."
        )
    if row["verdict"] == "no gap shown":
        return (
            f"Smallest fix: no gap shown, the natural draw's FPR gap, {gap}, is not surely "
            "different from zero."
        )
    if row["verdict"] == "confirmed":
        return _confirmed(row, gap)
    text = f"Smallest fix: {'none of those tried' if row['verdict'] == 'none' else 'undecided'}"
    if row["reason"]:
        text += f", {row['reason']}"
    if row["all_worse"]:
        return text + ". Every curation tried is further from no gap than the natural draw."
    if row["nearest"]:
        text += (
            f". {_capital(row['nearest'])} comes nearest: FPR gap {gap} → "
            f"{_of(row, 'gap_after')}, AUC {_of(row, 'auc_change')}"
        )
    if row["verdict"] == "undecided" and not row["reason"]:
        text += f". {_needed(row)}"
    return text + "."


def _confirmed(row: dict, gap: str) -> str:
    parts = [
        f"Smallest fix: {row['curation']}, ordered on validation and confirmed on test",
        f" (tested: {row['tested']})" if ";" in row["tested"] else "",
        f". It changes {row['images_changed']:,.0f} of {row['n']:,} images",
    ]
    size = parse_curation(row["curation"], "the answer").size(int(row["n"]))
    if row["realised_n"] < row["n"]:
        why = "for want of examples" if row["realised_n"] < size else "which removal leaves"
        parts.append(f" (trained on {row['realised_n']:,.0f}, {why})")
    if row["images_changed"]:
        parts.append(
            f" (the move to its share of positives alone {row['images_for_prevalence']:,.0f}, from "
            f"there to its correlation {row['images_for_correlation']:,.0f}) and asks to look "
            f"through {row['images_screened']:,.0f} natural images"
        )
    parts.append(f": FPR gap {gap} → {_of(row, 'gap_after')}, AUC {_of(row, 'auc_change')}.")
    first = [
        f"{m.upper()} {_moves(row, m, 'first')} and {_moves(row, m, 'second')}"
        for m in ("fpr", "tpr")
    ]
    parts.append(f" The two groups' {'; '.join(first)}.")
    if row["scope"] == CHECKPOINT:
        parts.append(" This is said of one checkpoint over its draws.")
    return "".join(parts)


def _needed(row: dict) -> str:
    repeats, examples = row["checkpoints_needed"], row["examples_needed"]
    what = "checkpoints" if row["scope"] != CHECKPOINT else "draws"
    ways = []
    if repeats == repeats:
        ways.append(f"{repeats:,.0f} {what} with as many examples as now")
    if examples == examples:
        ways.append(
            f"{examples:,.0f} test examples (now {row['examples']:,}, validation growing alike) "
            f"with as many {what}"
        )
    if not ways and (row["checkpoints"] if what == "checkpoints" else row["draws"]) < MAX_T_UNITS:
        return (
            f"If the estimates are true, 64 {what} give no decision in four of five studies; what "
            f"more examples would give is not told of fewer than five {what}"
        )
    if not ways:
        return (
            f"If the estimates are true, neither 64 {what} nor 64 times as many examples give a "
            "decision in four of five studies"
        )
    return f"If the estimates are true, four of five studies are decided by {' or '.join(ways)}"


def _of(row: Mapping[str, Any], name: str) -> str:
    return _estimate(row[name], row[f"{name}_low"], row[f"{name}_high"])


def _estimate(value: float, low: float, high: float) -> str:
    """An estimate with its interval; alone where a single unit gives none."""
    if value != value:
        return "undefined"
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]" if low == low else f"{value:+.3f}"


def _moves(row: dict, metric: str, place: str) -> str:
    return f"{row[f'{metric}_{place}_before']:.3f} → {row[f'{metric}_{place}_after']:.3f}"


def _names(names: list[str]) -> str:
    if len(names) <= _MOST_NAMED:
        return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
    return f"{len(names)} (the table names them)"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
