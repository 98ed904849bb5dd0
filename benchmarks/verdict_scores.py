"""Scenarios of `benchmarks.verdicts` whose scores are drawn, and answered by `make_answer`."""

import functools
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy import optimize, stats

from benchmarks.verdict_studies import Scenario
from jaxbias.analysis import Answer, make_answer
from jaxbias.data.dataset import Dataset
from jaxbias.results import Scores
from jaxbias.study import Study, default_config, make_study, parse_curation

N = 256
_SIZES = {"finetune": 2000, "validation": 1000, "test": 2000}
_POSITIVE = (0.3, 0.2)  # Of the first group and of the second.
_APART = 2.0  # Positives score higher by so many standard deviations.
# Between checkpoints, draws and models, of the shift of the first group's scores.
_SPREAD = (0.08, 0.06, 0.04)
_MODEL = 0.3  # Of each model's own noise on each example.


def gap_at(shift: float) -> float:
    """The FPR gap, in the population, of scores whose first group is shifted."""
    spread = np.hypot(1.0, _MODEL)

    def selected(threshold: float) -> np.ndarray:
        moved = np.array([[shift, shift + _APART], [0.0, _APART]])
        return stats.norm.sf((threshold - moved) / spread)

    prevalence = np.array([[1 - p, p] for p in _POSITIVE]) / 2
    wanted = prevalence[:, 1].sum()
    at = optimize.brentq(lambda t: (prevalence * selected(t)).sum() - wanted, -5, 8)
    false = selected(at)[:, 0]
    return float(false[0] - false[1])


@functools.cache
def shift_of(gap: float) -> float:
    """The shift whose gap it is."""
    return float(optimize.brentq(lambda shift: gap_at(shift) - gap, -4, 4))


@functools.cache
def study_of() -> Study:
    """The study that is asked."""
    config = default_config()
    config.targets, config.data.name = ("target",), "drawn"
    config.group = {"column": "group", "values": ("a", "b"), "names": ("a", "b")}
    config.bases.Gendered = {"role": "studied", "target": "x"}
    for name in ("Control_A", "Control_B"):
        config.bases[name] = {"role": "control", "target": "y"}
    config.bases.Scratch = {"role": "scratch"}
    config.answer.replicates = 100
    return make_study(config)


def answered(
    rng: np.random.Generator,
    gaps: Mapping[tuple[str, str], float],
    units: int = 5,
    one_checkpoint: bool = False,
    change: Callable[[np.ndarray], np.ndarray] = lambda scores: scores,
) -> Answer:
    """Draws labels and scores, and answers.

    Args:
      rng: of this study.
      gaps: (base, curation) -> the true FPR gap.
      units: repeats.
      one_checkpoint: whether the studied base's repeats are finetunes of one.
      change: of the scores.
    """
    split = np.repeat(list(_SIZES), list(_SIZES.values()))
    count = len(split)
    second = rng.random(count) < 0.5
    target = rng.random(count) < np.where(second, _POSITIVE[1], _POSITIVE[0])
    examples = pd.DataFrame({"id": np.arange(count).astype(str), "split": split, "stratum": ""})
    examples["target"] = pd.array(target, dtype="boolean")
    examples["group"] = pd.Categorical(np.where(second, "b", "a"))
    common = rng.normal(size=count) + _APART * target
    draws = rng.normal(0, _SPREAD[1], units)
    roles = {"Gendered": "studied", "Scratch": "scratch"}
    effects = {base: rng.normal(0, _SPREAD[0], units) for base in sorted({b for b, _ in gaps})}
    rows, scores = [], []
    for (base, name), gap in gaps.items():
        curation = parse_curation(name, "")
        for r in range(units):
            unit = 0 if one_checkpoint and base == "Gendered" else r
            shift = shift_of(gap) + effects[base][unit] + draws[r] + rng.normal(0, _SPREAD[2])
            scores.append(common + shift * ~second + rng.normal(0, _MODEL, count))
            rows.append(
                {
                    "variant": f"{base} {name} {r}",
                    "task": "target",
                    "base": base,
                    "role": roles.get(base, "control"),
                    "curation": name,
                    "kind": curation.kind,
                    "level": np.nan if curation.level is None else float(curation.level),
                    "prevalence": np.nan if curation.prevalence is None else curation.prevalence,
                    "k": np.nan,
                    "n": N,
                    "seed": r,
                    "pretrain_seed": unit,
                    "status": "ok",
                }
            )
    matrix = change(np.stack(scores)).astype(np.float32)
    dataset = Dataset("drawn", np.zeros((0, 1, 1, 3), np.uint8), examples, "f")
    found = Scores(
        pd.DataFrame(rows),
        matrix[:, split == "validation"],
        matrix[:, split == "test"],
        examples,
    )
    return make_answer(study_of(), dataset, found)


def _natural(studied: float, first: float, others: float) -> dict:
    return {
        ("Gendered", "natural"): studied,
        ("Control_A", "natural"): first,
        ("Control_B", "natural"): others,
        ("Scratch", "natural"): others,
    }


_LEVELS = ("correlation 3", "correlation 4", "correlation 5", "correlation 6", "correlation 7")


def _along(gaps: tuple[float, ...]) -> dict:
    levels = {("Gendered", c): gap for c, gap in zip(_LEVELS, gaps, strict=True)}
    return _natural(0.2, 0.05, 0.05) | levels


def _claims(
    says: str, gaps: dict, told: Callable[[Answer], dict[str, bool | None]], **how: object
) -> Scenario:
    return Scenario(says, lambda rng: told(answered(rng, gaps, **how)))


def _yes(answer: Answer) -> dict[str, bool | None]:
    row = answer.inherited_verdicts.iloc[0]
    first = answer.inherited.iloc[0]
    covered = None
    if first["low"] == first["low"] and first["scope"] == "kind":
        covered = bool(first["low"] <= 0 <= first["high"])
    said = row["verdict"] in ("yes", "practically none") and row["scope"] == "kind"
    return {"wrong": bool(said), "covered": covered}


def _no(answer: Answer) -> dict[str, bool | None]:
    verdict = answer.inherited_verdicts.iloc[0]["verdict"]
    return {"wrong": verdict in ("no", "practically none")}


def _fixed(rate: str = "wrong") -> Callable[[Answer], dict[str, bool | None]]:
    return lambda answer: {rate: bool((answer.smallest_fix["verdict"] == "confirmed").any())}


def _listed(answer: Answer) -> dict[str, bool | None]:
    rows = answer.overwritten[answer.overwritten["kind"] == "correlation"]
    return {"wrong": bool((rows["verdict"] == "no gap").any())} | _fixed()(answer)


def _anything(answer: Answer) -> dict[str, bool | None]:
    """Any claim at all, of models that support none."""
    verdicts = {*answer.inherited_verdicts["verdict"], *answer.smallest_fix["verdict"]}
    return {"wrong": bool(verdicts - {"undecided", "no gap shown"})}


_NULL = _natural(0.1, 0.1, -0.15)
_ONE_FIX = (0.13, 0.065, 0.0, -0.065, -0.13)
SCENARIOS: dict[str, Scenario] = {
    **{
        f"inherited: yes, R={r}": _claims(
            "equal to one control, far from the others", _NULL, _yes, units=r
        )
        for r in (1, 2, 3, 5)
    },
    "inherited: yes, one checkpoint": _claims(
        "five finetunes of one, said of the kind", _NULL, _yes, one_checkpoint=True
    ),
    "inherited: no, R=5": _claims(
        "larger than one control by exactly epsilon", _natural(0.1, 0.05, 0.1), _no
    ),
    "fix: at epsilon, R=5": _claims(
        "gap exactly epsilon at all levels: listed or confirmed", _along((0.05,) * 5), _listed
    ),
    "fix: one curation, R=1": _claims(
        "one tried, at epsilon", _natural(0.2, 0.05, 0.05) | {("Gendered", _LEVELS[2]): 0.05},
        _fixed(), units=1,
    ),
    "degenerate: constant": _claims(
        "every score the same", _along(_ONE_FIX), _anything, change=np.zeros_like
    ),
    "power: a fix": _claims("one true fix among 5 levels", _along(_ONE_FIX), _fixed("right")),
}  # fmt: skip
