"""Scenarios of `benchmarks.verdicts` whose scores are drawn, and answered by `make_answer`."""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy import optimize, stats

from benchmarks.verdict_studies import (
    BASE,
    OTHERS,
    RULE,
    Plan,
    Scenario,
    natural_gaps,
    table,
    with_levels,
)
from jaxbias.analysis import Answer, make_answer
from jaxbias.analysis.overwriting import best_cut, studied_curations
from jaxbias.data.dataset import Dataset
from jaxbias.scores.scores import Scores
from jaxbias.study import Study, default_config, make_study

_SIZES = {"finetune": 2000, "validation": 1000, "test": 2000}
_LEVELS = tuple(f"correlation {k}" for k in range(3, 8))
_CLAIMS = ("yes", "practically none")


@dataclasses.dataclass(frozen=True)
class World:
    """How labels and scores are drawn.

    Attributes:
      positive: the share of positives in the first group and in the second.
      apart: positives score higher by so many standard deviations.
      base: between checkpoints, of the shift of the first group's scores.
      draw: between finetuning draws.
      interaction: between models.
      noise: of each model's own on each example.
    """

    positive: tuple[float, float] = (0.3, 0.2)
    apart: float = 2.0
    base: float = 0.08
    draw: float = 0.06
    interaction: float = 0.04
    noise: float = 0.3

    @property
    def prevalence(self) -> np.ndarray:
        """float64[2, 2], the population's shares of group and label."""
        return np.array([[1 - p, p] for p in self.positive]) / 2

    def means(self, shift: float) -> np.ndarray:
        """float64[2, 2], of the scores of each group and label."""
        return np.array([[shift, shift + self.apart], [0.0, self.apart]])


def gap_at(world: World, shift: float) -> float:
    """The FPR gap, in the population, of scores whose first group is shifted."""
    spread, shares = np.hypot(1.0, world.noise), world.prevalence

    def selected(threshold: float) -> np.ndarray:
        return stats.norm.sf((threshold - world.means(shift)) / spread)

    wanted = shares[:, 1].sum()
    at = optimize.brentq(lambda t: (shares * selected(t)).sum() - wanted, -9, 9)
    false = selected(at)[:, 0]
    return float(false[0] - false[1])


def auc_at(world: World, shift: float) -> float:
    """The AUC, in the population: positives of either group against negatives of either."""
    means, shares = world.means(shift), world.prevalence / world.prevalence.sum(axis=0)
    ahead = stats.norm.cdf(
        (means[:, 1, None] - means[None, :, 0]) / np.hypot(1.0, world.noise) / np.sqrt(2)
    )
    return float(shares[:, 1] @ ahead @ shares[:, 0])


@functools.cache
def shift_of(world: World, gap: float) -> float:
    """The shift whose gap it is."""
    return float(optimize.brentq(lambda shift: gap_at(world, shift) - gap, -4, 4))


@functools.cache
def noisier(world: World, natural: float, gap: float, loss: float) -> World:
    """The world in which a gap comes with an AUC lower by `loss` than natural's gap in this one."""
    wanted = auc_at(world, shift_of(world, natural)) - loss

    def missed(noise: float) -> float:
        other = dataclasses.replace(world, noise=noise)
        return auc_at(other, shift_of(other, gap)) - wanted

    return dataclasses.replace(world, noise=float(optimize.brentq(missed, 0.01, 3)))


@functools.cache
def study_of(targets: tuple[str, ...]) -> Study:
    """The study that is asked."""
    config = default_config()
    config.targets, config.data.name = targets, "drawn"
    config.group = {"column": "group", "values": ("a", "b"), "names": ("a", "b")}
    config.bases[BASE] = {"role": "studied", "target": "x"}
    for name, role in OTHERS.items():
        config.bases[name] = {"role": role} | ({"target": "y"} if role == "control" else {})
    config.answer.replicates = 100
    return make_study(config)


@dataclasses.dataclass(frozen=True)
class Drawn:
    """What studies are drawn of.

    Attributes:
      gaps: (base, curation) -> the true FPR gap.
      plan: its models.
      world: how labels and scores are drawn.
      loss: curation -> how much lower than natural's its AUC is; 0 where not given.
      targets: how many.
      imported: whether the studied base's one checkpoint is the one that is asked about.
      change: of the scores.
    """

    gaps: Mapping[tuple[str, str], float]
    plan: Plan = dataclasses.field(default=Plan(5))
    world: World = World()
    loss: Mapping[str, float] = dataclasses.field(default_factory=dict)
    targets: int = 1
    imported: bool = False
    change: Callable[[np.ndarray], np.ndarray] = lambda scores: scores

    def world_of(self, base: str, curation: str) -> World:
        """That of one arm."""
        if curation not in self.loss:
            return self.world
        natural = self.gaps[base, "natural"]
        return noisier(self.world, natural, self.gaps[base, curation], self.loss[curation])


def answered(rng: np.random.Generator, drawn: Drawn) -> Answer:
    """Draws labels and scores, and answers."""
    split = np.repeat(list(_SIZES), list(_SIZES.values()))
    second = rng.random(len(split)) < 0.5
    examples = pd.DataFrame(
        {"id": np.arange(len(split)).astype(str), "split": split, "stratum": ""}
    )
    examples["group"] = pd.Categorical(np.where(second, "b", "a"))
    curations = tuple(c for base, c in drawn.gaps if base == BASE and c != "natural")
    targets = tuple(f"target{i}" for i in range(drawn.targets))
    rows, scores = [], []
    for target in targets:
        positive = rng.random(len(split)) < np.where(second, *reversed(drawn.world.positive))
        examples[target] = pd.array(positive, dtype="boolean")
        models = table(drawn.plan, curations)
        ok = rng.random(len(models)) >= drawn.plan.lost
        status = np.where(ok, "ok", "diverged at step 9")
        rows.append(models.assign(task=target, status=status, variant=target + models["variant"]))
        scores.append(_scores(rng, drawn, models, positive, second))
    matrix = drawn.change(np.concatenate(scores)).astype(np.float32)
    dataset = Dataset("drawn", np.zeros((0, 1, 1, 3), np.uint8), examples, "f")
    found = Scores(
        pd.concat(rows, ignore_index=True),
        matrix[:, split == "validation"],
        matrix[:, split == "test"],
        examples,
    )
    return make_answer(study_of(targets), dataset, found)


def _scores(
    rng: np.random.Generator,
    drawn: Drawn,
    models: pd.DataFrame,
    positive: np.ndarray,
    second: np.ndarray,
) -> np.ndarray:
    """float64[V, N] of one target."""
    world = drawn.world
    common = rng.normal(size=len(positive)) + world.apart * positive
    draws = rng.normal(0, world.draw, models["seed"].max() + 1)
    units = models["pretrain_seed"].max() + 1
    effects = {base: rng.normal(0, world.base, units) for base in (BASE, *OTHERS)}
    if drawn.imported:
        effects[BASE][:] = 0.0
    scores = np.empty((len(models), len(positive)))
    for i, one in enumerate(models.itertuples()):
        own = drawn.world_of(one.base, one.curation)
        shift = shift_of(own, drawn.gaps[one.base, one.curation])
        shift += effects[one.base][one.pretrain_seed] + draws[one.seed]
        shift += rng.normal(0, world.interaction)
        scores[i] = common + shift * ~second + rng.normal(0, own.noise, len(positive))
    return scores


def _claims(says: str, told: Callable[[Answer], dict[str, bool | None]], drawn: Drawn) -> Scenario:
    return Scenario(says, lambda rng: told(answered(rng, drawn)))


def _inherits(
    *claims: str, kind: bool = True, rate: str = "wrong"
) -> Callable[[Answer], dict[str, bool | None]]:
    """One of the claims is made of any target, of the kind or of the checkpoint too."""

    def told(answer: Answer) -> dict[str, bool | None]:
        verdicts = answer.inherited_verdicts
        said = verdicts["verdict"].isin(claims) & ((verdicts["scope"] == "kind") | (not kind))
        return {rate: bool(said.any())}

    return told


def _null(answer: Answer, kind: bool = True) -> dict[str, bool | None]:
    """The same, and whether the interval of the first comparison, of no difference, covers it."""
    covered = None
    for first in answer.inherited[:1].itertuples():  # There is none where all is degenerate.
        if first.low == first.low and (first.scope == "kind" or not kind):
            covered = bool(first.low <= 0 <= first.high)
    return _inherits(*_CLAIMS, kind=kind)(answer) | {"covered": covered}


def _fixes(*claims: str, rate: str = "wrong") -> Callable[[Answer], dict[str, bool | None]]:
    """One of the claims is made of the smallest fix of any target."""

    def told(answer: Answer) -> dict[str, bool | None]:
        return {rate: bool(answer.smallest_fix["verdict"].isin(claims).any())}

    return told


def _listed(answer: Answer) -> dict[str, bool | None]:
    """A curation is listed as without a gap, or confirmed."""
    rows = answer.overwritten[answer.overwritten["kind"] == "correlation"]
    said = {"wrong": bool((rows["verdict"] == "no gap").any())}
    return said | {"wrong fix": _fixes("confirmed")(answer)["wrong"]}


def _cuts(answer: Answer) -> dict[str, bool | None]:
    """Some cut is said to be sure."""
    return {"wrong cut": best_cut(studied_curations(answer.overwritten)) is not None}


def _anything(answer: Answer) -> dict[str, bool | None]:
    """Any claim at all, of models that support none."""
    verdicts = {*answer.inherited_verdicts["verdict"], *answer.smallest_fix["verdict"]}
    return {"wrong": bool(verdicts - {"undecided", "no gap shown"})}


def _at_chance(scores: np.ndarray) -> np.ndarray:
    return np.random.default_rng(len(scores)).permuted(scores, axis=1)


_EPS, _DELTA = RULE.epsilon, RULE.delta
_MIDDLE = _LEVELS[2]
_AT_EPS = dict.fromkeys(_LEVELS, _EPS)
_BOTH = {c: -_EPS if i % 2 else _EPS for i, c in enumerate(_LEVELS)}
_NO_GAP = dict.fromkeys(_LEVELS, 0.0)
_ONE_FIX = dict(zip(_LEVELS, (0.13, 0.065, 0.0, -0.065, -0.13), strict=True))
_ONE_AT_EPS = {c: _EPS if c == _MIDDLE else 0.18 for c in _LEVELS}


def _equal_to_one(gap: float = 0.1, far: float = -0.15) -> dict:
    return natural_gaps(gap, {"Control_A": gap, "Control_B": far, "Scratch": far})


_NULL = _equal_to_one()
_BEYOND = natural_gaps(0.1, {"Control_A": 0.1 - _EPS, "Control_B": 0.1, "Scratch": 0.1})
# Where hardly anyone, or nearly everyone, is positive, gaps of the FPR are small, or known badly.
_RARE = World(positive=(0.015, 0.015), apart=1.0)
_COMMON = World(positive=(0.97, 0.97))

SCENARIOS: dict[str, Scenario] = {
    **{
        f"inherited: yes, R={r}": _claims(
            "equal to one control, far from the others", _null, Drawn(_NULL, Plan(r))
        )
        for r in (1, 2, 3, 5)
    },
    "inherited: yes, one checkpoint": _claims(
        "five finetunes of one, said of the kind", _null, Drawn(_NULL, Plan(5, studied=1))
    ),
    "inherited: yes, one checkpoint, 4 targets": _claims(
        "the same, in any of 4 targets", _inherits(*_CLAIMS),
        Drawn(_NULL, Plan(5, studied=1), targets=4),
    ),
    "inherited: yes, R=5, 4 targets": _claims(
        "in any of 4 targets", _inherits(*_CLAIMS), Drawn(_NULL, targets=4)
    ),
    "inherited: yes, imported": _claims(
        "an imported checkpoint against trained controls, said of the checkpoint",
        functools.partial(_null, kind=False), Drawn(_NULL, Plan(5, studied=1), imported=True),
    ),
    "inherited: yes, 5 x 5": _claims(
        "5 checkpoints x 5 draws", _null, Drawn(_NULL, Plan(5, 5))
    ),
    "inherited: yes, R=6, a fifth diverged": _claims(
        "repeats lost to divergence", _null, Drawn(_NULL, Plan(6, lost=0.2))
    ),
    "inherited: yes, ties": _claims(
        "scores of two decimals", _null,
        Drawn(_NULL, change=functools.partial(np.round, decimals=2)),
    ),
    "inherited: yes, 30 positives": _claims(
        "30 of 2,000 are positive, gaps of .01", _null,
        Drawn(_equal_to_one(0.01, -0.01), world=_RARE),
    ),
    "inherited: yes, 30 negatives a group": _claims(
        "60 of 2,000 are negative", _null, Drawn(_NULL, world=_COMMON)
    ),
    **{
        f"inherited: no, R={r}": _claims(
            "larger than one control by exactly epsilon", _inherits("no", "practically none"),
            Drawn(_BEYOND, Plan(r)),
        )
        for r in (1, 3, 5)
    },
    "overwritten: at epsilon, R=3": _claims(
        "gap exactly epsilon at all levels: listed, or confirmed", _listed,
        Drawn(with_levels(0.2, _AT_EPS), Plan(3)),
    ),
    "overwritten: at epsilon, R=5": _claims(
        "gap exactly epsilon at all levels: listed, or confirmed", _listed,
        Drawn(with_levels(0.2, _AT_EPS)),
    ),
    "overwritten: at both epsilons, R=5": _claims(
        "gaps at +epsilon and -epsilon in one family", _listed, Drawn(with_levels(0.2, _BOTH))
    ),
    "overwritten: nothing cuts, R=5": _claims(
        "every level has natural's gap", _cuts,
        Drawn(with_levels(0.15, dict.fromkeys(_LEVELS, 0.15))),
    ),
    "fix: one curation, R=1": _claims(
        "one tried, at epsilon", _fixes("confirmed"),
        Drawn(with_levels(0.2, {_MIDDLE: _EPS}), Plan(1)),
    ),
    "fix: at epsilon, 4 targets": _claims(
        "at epsilon, in any of 4 targets", _fixes("confirmed"),
        Drawn(with_levels(0.2, _AT_EPS), targets=4),
    ),
    "fix: AUC at delta": _claims(
        "no gap, but AUC lower by exactly delta", _fixes("confirmed"),
        Drawn(with_levels(0.2, _NO_GAP), loss=dict.fromkeys(_LEVELS, _DELTA)),
    ),
    "fix: none": _claims(
        "one level exactly at epsilon, the others far", _fixes("none"),
        Drawn(with_levels(0.2, _ONE_AT_EPS)),
    ),
    "fix: nothing to fix": _claims(
        "natural's gap exactly epsilon", _fixes("nothing to fix"),
        Drawn(with_levels(_EPS, _AT_EPS)),
    ),
    "degenerate: constant": _claims(
        "every score the same", _anything,
        Drawn(with_levels(0.2, _ONE_FIX), change=np.zeros_like),
    ),
    "degenerate: at chance": _claims(
        "scores that know nothing", _anything,
        Drawn(with_levels(0.2, _ONE_FIX), change=_at_chance),
    ),
    "power: yes at .10": _claims(
        "larger than all by .10", _inherits(*_CLAIMS, rate="right"), Drawn(natural_gaps(0.2, 0.1))
    ),
    "power: a fix": _claims(
        "one true fix among 5 levels", _fixes("confirmed", rate="right"),
        Drawn(with_levels(0.2, _ONE_FIX)),
    ),
    "power: none, AUC lost": _claims(
        "AUC surely lost everywhere", _fixes("none", rate="right"),
        Drawn(with_levels(0.2, _NO_GAP), loss=dict.fromkeys(_LEVELS, 0.08)),
    ),
}  # fmt: skip
