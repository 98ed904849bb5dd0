"""One whole training run, pretraining or finetuning, as a pure function of arrays."""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxbias.models import Head, Network, Parts
from jaxbias.models.registry import Flat, Params
from jaxbias.parallel import join_parts, part_of, sum_of_parts
from jaxbias.training.objectives import LOSSES, cell_means, weighted_mean

# The authors multiply the learning rate by 0.1 late in training.
DROP_FACTOR = 0.1
# Measured on 2 CPU cores at 32²: 64 scores 6,000 images in 136 ms, 256 in 170, 1,000 in 228.
_SCORE_BATCH = 64


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
        the same examples (after Kirichenko et al., 2023).
      cells: how many there are; only group DRO asks.
    """

    n: int
    epochs: int
    batch: int
    momentum: float
    mode: str = "full"
    objective: str = "erm"
    cells: int = 1

    @property
    def steps(self) -> int:
        """Whole batches in `epochs` passes over n; a small n fills batches across epochs."""
        return self.steps_after(self.epochs)

    def steps_after(self, epochs: int) -> int:
        """Returns the steps of the first passes; the first takes at least one."""
        return max(1, epochs * self.n // self.batch) if epochs else 0


class Hyper(NamedTuple):
    """Numeric hyperparameters: float32[] each, so they vary between runs of one program."""

    learning_rate: jax.Array
    weight_decay: jax.Array
    drop_at: jax.Array  # Share of the steps after which the learning rate falls tenfold.
    dro_step: jax.Array  # Of group DRO's weights.


class Examples(NamedTuple):
    """The curated set of a run."""

    ids: jax.Array  # int32[n], rows of the image store
    labels: jax.Array  # int32[n]
    weights: jax.Array  # float32[n]
    cells: jax.Array  # int32[n]
    balanced: jax.Array  # int32[n], places among these of a balanced part, repeated


class Trained(NamedTuple):
    """The end of a run."""

    params: Params
    loss: jax.Array  # float32[], of the last step
    diverged_at: jax.Array  # int32[], step of the first non-finite loss; -1: none


class State(NamedTuple):
    """What one step hands to the next; a run may be cut between any two."""

    params: Params  # Within `advance`, those of its parts that change.
    optimizer: optax.OptState  # Of the parameters that are trained.
    cell_weights: jax.Array  # float[cells], of group DRO; they add up to 1.
    loss: jax.Array
    diverged_at: jax.Array


class Steps(NamedTuple):
    """Steps of a run."""

    index: jax.Array  # int32[K], their places in the run
    batches: jax.Array  # int32[K, batch], places among the examples
    images: jax.Array | None = None  # uint8[K, batch, S, S, 3] where they come from the host


Span = tuple[int | jax.Array, int | jax.Array]  # From the first, up to the second.


@dataclasses.dataclass(frozen=True)
class Phase:
    """A stretch of training of the parameters of one mode.

    Attributes:
      network: the architecture, or a head whose images are stored features float[N, F].
      schedule: the static shapes of the run.
      mode: which parameters are trained, one of `Network.partition`.
      parts: devices of the mesh axis "data", each of which has a part of every batch.
    """

    network: Network | Head
    schedule: Schedule
    mode: str
    parts: int = 1

    def begin(self, params: Params) -> State:
        """Returns the state before the first step, in the dtype of the parameters."""
        dtype = jax.tree.leaves(params)[0].dtype  # float32; float64 where layouts are compared
        optimizer = self._optimizer.init(self.network.partition(params, self.mode).trained)
        optimizer = optimizer._replace(
            hyperparams={k: v.astype(dtype) for k, v in optimizer.hyperparams.items()}
        )
        cells = self.schedule.cells
        even = jnp.full((cells,), 1 / cells, dtype)
        return State(params, optimizer, even, jnp.zeros((), dtype), jnp.int32(-1))

    def advance(
        self,
        state: State,
        steps: Steps,
        span: Span,
        examples: Examples,
        hyper: Hyper,
        key: jax.Array,
        images: jax.Array | None,
    ) -> State:
        """Trains for some steps.

        Args:
          state: before them.
          steps: K of a run.
          span: which of the K. Where a run may be cut both are arrays: where XLA knows the length
            of a loop it makes another program of one step than of several, and that may round
            otherwise.
          examples: the curated set.
          hyper: numeric hyperparameters.
          key: of the run; it orders the batches and flips the images.
          images: the shared store uint8[N, S, S, 3], or None where the steps bring their own.

        Returns:
          The state after them. A run whose loss turns non-finite keeps the last finite parameters
          and does nothing more.
        """
        network, schedule, parts = self.network, self.schedule, self.parts
        dtype = jax.tree.leaves(state.params)[0].dtype
        examples = examples._replace(weights=examples.weights.astype(dtype))
        hyper = Hyper(*(value.astype(dtype) for value in hyper))
        _, flip_key = jax.random.split(key)
        if steps.index.shape[0] == 1:  # Or XLA would not take a row of one that is all there is.
            steps = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), steps)
        split = network.partition(state.params, self.mode)

        def loss_of(  # noqa: ANN202
            trained: Flat, statistics: Flat, x: jax.Array, batch: jax.Array, cell_weights: jax.Array
        ):
            part = part_of(batch, parts)
            now = Parts(trained, statistics, split.frozen)
            logits, statistics = network.train_logits(now, x, self.mode, parts)
            losses = LOSSES[schedule.objective](logits, examples.labels[part])
            if schedule.objective != "group_dro":
                weights = examples.weights
                loss = weighted_mean(losses, weights[part], weights[batch])
                return loss, (statistics, cell_weights)
            cells = examples.cells
            by_cell = cell_means(losses, cells[part], schedule.cells, cells[batch])
            worst = sum_of_parts(jax.lax.stop_gradient(by_cell), parts)
            shifted = cell_weights * jnp.exp(hyper.dro_step * worst)
            shifted = shifted / shifted.sum()
            return jnp.sum(shifted * by_cell), (statistics, shifted)

        def step(i: jax.Array, state: State) -> State:
            index, batch, x = jax.tree.map(lambda leaf: _row(leaf, i), steps)
            x = images[examples.ids[batch]] if x is None else x
            # The whole batch on every device, for chance turns its images over by their places.
            x = part_of(network.augment(x, jax.random.fold_in(flip_key, index)), parts)
            trained, statistics, _ = state.params
            (loss, (statistics, cell_weights)), gradients = jax.value_and_grad(
                loss_of, has_aux=True
            )(trained, statistics, x, batch, state.cell_weights)
            loss, gradients = sum_of_parts((loss, gradients), parts)
            dropped = index.astype(dtype) >= hyper.drop_at * schedule.steps
            rate = hyper.learning_rate * jnp.where(dropped, DROP_FACTOR, 1.0).astype(dtype)
            old = state.optimizer._replace(
                hyperparams={"learning_rate": rate, "weight_decay": hyper.weight_decay}
            )
            updates, new = self._optimizer.update(gradients, old, trained)
            params = Parts(optax.apply_updates(trained, updates), statistics, {})

            # Norms can hide from the loss that activations have overflowed.
            finite = [jnp.isfinite(loss), *(jnp.isfinite(x).all() for x in statistics.values())]
            diverged = (state.diverged_at < 0) & ~functools.reduce(jnp.logical_and, finite)
            diverged_at = jnp.where(diverged, index, state.diverged_at)
            keep = diverged_at < 0
            params, new, cell_weights = jax.tree.map(
                lambda new, old: jnp.where(keep, new, old),
                (params, new, cell_weights),
                (state.params, old, state.cell_weights),
            )
            return State(params, new, cell_weights, loss, diverged_at)

        # The frozen parts stay outside the loop.
        begin = state._replace(params=split._replace(frozen={}))
        end = jax.lax.fori_loop(*span, step, begin)
        return end._replace(params=end.params._replace(frozen=split.frozen).join())

    @property
    def _optimizer(self) -> optax.GradientTransformation:
        def make(learning_rate: float, weight_decay: float) -> optax.GradientTransformation:
            return optax.chain(
                optax.add_decayed_weights(weight_decay),
                optax.sgd(learning_rate, momentum=self.schedule.momentum),
            )

        return optax.inject_hyperparams(make)(learning_rate=0.0, weight_decay=0.0)


def make_train(
    network: Network | Head, schedule: Schedule, parts: int = 1
) -> Callable[..., Trained]:
    """Makes the run of a schedule.

    Args:
      network: the architecture, or a head whose `images` are stored features float[N, F].
      schedule: its static shapes.
      parts: as of `Phase`.

    Returns:
      `train(params, examples, hyper, key, images, batches=None) -> Trained`, where `images` is the
      shared store uint8[N, S, S, 3] and `key` orders the batches and flips; runs that share a key
      may share `batches_of` it. A run whose loss turns non-finite
      keeps the last finite parameters and does nothing more.
    """
    phase = Phase(network, schedule, schedule.mode, parts)
    refit = Phase(network, schedule, "head", parts)

    def train(
        params: Params,
        examples: Examples,
        hyper: Hyper,
        key: jax.Array,
        images: jax.Array,
        batches: jax.Array | None = None,
    ) -> Trained:
        batches = batches_of(key, schedule) if batches is None else batches
        index = jnp.arange(schedule.steps, dtype=jnp.int32)
        begin, span = phase.begin(params), (0, schedule.steps)
        end = phase.advance(begin, Steps(index, batches), span, examples, hyper, key, images)
        first = Trained(end.params, end.loss, end.diverged_at)
        if schedule.objective != "dfr":
            return first
        places = examples.balanced[batches]
        begin = refit.begin(headless(first.params))
        end = refit.advance(begin, Steps(index, places), span, examples, hyper, key, images)
        late = jnp.where(end.diverged_at < 0, -1, end.diverged_at + schedule.steps)
        diverged_at = jnp.where(first.diverged_at < 0, late, first.diverged_at)
        return Trained(end.params, end.loss, diverged_at)

    return train


def headless(params: Params) -> Params:
    """Returns parameters whose head starts anew, or DFR would keep what the first phase learnt."""
    return {**params, "head": jax.tree.map(jnp.zeros_like, params["head"])}


def make_score(
    network: Network, parts: int = 1
) -> Callable[[Params, jax.Array, jax.Array], jax.Array]:
    """Makes `score(params, ids int32[M], images) -> logits float32[M, outputs]`.

    Args:
      network: the architecture.
      parts: devices of the mesh axis "data", each of which scores a part of the images.
    """

    def score(params: Params, ids: jax.Array, images: jax.Array) -> jax.Array:
        count = ids.shape[0]
        blocks = -(-count // (_SCORE_BATCH * parts)) * parts
        padded = jnp.pad(ids, (0, blocks * _SCORE_BATCH - count)).reshape(blocks, _SCORE_BATCH)
        logits = jax.lax.map(
            lambda block: network.logits(params, images[block]), part_of(padded, parts)
        )
        return join_parts(logits, parts).reshape(-1, network.outputs)[:count]

    return score


def _row(array: jax.Array, i: jax.Array) -> jax.Array:
    return jax.lax.dynamic_index_in_dim(array, i, keepdims=False, allow_negative_indices=False)


def batches_of(key: jax.Array, schedule: Schedule) -> jax.Array:
    """Returns int32[steps, batch]: the places of the examples of each step of a run of this key."""
    order_key, _ = jax.random.split(key)
    return _batches(order_key, schedule)


def _batches(key: jax.Array, schedule: Schedule) -> jax.Array:
    """int32[steps, batch]: a fresh permutation of the n examples each epoch, cut into batches."""
    total = schedule.steps * schedule.batch
    epochs = -(-total // schedule.n)
    keys = jax.random.split(key, epochs)
    order = jax.vmap(lambda k: jax.random.permutation(k, schedule.n))(keys)
    return order.reshape(-1)[:total].reshape(schedule.steps, schedule.batch).astype(jnp.int32)
