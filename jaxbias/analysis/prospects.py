"""What planned checkpoints and examples can decide, said before anything is trained."""

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from jaxbias.analysis.deciding import POWER, Truth, chances
from jaxbias.analysis.estimates import Estimate, covariances, difference, estimate
from jaxbias.analysis.evaluation import Evaluation
from jaxbias.analysis.panels import paired
from jaxbias.analysis.uncertainty import critical
from jaxbias.curation import Cells
from jaxbias.study import STUDIED, AnswerSpec
from jaxbias.words import count

# Assumed of the examples: the FPR, and the correlation of two models' errors on them.
_FPR, _ALIKE = 0.1, 0.5
# Assumed of curations: how far apart the gaps of neighbouring doses are, what correlates them over
# checkpoints, and how many there are at most.
_STEP, _TOGETHER, _MOST_DOSES = 0.06, 0.85, 11


@dataclasses.dataclass(frozen=True)
class Spread:
    """How much repeats differ, as standard deviations without what examples add.

    Attributes:
      gap: of one model's gap: base .02, draw .015 and their interaction .01.
      change: of the difference between two models of one repeat, whose draw is the same.
      origin: where the numbers come from.
    """

    gap: float = 0.027
    change: float = 0.032
    origin: str = "assumed"


def measured(evaluations: Iterable[Evaluation]) -> Spread:
    """Returns the spread of natural draws' gaps; what is assumed where repeats are too few.

    Args:
      evaluations: of finished models.
    """
    gaps, changes, models = [], [], 0
    for evaluation in evaluations:
        arms = {}
        for base, curation, n in evaluation.places:
            if curation == "natural":
                arms[base, n] = evaluation.panel("fpr_gap", base, curation, n)
        models += sum(len(panel.values) for panel in arms.values())
        roles = dict(zip(evaluation.variants["base"], evaluation.variants["role"], strict=True))
        found = [estimate(panel) for panel in arms.values()]
        gaps += [_of_unit(one) for one in found if one.units > 2]
        for (base, n), mine in arms.items():
            for (other, size), theirs in arms.items():
                if roles[base] in STUDIED and roles[other] not in STUDIED and n == size:
                    pairs = paired(mine, theirs)
                    if pairs is not None and len(pairs.values) > 2:
                        changes.append(_of_unit(difference(mine, theirs)))
    if not gaps or not changes:
        return Spread()
    return Spread(
        float(np.sqrt(max(np.mean(gaps), 1e-6))),
        float(np.sqrt(max(np.mean(changes), 1e-6))),
        f"measured on {count(models, 'finished model')}",
    )


def _of_unit(found: Estimate) -> float:
    """The variance of one unit, without what its examples do to it."""
    parts = covariances([found])
    if parts is None:
        return 0.0
    return float(parts.between[0, 0] * len(found.labels) - parts.own[0, 0])


def prospects(
    task: str,
    cells: Cells,
    pools: Mapping[str, np.ndarray],
    units: int,
    others: int,
    curations: int,
    questions: int,
    spread: Spread,
    rule: AnswerSpec,
) -> str:
    """Says what a question of one target can decide.

    Args:
      task: the target.
      cells: its cells.
      pools: "validation" and "test" -> bool[N], their examples.
      units: repeats: checkpoints, or draws of a single one.
      others: controls and scratch.
      curations: planned.
      questions: that share the error.
      spread: how much repeats differ.
      rule: the rules of the answer.
    """
    if units < 2:
        return f"{task}: 1 repeat decides nothing; set config.finetune.seeds to 2 or more"
    on_test, on_validation = (_of_examples(cells, pools[name]) for name in ("test", "validation"))
    if not np.isfinite(on_test):
        return f"{task}: the test split has no negatives of a group, so its gap is undefined"
    alpha = (1 - rule.confidence) / questions
    half = _half(spread.gap**2 / units, on_test, units, alpha / 2)
    text = f"{task}: a gap's interval is ±{half:.3f} wide"
    if others:
        each = _half(spread.change**2 / units, 2 * (1 - _ALIKE) * on_test, units, alpha / 2)
        error = np.sqrt(spread.change**2 / units + 2 * (1 - _ALIKE) * on_test)
        text += (
            f"; inherited is shown from a difference of {each + _all_of(others) * error:.3f} on "
            f"({POWER:.0%} power against all {others})"
        )
    if curations and np.isfinite(on_validation):
        chance = _chance(spread, units, on_test, on_validation, curations, questions, rule)
        text += (
            f"; a curation that leaves no gap, its neighbours ±{_STEP:g}, is confirmed in "
            f"{chance:.0%} of studies"
        )
    return text


def assumptions(spread: Spread) -> str:
    """Says what `prospects` rests on."""
    return (
        "What this can decide, if repeats' gaps differ by a standard deviation of "
        f"{spread.gap:.3f} and their differences between bases by {spread.change:.3f} "
        f"({spread.origin}), at an FPR of {_FPR:.0%}:"
    )


def _of_examples(cells: Cells, pool: np.ndarray) -> float:
    """The variance of an FPR gap over the examples of a pool."""
    counts = cells.available(pool)
    negatives = [counts[(cells.targets == 0) & (cells.groups == g)].sum() for g in (0, 1)]
    if min(negatives) == 0:
        return float("nan")
    return _FPR * (1 - _FPR) * sum(1 / n for n in negatives)


def _half(between: float, examples: float, units: int, p: float) -> float:
    total = between + examples
    quantile = critical(p, np.array(between / total), np.array(units - 1.0))
    return float(quantile * np.sqrt(total))


def _all_of(others: int) -> float:
    """The deviate that all of some comparisons with one base exceed with 80 % chance."""
    rng = np.random.default_rng(0)
    common = rng.standard_normal((20_000, 1))
    drawn = np.sqrt(0.5) * (common + rng.standard_normal((20_000, others)))
    return float(-np.quantile(drawn.min(axis=1), 1 - POWER))


def _chance(
    spread: Spread,
    units: int,
    test: float,
    validation: float,
    curations: int,
    questions: int,
    rule: AnswerSpec,
) -> float:
    doses = min(curations, _MOST_DOSES)
    places = np.arange(doses) - doses // 2
    alike = np.full((doses, doses), _TOGETHER)
    np.fill_diagonal(alike, 1.0)
    small = 0.008**2  # Of a change of AUC, which moves less than a gap.
    truth = Truth(
        gaps=_STEP * places,
        changes=np.zeros(doses),
        natural=_STEP * max(doses, 4),
        between=np.stack([spread.gap**2 * alike, small * alike]),
        own=np.stack([np.zeros((doses, doses))] * 2),
        examples=np.stack([test * alike, test / 10 * alike]),
        validation=validation / test,
        family=doses,
        questions=questions,
    )
    return chances(truth, units, 1.0, rule)[0]
