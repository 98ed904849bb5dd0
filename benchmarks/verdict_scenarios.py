"""Scenarios of `benchmarks.verdicts` whose panels are drawn: designs, truths and claims."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from jaxbias.analysis import inheritance, overwriting, smallest_fix, underrepresentation
from jaxbias.analysis.design import Design
from jaxbias.analysis.evaluation import Evaluation
from jaxbias.curation import Cells
from jaxbias.study import AnswerSpec, parse_curation

RULE = AnswerSpec()
BASE, N = "Gendered", 1024
OTHERS = {"Control_A": "control", "Control_B": "control", "Scratch": "scratch"}
LEVELS = tuple(f"correlation {k}" for k in range(11))
_REPLICATES = 200
# Of the designs that are made once and kept.
_COSTS: dict[int, pd.DataFrame] = {}
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
        return self.resampled.get(metric, np.zeros((self.count, _REPLICATES)))


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
    columns = 1 + _REPLICATES
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


def inherits(
    says: str,
    wrong: tuple[str, ...],
    gaps: dict,
    plan: Plan,
    law: Law | None = None,
    targets: int = 1,
    kind: bool = True,
    fixed: Mapping[str, float] | None = None,
    towards: inheritance.Direction = TOWARDS,
    rate: str = "wrong",
) -> Scenario:
    """A scenario about the verdict on inheritance; any of its targets counts."""

    def study(rng: np.random.Generator) -> dict[str, bool | None]:
        happened, covered = False, []
        for _ in range(targets):
            drawn = draw(rng, law or Law(), plan, gaps, questions=targets, fixed=fixed)
            rows, found = inheritance.of_base(drawn.test, drawn.design, BASE, N, towards, RULE)
            said = found["verdict"] in wrong and (not kind or found["scope"] == "kind")
            happened |= bool(said)
            for one in rows:
                true = gaps[BASE, "natural"] - gaps[one["against"], "natural"]
                if one["low"] == one["low"] and (one["scope"] == "kind" or fixed):
                    covered.append(one["low"] <= true <= one["high"])
        return {rate: happened, "covered": covered[0] if covered else None}

    return Scenario(says, study)


def overwrites(says: str, natural: float, levels: dict, plan: Plan) -> Scenario:
    """A scenario about the list of curations without a gap, and the largest sure cut."""
    gaps = with_levels(natural, levels)

    def study(rng: np.random.Generator) -> dict[str, bool | None]:
        drawn = draw(rng, Law(), plan, gaps)
        arms = drawn.test.arms()
        arms = arms[arms["base"] == BASE]
        rows = overwriting.of_base(drawn.test, drawn.design, BASE, N, arms, RULE)
        rows = pd.DataFrame([row for row in rows if row["kind"] != "natural"])
        true = rows["curation"].map(levels)
        listed = (rows["verdict"] == "no gap") & (true.abs() >= RULE.epsilon)
        cut = overwriting.best_cut(rows)
        reduced = None
        if cut is not None:
            reduced = abs(natural) - abs(levels[cut["curation"]])
        covered = (rows["gap_low"] <= true) & (true <= rows["gap_high"])
        return {
            "wrong": bool(listed.any()),
            "wrong cut": cut is not None and not cut["gap_reduction_low"] <= reduced,
            "jointly": bool(covered.all()),
        }

    return Scenario(says, study)


def fixes(
    says: str,
    natural: float,
    levels: dict,
    plan: Plan,
    law: Law | None = None,
    changes: Mapping[str, float] | None = None,
    claims: tuple[str, ...] = ("confirmed",),
    rate: str = "wrong",
    targets: int = 1,
    true: tuple[str, ...] = (),
) -> Scenario:
    """A scenario about the smallest fix: whether one of the verdicts `claims` is given.

    A confirmed curation among `true` is no error.
    """
    gaps = with_levels(natural, levels)

    def study(rng: np.random.Generator) -> dict[str, bool | None]:
        happened = False
        for _ in range(targets):
            drawn = draw(rng, law or Law(), plan, gaps, changes, targets)
            decision = decided(drawn)
            said = decision.verdict in claims
            if rate == "wrong":
                said &= decision.curation not in true
            happened |= said
        return {rate: bool(happened)}

    return Scenario(says, study)


def decided(drawn: Drawn) -> smallest_fix.Decision:
    """The decision on the smallest fix."""
    return smallest_fix.answer_to(asked_of(drawn), drawn.design, BASE, N, RULE)[0]


def asked_of(drawn: Drawn) -> smallest_fix.Question:
    """What is decided on; costs are the same in every study and computed once."""
    kept = _COSTS.get(id(drawn.design))
    found = smallest_fix.question(drawn.validation, drawn.test, drawn.design, BASE, N, RULE, kept)
    _COSTS[id(drawn.design)] = found.costs
    return found


def follows(says: str, natural: float, levels: dict, plan: Plan, law: Law) -> Scenario:
    """Does what an undecided study says would decide it, with the truth as it is."""
    gaps = with_levels(natural, levels)

    def study(rng: np.random.Generator) -> dict[str, bool | None]:
        none = {"decided with the checkpoints": None, "decided with the examples": None}
        drawn = draw(rng, law, plan, gaps)
        asked = asked_of(drawn)
        decision, _ = smallest_fix.answer_to(asked, drawn.design, BASE, N, RULE)
        if decision.verdict != "undecided":
            return none
        need = smallest_fix.what_decides(asked, 2000, 4000, drawn.design, BASE, N, RULE)
        if need is None:
            return none
        if need.checkpoints == need.checkpoints:
            longer = dataclasses.replace(plan, units=int(need.checkpoints))
            said = decided(draw(rng, law, longer, gaps)).verdict
            none["decided with the checkpoints"] = said in ("confirmed", "none")
        if need.examples == need.examples:
            more = law.of_examples(need.examples / 4000)
            said = decided(draw(rng, more, plan, gaps)).verdict
            none["decided with the examples"] = said in ("confirmed", "none")
        return none

    return Scenario(says, study)


def catches_up(says: str, difference: float, plan: Plan) -> Scenario:
    """The share from which a base is surely ahead, where it never is."""

    def study(rng: np.random.Generator) -> dict[str, bool | None]:
        rows, values, resampled = [], [], []
        arm = 0
        common = rng.normal(0, 0.006, 1 + _REPLICATES)
        draws = rng.normal(0, 0.008, plan.units)
        for base, role, offset in (("Own", "studied", 0.0), ("Other", "control", difference)):
            effects = rng.normal(0, 0.01, plan.units)
            for level in range(11):
                arms = rng.normal(0, 0.004, 1 + _REPLICATES)
                for unit in range(plan.units):
                    own = rng.normal(0, 0.004, 1 + _REPLICATES)
                    moved = common + arms + own
                    value = 0.8 + offset + effects[unit] + draws[unit] + rng.normal(0, 0.006)
                    values.append(value + moved[0])
                    resampled.append(moved[1:])
                    rows.append((base, role, f"pair_mix {level}", float(level), unit, arm))
                arm += 1
        frame = pd.DataFrame(
            rows, columns=["base", "role", "curation", "level", "pretrain_seed", "variant"]
        )
        frame = frame.assign(
            variant=[str(i) for i in range(len(frame))], seed=frame["pretrain_seed"], n=N,
            kind="pair_mix", prevalence=0.5, k=np.nan, task="own|other", status="ok",
            realised_n=float(N),
        )  # fmt: skip
        report = Report({"auc": np.array(values)}, {"auc": np.array(resampled)}, len(frame))
        cells = dataclasses.replace(CELLS, task="own|other", group_names=("own", "other"))
        marks = np.full(len(frame), "", object)
        evaluation = Evaluation("own|other", "natural", cells, frame, report, marks, 4000)
        design = Design("own|other", frame, 1, {}, evaluation)
        targets = {"Own": "own", "Other": "other"}
        found = underrepresentation.matching_share(evaluation, design, targets, RULE)
        sure = found[found["base"] == "Other"]["sure_share"]
        return {"wrong": bool(sure.notna().any())}

    return Scenario(says, study)


EPS = RULE.epsilon
NULL = {"Control_A": 0.1, "Control_B": -0.2, "Scratch": -0.2}  # Least favourable: one is equal.
AT_EPS = dict.fromkeys(LEVELS, EPS)
BOTH = {c: EPS if i % 2 else -EPS for i, c in enumerate(LEVELS)}
FLAT = dict.fromkeys(LEVELS, 0.15)
# One true fix, its neighbours just outside: the steps of the demo's levels.
ONE_FIX = {c: 0.06 * (5 - i) for i, c in enumerate(LEVELS)}
FEW = Law(test=0.06, validation=0.08)  # 30 rare positives or negatives a group.
SMALL_BASE = Law(base=0.01)

SCENARIOS: dict[str, Scenario] = {
    **{
        f"inherited: yes, R={r}": inherits(
            "equal to one control, far from the others", ("yes", "practically none"),
            natural_gaps(0.1, NULL), Plan(r),
        )
        for r in (1, 2, 3, 5)
    },
    "inherited: yes, one checkpoint": inherits(
        "five finetunes of one checkpoint, said of the kind", ("yes", "practically none"),
        natural_gaps(0.1, NULL), Plan(5, studied=1),
    ),
    "inherited: yes, one checkpoint, 4 targets": inherits(
        "the same, in any of 4 targets", ("yes", "practically none"), natural_gaps(0.1, NULL),
        Plan(5, studied=1), targets=4,
    ),
    "inherited: yes, R=5, 4 targets": inherits(
        "in any of 4 targets", ("yes", "practically none"), natural_gaps(0.1, NULL), Plan(5),
        targets=4,
    ),
    "inherited: yes, imported": inherits(
        "an imported checkpoint against trained controls, said of the checkpoint",
        ("yes", "practically none"), natural_gaps(0.1, NULL), Plan(5, studied=1), kind=False,
        fixed={BASE: 0.0},
    ),
    "inherited: yes, 5 x 5": inherits(
        "5 checkpoints x 5 draws", ("yes", "practically none"), natural_gaps(0.1, NULL), Plan(5, 5)
    ),
    "inherited: yes, 5 x 5, a fifth diverged": inherits(
        "unbalanced by divergence", ("yes", "practically none"), natural_gaps(0.1, NULL),
        Plan(5, 5, lost=0.2),
    ),
    "inherited: yes, R=6, a fifth diverged": inherits(
        "repeats lost to divergence", ("yes", "practically none"), natural_gaps(0.1, NULL),
        Plan(6, lost=0.2),
    ),
    "inherited: yes, both signs": inherits(
        "no direction of the labels, equal to one control", ("yes", "practically none"),
        natural_gaps(0.1, NULL), Plan(5), towards=UNSURE,
    ),
    "inherited: yes, few examples": inherits(
        "30 rare examples a group", ("yes", "practically none"), natural_gaps(0.1, NULL), Plan(5),
        law=FEW,
    ),
    **{
        f"inherited: no, R={r}": inherits(
            "larger than one control by exactly epsilon", ("no", "practically none"),
            natural_gaps(0.1, {"Control_A": 0.05, "Control_B": 0.1, "Scratch": 0.1}), Plan(r),
        )
        for r in (1, 2, 3, 5)
    },
    **{
        f"overwritten: at epsilon, R={r}": overwrites(
            "gap exactly epsilon at all 11 levels", 0.2, AT_EPS, Plan(r)
        )
        for r in (3, 5)
    },
    "overwritten: at both epsilons, R=5": overwrites(
        "gaps at +epsilon and -epsilon in one family", 0.2, BOTH, Plan(5)
    ),
    **{
        f"overwritten: nothing cuts, R={r}": overwrites(
            "every level has natural's gap", 0.15, FLAT, Plan(r)
        )
        for r in (2, 3, 5)
    },
    **{
        f"fix: confirmed, R={r}": fixes("gap exactly epsilon at all 11", 0.2, AT_EPS, Plan(r))
        for r in (2, 3, 5)
    },
    "fix: confirmed, one curation, R=1": fixes(
        "one tried, at epsilon", 0.2, {LEVELS[5]: EPS}, Plan(1)
    ),
    "fix: confirmed, one curation, R=3": fixes(
        "one tried, at epsilon", 0.2, {LEVELS[5]: EPS}, Plan(3)
    ),
    "fix: confirmed, 4 targets": fixes(
        "at epsilon, in any of 4 targets", 0.2, AT_EPS, Plan(5), targets=4
    ),
    "fix: confirmed, the next dose at epsilon": fixes(
        "one true fix, the cheaper dose exactly at epsilon", 0.2,
        {LEVELS[3]: 0.1, LEVELS[4]: EPS, LEVELS[5]: 0.0, LEVELS[6]: -EPS}, Plan(5, 0),
        law=SMALL_BASE, true=(LEVELS[5],),
    ),
    "fix: confirmed, AUC at delta": fixes(
        "no gap, but AUC lower by exactly delta", 0.2, dict.fromkeys(LEVELS, 0.0), Plan(5),
        changes=dict.fromkeys(LEVELS, -RULE.delta),
    ),
    "fix: none": fixes(
        "one level exactly at epsilon, the others far", 0.3,
        {c: EPS if i == 5 else 0.2 for i, c in enumerate(LEVELS)}, Plan(5), claims=("none",),
    ),
    "fix: nothing to fix": fixes(
        "natural's gap exactly epsilon", EPS, AT_EPS, Plan(5), claims=("nothing to fix",)
    ),
    "catches up: never": catches_up("AUC lower by .01 at every share", -0.01, Plan(5)),
    "catches up: equal": catches_up("equal AUC at every share", 0.0, Plan(5)),
    "power: yes at .05": inherits(
        "larger than all by .05", ("yes", "practically none"), natural_gaps(0.15, 0.1), Plan(5),
        rate="right",
    ),
    "power: yes at .10": inherits(
        "larger than all by .10", ("yes", "practically none"), natural_gaps(0.2, 0.1), Plan(5),
        rate="right",
    ),
    "power: no at 0": inherits(
        "equal to all, 20,000 test examples", ("no",), natural_gaps(0.1, 0.1), Plan(5),
        law=Law().of_examples(5), rate="right",
    ),
    "power: a fix": fixes(
        "one true fix among 11 levels, base .01", 0.2, ONE_FIX, Plan(5), law=SMALL_BASE,
        rate="right",
    ),
    "power: none, AUC lost": fixes(
        "AUC surely lost everywhere", 0.2, AT_EPS, Plan(5),
        changes=dict.fromkeys(LEVELS, -0.08), claims=("none",), rate="right",
    ),
    "advice: a fix": follows(
        "an undecided study of one true fix, told what would decide", 0.2, ONE_FIX, Plan(3), Law()
    ),
}  # fmt: skip
