"""Scenarios of `benchmarks.verdicts` whose panels are drawn: what is claimed, and what is true."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd

from benchmarks.verdict_studies import (
    BASE,
    CELLS,
    LEVELS,
    REPLICATES,
    RULE,
    TOWARDS,
    UNSURE,
    Drawn,
    Law,
    N,
    Plan,
    Report,
    Scenario,
    draw,
    natural_gaps,
    with_levels,
)
from jaxbias.analysis import (
    evidence,
    inheritance,
    overwriting,
    question,
    rules,
    underrepresentation,
)
from jaxbias.analysis.design import Design
from jaxbias.analysis.evaluation import Evaluation

# Of the designs that are made once and kept.
_COSTS: dict[int, pd.DataFrame] = {}


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


def decided(drawn: Drawn) -> rules.Decision:
    """The decision on the smallest fix."""
    return decided_on(asked_of(drawn), drawn)


def decided_on(asked: question.Question, drawn: Drawn) -> rules.Decision:
    """The same of what is known."""
    known = evidence.evidence(asked, drawn.design, BASE, N, RULE)
    return rules.decide(known, RULE.epsilon, RULE.delta)


def asked_of(drawn: Drawn) -> question.Question:
    """What is decided on; costs are the same in every study and computed once."""
    kept = _COSTS.get(id(drawn.design))
    found = question.question(drawn.validation, drawn.test, drawn.design, BASE, N, RULE, kept)
    _COSTS[id(drawn.design)] = found.costs
    return found


def follows(says: str, natural: float, levels: dict, plan: Plan, law: Law) -> Scenario:
    """Does what an undecided study says would decide it, with the truth as it is."""
    gaps = with_levels(natural, levels)

    def study(rng: np.random.Generator) -> dict[str, bool | None]:
        none = {"decided with the checkpoints": None, "decided with the examples": None}
        drawn = draw(rng, law, plan, gaps)
        asked = asked_of(drawn)
        if decided_on(asked, drawn).verdict != "undecided":
            return none
        need = question.what_decides(asked, 2000, 4000, drawn.design, BASE, N, RULE)
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
        common = rng.normal(0, 0.006, 1 + REPLICATES)
        draws = rng.normal(0, 0.008, plan.units)
        for base, role, offset in (("Own", "studied", 0.0), ("Other", "control", difference)):
            effects = rng.normal(0, 0.01, plan.units)
            for level in range(11):
                arms = rng.normal(0, 0.004, 1 + REPLICATES)
                for unit in range(plan.units):
                    own = rng.normal(0, 0.004, 1 + REPLICATES)
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
# Checkpoints differ little; examples are what is missing.
ALIKE = Law(base=0.01, draw=0.008, interaction=0.005, test=0.03, validation=0.04)
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
    "advice: a fix, few examples": follows(
        "the same, of checkpoints that differ little", 0.2, ONE_FIX, Plan(5), ALIKE
    ),
}  # fmt: skip
