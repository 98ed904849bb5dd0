"""Members: the arrays of one training in a pack, and its static schedule."""

import functools
import hashlib

import jax
import numpy as np

from jaxbias.curation import Draw
from jaxbias.models import Network
from jaxbias.plan.variants import Recipe
from jaxbias.training import Hyper, Penalty, Schedule, TrainingSet


def schedule_of(recipe: Recipe, objective: str, n: int, cells: int, labels: int = 1) -> Schedule:
    """Returns the static shapes of a run.

    Args:
      recipe: how it is trained.
      objective: what is minimised.
      n: its examples.
      cells: of its task.
      labels: of each example.
    """
    mode, epochs, batch, momentum, optimizer, curve = recipe.shape
    return Schedule(
        n, epochs, batch, momentum, mode, objective, cells, optimizer, curve, labels=labels
    )


def examples_of(draw: Draw, labels: np.ndarray) -> TrainingSet:
    """Returns the curated set of a draw, given the labels [N, K] of its whole dataset."""
    return TrainingSet(draw.ids, labels[draw.ids], draw.weights, draw.cells, draw.balanced())


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


@functools.cache
def activations_of(network: Network) -> tuple[int, ...]:
    """Returns the shape of what the last block of a network sees of one image."""
    side = network.image_size
    image = jax.ShapeDtypeStruct((1, side, side, 3), np.uint8)
    params = jax.eval_shape(network.init, jax.random.key(0))
    return jax.eval_shape(network.trunk, params, image).shape[1:]


def inputs_of(network: Network) -> int:
    """Returns how many features the head of a network sees."""
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    return shapes["head"]["kernel"].shape[0]
