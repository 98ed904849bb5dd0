"""Examples: scores, labels, groups and weights of any framework, checked once."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from jaxbias import words
from jaxbias.errors import InputError
from jaxbias.metrics.arrays import as_array
from jaxbias.metrics.groups import Groups, as_groups


@dataclasses.dataclass(frozen=True)
class Examples:
    """A set of scored examples.

    Attributes:
      scores: float[V, N], higher is more positive; or a DataFrame, one column per variant.
      labels: N of 0 and 1, missing where unknown.
      groups: N values, a mapping of several columns, or `Groups`; may be None.
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
      scores: float32[V, N], no NaN; a JAX array where the variants are split over devices.
      labels: int32[N], 0 or 1.
      groups: G names and float64[G, N].
      weights: float64[N]; 0 where the label is missing.
    """

    scores: np.ndarray | jax.Array
    labels: np.ndarray
    groups: Groups
    weights: np.ndarray


def variant_names(scores: Any, names: Any) -> list[str]:
    """Names the variants: as given, else a DataFrame's columns, else "0", "1", ....

    Raises:
      InputError: not one name per variant, or a name twice.
    """
    frame = isinstance(scores, pd.DataFrame)
    shape = scores.shape if hasattr(scores, "shape") else np.shape(scores)
    count = shape[1] if frame else shape[0] if len(shape) else 0
    if names is None:
        names = scores.columns if frame else range(count)
    names = [str(name) for name in names]
    if len(names) != count:
        raise InputError(f"names has {len(names)} entries for {words.count(count, 'variant')}")
    if len(set(names)) != count:
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"names has '{twice}' twice; every variant needs its own")
    return names


def check(
    examples: Examples, names: list[str], where: str = "", intersections: Any = ()
) -> Checked:
    """Turns examples into arrays.

    Args:
      examples: what the user gave.
      names: one per variant.
      where: prefix of the argument in errors, such as "validation.".
      intersections: of the groups' columns.

    Raises:
      InputError: shapes that disagree, labels other than 0 and 1, NaN scores, weights that are
        negative or not finite, groups that are floats, pandas indices that differ.
    """
    check_indices(examples, where)
    scores = _check_scores(examples.scores, names, where)
    n = scores.shape[1]
    labels, known = check_labels(examples.labels, n, where)
    return Checked(
        scores,
        labels,
        as_groups(examples.groups, n, f"{where}groups", intersections),
        check_weights(examples.weights, n, where) * known,
    )


def _check_scores(scores: Any, names: list[str], where: str = "") -> np.ndarray | jax.Array:
    """Returns scores as float32[V, N] without NaN."""
    frame = isinstance(scores, pd.DataFrame)
    scores = as_array(scores, f"{where}scores")
    if frame:
        scores = scores.T
    if scores.ndim != 2:
        raise InputError(
            f"{where}scores has shape {scores.shape}; expected [variants, examples] "
            "(one model: scores[None])"
        )
    if scores.dtype.kind not in "fiub" and scores.dtype != jnp.bfloat16:
        raise InputError(f"{where}scores has dtype {scores.dtype}; expected numbers")
    if scores.shape[0] != len(names):
        raise InputError(
            f"{where}scores has {words.count(scores.shape[0], 'variant')}, not {len(names)}"
        )
    if isinstance(scores, jax.Array):
        scores = scores.astype(jnp.float32)
        broken = np.asarray(jnp.isnan(scores).sum(axis=1))
    else:
        with np.errstate(over="ignore"):  # Beyond float32 is infinite, which is a fine score.
            scores = scores.astype(np.float32, copy=False)
        broken = np.array([np.isnan(row).sum() for row in scores])
    if broken.any():
        variant = int(np.argmax(broken > 0))
        row = int(np.argmax(np.isnan(np.asarray(scores[variant]))))
        raise InputError(
            f"{where}scores of variant '{names[variant]}' at row {row} is NaN, and "
            f"{int(broken.sum()) - 1} more; drop those variants or examples"
        )
    return scores


def check_weights(weights: Any, n: int, where: str = "") -> np.ndarray:
    """Returns weights as float64[N], all 1 where there are none."""
    if weights is None:
        return np.ones(n)
    weights = as_array(weights, f"{where}weights")
    if weights.shape != (n,):
        raise InputError(f"{where}weights has shape {weights.shape}; expected ({n},) as in scores")
    weights = np.asarray(weights, np.float64)
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(f"{where}weights must be finite and >= 0; row {row} is {weights[row]}")
    return weights


def check_indices(examples: Examples, where: str = "") -> None:
    """Refuses pandas objects whose rows are not the same examples: pandas would align them."""
    named = {"scores": examples.scores, "labels": examples.labels, "weights": examples.weights}
    named["groups"] = examples.groups
    frames = {k: v for k, v in named.items() if isinstance(v, pd.DataFrame | pd.Series)}
    for name, frame in list(frames.items())[1:]:
        first = next(iter(frames))
        if len(frame) == len(frames[first]) and not frame.index.equals(frames[first].index):
            raise InputError(
                f"{where}{name} and {where}{first} have different pandas indices; align them "
                f"({name}.loc[{first}.index]) or pass arrays (.to_numpy())"
            )


def check_labels(labels: Any, n: int, where: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Returns int32[N], 0 where missing, and bool[N], whether it is known."""
    if not isinstance(labels, pd.Series):
        labels = as_array(labels, f"{where}labels")
    if labels.shape != (n,):
        raise InputError(f"{where}labels has shape {labels.shape}; expected ({n},) as in scores")
    known = ~np.asarray(pd.isna(labels))
    values = np.asarray(labels)[known]
    wrong = ~np.isin(values, (0, 1))
    if wrong.any():
        row = int(np.flatnonzero(known)[np.argmax(wrong)])
        value = values[np.argmax(wrong)]
        raise InputError(f"{where}labels must be 0 or 1, or missing; row {row} is {value}")
    found = np.zeros(n, np.int32)
    found[known] = values.astype(np.int32)
    return found, known
