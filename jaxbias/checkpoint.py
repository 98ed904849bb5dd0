"""Checkpoints: parameters of a base on disk, through Orbax."""

from pathlib import Path

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from jaxbias.errors import InputError
from jaxbias.models import Network
from jaxbias.models.registry import Params


def save(path: Path, params: Params) -> None:
    """Writes parameters to a directory that appears only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ocp.save(path.absolute(), params, overwrite=True)


def load(path: Path, network: Network) -> Params:
    """Reads the parameters of a network, as host arrays.

    Raises:
      InputError: there is no whole checkpoint, or it is of another network.
    """
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    template = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device), shapes
    )
    try:
        return jax.tree.map(np.asarray, ocp.load(path.absolute(), template))
    except (FileNotFoundError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{path} holds no checkpoint of this network ({reason}); delete the files of packs/ "
            "and run again: whatever is missing is trained anew"
        ) from error
