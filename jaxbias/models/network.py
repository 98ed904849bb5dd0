"""Networks: an architecture as pure functions of the state of its NNX graph."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx, traverse_util

from jaxbias.models.architectures import ARCHITECTURES, Path, check
from jaxbias.models.convolution import choose
from jaxbias.models.layers import Backbone, BatchNorm
from jaxbias.models.preprocessing import Preprocessing
from jaxbias.study import ModelSpec
from jaxbias.targets import target

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

    pixels = np.dtype(np.uint8)  # Of what it takes for images.

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
        parts, statistics = Parts({}, {}, {}), _abstract(self).statistics
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
        return self.mirror(images, jax.random.bernoulli(key, shape=(count,))[places])

    def mirror(self, images: jax.Array, chosen: jax.Array) -> jax.Array:
        """Mirrors those of images [M, S, S, 3] that are chosen, bool[M]."""
        return jnp.where(chosen[:, None, None, None], images[:, :, ::-1], images)

    def trunk(self, params: Params, images: jax.Array) -> jax.Array:
        """Maps uint8[B, S, S, 3] to float[B, ...], what the last block sees."""
        x, dtype = self._inputs(params, images)
        return self._merge(params).trunk(x).astype(dtype)

    def features(self, params: Params, images: jax.Array) -> jax.Array:
        """Maps uint8[B, S, S, 3] to float[B, F], what the head sees; the head is not used."""
        x, dtype = self._inputs(params, images)
        return self._features(self._merge(params), x).astype(dtype)

    def logits(self, params: Params, images: jax.Array) -> jax.Array:
        """Maps uint8[B, S, S, 3] to float[B, outputs], in the parameters' own dtype."""
        x, dtype = self._inputs(params, images)
        return self._logits(self._merge(params), x).astype(dtype)

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
        return self._train(parts, images, mode, devices, self._logits)

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
        return self._train(parts, images, "full", devices, self._features)

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

    def _merge(self, params: Params) -> Backbone:
        return nnx.merge(_abstract(self).graph, params)

    def _features(self, module: Backbone, x: jax.Array) -> jax.Array:
        return module.features(x)

    def _logits(self, module: Backbone, x: jax.Array) -> jax.Array:
        return module(x)


class Tail(Network):
    """What mode "last_block" trains of a network, as a network of its own.

    Its images are stored activations float[M, 2, ...]: what the trunk makes of each image, and of
    its mirror image. Its parameters are the tail's part of the network's.
    """

    pixels = np.dtype(np.float32)

    def init(self, key: jax.Array) -> Params:
        """Returns the tail's part of the network's fresh parameters."""
        return self.part(super().init(key))

    def part(self, params: Params) -> Params:
        """Returns the tail's part of a network's parameters."""
        parts = self.partition(params, "last_block")
        return traverse_util.unflatten_dict({**parts.trained, **parts.statistics})

    def whole(self, params: Params, tail: Params) -> Params:
        """Returns a network's parameters with another tail."""
        parts = self.partition(params, "last_block")
        return traverse_util.unflatten_dict({**parts.frozen, **traverse_util.flatten_dict(tail)})

    def mirror(self, images: jax.Array, chosen: jax.Array) -> jax.Array:
        """Takes of each pair [M, 2, ...] the mirrored one where it is chosen: [M, 1, ...]."""
        chosen = jnp.expand_dims(chosen, tuple(range(1, images.ndim)))
        return jnp.where(chosen, images[:, 1:], images[:, :1])

    def _inputs(self, params: Params, images: jax.Array) -> tuple[jax.Array, jnp.dtype]:
        dtype = jax.tree.leaves(params)[0].dtype
        return images[:, 0].astype(_compute_dtype(self.spec) or dtype), dtype

    def _merge(self, params: Params) -> Backbone:
        # The trunk is never asked for, and not compiled.
        absent = {path: jnp.zeros(x.shape, x.dtype) for path, x in _abstract(self).leaves.items()}
        given = traverse_util.flatten_dict(params)
        return super()._merge(traverse_util.unflatten_dict({**absent, **given}))

    def _features(self, module: Backbone, x: jax.Array) -> jax.Array:
        return module.tail(x)

    def _logits(self, module: Backbone, x: jax.Array) -> jax.Array:
        return module.head(module.tail(x))


def tail_of(network: Network) -> Tail:
    """Returns the tail of a network."""
    return Tail(network.spec, network.preprocessing, network.outputs)


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
    method = choose(spec.convolution, target().platform, mapped)
    return Network(dataclasses.replace(spec, convolution=method), preprocessing, outputs)


def computed_in(spec: ModelSpec) -> str:
    """Returns what networks compute in on this process's target: "float32" or "bfloat16"."""
    if spec.compute_dtype == "auto":
        return "float32" if target().platform == "cpu" else "bfloat16"
    return spec.compute_dtype


def _compute_dtype(spec: ModelSpec) -> Any:
    """The dtype of computation; None: that of the parameters."""
    return jnp.bfloat16 if computed_in(spec) == "bfloat16" else None


def _module(network: Network, rngs: nnx.Rngs) -> Backbone:
    spec = network.spec
    make = ARCHITECTURES[spec.name].make
    return make(spec, network.image_size, network.outputs, _compute_dtype(spec), rngs)


class _Abstract(NamedTuple):
    """A network without its numbers."""

    graph: nnx.GraphDef
    leaves: Flat  # Shapes of its parameters and statistics.
    statistics: frozenset[Path]


@functools.cache
def _abstract(network: Network) -> _Abstract:
    module = nnx.eval_shape(lambda: _module(network, nnx.Rngs(params=0)))
    leaves, statistics = (
        traverse_util.flatten_dict(nnx.to_pure_dict(nnx.state(module, kind)))
        for kind in ((nnx.Param, nnx.BatchStat), nnx.BatchStat)
    )
    return _Abstract(nnx.graphdef(module), leaves, frozenset(statistics))
