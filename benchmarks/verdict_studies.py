"""Studies of `benchmarks.verdicts` whose panels are drawn: laws, designs and truths."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from jaxbias.analysis import inheritance
from jaxbias.analysis.design import Design
from jaxbias.analysis.evaluation import Evaluation
from jaxbias.curation import Cells
from jaxbias.study import AnswerSpec, parse_curation

RULE = AnswerSpec()
BASE, N = "Gendered", 1024
OTHERS = {"Control_A": "control", "Control_B": "control", "Scratch": "scratch"}
LEVELS = tuple(f"correlation {k}" for k in range(11))
REPLICATES = 200
_WORDS = ("base", "role", "curation", "kind", "status")
CELLS = Cells(
    task="target",
    names=("0 a", "0 b", "1 a", "1 b"),
    targets=np.array([0, 0, 1, 1]),
    groups=np.array([0, 1, 0, 1]),
    group_names=("a", "b"),
    codes=np.zeros(0, np.int32),
    shares=np.array([0.35, 0.35, 0.2, 0.1]),
)


@dataclasses.dataclass(frozen=True)
class Law:
    """What moves a gap, as standard deviations; those of examples are of the mean gap.

    Attributes:
      base: between checkpoints of a kind, the same at every curation.
      draw: between finetuning draws, the same for every base.
      interaction: of each model by itself.
      test: of the gap over the test examples; half of the variance common to all models, a quarter
        to the models of an arm, a quarter of each model's own.
      validation: over the validation examples.
      auc: of the change of AUC, of each model by itself.
      auc_test: over the test examples.
    """

    base: float = 0.02
    draw: float = 0.015
    interaction: float = 0.01
    test: float = 0.012  # 4,000 test examples: 1,250 negatives a group at an FPR of 10 %.
    validation: float = 0.017  # 2,000.
    auc: float = 0.008
    auc_test: float = 0.004

    def of_examples(self, times: float) -> "Law":
        """The same with so many times as many examples."""
        root = np.sqrt(times)
        parts = ("test", "validation", "auc_test")
        return dataclasses.replace(self, **{name: getattr(self, name) / root for name in parts})


@dataclasses.dataclass(frozen=True)
class Plan:
    """Which models there are.

    Attributes:
      units: checkpoints of every base.
      draws: finetunes of each checkpoint; 0: each checkpoint has a draw of its own.
      studied: checkpoints of the studied base, where they are not as many.
      lost: the chance that a model diverged.
    """

    units: int = 5
    draws: int = 0
    studied: int = 0
    lost: float = 0.0

    def cells(self, studied: bool) -> list[tuple[int, int]]:
        """(checkpoint, draw) of every model of an arm."""
        units = self.studied if studied and self.studied else self.units
        if self.draws:
            return list(itertools.product(range(units), range(self.draws)))
        if units == 1:  # One checkpoint, finetuned as often as the others have checkpoints.
            return [(0, draw) for draw in range(max(self.units, 1))]
        return [(unit, unit) for unit in range(units)]


@dataclasses.dataclass(frozen=True)
class Report:
    """Stands for a report: the values of a few metrics."""

    values: Mapping[str, np.ndarray]
    resampled: Mapping[str, np.ndarray]
    count: int

    def value(self, metric: str, group: str = "all") -> np.ndarray:
        """float64[V]; zero for what is not drawn."""
        return self.values.get(metric, np.zeros(self.count))

    def replicates(self, metric: str, group: str = "all") -> np.ndarray:
        """float64[V, B]."""
        return self.resampled.get(metric, np.zeros((self.count, REPLICATES)))


@functools.lru_cache(maxsize=64)
def table(plan: Plan, curations: tuple[str, ...]) -> pd.DataFrame:
    """One row per model: the studied base at every curation, the others at natural draws."""
    rows = []
    arms = [(BASE, "studied", c) for c in ("natural", *curations)]
    arms += [(name, role, "natural") for name, role in OTHERS.items()]
    for base, role, name in arms:
        curation = parse_curation(name, "")
        for unit, draw in plan.cells(base == BASE):
            rows.append(
                {
                    "variant": f"{base} {name} {unit} {draw}",
                    "task": "target",
                    "base": base,
                    "role": role,
                    "curation": name,
                    "kind": curation.kind,
                    "level": np.nan if curation.level is None else float(curation.level),
                    "prevalence": np.nan if curation.prevalence is None else curation.prevalence,
                    "k": np.nan,
                    "n": N,
                    "seed": draw,
                    "pretrain_seed": unit,
                    "status": "ok",
                    "realised_n": float(N),
                }
            )
    return pd.DataFrame(rows).astype({k: object for k in ("variant", "task", *_WORDS)})


@dataclasses.dataclass(frozen=True)
class Models:
    """The models of a plan as arrays, made once."""

    rows: pd.DataFrame
    bases: np.ndarray
    curations: np.ndarray
    arm: np.ndarray
    unit: np.ndarray
    seed: np.ndarray
    evaluation: Evaluation
    design: Design


@functools.lru_cache(maxsize=64)
def models(plan: Plan, curations: tuple[str, ...], questions: int) -> Models:
    """Everything of a plan that is the same in every study."""
    rows = table(plan, curations)
    evaluation = _evaluation(rows, Report({}, {}, len(rows)))
    return Models(
        rows,
        rows["base"].to_numpy(),
        rows["curation"].to_numpy(),
        rows.groupby(["base", "curation"], sort=False).ngroup().to_numpy(),
        rows["pretrain_seed"].to_numpy(),
        rows["seed"].to_numpy(),
        evaluation,
        Design("target", rows, questions, {}, evaluation),
    )


def _evaluation(rows: pd.DataFrame, report: Report) -> Evaluation:
    marks = np.full(len(rows), "", object)
    return Evaluation("target", "natural", CELLS, rows, report, marks, 4000)


def _again(whole: Evaluation, report: Report) -> Evaluation:
    """The same models with other values; what is derived of the models alone is kept."""
    fresh = dataclasses.replace(whole, report=report)
    for name in ("places", "_origins", "_arms"):
        fresh.__dict__[name] = getattr(whole, name)
    return fresh


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A study that was drawn.

    Attributes:
      test: its evaluation on test.
      validation: on validation.
      design: what was planned.
    """

    test: Evaluation
    validation: Evaluation
    design: Design


def draw(
    rng: np.random.Generator,
    law: Law,
    plan: Plan,
    gaps: Mapping[tuple[str, str], float],
    changes: Mapping[str, float] | None = None,
    questions: int = 1,
    fixed: Mapping[str, float] | None = None,
) -> Drawn:
    """Draws a study.

    Args:
      rng: of this study.
      law: what moves its gaps.
      plan: its models.
      gaps: (base, curation) -> the true gap; of the studied base's curations and every natural.
      changes: curation -> the true change of the AUC; 0 where not given.
      questions: how many the study asks in all.
      fixed: base -> the effect of its checkpoint, where it is the one that is asked about.
    """
    curations = tuple(c for base, c in gaps if base == BASE and c != "natural")
    whole = models(plan, curations, questions)
    planned, bases, curation = whole.rows, whole.bases, whole.curations
    arm, unit, seed, count = whole.arm, whole.unit, whole.seed, len(whole.rows)
    effects = {name: np.full(unit.max() + 1, (fixed or {}).get(name, np.nan)) for name in {*bases}}
    for name, values in sorted(effects.items()):
        drawn = rng.normal(0, law.base, len(values))
        effects[name] = np.where(np.isnan(values), drawn, values)
    draws = rng.normal(0, law.draw, seed.max() + 1)
    truth = np.array([gaps[b, c] for b, c in zip(bases, curation, strict=True)])
    gap_of = truth + np.array([effects[b][u] for b, u in zip(bases, unit, strict=True)])
    gap_of += draws[seed] + rng.normal(0, law.interaction, count)
    auc = 0.85 + np.array([(changes or {}).get(c, 0.0) for c in curation])
    auc += rng.normal(0, law.auc, count)
    ok = rng.random(count) >= plan.lost
    parts = []
    for gap, change in ((law.test, law.auc_test), (law.validation, 1.4 * law.auc_test)):
        found = [_examples(rng, size, arm) for size in (gap, change)]
        values = {"fpr_gap": gap_of + found[0][0], "auc": auc + found[1][0]}
        resampled = {"fpr_gap": found[0][1], "auc": found[1][1]}
        if ok.all():
            parts.append(_again(whole.evaluation, Report(values, resampled, count)))
            continue
        report = Report(
            {k: v[ok] for k, v in values.items()},
            {k: v[ok] for k, v in resampled.items()},
            int(ok.sum()),
        )
        parts.append(_evaluation(planned[ok].reset_index(drop=True), report))
    design = whole.design
    if not ok.all():
        with_status = planned.assign(status=np.where(ok, "ok", "diverged at step 9"))
        design = Design("target", with_status, questions, {}, parts[0])
    return Drawn(parts[0], parts[1], design)


def _examples(
    rng: np.random.Generator, size: float, arm: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What the examples do to every model, and in every replicate."""
    columns = 1 + REPLICATES
    common = rng.normal(0, size * np.sqrt(0.5), columns)
    arms = rng.normal(0, size * np.sqrt(0.25), (arm.max() + 1, columns))
    own = rng.normal(0, size * np.sqrt(0.25), (len(arm), columns))
    moved = common + arms[arm] + own
    return moved[:, 0], moved[:, 1:]


def natural_gaps(studied: float, others: Mapping[str, float] | float) -> dict:
    """True gaps of natural draws."""
    values = others if isinstance(others, Mapping) else dict.fromkeys(OTHERS, others)
    return {(BASE, "natural"): studied} | {(name, "natural"): v for name, v in values.items()}


def with_levels(natural: float, levels: Mapping[str, float]) -> dict:
    """True gaps of a studied base along its curations; the others have none."""
    return natural_gaps(natural, 0.0) | {(BASE, c): gap for c, gap in levels.items()}


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A scenario: what it says of itself, and a study of it: rate -> whether it happened."""

    says: str
    study: Callable[[np.random.Generator], dict[str, bool | None]]


TOWARDS = inheritance.Direction(1, True)
UNSURE = inheritance.Direction(1, False)
