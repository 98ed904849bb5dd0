"""One registry of architectures; a network is its NNX graph and pure functions of its state."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxbias.errors import InputError
from jaxbias.models.convnet import ConvNet
from jaxbias.study import ModelSpec, nearest

Params = dict[str, Any]  # Nested dicts of arrays: what crosses vmap, scan and checkpoints.

_ARCHITECTURES: dict[str, Callable[[ModelSpec, int, nnx.Rngs], nnx.Module]] = {
    "convnet": lambda spec, outputs, rngs: ConvNet(spec.widths, outputs, rngs=rngs),
}


@dataclasses.dataclass(frozen=True)
class Network:
    """An architecture as pure functions.

    Attributes:
      spec: the settings it was made from.
      outputs: logits per image (1 for a binary target).
    """

    spec: ModelSpec
    outputs: int

    def init(self, key: jax.Array) -> Params:
        """Returns freshly initialised parameters."""
        module = _ARCHITECTURES[self.spec.name](self.spec, self.outputs, nnx.Rngs(params=key))
        return nnx.to_pure_dict(nnx.state(module, nnx.Param))

    def logits(self, params: Params, images: jax.Array) -> jax.Array:
        """Maps uint8[B, S, S, 3] to float[B, outputs], computed in the parameters' own dtype."""
        dtype = jax.tree.leaves(params)[0].dtype
        return _merge(self, params)(_preprocess(images, dtype))

    def with_new_head(self, params: Params, key: jax.Array) -> Params:
        """Returns the parameters with a freshly initialised head of this network's size.

        A base pretrained on another target keeps everything but its last layer.
        """
        return {**params, "head": self.init(key)["head"]}


def make_network(spec: ModelSpec, outputs: int) -> Network:
    """Looks an architecture up.

    Raises:
      InputError: there is none of that name.
    """
    if spec.name not in _ARCHITECTURES:
        raise InputError(
            f"config.model.name='{spec.name}' is unknown; {nearest(spec.name, _ARCHITECTURES)}"
        )
    return Network(spec, outputs)


def _merge(network: Network, params: Params) -> nnx.Module:
    make = _ARCHITECTURES[network.spec.name]
    abstract = nnx.eval_shape(lambda: make(network.spec, network.outputs, nnx.Rngs(params=0)))
    graphdef, state = nnx.split(abstract, nnx.Param)
    nnx.replace_by_pure_dict(state, params)
    return nnx.merge(graphdef, state)


def _preprocess(images: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """Preprocessing belongs to the network: bytes become values in [-1, 1]."""
    return images.astype(dtype) * (2 / 255) - 1
