"""One registry of architectures; a network is its NNX graph and pure functions of its state."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx, traverse_util

from jaxbias.errors import InputError, nearest
from jaxbias.models.convnet import ConvNet
from jaxbias.study import ModelSpec

Params = dict[str, Any]  # Nested dicts of arrays: what crosses vmap, scan and checkpoints.

# name -> make(spec, image_size, outputs, rngs)
_ARCHITECTURES: dict[str, Callable[[ModelSpec, int, int, nnx.Rngs], nnx.Module]] = {
    "convnet": lambda spec, size, outputs, rngs: ConvNet(spec.widths, size, outputs, rngs=rngs),
}


@dataclasses.dataclass(frozen=True)
class Network:
    """An architecture as pure functions.

    Attributes:
      spec: the settings it was made from.
      image_size: side of its images in pixels.
      outputs: logits per image (1 for a binary target).
    """

    spec: ModelSpec
    image_size: int
    outputs: int

    def init(self, key: jax.Array) -> Params:
        """Returns freshly initialised parameters."""
        return nnx.to_pure_dict(nnx.state(_module(self, nnx.Rngs(params=key)), nnx.Param))

    def partition(self, params: Params, mode: str) -> tuple[Params, Params]:
        """Splits parameters into those a mode trains and those it leaves alone.

        Args:
          params: of `init`.
          mode: "full": all; "head": the linear layer that gives the logits; "last_block": that and
            the last stage of features.

        Returns:
          Two dicts from path to array; `join` puts them together again.
        """
        flat = traverse_util.flatten_dict(params)
        last = max((path[1] for path in flat if path[0] == "stages"), default=None)
        modes = {
            "full": lambda path: True,
            "head": lambda path: path[0] == "head",
            "last_block": lambda path: path[0] == "head" or path[:2] == ("stages", last),
        }
        inside = {path for path in flat if modes[mode](path)}
        return (
            {path: leaf for path, leaf in flat.items() if path in inside},
            {path: leaf for path, leaf in flat.items() if path not in inside},
        )

    def join(self, trained: Params, frozen: Params) -> Params:
        """Puts the two parts of `partition` together."""
        return traverse_util.unflatten_dict({**frozen, **trained})

    def augment(self, images: jax.Array, key: jax.Array) -> jax.Array:
        """Mirrors each image of a training batch [B, S, S, 3] with probability one half."""
        flipped = jax.random.bernoulli(key, shape=(images.shape[0], 1, 1, 1))
        return jnp.where(flipped, images[:, :, ::-1], images)

    def features(self, params: Params, images: jax.Array) -> jax.Array:
        """Maps uint8[B, S, S, 3] to float[B, F], what the head sees; the head is not used."""
        dtype = jax.tree.leaves(params)[0].dtype
        return _merge(self, params).features(_preprocess(images, dtype))

    def logits(self, params: Params, images: jax.Array) -> jax.Array:
        """Maps uint8[B, S, S, 3] to float[B, outputs], computed in the parameters' own dtype."""
        dtype = jax.tree.leaves(params)[0].dtype
        return _merge(self, params)(_preprocess(images, dtype))


def make_network(spec: ModelSpec, image_size: int, outputs: int) -> Network:
    """Looks an architecture up.

    Raises:
      InputError: there is none of that name.
    """
    if spec.name not in _ARCHITECTURES:
        raise InputError(
            f"config.model.name='{spec.name}' is unknown; {nearest(spec.name, _ARCHITECTURES)}"
        )
    return Network(spec, image_size, outputs)


def _module(network: Network, rngs: nnx.Rngs) -> nnx.Module:
    make = _ARCHITECTURES[network.spec.name]
    return make(network.spec, network.image_size, network.outputs, rngs)


def _merge(network: Network, params: Params) -> nnx.Module:
    abstract = nnx.eval_shape(lambda: _module(network, nnx.Rngs(params=0)))
    graphdef, state = nnx.split(abstract, nnx.Param)
    nnx.replace_by_pure_dict(state, params)
    return nnx.merge(graphdef, state)


def _preprocess(images: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """Preprocessing belongs to the network: bytes become values in [-1, 1]."""
    return images.astype(dtype) * (2 / 255) - 1
