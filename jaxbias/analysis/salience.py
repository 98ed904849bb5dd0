"""Salience: which of an attribute and the group a fresh network takes up where both are one."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd

from jaxbias.analysis.asked import Asked
from jaxbias.analysis.design import Design
from jaxbias.analysis.estimates import Estimate, difference
from jaxbias.analysis.evaluation import Evaluation, evaluate_task
from jaxbias.analysis.panels import Panel
from jaxbias.analysis.uncertainty import intervals
from jaxbias.curation import Cells
from jaxbias.study import AnswerSpec, Study, parse_prevalence
from jaxbias.words import count

# Positives all of the first group and negatives all of the second, and the other way round.
ARRANGEMENTS = ("correlation 0", "correlation 10")
_KEYS = ["task", "base", "n"]


def quadrants(study: Study) -> str:
    """Returns the evaluation population of four equal cells of target and group, or ""."""
    for name, spec in study.evaluations.items():
        if spec.level == 5 and parse_prevalence("evaluations", spec.prevalence) == 0.5:
            return name
    return ""


def asked_of(planned: pd.DataFrame) -> pd.DataFrame:
    """Returns task, base and n of the fresh networks planned in both arrangements: one row each."""
    both = planned[(planned["role"] == "scratch") & planned["curation"].isin(ARRANGEMENTS)]
    tried = both.groupby(_KEYS, sort=False)["curation"].nunique()
    return tried[tried == len(ARRANGEMENTS)].index.to_frame(index=False)


def exchanged(cells: Cells) -> Cells:
    """Returns the cells with the group as the target, and the target as the group."""
    return dataclasses.replace(
        cells,
        targets=cells.groups,
        groups=cells.targets,
        group_names=(f"{cells.task}=0", f"{cells.task}=1"),
    )


def family(asked: Asked) -> int:
    """Counts the saliences that a study asks for."""
    return len(asked_of(asked.planned))


def of_task(asked: Asked, tests: Mapping[str, Evaluation], design: Design) -> pd.DataFrame:
    """Returns `salience` of a task; empty where the study does not ask for it.

    Args:
      asked: what the study asks.
      tests: population -> the task's evaluation.
      design: what was planned of the task.
    """
    study, cells = asked.study, asked.cells[design.task]
    population = quadrants(study)
    asking = asked_of(design.planned)
    if not population or asking.empty or len(cells.names) != 4:
        return pd.DataFrame()
    rows = asked.sound.variants
    theirs = rows["base"].isin(asking["base"]) & rows["curation"].isin(ARRANGEMENTS)
    theirs &= rows["task"] == design.task
    if not theirs.any():
        return pd.DataFrame()
    of_group = evaluate_task(
        asked.sound.only(theirs.to_numpy()),
        exchanged(cells),
        population,
        study.evaluations[population],
        "test",
        study.answer.replicates,
        study.answer.confidence,
    )
    return salience(tests[population], of_group, design, family(asked), study.answer)


def salience(
    of_target: Evaluation, of_group: Evaluation, design: Design, together: int, rule: AnswerSpec
) -> pd.DataFrame:
    """Measures how much more of the group than of the target a network has taken up.

    Trained where the two cannot be told apart, tested where they are independent: AUC of the same
    scores for the group, minus that for the target, plus 0.5, each AUC as max(AUC, 1 − AUC), in the
    mean over both arrangements (Wang & Russakovsky, 2023). Above 0.5 the group is the more salient.

    Args:
      of_target: of the task, on the population of four equal cells.
      of_group: of the same models, examples and population, of the `exchanged` cells.
      design: what was planned of the task.
      together: how many saliences the study asks for; `low_family` to `high_family` hold for all.
      rule: the confidence.

    Returns:
      One row per base and n.
    """
    rows, found = [], []
    for _, base, n in asked_of(design.planned).itertuples(index=False):
        absent = [design.arm(base, name, n).absent for name in ARRANGEMENTS]
        if any(absent):
            continue
        panels = [_measured(of_target, of_group, base, name, int(n)) for name in ARRANGEMENTS]
        one = _mean([panel.salience for panel in panels])
        found.append(one)
        rows.append(
            {
                "task": of_target.task,
                "base": base,
                "n": int(n),
                "checkpoints": one.units,
                "draws": one.draws,
                "auc_group": np.mean([panel.group.mean for panel in panels]),
                "auc_target": np.mean([panel.target.mean for panel in panels]),
                "agreeing": panels[0].salience.mean,
                "disagreeing": panels[1].salience.mean,
                "salience": one.value,
            }
        )
    alone = intervals(found, 1 - rule.confidence)
    jointly = intervals(found, (1 - rule.confidence) / max(together, 1))
    for row, own, all_ in zip(rows, alone, jointly, strict=True):
        row |= {"low": own.low, "high": own.high, "low_family": all_.low, "high_family": all_.high}
        row["more_salient"] = (
            "group" if all_.low > 0.5 else "target" if all_.high < 0.5 else "undecided"
        )
    return pd.DataFrame(rows)


def sentences(table: pd.DataFrame, group: str, together: int, rule: AnswerSpec) -> list[str]:
    """Says of every base and n which attributes are more salient than the group, and which less.

    Args:
      table: of `salience`, of all tasks.
      group: the group's column.
      together: how many saliences the intervals hold for.
      rule: the confidence.
    """
    said = []
    for (base, n), rows in table.groupby(["base", "n"], sort=False) if len(table) else ():
        ordered = rows.sort_values("salience")
        named = {
            verdict: [
                f"{row.task} ({row.salience:.3f} [{row.low_family:.3f}, {row.high_family:.3f}])"
                for row in part.itertuples()
            ]
            for verdict, part in ordered.groupby("more_salient")
        }
        parts = [
            f"{words}: {', '.join(named.get(verdict, ['none']))}"
            for verdict, words in (
                ("target", f"Surely more salient than {group}"),
                ("group", "surely less"),
                ("undecided", "undecided"),
            )
        ]
        said.append(
            f"Salience ({base}, n = {n:,}, {count(int(rows['checkpoints'].min()), 'checkpoint')}"
            f"{' or more' if rows['checkpoints'].nunique() > 1 else ''}). {'; '.join(parts)} "
            f"(below 0.5 the attribute is the more salient; {rule.confidence:.0%} intervals "
            f"for {'it' if together == 1 else f'all {together} together'})."
        )
    return said


@dataclasses.dataclass(frozen=True)
class _Arrangement:
    group: Panel
    target: Panel

    @property
    def salience(self) -> Panel:
        return dataclasses.replace(
            self.group,
            values=self.group.values - self.target.values + 0.5,
            replicates=self.group.replicates - self.target.replicates + 0.5,
        )


def _measured(
    of_target: Evaluation, of_group: Evaluation, base: str, curation: str, n: int
) -> _Arrangement:
    return _Arrangement(
        *(_folded(e.panel("auc", base, curation, n)) for e in (of_group, of_target))
    )


def _folded(panel: Panel) -> Panel:
    """AUCs as if scores below chance were turned; replicates keep the side of their model."""
    turned = panel.values < 0.5
    return dataclasses.replace(
        panel,
        values=np.where(turned, 1 - panel.values, panel.values),
        replicates=np.where(turned[:, None], 1 - panel.replicates, panel.replicates),
    )


def _mean(pair: list[Panel]) -> Estimate:
    """Estimates the mean of two panels, paired where they share checkpoints and draws."""
    return difference(pair[0].times(0.5), pair[1].times(-0.5))
