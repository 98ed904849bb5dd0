"""Examples: scores, labels, groups and weights, checked once, and the sums they enter."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from jaxbias.errors import InputError
from jaxbias.metrics.groups import Groups, as_groups


@dataclasses.dataclass(frozen=True)
class Examples:
    """A set of scored examples.

    Attributes:
      scores: float[V, N], higher is more positive; or a DataFrame, one column per variant.
      labels: N of 0 and 1.
      groups: N values, or `Groups`; may be None where only a threshold is taken.
      weights: float[N] >= 0; None: all 1.
    """

    scores: Any
    labels: Any
    groups: Any = None
    weights: Any = None


@dataclasses.dataclass(frozen=True)
class Checked:
    """Examples as arrays of one shape, known to be sound.

    Attributes:
      scores: float32[V, N], no NaN.
      labels: int32[N], 0 or 1.
      groups: G names and float64[G, N].
      weights: float64[N].
    """

    scores: np.ndarray
    labels: np.ndarray
    groups: Groups
    weights: np.ndarray

    @property
    def channels(self) -> np.ndarray:
        """float64[N, 2, C]: weight under its label, for all examples, then for each group."""
        member = np.concatenate([np.ones((1, len(self.labels))), self.groups.membership])
        weight = (member * self.weights).T
        return np.stack([weight * (self.labels == label)[:, None] for label in (0, 1)], axis=1)


def variant_names(scores: Any, names: Any) -> list[str]:
    """Names the variants: as given, else a DataFrame's columns, else "0", "1", ....

    Raises:
      InputError: not one name per variant, or a name twice.
    """
    frame = isinstance(scores, pd.DataFrame)
    count = scores.shape[1] if frame else np.shape(scores)[0] if np.ndim(scores) else 0
    if names is None:
        names = scores.columns if frame else range(count)
    names = [str(name) for name in names]
    if len(names) != count:
        raise InputError(f"names has {len(names)} entries for {count} variants")
    if len(set(names)) != count:
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"names has '{twice}' twice; every variant needs its own")
    return names


def check(examples: Examples, names: list[str], where: str = "") -> Checked:
    """Turns examples into arrays.

    Args:
      examples: what the user gave.
      names: one per variant.
      where: prefix of the argument in errors, such as "validation.".

    Raises:
      InputError: shapes that disagree, labels other than 0 and 1, NaN scores, weights that are
        negative or not finite, groups that are floats.
    """
    if isinstance(examples.scores, pd.DataFrame):
        scores = examples.scores.to_numpy().T
    else:
        scores = np.asarray(examples.scores)
    if scores.ndim != 2:
        raise InputError(
            f"{where}scores has shape {scores.shape}; expected [variants, examples] "
            "(one model: scores[None])"
        )
    if scores.dtype.kind not in "fiub":
        raise InputError(f"{where}scores has dtype {scores.dtype}; expected numbers")
    if scores.shape[0] != len(names):
        raise InputError(f"{where}scores has {scores.shape[0]} variants, not {len(names)}")
    with np.errstate(over="ignore"):  # Beyond float32 is infinite, which is a fine score.
        scores = scores.astype(np.float32)
    nan = np.isnan(scores)
    if nan.any():
        variant, row = np.argwhere(nan)[0]
        raise InputError(
            f"{where}scores of variant '{names[variant]}' at row {row} is NaN, and "
            f"{int(nan.sum()) - 1} more; drop those variants or examples"
        )
    n = scores.shape[1]
    return Checked(
        scores,
        _labels(examples.labels, n, where),
        as_groups(examples.groups, n, f"{where}groups"),
        _weights(examples.weights, n, where),
    )


def _labels(labels: Any, n: int, where: str) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape != (n,):
        raise InputError(f"{where}labels has shape {labels.shape}; expected ({n},) as in scores")
    wrong = ~np.isin(labels, (0, 1))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(f"{where}labels must be 0 or 1; row {row} is {labels[row]!r}")
    return labels.astype(np.int32)


def _weights(weights: Any, n: int, where: str) -> np.ndarray:
    if weights is None:
        return np.ones(n)
    weights = np.asarray(weights)
    if weights.shape != (n,):
        raise InputError(f"{where}weights has shape {weights.shape}; expected ({n},) as in scores")
    weights = weights.astype(np.float64)
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(f"{where}weights must be finite and >= 0; row {row} is {weights[row]}")
    return weights
