"""The answer: every analysis of a study, in frames and in words."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from jaxbias.analysis import (
    inheritance,
    overwriting,
    screened,
    smallest_fix,
    underrepresentation,
)
from jaxbias.analysis.design import (
    Design,
    progress_sentence,
    questions,
    shrunk_sentence,
    with_status,
)
from jaxbias.analysis.evaluation import Evaluation, evaluate_task
from jaxbias.analysis.methods import deviations, methods
from jaxbias.analysis.recipe import apart, of_one_recipe, planned_of
from jaxbias.analysis.wording import paragraphs
from jaxbias.curation import Cells, pair_cells, target_cells
from jaxbias.data.dataset import Dataset
from jaxbias.errors import InputError
from jaxbias.progress import progress
from jaxbias.scores.scores import Scores
from jaxbias.study import SPLITS, Study, to_dict
from jaxbias.words import count


@dataclasses.dataclass(frozen=True)
class Answer:
    """Everything the report shows; plain frames, so that it can be used without it.

    Attributes:
      study: the settings.
      dataset: name, fingerprint, counts per split and cell, notes.
      excess: the studied base's gap beyond each control's at every curation.
      inherited: the same at the natural draw, with intervals for all questions together.
      inherited_verdicts: one row per target, base and n.
      curves: every arm's metrics with intervals.
      overwritten: one verdict per arm.
      smallest_fix: one row per target, studied base and n.
      screen: heads of a screened study beside what was confirmed, one row per curation.
      screen_verdicts: what heads and finetuning chose, one row per target, studied base and n.
      underrepresentation: AUC per subgroup along the mix of a pair.
      matching_share: the share at which the other base catches up.
      unfinished: how much of the plan is trained; "" where all is.
      sentences: the answer in words, in reading order.
      metrics: tidy, one row per variant, population, metric and group.
      variants: settings, realised counts and status of every variant.
      bases: the same of every base pretrained here.
      timings: where the time went.
      deviations: from the authors' protocol.
      methods: a paragraph for a paper.
      failures: variants and trials that diverged.
      search: every trial of the hyperparameter search, with its learning curves.
      choices: what the search chose, one row per base, task and n.
    """

    study: dict[str, Any]
    dataset: dict[str, Any]
    excess: pd.DataFrame
    inherited: pd.DataFrame
    inherited_verdicts: pd.DataFrame
    curves: pd.DataFrame
    overwritten: pd.DataFrame
    smallest_fix: pd.DataFrame
    screen: pd.DataFrame
    screen_verdicts: pd.DataFrame
    underrepresentation: pd.DataFrame
    matching_share: pd.DataFrame
    unfinished: str
    sentences: list[str]
    metrics: pd.DataFrame
    variants: pd.DataFrame
    bases: pd.DataFrame
    timings: dict[str, float]
    deviations: list[str]
    methods: str
    failures: list[str]
    search: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
    choices: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)


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

    Returns:
      The answer.
    """
    rule = study.answer
    heads, scores = apart(study, scores)
    if scores.variants.empty:
        raise InputError(
            f"the {len(heads.variants)} finished variants are heads of a screen and none is "
            "confirmed yet; run `jaxbias run` again"
        )
    scores, aside = of_one_recipe(study, scores)
    if planned is not None:
        planned = planned_of(study, planned)
    design_rows = with_status(planned, scores.variants)
    asked = questions(design_rows, study.targets)
    tried = screened.families(heads)
    cells = {task: _cells(study, dataset, task) for task in (*study.targets, *study.pairs)}
    cells = {task: c for task, c in cells.items() if (scores.variants["task"] == task).any()}
    ok = _refuse_all_diverged(scores)
    sound = scores.only(ok)
    tests, validations = _evaluate(study, sound, cells)
    designs = {
        task: Design(
            task,
            design_rows[design_rows["task"] == task],
            asked,
            tried.get(task, {}),
            tests[task, rule.population],
        )
        for task in cells
    }
    targets = [tests[task, rule.population] for task in cells if task in study.targets]
    pairs = [tests[task, rule.population] for task in cells if task in study.pairs]
    towards = {
        e.task: inheritance.direction(e.cells, _training_counts(dataset, e.cells)) for e in targets
    }

    excess = _concat(inheritance.excess_gaps(e, towards[e.task].sign, rule) for e in targets)
    found = [inheritance.inherited(e, designs[e.task], towards[e.task], rule) for e in targets]
    inherited = _concat(table for table, _ in found)
    verdicts = _concat(table for _, table in found)
    overwritten = _concat(
        overwriting.overwritten(e, designs[e.task], rule)
        for e in tests.values()
        if e.task in study.targets
    )
    fixes = _concat(
        smallest_fix.smallest_fix(validations[e.task], e, designs[e.task], rule)
        for e in targets
        if e.task in validations
    )
    screen = screened.compare(study, heads, cells, validations, towards, overwritten, verdicts)
    base_targets = {
        name: base.target
        for name, base in study.bases.items()
        if base.target and base.objective == "supervised"
    }
    matching = _concat(
        underrepresentation.matching_share(e, designs[e.task], base_targets, rule) for e in pairs
    )
    failures = [
        f"variant {v.variant} ({v.base}, {v.task}, {v.curation}, n={v.n}, seed {v.seed}) {v.status}"
        for v in scores.variants[~ok].itertuples()
    ]

    trials, choices = search or (pd.DataFrame(), pd.DataFrame())
    failures += [
        f"trial of the search ({t.base}, {t.task}, n={t.n}, learning rate {t.learning_rate:g}, "
        f"weight decay {t.weight_decay:g}, repeat {t.repeat}) {t.status}"
        for t in trials.itertuples()
        if "diverged" in t.status
    ]

    unfinished = progress_sentence(design_rows)
    spoken = [*aside, *filter(None, [shrunk_sentence(design_rows)])]
    if len(heads.variants):
        spoken.insert(0, screened.opening(study, heads, scores))
    asked_about = (
        overwritten[overwritten["population"] == rule.population]
        if len(overwritten)
        else overwritten
    )
    examples = {e.task: e.examples for e in targets}
    spoken += paragraphs(verdicts, inherited, asked_about, fixes, rule, examples)
    if targets and not len(verdicts):
        spoken.append("Inherited: not answered, there are no models of natural draws to compare.")
    if targets and not len(fixes) and not sound.validation.shape[1]:
        spoken.append("Smallest fix: not answered, there are no validation scores to choose on.")
    spoken += matching["sentence"].tolist() if len(matching) else []
    spoken += screen.sentences

    return Answer(
        study=to_dict(study),
        dataset={
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "counts": _counts(dataset, cells),
            "notes": list(dataset.notes),
        },
        excess=excess,
        inherited=inherited,
        inherited_verdicts=verdicts,
        curves=_concat(overwriting.curves(e, designs[e.task], rule) for e in tests.values()),
        overwritten=overwritten,
        smallest_fix=fixes,
        screen=screen.levels,
        screen_verdicts=screen.verdicts,
        underrepresentation=_concat(underrepresentation.subgroup_curves(e, rule) for e in pairs),
        matching_share=matching,
        unfinished=unfinished,
        sentences=spoken,
        metrics=_concat(_tidy(e) for e in tests.values()),
        variants=scores.variants.drop(columns=["ids"], errors="ignore"),
        bases=bases if bases is not None else pd.DataFrame(),
        timings=timings or {},
        deviations=deviations(study, scores, first_rule),
        methods=methods(study, dataset, scores, choices),
        failures=failures,
        search=trials,
        choices=choices,
    )


def _refuse_all_diverged(scores: Scores) -> np.ndarray:
    """bool[V], what did not diverge: no statement rests on scores of a last finite step."""
    ok = (scores.variants["status"] == "ok").to_numpy()
    if not ok.any():
        first = scores.variants.iloc[0]
        raise InputError(
            f"all {count(len(ok), 'model')} diverged (the first, {first['base']} on "
            f"{first['curation']}: {first['status']}); lower config.finetune.learning_rate and use "
            "a new workdir"
        )
    return ok


def _evaluate(
    study: Study, sound: Scores, cells: dict[str, Cells]
) -> tuple[dict[tuple[str, str], Evaluation], dict[str, Evaluation]]:
    """Evaluates every task on test, in every population, and on validation in the verdicts'."""
    rule = study.answer
    wanted = [(task, name, "test") for task in cells for name in study.evaluations]
    if sound.validation.shape[1]:
        wanted += [(t, rule.population, "validation") for t in cells if t in study.targets]
    tests: dict[tuple[str, str], Evaluation] = {}
    validations: dict[str, Evaluation] = {}
    with progress(len(wanted), "evaluating", "tasks") as advance:
        for task, name, split in wanted:
            spec = study.evaluations[name]
            found = evaluate_task(
                sound, cells[task], name, spec, split, rule.replicates, rule.confidence
            )
            if split == "test":
                tests[task, name] = found
            else:
                validations[task] = found
            advance()
    return tests, validations


def _training_counts(dataset: Dataset, cells: Cells) -> np.ndarray:
    """int64[C], the natural examples of every cell in the finetuning split."""
    table = dataset.table
    natural = (table["split"] == "finetune") & (table["stratum"] == "")
    return np.asarray(cells.available(natural.to_numpy()))


def _cells(study: Study, dataset: Dataset, task: str) -> Cells:
    if task in study.pairs:
        return pair_cells(dataset, task)
    return target_cells(dataset, task, study.group)


def _concat(frames: Any) -> pd.DataFrame:
    frames = [frame for frame in frames if len(frame)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _tidy(evaluation: Evaluation) -> pd.DataFrame:
    settings = evaluation.variants[
        [
            "variant",
            "task",
            "base",
            "role",
            "pretrain_seed",
            "curation",
            "kind",
            "level",
            "n",
            "seed",
        ]
    ].assign(population=evaluation.population)
    # In the metrics room n counts examples; in a study it is the finetuning size.
    frame = evaluation.report.frame().rename(columns={"n": "examples"})
    return settings.merge(frame, on="variant", validate="one_to_many")


def _counts(dataset: Dataset, cells: dict[str, Cells]) -> pd.DataFrame:
    split = dataset.table["split"].to_numpy()
    rows = []
    for name in SPLITS:
        for task, c in cells.items():
            counts = c.available(split == name)
            rows += [
                {
                    "split": name,
                    "task": task,
                    "cell": cell,
                    "target": int(c.targets[i]),
                    "group": c.group_names[c.groups[i]] if c.groups[i] >= 0 else "both",
                    "count": int(counts[i]),
                    "share": counts[i] / max(counts.sum(), 1),
                    "population_share": float(np.round(c.shares[i], 6)),
                }
                for i, cell in enumerate(c.names)
            ]
    return pd.DataFrame(rows)
