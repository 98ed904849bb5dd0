"""One step of pretraining as a pure function of one device's part of a batch.

`jaxbias.parallel.lift` spreads it over devices. What a run is made of, its initialisation, batches
and augmentations, depends on its key and on places in the whole batch, never on the devices.
"""

import dataclasses
import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import traverse_util

from jaxbias.models import Network, Parts
from jaxbias.models.registry import Flat, Params
from jaxbias.parallel import sum_of_parts
from jaxbias.training.augment import random_views
from jaxbias.training.contrastive import nt_xent
from jaxbias.training.objectives import example_losses, multilabel_losses
from jaxbias.training.run import DROP_FACTOR

_PROJECTOR = "projector"  # Of SimCLR; beside the network's own parts, and dropped at the end.


@dataclasses.dataclass(frozen=True)
class Course:
    """How a long training goes, all of it static.

    Attributes:
      objective: "supervised", "multilabel" or "simclr".
      steps: of the optimiser.
      batch: examples per step.
      accumulate: parts of a batch that are computed one after another, their gradients added.
      optimizer: "sgd" or "adamw".
      schedule: "step", a tenth from `drop_at` on; "cosine", down to 0.
      learning_rate: at its highest.
      warmup: share of the steps in which the learning rate rises to that.
      drop_at: share of the steps after which "step" drops.
      weight_decay: of all trained parameters.
      momentum: of SGD.
      temperature: of SimCLR.
      projection: of SimCLR, width of what is compared.
    """

    objective: str
    steps: int
    batch: int
    accumulate: int
    optimizer: str
    schedule: str
    learning_rate: float
    warmup: float
    drop_at: float
    weight_decay: float
    momentum: float
    temperature: float
    projection: int


class Batch(NamedTuple):
    """A batch, or a device's part of it, in A pieces of M examples."""

    images: jax.Array  # uint8[A, M, S, S, 3], or int32[A, M], rows of a store on the device
    labels: jax.Array  # int32[A, M, K]; -1: unknown
    weights: jax.Array  # float32[A, M]
    places: jax.Array  # int32[A, M], of each example in the whole batch


class TrainState(NamedTuple):
    """What one step hands to the next."""

    trained: Flat
    statistics: Flat
    optimizer: optax.OptState
    index: jax.Array  # int32[], of the next step


class StepMetrics(NamedTuple):
    """What a step tells."""

    loss: jax.Array  # float[], of the whole batch
    finite: jax.Array  # bool[], whether the loss is, and the state after the step


@dataclasses.dataclass(frozen=True)
class Step:
    """The step of one course.

    Attributes:
      network: the architecture.
      course: how it is trained.
    """

    network: Network
    course: Course

    def begin(self, params: Params, key: jax.Array) -> TrainState:
        """Returns the state before the first step.

        Args:
          params: of `Network.init`.
          key: SimCLR's projector is drawn from it.
        """
        parts = self.network.partition(params, "full")
        trained = dict(parts.trained)
        if self.course.objective == "simclr":
            trained = {path: x for path, x in trained.items() if path[0] != "head"}
            trained |= self._projector(key, params["head"]["kernel"])
        dtype = next(iter(trained.values())).dtype
        optimizer = self._optimizer.init(trained)
        optimizer = optimizer._replace(
            hyperparams={name: value.astype(dtype) for name, value in optimizer.hyperparams.items()}
        )
        return TrainState(trained, dict(parts.statistics), optimizer, jnp.int32(0))

    def params_of(self, state: TrainState, fresh: Params) -> Params:
        """Returns the network's parameters; what the objective does not train stays fresh."""
        whole = traverse_util.flatten_dict(fresh)
        known = {path: x for path, x in state.trained.items() if path[0] != _PROJECTOR}
        return traverse_util.unflatten_dict({**whole, **state.statistics, **known})

    def __call__(
        self,
        state: TrainState,
        batch: Batch,
        key: jax.Array,
        store: jax.Array | None = None,
        parts: int = 1,
    ) -> tuple[TrainState, StepMetrics]:
        """Does a step.

        Args:
          state: before it.
          batch: this device's part of the batch.
          key: data of the run's key.
          store: uint8[N, S, S, 3] where the batch names rows of it.
          parts: devices of the mesh axis "data" that have a part each.

        Returns:
          The state after it, and what it tells.
        """
        dtype = next(iter(state.trained.values())).dtype
        _, flips = jax.random.split(key)
        chance = jax.random.fold_in(flips, state.index)
        weight = sum_of_parts(batch.weights.astype(dtype).sum(), parts)
        weight = jnp.maximum(weight, jnp.finfo(dtype).tiny)

        def piece(  # noqa: ANN202
            carry: tuple[Flat, Flat, jax.Array], inputs: Batch
        ):
            gradients, statistics, loss = carry
            (more, statistics), new = jax.value_and_grad(self._loss, has_aux=True)(
                state.trained, statistics, inputs, weight, chance, store, parts
            )
            return (jax.tree.map(jnp.add, gradients, new), statistics, loss + more), None

        nothing = jax.tree.map(jnp.zeros_like, state.trained)
        begin = (nothing, state.statistics, jnp.zeros((), dtype))
        if self.course.accumulate == 1:
            # No loop of one: XLA:CPU convolutions are slower inside loops.
            end, _ = piece(begin, jax.tree.map(lambda x: x[0], batch))
        else:
            end, _ = jax.lax.scan(piece, begin, batch)
        gradients, statistics, loss = end
        loss, gradients = sum_of_parts((loss, gradients), parts)

        hyper = {**state.optimizer.hyperparams, "learning_rate": self.rate(state.index, dtype)}
        with jax.numpy_dtype_promotion("standard"):  # AdamW raises a float to its integer count.
            updates, optimizer = self._optimizer.update(
                gradients, state.optimizer._replace(hyperparams=hyper), state.trained
            )
        trained = optax.apply_updates(state.trained, updates)
        after = (*statistics.values(), *trained.values())
        finite = [jnp.isfinite(loss), *(jnp.isfinite(x).all() for x in after)]
        metrics = StepMetrics(loss, functools.reduce(jnp.logical_and, finite))
        return TrainState(trained, statistics, optimizer, state.index + 1), metrics

    def rate(self, index: jax.Array, dtype: jnp.dtype) -> jax.Array:
        """Returns the learning rate of a step."""
        course = self.course
        warm = math.ceil(course.warmup * course.steps)
        peak = jnp.asarray(course.learning_rate, dtype)
        place = index.astype(dtype)
        if course.schedule == "cosine":
            share = (place - warm) / max(course.steps - warm, 1)
            rate = peak * 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(share, 0, 1)))
        else:
            dropped = place >= course.drop_at * course.steps
            rate = peak * jnp.where(dropped, DROP_FACTOR, 1.0).astype(dtype)
        return jnp.where(place < warm, peak * (place + 1) / max(warm, 1), rate)

    def _loss(
        self,
        trained: Flat,
        statistics: Flat,
        batch: Batch,
        weight: jax.Array,
        chance: jax.Array,
        store: jax.Array | None,
        parts: int,
    ) -> tuple[jax.Array, Flat]:
        """This device's part of the loss of one piece, and the updated statistics."""
        network, course = self.network, self.course
        images = batch.images if store is None else store[batch.images]
        if course.objective == "simclr":
            return self._contrast(trained, statistics, images, batch.places, chance, parts)
        mirrored = network.mirrored(chance, course.batch)[batch.places]
        images = network.mirror(images, mirrored)
        logits, statistics = network.train_logits(
            Parts(trained, statistics, {}), images, "full", parts
        )
        if course.objective == "multilabel":
            losses = multilabel_losses(logits, batch.labels)
        else:
            losses = example_losses(logits, batch.labels[:, 0])
        return jnp.sum(losses * batch.weights.astype(losses.dtype)) / weight, statistics

    def _contrast(
        self,
        trained: Flat,
        statistics: Flat,
        images: jax.Array,
        places: jax.Array,
        chance: jax.Array,
        parts: int,
    ) -> tuple[jax.Array, Flat]:
        course = self.course
        projector = {path[1]: x for path, x in trained.items() if path[0] == _PROJECTOR}
        network = {path: x for path, x in trained.items() if path[0] != _PROJECTOR}
        dtype = projector["hidden"].dtype
        keys = jax.random.split(chance, (2, course.batch))[:, places]
        views = jnp.concatenate([random_views(images, each, dtype) for each in keys])
        features, statistics = self.network.train_features(
            Parts(network, statistics, self._no_head(projector["bias"])), views, parts
        )
        hidden = jax.nn.relu(features @ projector["hidden"] + projector["bias"][None, :])
        first, second = jnp.split(hidden @ projector["out"], 2)
        return nt_xent(first, second, course.temperature, parts), statistics

    def _no_head(self, features: jax.Array) -> Flat:
        """The head sees nothing of this objective, but the network has one."""
        count, outputs = features.shape[0], self.network.outputs
        return {
            ("head", "kernel"): jnp.zeros((count, outputs), features.dtype),
            ("head", "bias"): jnp.zeros((outputs,), features.dtype),
        }

    def _projector(self, key: jax.Array, like: jax.Array) -> Flat:
        """Two layers on the features, as many as `like` has rows, in its dtype."""
        # A key of its own: the halves of this one order batches and draw augmentations.
        hidden, out = jax.random.split(jax.random.fold_in(key, 1))
        make = jax.nn.initializers.he_normal()
        inputs, dtype = like.shape[0], like.dtype
        return {
            (_PROJECTOR, "hidden"): make(hidden, (inputs, inputs), dtype),
            (_PROJECTOR, "bias"): jnp.zeros((inputs,), dtype),
            (_PROJECTOR, "out"): make(out, (inputs, self.course.projection), dtype),
        }

    @property
    def _optimizer(self) -> optax.GradientTransformation:
        course = self.course

        def make(learning_rate: float) -> optax.GradientTransformation:
            if course.optimizer == "adamw":
                return optax.adamw(learning_rate, weight_decay=course.weight_decay)
            return optax.chain(
                optax.add_decayed_weights(course.weight_decay),
                optax.sgd(learning_rate, momentum=course.momentum),
            )

        return optax.inject_hyperparams(make)(learning_rate=0.0)
