"""Programs: what is computed on the devices, with the arguments each takes written beside it.

The fields of a program fix the tree and the shapes of its arguments: equal programs are one, which
is compiled once per width. Arrays of members have a leading axis, along which they are split over
the devices; what members share lies on every device.
"""

import abc
import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxbias.engine.members import hyper_of, inputs_of, penalty_of
from jaxbias.models import Head, Network
from jaxbias.models.network import Params
from jaxbias.parallel import map_variants
from jaxbias.plan.variants import Recipe
from jaxbias.study import FinetuneSpec
from jaxbias.training import (
    Schedule,
    State,
    Step,
    Store,
    Trained,
    TrainingSet,
    batches_of,
    black,
    fit_head,
    make_rung,
    make_score,
    make_train,
)
from jaxbias.training.objectives import label_type

# Images per block, in extraction and in programs in brief.
BLOCK = 64
# Of a program in brief: steps, examples of a fit, and images or rows of features.
_STEPS, _FIT, _ROWS = 8, 512, 2048
# What the numbers are of a program that is only timed.
_RECIPE = Recipe.of(FinetuneSpec())


@dataclasses.dataclass(frozen=True)
class Program(abc.ABC):
    """A function of the arrays of members and of what they share.

    Attributes:
      donated: how many of a member's arrays, from the first, the results take the place of. Only
        results of the same shapes can: parameters that are returned, and states.
      everywhere: whether all processes of a gang are told all results, or each its devices' own.
    """

    donated = 0
    everywhere = False

    @abc.abstractmethod
    def sample(self) -> tuple[Any, Any]:
        """Returns arguments like those of one member, and like what members share."""

    @functools.cached_property
    def shapes(self) -> tuple[Any, Any]:
        """The shapes of `sample`."""
        return jax.eval_shape(self.sample)

    def function(self, mode: str) -> Callable[[Any, Any], Any]:
        """Returns `packed(members, shared)`; its results have the members' axis too."""
        return functools.partial(self._packed, mode)

    def _packed(self, mode: str, members: Any, shared: Any) -> Any:
        return map_variants(self._one, mode)(members, shared)

    def _one(self, member: Any, shared: Any) -> Any:
        """The results of one member, where all are computed alike."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Training(Program):
    """Trains every member and scores it on examples that members share.

    Its results are scores float32[V, M, outputs], loss, diverged_at (and params).

    Attributes:
      model: what is trained.
      scored: M, how many examples are scored.
      store: the shape of the images, of heads that of the features.
      n: examples of a member.
      units: steps of a member; a fit to convergence is counted in its examples.
      batch: examples of a step; 0: a fit to convergence.
    """

    model: Network | Head
    scored: int
    store: tuple[int, ...]

    @abc.abstractmethod
    def resized(self, n: int, epochs: int = 0) -> "Training":
        """Returns this program on n examples, and in so many epochs where a number is given."""

    @property
    def brief(self) -> "Training":
        """A small program that costs as much per step and score: what kind this one is of."""
        store = (min(self.store[0], _ROWS), *self.store[1:])
        short = self.resized(self.batch or _FIT, _STEPS)
        return dataclasses.replace(short, scored=BLOCK, store=store)


@dataclasses.dataclass(frozen=True)
class _Stepwise(Training):
    schedule: Schedule

    n = property(lambda self: self.schedule.n)
    units = property(lambda self: self.schedule.steps)
    batch = property(lambda self: self.schedule.batch)

    def examples(self) -> TrainingSet:
        """Returns random examples of the shapes that members have."""
        schedule = self.schedule
        return _examples(self.n, self.store[0], schedule.cells, schedule.labels, self.model.outputs)

    def resized(self, n: int, epochs: int = 0) -> Training:
        """See `Training`."""
        schedule = self.schedule
        schedule = dataclasses.replace(schedule, n=n, epochs=epochs or schedule.epochs)
        return dataclasses.replace(self, schedule=schedule)

    @property
    def brief(self) -> Training:
        """See `Training`; only group DRO looks at cells."""
        short = super().brief
        cells = self.schedule.cells if self.schedule.objective == "group_dro" else 1
        return dataclasses.replace(short, schedule=dataclasses.replace(short.schedule, cells=cells))


@dataclasses.dataclass(frozen=True)
class Networks(_Stepwise):
    """Whole networks on images; their parameters are returned only where they are kept.

    Members: (params, examples, hyper, key); shared: (ids to score, images).
    """

    keep: bool = False

    donated = property(lambda self: int(self.keep))
    everywhere = property(lambda self: self.keep)  # Of a checkpoint all processes write a share.

    @property
    def brief(self) -> Training:
        """See `Training`; it keeps nothing."""
        return dataclasses.replace(super().brief, keep=False)

    def sample(self) -> tuple[Any, Any]:
        """See `Program`."""
        member = (params_of(self.model), self.examples(), hyper_of(_RECIPE), _key())
        return member, (np.zeros(self.scored, np.int32), store_of(self.store, self.model))

    def _one(self, member: tuple, shared: tuple) -> dict[str, Any]:
        params, examples, hyper, key = member
        scored, images = shared
        train = make_train(self.model, self.schedule)
        trained = train(params, examples, hyper, jax.random.wrap_key_data(key), images)
        scores = make_score(self.model)(trained.params, scored, images)
        kept = {"params": trained.params} if self.keep else {}
        return {"scores": scores, **_end(trained), **kept}


@dataclasses.dataclass(frozen=True)
class Heads(_Stepwise):
    """Heads by SGD on the features of one base, all of one seed.

    Members: (params, examples, hyper); shared: (rows to score, features, key). The order of the
    batches is the key's and so the same for all: sorting for it anew would take as long as a head.
    """

    def sample(self) -> tuple[Any, Any]:
        """See `Program`."""
        shared = (np.zeros(self.scored, np.int32), store_of(self.store, self.model), _key())
        return (params_of(self.model), self.examples(), hyper_of(_RECIPE)), shared

    def _packed(self, mode: str, members: tuple, shared: tuple) -> dict[str, Any]:
        scored, features, data = shared
        key, train = jax.random.wrap_key_data(data), make_train(self.model, self.schedule)

        def one(member: tuple, shared: tuple) -> Trained:
            batches, features = shared
            return train(*member, key, features, batches)

        batches = batches_of(key, self.schedule)
        trained = map_variants(one, mode)(members, (batches, features))
        return {"scores": rate(self.model)(trained.params, features[scored]), **_end(trained)}


@dataclasses.dataclass(frozen=True)
class FittedHeads(Training):
    """Heads fitted to convergence on the principal features of one base.

    Members: (examples, penalty); shared: (rows to score, features, their variances).
    """

    n: int
    objective: str

    units = property(lambda self: self.n)
    batch = 0

    def sample(self) -> tuple[Any, Any]:
        """See `Program`."""
        variances = np.ones(self.model.inputs, np.float32)
        shared = (np.zeros(self.scored, np.int32), store_of(self.store, self.model), variances)
        return (_examples(self.n, self.store[0]), penalty_of(_RECIPE)), shared

    def resized(self, n: int, epochs: int = 0) -> Training:
        """See `Training`; a fit has no epochs."""
        del epochs
        return dataclasses.replace(self, n=n)

    def _packed(self, mode: str, members: tuple, shared: tuple) -> dict[str, Any]:
        scored, features, variances = shared
        fit = functools.partial(fit_head, objective=self.objective)
        fitted = map_variants(lambda member, shared: fit(*member, *shared), mode)
        trained = fitted(members, (variances, features))
        return {"scores": rate(self.model)(trained.params, features[scored]), **_end(trained)}


@dataclasses.dataclass(frozen=True)
class Rung(Program):
    """A rung of a search: trials go on from where they stopped, and end with a state to go on from.

    Members: (state, examples, hyper, key); shared: (ids to score, images, or features of heads, and
    the epochs int32[2] before the rung and in its end). Scores are float32[V, epochs, M,
    outputs].

    Attributes:
      longest: the training of a trial that reaches the last rung.
    """

    longest: Networks | Heads

    everywhere = True  # Where trials stop is one file.

    def sample(self) -> tuple[Any, Any]:
        """See `Program`."""
        (params, examples, hyper, *_), (scored, store, *_) = self.longest.sample()
        state = Step(self.longest.model, self.longest.schedule).begin(params)
        return (state, examples, hyper, _key()), (scored, store, np.zeros(2, np.int32))

    def _one(self, member: tuple, shared: tuple) -> dict[str, Any]:
        state, examples, hyper, key = member
        advance = make_rung(self.longest.model, self.longest.schedule)
        state, scores = advance(state, examples, hyper, jax.random.wrap_key_data(key), *shared)
        return {"scores": scores, "state": state, **_end(state)}


def training_of(
    network: Network, recipe: Recipe, schedule: Schedule, scored: int, images: tuple, rows: int
) -> Training:
    """Returns the program that finetunes a network, or heads on its features.

    Args:
      network: it.
      recipe: how it is trained.
      schedule: its static shapes.
      scored: how many examples are scored.
      images: the shape of the store of what it takes for images.
      rows: how many examples have features.
    """
    if recipe.mode != "head":
        return Networks(network, scored, images, schedule)
    head = Head(_inputs_of(network), network.outputs)
    store = (rows, head.inputs)
    if recipe.solver == "lbfgs":
        return FittedHeads(head, scored, store, schedule.n, schedule.objective)
    return Heads(head, scored, store, schedule)


_inputs_of = functools.cache(inputs_of)


def params_of(model: Network | Head) -> Params:
    """Returns parameters of a model that were never trained."""
    if isinstance(model, Network):
        return model.init(jax.random.key(0))
    kernel = np.zeros((model.inputs, model.outputs), np.float32)
    return {"head": {"kernel": kernel, "bias": np.zeros(model.outputs, np.float32)}}


def store_of(shape: tuple[int, ...], model: Network | Head) -> Store | jax.Array:
    """Returns what a model takes for images: black ones, or features float32[N, F], of noise."""
    if isinstance(model, Network):
        return black(shape, model.pixels)
    return jax.random.normal(jax.random.key(0), shape, np.float32)


def rate(head: Head) -> Callable[[Params, jax.Array], jax.Array]:
    """Returns what scores many heads in one matrix product over float[M, F]."""
    return jax.vmap(head.logits, in_axes=(0, None))


def _key() -> jax.Array:
    return jax.random.key_data(jax.random.key(0))


def _end(trained: Trained | State) -> dict[str, jax.Array]:
    return {"loss": trained.loss, "diverged_at": trained.diverged_at}


def _examples(n: int, rows: int, cells: int = 1, labels: int = 1, outputs: int = 1) -> TrainingSet:
    """Random examples among so many rows and cells."""
    random = np.random.default_rng(0)
    return TrainingSet(
        ids=random.integers(0, rows, n, np.int32),
        labels=random.integers(0, 2, (n, labels)).astype(label_type(labels, outputs)),
        weights=np.ones(n, np.float32),
        cells=random.integers(0, cells, n, np.int32),
        balanced=np.arange(n, dtype=np.int32),
    )
