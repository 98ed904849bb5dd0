"""Schedules: what fixes the shapes of a run, the numbers that vary in them, and the optimiser."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

# The authors multiply the learning rate by 0.1 late in training.
_DROP_FACTOR = 0.1


@dataclasses.dataclass(frozen=True)
class Schedule:
    """What fixes the shapes of a run: runs of one schedule share a compiled program.

    Attributes:
      n: examples.
      epochs: passes over them.
      batch: examples per step.
      momentum: of SGD.
      mode: which parameters are trained, one of `Network.partition`.
      objective: "erm", the weighted mean loss; "group_dro", the loss of the cells weighted towards
        the worst (Sagawa et al., 2020); "dfr", ERM and then a head refitted on a balanced part of
        the same examples (after Kirichenko et al., 2023); "simclr", without labels (Chen et al.,
        2020).
      cells: how many there are; only group DRO asks.
      optimizer: "sgd" or "adamw".
      curve: of the learning rate: "step", a tenth from `Hyper.drop_at` on; "cosine", down to 0.
      temperature: of SimCLR.
      projection: of SimCLR, width of what is compared.
      labels: K, of each example: one per output, or the class of several.
    """

    n: int
    epochs: int
    batch: int
    momentum: float
    mode: str = "full"
    objective: str = "erm"
    cells: int = 1
    optimizer: str = "sgd"
    curve: str = "step"
    temperature: float = 0.5
    projection: int = 64
    labels: int = 1

    @property
    def steps(self) -> int:
        """Whole batches in `epochs` passes over n; a small n fills batches across epochs."""
        return self.steps_after(self.epochs)

    def steps_after(self, epochs: int) -> int:
        """Returns the steps of the first passes; the first takes at least one."""
        return max(1, epochs * self.n // self.batch) if epochs else 0


class Hyper(NamedTuple):
    """Numeric hyperparameters: float32[] each, so they vary between runs of one program."""

    learning_rate: jax.Array  # At its highest.
    weight_decay: jax.Array  # Of all trained parameters.
    drop_at: jax.Array  # Share of the steps after which the learning rate falls tenfold.
    dro_step: jax.Array  # Of group DRO's weights.
    warmup: jax.Array = np.float32(0)  # Share of the steps in which the learning rate rises.


def learning_rate(schedule: Schedule, hyper: Hyper, place: jax.Array) -> jax.Array:
    """Returns the learning rate of a step.

    Args:
      schedule: of the run.
      hyper: its numbers, in the dtype of computation.
      place: int32[], of the step in the run.
    """
    dtype = hyper.learning_rate.dtype
    place = place.astype(dtype)
    # A share such as 0.1 is no binary fraction: a tenth of 30 steps are 3.
    warm = jnp.ceil(hyper.warmup * schedule.steps * (1 - 1e-6))
    if schedule.curve == "cosine":
        share = (place - warm) / jnp.maximum(schedule.steps - warm, 1)
        factor = 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(share, 0, 1)))
    else:
        dropped = place >= hyper.drop_at * schedule.steps
        factor = jnp.where(dropped, _DROP_FACTOR, 1.0).astype(dtype)
    rising = (place + 1) / jnp.maximum(warm, 1)
    return hyper.learning_rate * jnp.where(place < warm, rising, factor)


def optimizer_of(
    schedule: Schedule, rate: float | jax.Array, decay: float | jax.Array
) -> optax.GradientTransformation:
    """Returns the optimiser of a step, given its learning rate and weight decay."""
    if schedule.optimizer == "adamw":
        return optax.adamw(rate, weight_decay=decay)
    return optax.chain(
        optax.add_decayed_weights(decay), optax.sgd(rate, momentum=schedule.momentum)
    )
