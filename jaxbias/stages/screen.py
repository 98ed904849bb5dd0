"""Walking a screened study: heads first, then rounds of finetunes that stored results ask for.

`wanted` is a function of the study and of finished packs. Whoever lays out the plan appends what it
returns, so a run cut anywhere goes on as if it had not been, and processes that share a directory
come to one plan, round by round.
"""

from collections.abc import Iterable, Mapping, Sequence

from jaxbias import words
from jaxbias.analysis.candidates import axes
from jaxbias.analysis.evaluation import evaluate_task
from jaxbias.analysis.recipe import apart
from jaxbias.analysis.screening import Standing, standings, to_confirm
from jaxbias.curation import target_cells
from jaxbias.data.dataset import Dataset
from jaxbias.engine.identities import identities
from jaxbias.errors import InputError
from jaxbias.plan.variants import Variant, expand
from jaxbias.scores.scores import Scores
from jaxbias.study import STUDIED, Study, in_head_mode
from jaxbias.workdir.results import ResultDirectory

# Task, base and n: what has a smallest fix of its own.
_Question = tuple[str, str, int]


def wanted(study: Study, dataset: Dataset, directory: ResultDirectory) -> list[Variant]:
    """Returns everything that a screened study is to train by what is known so far.

    Args:
      study: the study.
      dataset: its labels.
      directory: has the finished packs.
    """
    grid = expand(study, dataset.fingerprint, identities(study))
    heads = expand(in_head_mode(study), dataset.fingerprint, identities(study))
    done = directory.done()
    if any(head.id not in done for head in heads):
        return heads
    scores = directory.scores()
    table = scores.variants
    of_screen = apart(study, scores)[0]
    finished = [variant for variant in grid if variant.id in done]
    diverged = set(table.loc[table["status"] != "ok", "variant"])
    if len(diverged) and {head.id for head in heads} <= diverged:
        raise InputError(
            f"all {words.count(len(heads), 'head')} of the screen diverged; lower "
            "config.finetune.learning_rate "
            "and use a new workdir, or set config.screen.solver='lbfgs'"
        )
    confirmed_scores = scores.only(table["variant"].isin({v.id for v in finished}).to_numpy())
    asked = _questions(study, grid)
    screened = _standings(study, dataset, of_screen, asked)
    known = _standings(study, dataset, confirmed_scores, asked)
    chosen = {
        question: _chosen(study, variants, done, screened[question], known[question])
        for question, variants in asked.items()
    }
    return heads + [variant for variant in grid if _is_confirmed(study, variant, chosen)]


def stages(
    study: Study, dataset: Dataset, directory: ResultDirectory
) -> tuple[dict[str, list[Variant]], str]:
    """Returns what to estimate of a screened study.

    Returns:
      name -> variants: the heads, the fewest finetunes that confirm or, where heads are done, those
      asked for by now, and the most; and a line that says so.
    """
    grid = expand(study, dataset.fingerprint, identities(study))
    asked = _questions(study, grid)
    heads = expand(in_head_mode(study), dataset.fingerprint, identities(study))
    now = [v for v in wanted(study, dataset, directory) if v.recipe.mode != "head"]
    # Which levels heads will choose is unknown, not how many: at least two next to an end.
    few = {q: {c for axis in axes(_curations(vs)) for c in axis[:2]} for q, vs in asked.items()}
    all_ = {q: {curation.name for curation in _curations(vs)} for q, vs in asked.items()}
    least, most = (
        [variant for variant in grid if _is_confirmed(study, variant, chosen)]
        for chosen in (few, all_)
    )
    known = "asked for by now" if now else "at least"
    named = {"screen": heads, f"confirmed, {known}": now or least, "confirmed, at most": most}
    return named, (
        f"\nScreened: of {words.count(len(grid), 'finetune')}, results decide which are "
        "trained; all totals are "
        "of the most."
    )


def _questions(study: Study, grid: Iterable[Variant]) -> dict[_Question, list[Variant]]:
    """The variants of studied bases by what they answer; pairs have no smallest fix."""
    asked: dict[_Question, list[Variant]] = {}
    for variant in grid:
        if variant.base.role in STUDIED and variant.task in study.targets:
            asked.setdefault(_question(variant), []).append(variant)
    return asked


def _question(variant: Variant) -> _Question:
    return variant.task, variant.base.name, variant.n


def _curations(variants: Iterable[Variant]) -> list:
    return list(dict.fromkeys(variant.curation for variant in variants))


def _is_confirmed(
    study: Study, variant: Variant, chosen: Mapping[_Question, Iterable[str]]
) -> bool:
    """Whether it is chosen, or answers by itself: natural draws, and the curves of pairs."""
    if variant.curation.kind == "natural" or variant.task not in study.targets:
        return True
    return variant.curation.name in chosen.get(_question(variant), ())


def _chosen(
    study: Study,
    variants: Sequence[Variant],
    done: set[str],
    screened: Mapping[str, Standing],
    known: Mapping[str, Standing],
) -> set[str]:
    """The curations of a question to confirm so far; a round ends when all its repeats are done."""
    undone = {variant.curation.name for variant in variants if variant.id not in done}
    names = {curation.name for curation in _curations(variants)}
    # Changes of the AUC are from the natural draw: before that is there, nothing is known.
    finished = set() if "natural" in undone else names - undone
    confirmed = {name: known.get(name) for name in finished}
    return {
        name
        for axis in axes(_curations(variants))
        for name in to_confirm(axis, screened, confirmed, study.answer.epsilon)
    }


def _standings(
    study: Study, dataset: Dataset, scores: Scores, asked: Mapping[_Question, Sequence[Variant]]
) -> dict[_Question, dict[str, Standing]]:
    """How the curations of every question stand among scores, on validation alone."""
    rule = study.answer
    found: dict[_Question, dict[str, Standing]] = {question: {} for question in asked}
    table = scores.variants
    useful = (table["role"].isin(STUDIED) & (table["status"] == "ok")).to_numpy()
    for task in dict.fromkeys(question[0] for question in asked):
        kept = useful & (table["task"] == task).to_numpy()
        if not kept.any():
            continue
        validation = evaluate_task(
            scores.only(kept),
            target_cells(dataset, task, study.group),
            rule.population,
            study.evaluations[rule.population],
            "validation",
            rule.replicates,
            rule.confidence,
        )
        for of, base, n in asked:
            if of == task:
                found[task, base, n] = standings(validation, base, n, rule)
    return found
