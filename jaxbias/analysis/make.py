"""Making the answer: task by task, each evaluated, asked everything, and let go of again."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from jaxbias.analysis import (
    comparison,
    failures,
    groupings,
    groupings_wording,
    inheritance,
    overwriting,
    reduction,
    regression,
    salience,
    screened,
    several,
    sizes,
    smallest_fix,
    sources,
    underrepresentation,
)
from jaxbias.analysis.answer import Answer
from jaxbias.analysis.asked import Asked
from jaxbias.analysis.data import described, training_counts
from jaxbias.analysis.design import (
    Design,
    progress_sentence,
    questions,
    redrawn_sentence,
    shrunk_sentence,
)
from jaxbias.analysis.deviations import deviations
from jaxbias.analysis.evaluation import Evaluation, evaluate_task
from jaxbias.analysis.frames import together
from jaxbias.analysis.methods import methods
from jaxbias.analysis.rules import Evidence
from jaxbias.analysis.wording import paragraphs
from jaxbias.data.dataset import Dataset
from jaxbias.progress import progress
from jaxbias.scores.scores import Scores
from jaxbias.study import Study, to_dict

# Frames of the answer that are made for one task at a time.
_OF_TASKS = (
    "excess",
    "inherited",
    "inherited_verdicts",
    "curves",
    "overwritten",
    "smallest_fix",
    "underrepresentation",
    "matching_share",
    "metrics",
    "salience",
    "regression_points",
    "sizes",
    "reduction",
    "macro",
    "outputs",
    *sources.FRAMES,
    "grouping_rates",
    "grouping_gaps",
    "grouping_ranges",
    "grouping_fixes",
    "grouping_changes",
    "comparison",
    "comparison_pairs",
)


def make_answer(
    study: Study,
    dataset: Dataset,
    scores: Scores,
    *,
    planned: pd.DataFrame | None = None,
    bases: pd.DataFrame | None = None,
    timings: dict[str, float] | None = None,
    first_rule: dict[str, Any] | None = None,
    search: tuple[pd.DataFrame, pd.DataFrame] | None = None,
    quarantined: str = "",
) -> Answer:
    """Answers a study from its scores.

    Args:
      study: the study.
      dataset: its labels (the images are not used).
      scores: every finished variant.
      planned: settings of every variant planned (columns of `design.SETTINGS` and what tells
        recipes apart); None: the finished are all.
      bases: status of the bases pretrained here.
      timings: where the time of the run went.
      first_rule: the answer's rules when the study was first run; a later change is reported.
      search: every trial of its hyperparameter search, and every choice.
      quarantined: which packs failed too often to be tried again, in words.

    Returns:
      The answer.
    """
    bases = pd.DataFrame() if bases is None else bases
    asked = Asked.of(study, dataset, failures.marked(scores, bases), planned)
    parts = _of_tasks(asked)
    tables = {
        name: together(part.tables[name] for part in parts if name in part.tables)
        for name in _OF_TASKS
    }
    screen = screened.beside(
        [part.heads for part in parts if part.heads is not None],
        tables["overwritten"],
        tables["inherited_verdicts"],
    )
    tables |= regression.regress(tables["regression_points"], tables["salience"], study.answer)
    tables["meeting"] = sizes.meeting(tables["sizes"], study.answer)
    trials, choices = search or (pd.DataFrame(), pd.DataFrame())
    finished = asked.finished
    return Answer(
        study=to_dict(study),
        dataset=described(dataset, asked.cells),
        **tables,
        fix_evidence=[each for part in parts for each in part.evidence],
        screen=screen.levels,
        screen_verdicts=screen.verdicts,
        unfinished=" ".join(filter(None, [progress_sentence(asked.planned), quarantined])),
        sentences=_sentences(asked, parts, tables, screen),
        variants=finished.variants.drop(columns=["ids"], errors="ignore"),
        bases=bases,
        timings=timings or {},
        deviations=deviations(study, finished, first_rule),
        methods=methods(study, dataset, finished, choices, bases),
        failures=failures.told(finished.variants, trials),
        search=trials,
        choices=choices,
    )


@dataclasses.dataclass(frozen=True)
class _Part:
    """What one task contributes.

    Attributes:
      task: the task.
      tables: frames of the answer, by name.
      evidence: what each row of its smallest fixes was decided on.
      examples: how many test examples it rests on.
      heads: its heads beside what was confirmed, where there are any.
    """

    task: str
    tables: dict[str, pd.DataFrame]
    evidence: list[Evidence]
    examples: int
    heads: screened.Confirmation | None = None


def _of_tasks(asked: Asked) -> list[_Part]:
    """Evaluates and answers task by task: what one was evaluated on goes before the next."""
    validated = asked.study.targets if asked.sound.validated else ()
    populations = len(asked.study.evaluations)
    rounds = sum(1 if task in asked.study.several else populations for task in asked.cells)
    rounds += sum(task in asked.cells for task in validated)
    family = questions(asked.planned, asked.study.targets)
    with progress(rounds, "evaluating", "tasks") as advance:
        return [_of_task(asked, task, family, advance) for task in asked.cells]


def _of_task(asked: Asked, task: str, family: int, advance: Callable[..., None]) -> _Part:
    study, rule = asked.study, asked.study.answer
    if task in study.several:
        tables, examples = several.of_task(asked, asked.cells[task])
        tables |= sources.of_task(asked, asked.cells[task])
        advance()
        return _Part(task, tables, [], examples)

    def evaluated(population: str, split: str) -> Evaluation:
        found = evaluate_task(
            asked.sound,
            asked.cells[task],
            population,
            study.evaluations[population],
            split,
            rule.replicates,
            rule.confidence,
        )
        advance()
        return found

    tests = {name: evaluated(name, "test") for name in study.evaluations}
    test = tests[rule.population]
    planned = asked.planned[asked.planned["task"] == task]
    design = Design(task, planned, family, asked.heads.tried.get(task, {}), test)
    tables = {
        "curves": together(overwriting.curves(e, design, rule) for e in tests.values()),
        "metrics": together(e.tidy() for e in tests.values()),
    }
    if task not in study.targets:
        tables |= _of_pair(study, test, design) | groupings.of_task(asked, design, pd.DataFrame())
        return _Part(task, tables, [], test.examples)
    validation = evaluated(rule.population, "validation") if asked.sound.validated else None
    towards = inheritance.direction(test.cells, training_counts(asked.dataset, test.cells))
    tables |= _of_target(study, tests, design, towards)
    evidence: list[Evidence] = []
    if validation is not None:
        fixes = smallest_fix.smallest_fix(validation, test, design, rule)
        tables["smallest_fix"], evidence = fixes
    tables["salience"] = salience.of_task(asked, tests, design)
    tables |= groupings.of_task(asked, design, tables.get("smallest_fix", pd.DataFrame()))
    tables |= comparison.of_task(asked, tests, design)
    compared = None
    if validation is not None:
        compared = screened.compare(study, asked.heads, test.cells, validation, towards)
    return _Part(task, tables, evidence, test.examples, compared)


def _of_target(
    study: Study,
    tests: Mapping[str, Evaluation],
    design: Design,
    towards: inheritance.Direction,
) -> dict[str, pd.DataFrame]:
    """What is asked about bias."""
    rule = study.answer
    test = tests[rule.population]
    comparisons, verdicts = inheritance.inherited(test, design, towards, rule)
    return {
        "excess": inheritance.excess_gaps(test, towards.sign, rule),
        "inherited": comparisons,
        "inherited_verdicts": verdicts,
        "overwritten": together(overwriting.overwritten(e, design, rule) for e in tests.values()),
        "regression_points": regression.points(test, design, towards),
        "sizes": sizes.compared(test, design, towards, rule),
        "reduction": reduction.reduced(test, design, rule),
    }


def _of_pair(study: Study, test: Evaluation, design: Design) -> dict[str, pd.DataFrame]:
    """What is asked about underrepresentation."""
    pretrained_on = {
        name: base.target
        for name, base in study.bases.items()
        if base.target and base.objective == "supervised"
    }
    return {
        "underrepresentation": underrepresentation.subgroup_curves(test, study.answer),
        "matching_share": underrepresentation.matching_share(
            test, design, pretrained_on, study.answer
        ),
    }


def _sentences(
    asked: Asked,
    parts: list[_Part],
    tables: dict[str, pd.DataFrame],
    screen: screened.Screened,
) -> list[str]:
    """The answer in words, in reading order."""
    rule, overwritten = asked.study.answer, tables["overwritten"]
    if len(overwritten):
        overwritten = overwritten[overwritten["population"] == rule.population]
    verdicts, fixes = tables["inherited_verdicts"], tables["smallest_fix"]
    targets = {part.task: part.examples for part in parts if part.task in asked.study.targets}
    matching = tables["matching_share"]
    opening = screened.opening(asked.study, asked.heads, asked.finished)
    made = (shrunk_sentence(asked.planned), redrawn_sentence(asked.finished.variants))
    spoken = [*opening, *asked.aside, *filter(None, made)]
    spoken += paragraphs(verdicts, tables["inherited"], overwritten, fixes, rule, targets)
    if targets and not len(verdicts):
        spoken.append("Inherited: not answered, there are no models of natural draws to compare.")
    if targets and not len(fixes) and not asked.sound.validated:
        spoken.append("Smallest fix: not answered, there are no validation scores to choose on.")
    spoken += several.sentences(asked.study, tables["macro"])
    spoken += sources.sentences(tables["catching_up"], rule)
    spoken += matching["sentence"].tolist() if len(matching) else []
    spoken += comparison.sentences(tables["comparison"], fixes, rule)
    spoken += reduction.sentences(tables["reduction"], rule)
    spoken += groupings_wording.sentences(tables, asked.groupings, groupings.family(asked), rule)
    spoken += sizes.sentences(tables["meeting"], rule)
    spoken += salience.sentences(
        tables["salience"], asked.study.group.column, salience.family(asked), rule
    )
    return spoken + regression.sentences(tables["regression"], rule) + screen.sentences
