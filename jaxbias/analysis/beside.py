"""Two studies side by side: what they were asked, what they found, and whether it differs."""

import dataclasses
from collections.abc import Sequence

import pandas as pd

from jaxbias.analysis.asked import Asked
from jaxbias.analysis.sides import (
    METRICS,
    SIZE,
    SPLITS,
    Arm,
    Side,
    differences,
    drawn_of,
    natural_rows,
    refuse_apart,
)
from jaxbias.errors import InputError
from jaxbias.words import count

_PLACES = ("first", "second")


@dataclasses.dataclass(frozen=True)
class Beside:
    """What is found of two studies.

    Attributes:
      names: of their directories.
      studies: their plain settings.
      warnings: why they may not be alike enough to compare, a sentence each.
      differences: per task, base, size and metric of the natural draws: both values, the second
        minus the first with an interval alone and one for all rows of the metric.
      verdicts: per task, base and size: what each study says of inheritance and smallest fix.
      sentences: what is sure, in words.
      confidence: of the intervals.
    """

    names: tuple[str, str]
    studies: tuple[dict, dict]
    warnings: list[str]
    differences: pd.DataFrame
    verdicts: pd.DataFrame
    sentences: list[str]
    confidence: float


def beside(first: Side, second: Side) -> Beside:
    """Compares two studies of the same targets and group.

    Where both have the same validation and test examples, by id and labels, all models are
    evaluated on the same bootstrap replicates and compared in pairs (of seeds); else as two
    independent samples, checkpoints and examples both.

    Raises:
      InputError: they have no target or no base in common, or other groups.
    """
    refuse_apart((first.name, second.name), (first.study, second.study))
    tasks = _tasks_of(first, second)
    sides = [Asked.of(one.study, one.dataset, one.scores, None) for one in (first, second)]
    shared = _shared(first, second, tasks)
    rule = first.study.answer
    arms = [(task, *arm) for task in tasks for arm in _common(first, second, task)]
    if not arms:
        raise InputError(
            f"{first.name} and {second.name} have no natural draw of the same base in common: "
            f"{_listed(first)} and {_listed(second)}"
        )
    drawn = {task: drawn_of(sides, task, shared == 1) for task in dict.fromkeys(a[0] for a in arms)}
    frame = differences((first, second), drawn, arms, shared == 1, 1 - rule.confidence)
    return Beside(
        names=(first.name, second.name),
        studies=(first.answer.study, second.answer.study),
        warnings=_warnings((first, second), shared, frame),
        differences=frame,
        verdicts=_verdicts((first, second), arms),
        sentences=_sentences(frame, (first, second), rule.confidence),
        confidence=rule.confidence,
    )


def _tasks_of(first: Side, second: Side) -> list[str]:
    """The targets that both have finished models of."""
    there = [
        [t for t in one.study.targets if t in set(one.scores.variants["task"])]
        for one in (first, second)
    ]
    tasks = [task for task in there[0] if task in there[1]]
    if not tasks:
        named = [", ".join(those) or "none" for those in there]
        raise InputError(
            f"{first.name} and {second.name} have no target with finished models in common: "
            f"{named[0]} and {named[1]}"
        )
    return tasks


def _shared(first: Side, second: Side, tasks: list[str]) -> float:
    """The share of the evaluated examples that are the same, by id, split and labels."""
    columns = ["id", "split", *tasks, first.study.group.column]
    parts = []
    for one in (first, second):
        table = one.scores.examples
        evaluated = table.loc[table["split"].isin(SPLITS), columns]
        parts.append(set(map(tuple, evaluated.astype(str).to_numpy())))
    return len(parts[0] & parts[1]) / max(len(parts[0] | parts[1]), 1)


def _common(first: Side, second: Side, task: str) -> list[tuple[str, int, int]]:
    """(base, n in the first, n in the second) of natural draws that both have.

    Of a base that has one size in either study, these two are compared, be they the same or not.
    """
    sizes = []
    for one in (first, second):
        rows = natural_rows(one, task)
        parts = rows.groupby("base", sort=False)["n"] if len(rows) else ()
        sizes.append({base: sorted(map(int, n)) for base, n in parts})
    found = []
    for base, mine in sizes[0].items():
        theirs = sizes[1].get(base, [])
        found += [(base, n, n) for n in mine if n in theirs]
        if len(mine) == len(theirs) == 1 and mine != theirs:
            found.append((base, mine[0], theirs[0]))
    return found


def _listed(side: Side) -> str:
    rows = side.answer.overwritten
    rows = rows[rows["kind"] == "natural"] if len(rows) else rows
    bases = dict.fromkeys(f"{row.base} (n = {row.n:,})" for row in rows.itertuples())
    return ", ".join(bases) or "none"


def _verdicts(sides: tuple[Side, Side], arms: Sequence[Arm]) -> pd.DataFrame:
    """What each study says of inheritance and of the smallest fix."""
    rows = []
    for task, base, *sizes in arms:
        row = {"task": task, "base": base, "n_first": sizes[0], "n_second": sizes[1]}
        for place, side, n in zip(_PLACES, sides, sizes, strict=True):
            inherited, fix = (
                _one(table, task, base, n)
                for table in (side.answer.inherited_verdicts, side.answer.smallest_fix)
            )
            row |= {
                f"inherited_{place}": inherited.get("verdict", ""),
                f"fix_{place}": fix.get("verdict", ""),
                f"curation_{place}": fix.get("curation", ""),
                f"images_changed_{place}": fix.get("images_changed", float("nan")),
                f"gap_after_{place}": fix.get("gap_after", float("nan")),
            }
        if any(row[f"{what}_{place}"] for what in ("inherited", "fix") for place in _PLACES):
            rows.append(row)
    return pd.DataFrame(rows)


def _one(table: pd.DataFrame, task: str, base: str, n: int) -> dict:
    if table.empty:
        return {}
    mine = table[(table["task"] == task) & (table["base"] == base) & (table["n"] == n)]
    return mine.to_dict("records")[0] if len(mine) else {}


def _warnings(sides: tuple[Side, Side], shared: float, frame: pd.DataFrame) -> list[str]:
    """Says what stands against comparing like with like."""
    first, second = sides
    said = [f"{one.name} is not finished: {one.answer.unfinished}" for one in sides
            if one.answer.unfinished]  # fmt: skip
    if shared < 1:
        said.append(
            f"Not the same test examples: {shared:.0%} of the validation and test examples of both "
            "are the same by id and labels. The studies are compared as independent samples, so "
            "a difference may be one of the data."
        )
    elif first.dataset.fingerprint != second.dataset.fingerprint:
        said.append(
            "The same examples by id and labels, but not the same data: fingerprints differ, as of "
            "images of another size or other finetuning examples."
        )
    rules = [one.study.answer for one in sides]
    populations = [one.study.evaluations[one.study.answer.population] for one in sides]
    if populations[0] != populations[1]:
        said.append(
            "Verdicts are of other populations: "
            + " and ".join(f"{r.population} in {s.name}" for r, s in zip(rules, sides, strict=True))
            + ". Differences are of the first's where the examples are the same."
        )
    changed = [
        name for name in ("epsilon", "delta", "gaps", "relative_to", "confidence")
        if getattr(rules[0], name) != getattr(rules[1], name)
    ]  # fmt: skip
    if changed:
        named = ", ".join(f"config.answer.{name}" for name in changed)
        said.append(f"Verdicts rest on other rules: {named} differ.")
    other = frame[frame["n_first"] != frame["n_second"]]
    if len(other):
        row = other.iloc[0]
        said.append(
            f"Of other sizes: n = {row['n_first']:,} in {first.name} and {row['n_second']:,} in "
            f"{second.name}."
        )
    return said


def _sentences(frame: pd.DataFrame, sides: tuple[Side, Side], confidence: float) -> list[str]:
    """Says of every base whether gap and AUC are surely other in the second study."""
    said = []
    names = [one.name for one in sides]
    for (task, base, n), rows in frame.groupby(["task", "base", "n_second"], sort=False):
        by_metric = {row.metric: row for row in rows.itertuples()}
        gap, auc = by_metric[SIZE], by_metric["auc"]
        start = f"{task}, {base}, natural draw of n = {n:,}: "
        if gap.left_out:
            said.append(f"{start}not compared ({gap.left_out}).")
            continue
        said.append(
            f"{start}|FPR gap| {_words(gap, names)}; "
            f"AUC {_words(auc, names)} ({confidence:.0%} intervals for "
            f"{count(len(frame) // len(METRICS), 'comparison')} together)."
        )
    return said


def _words(row: tuple, names: Sequence[str]) -> str:
    values = f"{row.second:.3f} against {row.first:.3f}"
    if row.difference_high_all < 0 or row.difference_low_all > 0:
        way = "larger" if row.difference_low_all > 0 else "smaller"
        return f"surely {way} in {names[1]} ({values})"
    if row.difference_low == row.difference_high == 0:
        return f"the same in both ({values})"
    return f"not surely other ({values})"
