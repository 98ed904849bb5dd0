"""The step: one pure function trains a batch, whatever drives it.

A whole run in a scan, a rung of a search, chunks fed from the host and the long loop over several
devices all take this step. What a run is made of, its initialisation, batches and augmentations,
depends on its key and on places in the whole batch, never on the driver or the devices.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxbias.models import Head, Network, Parts
from jaxbias.models.network import Flat, Params
from jaxbias.parallel import sum_of_parts
from jaxbias.training.augment import random_views
from jaxbias.training.contrastive import nt_xent
from jaxbias.training.objectives import LOSSES, cell_sums
from jaxbias.training.schedule import Hyper, Schedule, learning_rate, optimizer_of

_PROJECTOR = "projector"  # Of SimCLR; beside the network's own parts, and dropped at the end.


class Batch(NamedTuple):
    """A batch, or a device's part of it, in A pieces of M examples."""

    images: jax.Array  # uint8[A, M, S, S, 3], or of a head its features float[A, M, F]
    labels: jax.Array  # [A, M, K], as of `objectives.example_losses`
    weights: jax.Array  # float32[A, M]
    places: jax.Array  # int32[A, M], of each example in the whole batch
    cells: jax.Array | None = None  # int32[A, M]; only group DRO asks


class State(NamedTuple):
    """What one step hands to the next; a run may be cut between any two."""

    parts: Parts
    optimizer: optax.OptState  # Of the parameters that are trained.
    cell_weights: jax.Array  # float[cells], of group DRO; they add up to 1.
    index: jax.Array  # int32[], of the next step
    loss: jax.Array  # float[], of the last step
    diverged_at: jax.Array  # int32[], step after which something was not finite; -1: none

    @property
    def params(self) -> Params:
        """The parameters of the network."""
        return {name: x for name, x in self.parts.join().items() if name != _PROJECTOR}


@dataclasses.dataclass(frozen=True)
class Step:
    """The step of a run.

    Attributes:
      network: the architecture, or a head whose images are stored features float[N, F].
      schedule: the static shapes of the run.
      refits: whether it is DFR's second phase, as many steps again for the head alone.
    """

    network: Network | Head
    schedule: Schedule
    refits: bool = False

    @property
    def mode(self) -> str:
        """Which parameters are trained, one of `Network.partition`."""
        return "head" if self.refits else self.schedule.mode

    def begin(self, params: Params, key: jax.Array | None = None) -> State:
        """Returns the state before the first step, in the dtype of the parameters.

        Args:
          params: of `Network.init`.
          key: of the run; SimCLR's projector is drawn from it.
        """
        parts = self.network.partition(params, self.mode)
        if self.schedule.objective == "simclr":  # Which the head has no part in.
            head = {path: x for path, x in parts.trained.items() if path[0] == "head"}
            trained = {path: x for path, x in parts.trained.items() if path[0] != "head"}
            projector = self._projector(key, params["head"]["kernel"])
            parts = Parts({**trained, **projector}, parts.statistics, head)
        dtype = _dtype(parts)
        cells = self.schedule.cells
        return State(
            parts,
            optimizer_of(self.schedule, 0.0, 0.0).init(parts.trained),
            cell_weights=jnp.full((cells,), 1 / cells, dtype),
            index=jnp.int32(0),
            loss=jnp.zeros((), dtype),
            diverged_at=jnp.int32(-1),
        )

    def renew(self, state: State) -> State:
        """Returns the state in which a refit begins, given that in which the first phase ended.

        The head starts anew, or DFR would keep what the first phase learnt; that of a run that has
        diverged stays as it is, with all else.
        """
        params, sound = state.params, state.diverged_at < 0
        head = jax.tree.map(lambda x: jnp.where(sound, jnp.zeros_like(x), x), params["head"])
        ended = {name: getattr(state, name) for name in ("index", "loss", "diverged_at")}
        return self.begin({**params, "head": head})._replace(**ended)

    def __call__(
        self, state: State, batch: Batch, hyper: Hyper, key: jax.Array, parts: int = 1
    ) -> State:
        """Does a step.

        Args:
          state: before it.
          batch: this device's part of the batch.
          hyper: numeric hyperparameters.
          key: of the run, or its data.
          parts: devices of the mesh axis "data" that have a part each.

        Returns:
          The state after it. A run of which the loss, a parameter or a running statistic turns
          non-finite keeps the last finite state and does nothing more.
        """
        schedule, dtype = self.schedule, _dtype(state.parts)
        hyper = Hyper(*(value.astype(dtype) for value in hyper))
        batch = batch._replace(weights=batch.weights.astype(dtype))
        trained, statistics, frozen = state.parts
        place = state.index - schedule.steps if self.refits else state.index
        _, flips = jax.random.split(key)
        loss_of = functools.partial(
            self._loss,
            frozen=frozen,
            cell_weights=state.cell_weights,
            whole=self._whole(batch, parts),
            hyper=hyper,
            chance=jax.random.fold_in(flips, place),
            parts=parts,
        )
        gradients_of = jax.value_and_grad(loss_of, has_aux=True)

        def piece(carry: tuple[jax.Array, Flat, Flat], inputs: Batch) -> tuple[Any, jax.Array]:
            loss, gradients, statistics = carry
            (more, (statistics, shifted)), new = gradients_of(trained, statistics, inputs)
            return (loss + more, jax.tree.map(jnp.add, gradients, new), statistics), shifted

        if batch.labels.shape[0] == 1:
            # No loop of one: XLA:CPU convolutions are slower inside loops.
            only = jax.tree.map(lambda x: x[0], batch)
            (loss, (statistics, shifted)), gradients = gradients_of(trained, statistics, only)
        else:
            nothing = jax.tree.map(jnp.zeros_like, trained)
            begin = (jnp.zeros((), dtype), nothing, statistics)
            (loss, gradients, statistics), each = jax.lax.scan(piece, begin, batch)
            shifted = each[-1]
        loss, gradients = sum_of_parts((loss, gradients), parts)

        rate = learning_rate(schedule, hyper, place)
        with jax.numpy_dtype_promotion("standard"):  # AdamW raises a float to its integer count.
            updates, optimizer = optimizer_of(schedule, rate, hyper.weight_decay).update(
                gradients, state.optimizer, trained
            )
        after = Parts(optax.apply_updates(trained, updates), statistics, {})
        # Norms can hide from the loss that activations have overflowed.
        finite = [jnp.isfinite(x).all() for x in (loss, *jax.tree.leaves(after))]
        sound = functools.reduce(jnp.logical_and, finite)
        diverged = (state.diverged_at < 0) & ~sound
        diverged_at = jnp.where(diverged, state.index, state.diverged_at)
        keep = diverged_at < 0
        after, optimizer, cell_weights = jax.tree.map(
            lambda new, old: jnp.where(keep, new, old),
            (after, optimizer, shifted),
            (state.parts._replace(frozen={}), state.optimizer, state.cell_weights),
        )
        after = after._replace(frozen=frozen)
        return State(after, optimizer, cell_weights, state.index + 1, loss, diverged_at)

    def _whole(self, batch: Batch, parts: int) -> jax.Array:
        """What losses are divided by, of the batch on all devices, so that means of parts add up.

        Returns:
          float[], the sum of weights, or of group DRO float[cells], the examples of each cell.
        """
        if self.schedule.objective != "group_dro":
            total = sum_of_parts(batch.weights.sum(), parts)
            return jnp.maximum(total, jnp.finfo(total.dtype).tiny)
        one = jnp.ones_like(batch.weights).reshape(-1)
        counts = cell_sums(one, batch.cells.reshape(-1), self.schedule.cells)
        return jnp.maximum(sum_of_parts(counts, parts), 1)

    def _loss(
        self,
        trained: Flat,
        statistics: Flat,
        batch: Batch,
        *,
        frozen: Flat,
        cell_weights: jax.Array,
        whole: jax.Array,
        hyper: Hyper,
        chance: jax.Array,
        parts: int,
    ) -> tuple[jax.Array, tuple[Flat, jax.Array]]:
        """This device's part of the loss of a piece; the updated statistics and cell weights."""
        network, schedule = self.network, self.schedule
        now = Parts(trained, statistics, frozen)
        if schedule.objective == "simclr":
            loss, statistics = self._contrast(now, batch, chance, parts)
            return loss, (statistics, cell_weights)
        images = network.augment(batch.images, chance, batch.places, schedule.batch)
        logits, statistics = network.train_logits(now, images, self.mode, parts)
        losses = LOSSES[schedule.objective](logits, batch.labels)
        if schedule.objective != "group_dro":
            return jnp.sum(losses * batch.weights) / whole, (statistics, cell_weights)
        by_cell = cell_sums(losses, batch.cells, schedule.cells) / whole
        worst = sum_of_parts(jax.lax.stop_gradient(by_cell), parts)
        shifted = cell_weights * jnp.exp(hyper.dro_step * worst)
        shifted = shifted / shifted.sum()
        return jnp.sum(shifted * by_cell), (statistics, shifted)

    def _contrast(
        self, now: Parts, batch: Batch, chance: jax.Array, parts: int
    ) -> tuple[jax.Array, Flat]:
        projector = {path[1]: x for path, x in now.trained.items() if path[0] == _PROJECTOR}
        trained = {path: x for path, x in now.trained.items() if path[0] != _PROJECTOR}
        dtype = projector["hidden"].dtype
        keys = jax.random.split(chance, (2, self.schedule.batch))[:, batch.places]
        views = jnp.concatenate([random_views(batch.images, each, dtype) for each in keys])
        features, statistics = self.network.train_features(
            now._replace(trained=trained), views, parts
        )
        hidden = jax.nn.relu(features @ projector["hidden"] + projector["bias"][None, :])
        first, second = jnp.split(hidden @ projector["out"], 2)
        return nt_xent(first, second, self.schedule.temperature, parts), statistics

    def _projector(self, key: jax.Array, like: jax.Array) -> Flat:
        """Two layers on the features, as many as `like` has rows, in its dtype."""
        # A key of its own: the halves of this one order batches and draw augmentations.
        hidden, out = jax.random.split(jax.random.fold_in(key, 1))
        make = jax.nn.initializers.he_normal()
        inputs, dtype = like.shape[0], like.dtype
        return {
            (_PROJECTOR, "hidden"): make(hidden, (inputs, inputs), dtype),
            (_PROJECTOR, "bias"): jnp.zeros((inputs,), dtype),
            (_PROJECTOR, "out"): make(out, (inputs, self.schedule.projection), dtype),
        }


def steps_of(network: Network | Head, schedule: Schedule) -> tuple[Step, ...]:
    """Returns the step of each phase of a run; DFR has two."""
    refit = (Step(network, schedule, refits=True),) if schedule.objective == "dfr" else ()
    return Step(network, schedule), *refit


def _dtype(parts: Parts) -> jnp.dtype:
    """Of the parameters: float32; float64 where layouts are compared."""
    return next(iter(parts.trained.values())).dtype
