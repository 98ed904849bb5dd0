"""A linear head over stored features: a network whose images are features of a frozen base."""

import dataclasses

import jax
from flax import traverse_util

from jaxbias.models.network import Flat, Params, Parts


@dataclasses.dataclass(frozen=True)
class Head:
    """The last layer alone, with the contract of a `Network`.

    Its parameters are the head's part of a network's, {"head": {"kernel", "bias"}}.

    Attributes:
      inputs: F, features per example.
      outputs: logits per example.
    """

    inputs: int
    outputs: int = 1

    def partition(self, params: Params, mode: str) -> Parts:
        """Splits parameters as `Network.partition` does; there is only the head to train."""
        del mode
        return Parts(traverse_util.flatten_dict(params), {}, {})

    def augment(
        self, features: jax.Array, key: jax.Array, places: jax.Array, count: int
    ) -> jax.Array:
        """Returns them as they are: features were extracted once, without flips."""
        del key, places, count
        return features

    def logits(self, params: Params, features: jax.Array) -> jax.Array:
        """Maps float[B, F] to float[B, outputs], computed in the parameters' own dtype."""
        head = params["head"]
        features = features.astype(head["kernel"].dtype)
        if self.outputs == 1:  # On CPU a product with a vector takes half as long as with [F, 1].
            return (features @ head["kernel"][:, 0] + head["bias"])[:, None]
        return features @ head["kernel"] + head["bias"][None, :]

    def train_logits(
        self, parts: Parts, features: jax.Array, mode: str, devices: int = 1
    ) -> tuple[jax.Array, Flat]:
        """Computes `logits`; there are no statistics."""
        del mode, devices
        return self.logits(parts.join(), features), {}
