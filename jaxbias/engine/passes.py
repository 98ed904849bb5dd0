"""Programs of a part of a training on images from the host, of scores, and of features."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias.engine.programs import BLOCK, Networks, Program, params_of, rate, store_of
from jaxbias.models import Head, Network
from jaxbias.models.network import Params
from jaxbias.parallel import map_variants
from jaxbias.training import State, Step, Steps, Store, advance, black, make_score


@dataclasses.dataclass(frozen=True)
class Begun(Program):
    """States before the first step of a phase.

    Members: (params,), or of a refit (the state in which the first phase ended,).

    Attributes:
      whole: what is trained, phase by phase.
      refits: whether the phase is a refit.
    """

    whole: Networks
    refits: bool

    def sample(self) -> tuple[Any, Any]:
        """See `Program`."""
        params = params_of(self.whole.model)
        first = Step(self.whole.model, self.whole.schedule)
        return (first.begin(params) if self.refits else params,), ()

    def _one(self, member: tuple, shared: tuple) -> State:
        del shared
        return (self._step.renew if self.refits else self._step.begin)(*member)

    @property
    def _step(self) -> Step:
        return Step(self.whole.model, self.whole.schedule, self.refits)


@dataclasses.dataclass(frozen=True)
class Advanced(Begun):
    """States some steps later, on images that come from the host.

    Members: (state, examples, hyper, key, batches int32[K, batch], a store [K, batch, ...]);
    shared: how many of the K are taken, int32[].
    """

    steps: int  # K

    donated = 1

    def sample(self) -> tuple[Any, Any]:
        """See `Program`."""
        (params, *rest), _ = self.whole.sample()
        batches = np.zeros((self.steps, self.whole.batch), np.int32)
        shape, pixels = (*batches.shape, *self.whole.store[1:]), self.whole.model.pixels
        images = black(shape, pixels, leading=2)
        return (self._step.begin(params), *rest, batches, images), np.int32(self.steps)

    def _one(self, member: tuple, shared: jax.Array) -> State:
        state, examples, hyper, key, batches, images = member
        steps, span = Steps(batches, images), (jnp.int32(0), shared)
        key = jax.random.wrap_key_data(key)
        return advance(self._step, state, steps, span, examples, hyper, key, None)


@dataclasses.dataclass(frozen=True)
class Rated(Program):
    """Scores of every image of a store, or of every row of features. Members: (params,)."""

    model: Network | Head
    store: tuple[int, ...]

    def sample(self) -> tuple[Any, Any]:
        """See `Program`."""
        return (params_of(self.model),), store_of(self.store, self.model)

    def _packed(self, mode: str, members: tuple, shared: Store | jax.Array) -> jax.Array:
        if isinstance(self.model, Head):
            return rate(self.model)(*members, shared)
        return map_variants(self._one, mode)(members, shared)

    def _one(self, member: tuple, shared: Store) -> jax.Array:
        ids = jnp.arange(self.store[0], dtype=jnp.int32)
        return make_score(self.model)(*member, ids, shared)


@dataclasses.dataclass(frozen=True)
class Extraction(Program):
    """What a network makes of images.

    Members: (ids int32[B], which are mirrored bool[B]); shared: (params, images).

    Attributes:
      network: it.
      store: the shape of the images.
      trunk: whether what its last block sees is wanted, or the features that its head sees.
    """

    network: Network
    store: tuple[int, ...]
    trunk: bool = False

    everywhere = True

    def sample(self) -> tuple[Any, Any]:
        """See `Program`."""
        ids = np.resize(np.arange(self.store[0], dtype=np.int32), BLOCK)
        shared = params_of(self.network), store_of(self.store, self.network)
        return (ids, np.zeros(BLOCK, bool)), shared

    def _one(self, member: tuple, shared: Any) -> jax.Array:
        (ids, mirrored), (params, images) = member, shared
        return self._made(params, images[ids], mirrored)

    def _made(self, params: Params, images: jax.Array, mirrored: jax.Array) -> jax.Array:
        images = self.network.mirror(images, mirrored)
        return (self.network.trunk if self.trunk else self.network.features)(params, images)


@dataclasses.dataclass(frozen=True)
class ExtractionFed(Extraction):
    """The same of images that come from the host.

    Members: (a store of B images, which are mirrored bool[B]); shared: params.
    """

    def sample(self) -> tuple[Any, Any]:
        """See `Program`."""
        images = store_of((BLOCK, *self.store[1:]), self.network)
        return (images, np.zeros(BLOCK, bool)), params_of(self.network)

    def _one(self, member: tuple, shared: Any) -> jax.Array:
        store, mirrored = member
        return self._made(shared, store.images, mirrored)
