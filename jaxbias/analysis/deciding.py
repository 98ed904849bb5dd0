"""What would decide: the chance that a study of another size comes to a verdict, by simulation."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from jaxbias.analysis.candidates import Candidate
from jaxbias.analysis.estimates import Estimate, covariances
from jaxbias.analysis.uncertainty import MAX_T_UNITS, critical, level_of_chosen
from jaxbias.study import AnswerSpec

POWER = 0.8
_STUDIES = 400
_MOST_UNITS = 64
_MOST_EXAMPLES = 64.0  # Times those there are.


@dataclasses.dataclass(frozen=True)
class Needed:
    """What gives a decision in four of five studies, if the estimates are true.

    Attributes:
      checkpoints: with as many examples as now; NaN where no number up to 64 does.
      examples: on test, with as many checkpoints as now and validation growing alike; NaN where 64
        times as many do not, and of fewer than five checkpoints, for what differs between these is
        known too badly: none of 22 studies of three that took the advice decided.
    """

    checkpoints: float
    examples: float


@dataclasses.dataclass(frozen=True)
class Truth:
    """Curations as a simulated study takes them to be.

    Attributes:
      gaps: float64[K], true signed gaps.
      changes: float64[K], true changes of the AUC.
      natural: the natural draw's gap.
      between: float64[2, K, K], covariance of what units are: their gaps, and their changes.
      own: float64[2, K, K], what the test examples do to one unit alone.
      examples: float64[2, K, K], what they do to all units alike.
      validation: how many times more variance the validation examples give.
      family: curations planned.
      questions: that share the error.
    """

    gaps: np.ndarray
    changes: np.ndarray
    natural: float
    between: np.ndarray
    own: np.ndarray
    examples: np.ndarray
    validation: float
    family: int
    questions: int


def chances(truth: Truth, units: int, times: float, rule: AnswerSpec) -> tuple[float, float]:
    """Returns the chances of "confirmed" and of "none" by the rule of `rules.decide`.

    Args:
      truth: what is simulated.
      units: checkpoints per arm.
      times: examples of either split, as multiples of what `truth` has.
      rule: epsilon, delta and confidence.
    """
    rng = np.random.default_rng(0)
    count = len(truth.gaps)
    alpha = (1 - rule.confidence) / truth.questions
    values, errors, outer, inner = [], [], [], []
    for part, mean in enumerate((truth.gaps, truth.changes)):
        between = truth.between[part] / units
        examples = (truth.examples[part] + truth.own[part] / units) / times
        of_units = rng.standard_normal((_STUDIES, count)) @ _root(between).T
        splits = [
            mean + of_units + rng.standard_normal((_STUDIES, count)) @ _root(scale * examples).T
            for scale in (truth.validation, 1.0)
        ]
        values.append(splits)
        total = between + examples
        error = np.sqrt(np.maximum(np.diag(total), 1e-18))
        on_validation = np.sqrt(np.maximum(np.diag(between + truth.validation * examples), 1e-18))
        errors.append((on_validation, error))
        # What an analysis takes for the variance between units holds their own examples' too.
        seen = np.diag(between) + np.diag(truth.own[part]) / units / times
        share = np.clip(seen / error**2, 0.0, 1.0)
        df = np.full(count, units - 1.0)
        level = alpha / max(truth.family, 1)
        if units >= MAX_T_UNITS and truth.family <= count:
            both = np.block(
                [[between + truth.validation * examples, between], [between, between + examples]]
            )
            level = level_of_chosen(both, alpha)
        outer.append(critical(level, share, df) * error)
        inner.append(critical(alpha, share, df) * error)
    (gap_v, gap_t), (change_v, change_t) = values
    room = np.minimum(
        (rule.epsilon - np.abs(gap_v)) / errors[0][0], (change_v + rule.delta) / errors[1][0]
    )
    room = np.where(np.abs(gap_v) > abs(truth.natural), -np.inf, room)
    start = room.argmax(axis=1)
    studies = np.arange(_STUDIES)
    holds = (room.max(axis=1) > 0) & (
        np.abs(gap_t[studies, start]) + outer[0][start] < rule.epsilon
    )
    holds &= change_t[studies, start] - outer[1][start] >= -rule.delta
    ruled_out = (np.abs(gap_t) - inner[0] > rule.epsilon) | (change_t + inner[1] < -rule.delta)
    none = ruled_out.all(axis=1) & (count >= truth.family)
    return float(holds.mean()), float(none.mean())


def truth_of(
    natural: Estimate,
    on_test: Mapping[str, Candidate],
    validation: int,
    test: int,
    questions: int,
    family: int,
) -> Truth | None:
    """Takes the estimates of a study for the truth; None where units of arms differ."""
    parts = [[one.gap for one in on_test.values()], [one.auc_change for one in on_test.values()]]
    found = [covariances(part) for part in parts]
    if any(one is None or not np.isfinite(one.total).all() for one in found):
        return None
    units = len(parts[0][0].labels)
    return Truth(
        np.array([one.value for one in parts[0]]),
        np.array([one.value for one in parts[1]]),
        natural.value,
        np.stack([_positive(one.between * units - one.own) for one in found]),
        np.stack([_positive(one.own) for one in found]),
        np.stack([_positive(one.shared) for one in found]),
        test / max(validation, 1),
        family,
        questions,
    )


def needed(truth: Truth, units: int, test: int, rule: AnswerSpec) -> Needed:
    """Finds the repeats, and the examples, at which a decision has 80 % power.

    Args:
      truth: the estimates.
      units: checkpoints there are.
      test: test examples there are.
      rule: epsilon, delta and confidence.
    """
    more_units = _first(
        [u for u in _steps(max(units, 2), _MOST_UNITS) if u > units],
        lambda u: sum(chances(truth, int(u), 1.0, rule)),
    )
    more_examples = float("nan")
    if units >= MAX_T_UNITS:
        more_examples = _first(
            _steps(1.25, _MOST_EXAMPLES), lambda x: sum(chances(truth, units, x, rule))
        )
    return Needed(more_units, float(np.ceil(more_examples * test)))


def _first(tried: list[float], power: Callable[[float], float]) -> float:
    """The first that reaches the power, by bisection: power grows with size."""
    if not tried or power(tried[-1]) < POWER:
        return float("nan")
    low, high = 0, len(tried) - 1
    while low < high:
        middle = (low + high) // 2
        if power(tried[middle]) >= POWER:
            high = middle
        else:
            low = middle + 1
    return float(tried[low])


def _steps(first: float, last: float) -> list[float]:
    """Steps of about an eighth; whole numbers where `first` is one."""
    found, value = [], first
    while value <= last:
        found.append(value)
        value = max(value + 1, round(value * 1.125)) if isinstance(first, int) else value * 1.125
    return found


def _positive(matrix: np.ndarray) -> np.ndarray:
    """The nearest covariance matrix: estimates of small parts may be none."""
    root = _root(matrix)
    return root @ root.T


def _root(matrix: np.ndarray) -> np.ndarray:
    """A square root of a covariance matrix; negative eigenvalues of estimates count as zero."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(np.maximum(values, 0.0))
