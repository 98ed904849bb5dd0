"""One whole training run, pretraining or finetuning, as a pure function of arrays."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxbias.models import Head, Network
from jaxbias.models.registry import Params
from jaxbias.training.objectives import cell_means, example_losses, weighted_mean

# The authors multiply the learning rate by 0.1 late in training.
_DROP_FACTOR = 0.1
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
        return max(1, self.epochs * self.n // self.batch)


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


class _State(NamedTuple):
    """What one step hands to the next."""

    params: Params  # Those that are trained.
    optimizer: optax.OptState
    cell_weights: jax.Array  # float[cells], of group DRO; they add up to 1.
    loss: jax.Array
    diverged_at: jax.Array


def make_train(network: Network | Head, schedule: Schedule) -> Callable[..., Trained]:
    """Makes the run of a schedule.

    Args:
      network: the architecture, or a head whose `images` are stored features float[N, F].
      schedule: its static shapes.

    Returns:
      `train(params, examples, hyper, key, images, batches=None) -> Trained`, where `images` is the
      shared store uint8[N, S, S, 3] and `key` orders the batches and flips; runs that share a key
      may share `batches_of` it. A run whose loss turns non-finite
      keeps the last finite parameters and does nothing more.
    """

    def make_optimizer(learning_rate: float, weight_decay: float) -> optax.GradientTransformation:
        return optax.chain(
            optax.add_decayed_weights(weight_decay),
            optax.sgd(learning_rate, momentum=schedule.momentum),
        )

    optimizer = optax.inject_hyperparams(make_optimizer)(learning_rate=0.0, weight_decay=0.0)

    def fit(
        params: Params,
        mode: str,
        batches: jax.Array,
        examples: Examples,
        hyper: Hyper,
        flip_key: jax.Array,
        images: jax.Array,
    ) -> Trained:
        """Trains the parameters of a mode on batches of places in the examples."""
        dtype = examples.weights.dtype
        trained, frozen = network.partition(params, mode)

        def loss_of(params: Params, x: jax.Array, batch: jax.Array, cell_weights: jax.Array):  # noqa: ANN202
            logits = network.logits(network.join(params, frozen), x)
            losses = example_losses(logits, examples.labels[batch])
            if schedule.objective != "group_dro":
                return weighted_mean(losses, examples.weights[batch]), cell_weights
            by_cell = cell_means(losses, examples.cells[batch], schedule.cells)
            shifted = cell_weights * jnp.exp(hyper.dro_step * jax.lax.stop_gradient(by_cell))
            shifted = shifted / shifted.sum()
            return jnp.sum(shifted * by_cell), shifted

        def step(state: _State, inputs: tuple) -> tuple[_State, None]:
            index, batch = inputs
            x = images[examples.ids[batch]]
            x = network.augment(x, jax.random.fold_in(flip_key, index))
            (loss, cell_weights), gradients = jax.value_and_grad(loss_of, has_aux=True)(
                state.params, x, batch, state.cell_weights
            )
            dropped = index.astype(dtype) >= hyper.drop_at * schedule.steps
            rate = hyper.learning_rate * jnp.where(dropped, _DROP_FACTOR, 1.0).astype(dtype)
            old = state.optimizer._replace(
                hyperparams={"learning_rate": rate, "weight_decay": hyper.weight_decay}
            )
            updates, new = optimizer.update(gradients, old, state.params)
            params = optax.apply_updates(state.params, updates)

            diverged = (state.diverged_at < 0) & ~jnp.isfinite(loss)
            diverged_at = jnp.where(diverged, index, state.diverged_at)
            keep = diverged_at < 0
            params, new, cell_weights = jax.tree.map(
                lambda new, old: jnp.where(keep, new, old),
                (params, new, cell_weights),
                (state.params, old, state.cell_weights),
            )
            return _State(params, new, cell_weights, loss, diverged_at), None

        optimizer_state = optimizer.init(trained)
        optimizer_state = optimizer_state._replace(
            hyperparams={k: v.astype(dtype) for k, v in optimizer_state.hyperparams.items()}
        )
        even = jnp.full((schedule.cells,), 1 / schedule.cells, dtype)
        start = _State(trained, optimizer_state, even, jnp.zeros((), dtype), jnp.int32(-1))
        steps = jnp.arange(schedule.steps, dtype=jnp.int32)
        end, _ = jax.lax.scan(step, start, (steps, batches))
        return Trained(network.join(end.params, frozen), end.loss, end.diverged_at)

    def train(
        params: Params,
        examples: Examples,
        hyper: Hyper,
        key: jax.Array,
        images: jax.Array,
        batches: jax.Array | None = None,
    ) -> Trained:
        dtype = jax.tree.leaves(params)[0].dtype  # float32; float64 where layouts are compared
        examples = examples._replace(weights=examples.weights.astype(dtype))
        hyper = Hyper(*(value.astype(dtype) for value in hyper))
        _, flip_key = jax.random.split(key)
        batches = batches_of(key, schedule) if batches is None else batches
        first = fit(params, schedule.mode, batches, examples, hyper, flip_key, images)
        if schedule.objective != "dfr":
            return first
        # The head starts anew, or it would keep what it has learnt from the unbalanced set.
        headless = {**first.params, "head": jax.tree.map(jnp.zeros_like, first.params["head"])}
        places = examples.balanced[batches]
        second = fit(headless, "head", places, examples, hyper, flip_key, images)
        late = jnp.where(second.diverged_at < 0, -1, second.diverged_at + schedule.steps)
        diverged_at = jnp.where(first.diverged_at < 0, late, first.diverged_at)
        return Trained(second.params, second.loss, diverged_at)

    return train


def make_score(network: Network) -> Callable[[Params, jax.Array, jax.Array], jax.Array]:
    """Makes `score(params, ids int32[M], images) -> logits float32[M, outputs]`."""

    def score(params: Params, ids: jax.Array, images: jax.Array) -> jax.Array:
        count = ids.shape[0]
        blocks = -(-count // _SCORE_BATCH)
        padded = jnp.pad(ids, (0, blocks * _SCORE_BATCH - count)).reshape(blocks, _SCORE_BATCH)
        logits = jax.lax.map(lambda block: network.logits(params, images[block]), padded)
        return logits.reshape(-1, network.outputs)[:count]

    return score


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
