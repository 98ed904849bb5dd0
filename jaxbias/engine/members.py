"""Members: the arrays of one training in a pack, its static schedule, and their bare shapes."""

import hashlib
from typing import Any

import jax
import numpy as np

from jaxbias.curation import Draw
from jaxbias.models import Head, Network
from jaxbias.models.registry import Params
from jaxbias.plan.variants import Recipe
from jaxbias.training import Examples, Hyper, Penalty, Schedule


def schedule_of(recipe: Recipe, objective: str, n: int, cells: int) -> Schedule:
    """Returns the static shapes of a run.

    Args:
      recipe: how it is trained.
      objective: what is minimised.
      n: its examples.
      cells: of its task.
    """
    mode, epochs, batch, momentum, optimizer, curve = recipe.shape
    return Schedule(n, epochs, batch, momentum, mode, objective, cells, optimizer, curve)


def examples_of(draw: Draw, labels: np.ndarray) -> Examples:
    """Returns the curated set of a draw, given the labels of its whole dataset."""
    chosen = labels[draw.ids].astype(np.int32)
    return Examples(draw.ids, chosen, draw.weights, draw.cells, draw.balanced())


def hyper_of(recipe: Recipe) -> Hyper:
    """Returns the numbers of a recipe that may differ within a program."""
    return Hyper(*(np.float32(getattr(recipe, name)) for name in Hyper._fields))


def penalty_of(recipe: Recipe) -> Penalty:
    """Returns the numbers of a fit to convergence."""
    return Penalty(np.float32(recipe.C), np.float32(recipe.tolerance))


def key_of(purpose: str, seed: int) -> np.ndarray:
    """Data of a key of purpose and seed alone: variants of a seed share batch orders and heads."""
    digest = hashlib.sha256(f"{purpose}/{seed}".encode()).digest()
    return np.asarray(jax.random.key_data(jax.random.key(int.from_bytes(digest[:4], "little"))))


def inputs_of(network: Network) -> int:
    """Returns how many features the head of a network sees."""
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    return shapes["head"]["kernel"].shape[0]


def network_shapes(network: Network, n: int) -> tuple[Params, Examples, Hyper, Any]:
    """Returns the shapes of a member that trains a network on n examples."""
    params = jax.eval_shape(network.init, jax.random.key(0))
    return params, _examples_shapes(n), _numbers(Hyper), _shaped(key_of("", 0))


def head_shapes(head: Head, n: int) -> tuple[Params, Examples, Hyper]:
    """Returns the shapes of a member that trains a head by SGD."""
    kernel = jax.ShapeDtypeStruct((head.inputs, head.outputs), np.float32)
    bias = jax.ShapeDtypeStruct((head.outputs,), np.float32)
    return {"head": {"kernel": kernel, "bias": bias}}, _examples_shapes(n), _numbers(Hyper)


def fit_shapes(n: int) -> tuple[Examples, Penalty]:
    """Returns the shapes of a member that fits a head to convergence."""
    return _examples_shapes(n), _numbers(Penalty)


def _examples_shapes(n: int) -> Examples:
    whole, real = (jax.ShapeDtypeStruct((n,), dtype) for dtype in (np.int32, np.float32))
    return Examples(ids=whole, labels=whole, weights=real, cells=whole, balanced=whole)


def _numbers(kind: type) -> Any:
    return kind(*[jax.ShapeDtypeStruct((), np.float32)] * len(kind._fields))


def _shaped(array: np.ndarray) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(array.shape, array.dtype)
