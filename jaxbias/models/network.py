"""Networks: an architecture as pure functions of the state of its NNX graph."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx, traverse_util

from jaxbias.models.architectures import ARCHITECTURES, Path, check
from jaxbias.models.convolution import choose
from jaxbias.models.layers import BatchNorm
from jaxbias.models.preprocessing import Preprocessing
from jaxbias.study import ModelSpec

Params = dict[str, Any]  # Nested dicts of arrays: what crosses vmap, scan and checkpoints.
Flat = dict[Path, Any]


class Parts(NamedTuple):
    """The leaves of a network by what a training mode does with them, from path to array.

    Attributes:
      trained: weights, which the optimiser changes.
      statistics: running statistics of the norms in the trained parts: carried from step to step
        and updated by the batches, neither optimised nor decayed.
      frozen: everything else. The norms in frozen parts go on using their running statistics, so
        that a frozen part stays the same function of an image, and `head` on stored features is
        the same training as `head` on images.
    """

    trained: Flat
    statistics: Flat
    frozen: Flat

    def join(self) -> Params:
        """Puts the parts together again."""
        return traverse_util.unflatten_dict({**self.frozen, **self.statistics, **self.trained})


@dataclasses.dataclass(frozen=True)
class Network:
    """An architecture as pure functions.

    Attributes:
      spec: the settings it was made from; its `convolution` is chosen.
      preprocessing: from the study's images to its inputs.
      outputs: logits per image (1 for a binary target).
    """

    spec: ModelSpec
    preprocessing: Preprocessing
    outputs: int

    @property
    def image_size(self) -> int:
        """Side of its inputs in pixels."""
        return self.preprocessing.size

    def init(self, key: jax.Array) -> Params:
        """Returns freshly initialised parameters and statistics."""
        module = _module(self, nnx.Rngs(params=key))
        return nnx.to_pure_dict(nnx.state(module, (nnx.Param, nnx.BatchStat)))

    def partition(self, params: Params, mode: str) -> Parts:
        """Splits parameters into those a mode trains and those it leaves alone.

        Args:
          params: of `init`.
          mode: "full": all; "head": the linear layer that gives the logits; "last_block": that and
            what `ARCHITECTURES` calls the architecture's last block.
        """
        parts, statistics = Parts({}, {}, {}), _abstract(self)[1]
        for path, leaf in traverse_util.flatten_dict(params).items():
            if not self._trains(path, mode):
                parts.frozen[path] = leaf
            elif path in statistics:
                parts.statistics[path] = leaf
            else:
                parts.trained[path] = leaf
        return parts

    def _trains(self, path: Path, mode: str) -> bool:
        inside: tuple[Path, ...] = ((),) if mode == "full" else (("head",),)
        if mode == "last_block":
            inside += ARCHITECTURES[self.spec.name].last_block(self.spec)
        return any(path[: len(prefix)] == prefix for prefix in inside)

    def augment(
        self, images: jax.Array, key: jax.Array, places: jax.Array, count: int
    ) -> jax.Array:
        """Mirrors each image of a training batch with probability one half.

        Args:
          images: [M, S, S, 3], a part of the batch.
          key: of the step.
          places: int32[M], of each in the whole batch, by which chance turns it over.
          count: images of the whole batch.
        """
        mirrored = jax.random.bernoulli(key, shape=(count,))[places]
        return jnp.where(mirrored[:, None, None, None], images[:, :, ::-1], images)

    def features(self, params: Params, images: jax.Array) -> jax.Array:
        """Maps uint8[B, S, S, 3] to float[B, F], what the head sees; the head is not used."""
        x, dtype = self._inputs(params, images)
        return self._merge(params).features(x).astype(dtype)

    def logits(self, params: Params, images: jax.Array) -> jax.Array:
        """Maps uint8[B, S, S, 3] to float[B, outputs], in the parameters' own dtype."""
        x, dtype = self._inputs(params, images)
        return self._merge(params)(x).astype(dtype)

    def train_logits(
        self, parts: Parts, images: jax.Array, mode: str, devices: int = 1
    ) -> tuple[jax.Array, Flat]:
        """Computes logits as a mode trains them.

        Args:
          parts: of `partition` by the mode.
          images: uint8[B, S, S, 3].
          mode: its norms use the statistics of this batch; those of frozen parts do not.
          devices: of the mesh axis "data", each of which has a part of the batch.

        Returns:
          float[B, outputs], and the updated `parts.statistics`.
        """
        return self._train(parts, images, mode, devices, lambda module, x: module(x))

    def train_features(
        self, parts: Parts, images: jax.Array, devices: int = 1
    ) -> tuple[jax.Array, Flat]:
        """Computes what the head would see, all of the network being trained; see `train_logits`.

        Args:
          parts: of `partition` by mode "full".
          images: [B, S, S, 3] in 0..255, uint8 or augmented.
          devices: of the mesh axis "data".

        Returns:
          float[B, F], and the updated `parts.statistics`.
        """
        return self._train(parts, images, "full", devices, lambda module, x: module.features(x))

    def _train(
        self,
        parts: Parts,
        images: jax.Array,
        mode: str,
        devices: int,
        apply: Callable[[Any, jax.Array], jax.Array],
    ) -> tuple[jax.Array, Flat]:
        params = parts.join()
        x, dtype = self._inputs(params, images)
        module = self._merge(params)
        for path, layer in nnx.iter_modules(module) if parts.statistics else ():
            if isinstance(layer, BatchNorm):
                layer.training = self._trains(path, mode)
                layer.devices = devices
        values = apply(module, x).astype(dtype)
        new = traverse_util.flatten_dict(nnx.to_pure_dict(nnx.state(module, nnx.BatchStat)))
        return values, {path: new[path] for path in parts.statistics}

    def _inputs(self, params: Params, images: jax.Array) -> tuple[jax.Array, jnp.dtype]:
        """The network's inputs in the dtype of computation, and the parameters' dtype."""
        dtype = jax.tree.leaves(params)[0].dtype
        x = self.preprocessing(images, dtype)
        return x.astype(_compute_dtype(self.spec) or dtype), dtype

    def _merge(self, params: Params) -> nnx.Module:
        return nnx.merge(_abstract(self)[0], params)


def make_network(
    spec: ModelSpec,
    image_size: int,
    outputs: int,
    *,
    preprocessing: Preprocessing | None = None,
    mapped: str = "map",
) -> Network:
    """Looks an architecture up.

    Args:
      spec: its settings.
      image_size: side of the study's images in pixels.
      outputs: logits per image.
      preprocessing: None: the images as they are, with values in [-1, 1].
      mapped: how variants are mapped; tells which convolution is fast.

    Raises:
      InputError: there is none of that name, or the images do not fit it.
    """
    preprocessing = preprocessing or Preprocessing(image_size)
    check(spec, preprocessing.size)
    method = choose(spec.convolution, jax.default_backend(), mapped)
    return Network(dataclasses.replace(spec, convolution=method), preprocessing, outputs)


def _compute_dtype(spec: ModelSpec) -> Any:
    """The dtype of computation; None: that of the parameters."""
    accelerated = spec.compute_dtype == "auto" and jax.default_backend() != "cpu"
    return jnp.bfloat16 if accelerated or spec.compute_dtype == "bfloat16" else None


def _module(network: Network, rngs: nnx.Rngs) -> nnx.Module:
    spec = network.spec
    make = ARCHITECTURES[spec.name].make
    return make(spec, network.image_size, network.outputs, _compute_dtype(spec), rngs)


@functools.cache
def _abstract(network: Network) -> tuple[nnx.GraphDef, frozenset[Path]]:
    """The graph of a network, and the paths of its running statistics."""
    module = nnx.eval_shape(lambda: _module(network, nnx.Rngs(params=0)))
    statistics = traverse_util.flatten_dict(nnx.to_pure_dict(nnx.state(module, nnx.BatchStat)))
    return nnx.graphdef(module), frozenset(statistics)
