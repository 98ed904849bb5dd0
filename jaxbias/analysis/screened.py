"""What a screen showed, beside what finetuning confirmed, and where the two disagree."""

import dataclasses
from collections.abc import Mapping, Sequence

import pandas as pd

from jaxbias.analysis import inheritance, overwriting
from jaxbias.analysis.candidates import axes
from jaxbias.analysis.design import Design, questions, with_status
from jaxbias.analysis.evaluation import Evaluation, evaluate_task
from jaxbias.analysis.frames import together
from jaxbias.analysis.screening import centre, standings
from jaxbias.curation import Cells
from jaxbias.scores.scores import Scores
from jaxbias.study import STUDIED, Study, parse_curation

_KEYS = ["task", "base", "n"]
_VALUES = ["gap", "gap_low", "gap_high", "auc_change", "auc_change_low", "auc_change_high"]


@dataclasses.dataclass(frozen=True)
class Screened:
    """A screen beside its confirmation.

    Attributes:
      levels: a row per curation of each studied base: the heads' gap and AUC change on test with
        intervals and verdict; whether it was confirmed; and the finetuned models' the same, under
        the suffix `_confirmed`, NaN where it was not.
      verdicts: a row per task, studied base and n: what heads and finetuning chose on validation,
        how many doses apart, and what each says of inheritance.
      sentences: these in words.
    """

    levels: pd.DataFrame
    verdicts: pd.DataFrame
    sentences: list[str]


@dataclasses.dataclass(frozen=True)
class ScreenedHeads:
    """The heads of a screen.

    Attributes:
      scores: those that are compared: what may be a fix, and what tells whether bias is inherited.
      planned: every finished head, with what became of it.
      tried: task -> (studied base, n) -> how many curations were screened.
      questions: how many (target, studied base, n) they are asked about together.
    """

    scores: Scores
    planned: pd.DataFrame
    tried: Mapping[str, Mapping[tuple[str, int], int]]
    questions: int

    @classmethod
    def of(cls, heads: Scores, targets: tuple[str, ...]) -> "ScreenedHeads":
        """Takes the finished heads of a screen; what is compared is of these targets."""
        table = heads.variants
        useful = table["role"].isin(STUDIED) | (table["curation"] == "natural")
        useful &= (table["status"] == "ok") & table["task"].isin(targets)
        planned = with_status(None, table)
        return cls(
            heads.only(useful.to_numpy()), planned, _families(heads), questions(planned, targets)
        )


@dataclasses.dataclass(frozen=True)
class Confirmation:
    """One task's heads beside its confirmed models.

    Attributes:
      levels: verdicts on the heads of studied bases, a row per curation.
      inherited: what heads say of inheritance, a row per base and n.
      choices: what heads and finetuned models chose on validation, a row per base and n.
    """

    levels: pd.DataFrame
    inherited: pd.DataFrame
    choices: pd.DataFrame


def _families(heads: Scores) -> dict[str, dict[tuple[str, int], int]]:
    """Returns task -> (studied base, n) -> how many curations were screened."""
    table = heads.variants
    rows = table[(table["curation"] != "natural") & table["role"].isin(STUDIED)]
    tried = rows.groupby(_KEYS)["curation"].nunique()
    found: dict[str, dict[tuple[str, int], int]] = {}
    for (task, base, n), count in tried.items():
        found.setdefault(task, {})[base, n] = int(count)
    return found


def compare(
    study: Study,
    heads: ScreenedHeads,
    cells: Cells,
    confirmed: Evaluation,
    towards: inheritance.Direction,
) -> Confirmation | None:
    """Compares the heads of one task with what was confirmed; None where it has none.

    Args:
      study: the study.
      heads: of its screen.
      cells: of the task.
      confirmed: the confirmed models on validation.
      towards: where the labels correlate.
    """
    task, rule = cells.task, study.answer
    own = heads.scores.only((heads.scores.variants["task"] == task).to_numpy())
    if own.variants.empty:
        return None
    population = study.evaluations[rule.population]
    test, validation = (
        evaluate_task(
            own, cells, rule.population, population, split, rule.replicates, rule.confidence
        )
        for split in ("test", "validation")
    )
    planned = heads.planned[heads.planned["task"] == task]
    design = Design(task, planned, heads.questions, {}, test)
    levels = overwriting.overwritten(test, design, rule)
    choices = []
    for (base, n), count in heads.tried.get(task, {}).items():
        by_heads = standings(validation, base, n, rule)
        by_models = standings(confirmed, base, n, rule)
        if by_heads and by_models:
            choices.append(
                {"task": task, "base": base, "n": n}
                | _choices(by_heads, by_models)
                | {"confirmed": len(by_models), "screened": count}
            )
    return Confirmation(
        levels[levels["role"].isin(STUDIED)],
        inheritance.inherited(test, design, towards, rule)[1],
        pd.DataFrame(choices),
    )


def beside(
    found: Sequence[Confirmation], overwritten: pd.DataFrame, inherited: pd.DataFrame
) -> Screened:
    """Puts all tasks' heads beside the verdicts on the confirmed.

    Args:
      found: of every task that has heads.
      overwritten: verdicts on the confirmed.
      inherited: verdicts on the confirmed; may be empty.

    Returns:
      Empty frames where nothing was screened.
    """
    if not found:
        return Screened(pd.DataFrame(), pd.DataFrame(), [])
    levels, said, choices = (
        together(getattr(one, name) for one in found) for name in ("levels", "inherited", "choices")
    )
    verdicts = _with_inheritance(choices, said, inherited)
    sentences = [_sentence(row) for row in verdicts.to_dict("records")]
    return Screened(_beside(levels, overwritten), verdicts, sentences)


def _choices(by_heads: Mapping, by_models: Mapping) -> dict:
    """What each would choose, and how many doses lie between."""
    mine, theirs = centre(by_heads), centre(by_models)
    names = {**by_heads, **by_models}
    apart = float("nan")
    for axis in axes(parse_curation(name, "screen") for name in names):
        if mine in axis and theirs in axis:
            apart = float(abs(axis.index(mine) - axis.index(theirs)))
    return {
        "by_heads": mine,
        "heads_qualify": by_heads[mine].qualifies,
        "by_finetuning": theirs,
        "finetuning_qualifies": by_models[theirs].qualifies,
        "doses_apart": apart,
    }


def _with_inheritance(
    choices: pd.DataFrame, by_heads: pd.DataFrame, inherited: pd.DataFrame
) -> pd.DataFrame:
    for name, verdicts in (("inherited_by_heads", by_heads), ("inherited", inherited)):
        if choices.empty or verdicts.empty:
            choices = choices.assign(**{name: ""})
            continue
        named = verdicts[[*_KEYS, "verdict"]].rename(columns={"verdict": name})
        choices = choices.merge(named, on=_KEYS, how="left").fillna({name: ""})
    return choices


def _beside(levels: pd.DataFrame, overwritten: pd.DataFrame) -> pd.DataFrame:
    keys = ["task", "population", "base", "curation", "n"]
    confirmed = overwritten[[*keys, *_VALUES, "verdict"]].assign(confirmed=True)
    merged = levels.merge(confirmed, on=keys, how="left", suffixes=("", "_confirmed"))
    return merged.assign(
        confirmed=merged["confirmed"].notna(),
        verdict_confirmed=merged["verdict_confirmed"].fillna(""),
    )


def _sentence(row: Mapping) -> str:
    apart = row["doses_apart"]
    if apart != apart:
        where = "a curation of another kind"
    else:
        where = {0: "the same", 1: "the next dose"}.get(int(apart), f"{apart:.0f} doses away")
    text = (
        f"Screen ({row['task']}, {row['base']}, n={row['n']}): on validation heads have "
        f"{_found(row['by_heads'], row['heads_qualify'])}, finetuned models "
        f"{_found(row['by_finetuning'], row['finetuning_qualifies'])}, {where}; "
        f"{row['confirmed']} of {row['screened']} curations were finetuned"
    )
    if row["inherited_by_heads"] != row["inherited"]:
        text += (
            f"; of inheritance heads would have said “{row['inherited_by_heads']}”, finetuning "
            f"says “{row['inherited']}”"
        )
    return text + "."


def _found(curation: str, qualifies: bool) -> str:
    return f"the smallest fix at {curation}" if qualifies else f"no fix and least gap at {curation}"


def opening(study: Study, heads: ScreenedHeads, confirmed: Scores) -> list[str]:
    """Says how much was screened and how much of it confirmed, before anything is claimed."""
    if heads.planned.empty:
        return []
    return [
        f"Screened: {len(heads.planned):,} variants were trained as heads on frozen bases; "
        f"{len(confirmed.variants):,} of them were confirmed in mode "
        f"“{study.finetune.mode}”. All that follows but “Screen” is said of the confirmed alone; "
        "every choice between curations answers for all that were screened."
    ]
