"""Checkpoints: parameters of a base on disk, through Orbax."""

import contextlib
import errno
import logging
import math
import os
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxbias.errors import InputError
from jaxbias.files.atomic import draft_of, make_directory, writing
from jaxbias.models import Network
from jaxbias.models.network import Params
from jaxbias.peers import alone

# Beside the parameters, which it may hold twice for a while, a checkpoint is some twenty files.
_SLACK = 256 * 1024
_RAISED = (OSError, ValueError, RuntimeError)  # TensorStore's are not OSErrors.
_REASON = 160  # Characters of another library's message.


def _orbax() -> Any:
    """Orbax, which takes a second or more to import: whoever reads and writes no base is spared."""
    from orbax.checkpoint import v1

    return v1


def save(path: Path, params: Params) -> None:
    """Writes parameters to a directory that appears only when it is whole.

    Of several processes of one job all call this alike: Orbax has them meet. The first writes.
    """
    path = path.absolute()
    first = jax.process_index() == 0
    make_directory(path.parent)
    together = jax.process_count() > 1
    draft = path.with_name(f".{path.name}.gang.part") if together else draft_of(path)
    try:
        with writing(path, raised=_RAISED):
            if first:
                shutil.rmtree(draft, ignore_errors=True)  # Of a gang that was killed.
                _check_room(draft, params)
            _orbax().save(draft, params)
            if first:
                _put(draft, path, params)
    finally:
        for leftover in path.parent.glob(f"{draft.name}*") if first else ():
            shutil.rmtree(leftover, ignore_errors=True)


def _check_room(draft: Path, params: Params) -> None:
    """Refuses a full disk beforehand: Orbax's threads would print pages about it."""
    size = 2 * sum(leaf.nbytes for leaf in jax.tree.leaves(params)) + _SLACK
    try:
        with draft.open("wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def _put(draft: Path, path: Path, params: Params) -> None:
    """Moves a checkpoint to its place; an equal one there is left, for it may be being read."""
    try:
        draft.rename(path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        if not _equal(path, params):
            path.rename(draft.with_name(f"{draft.name}.old"))
            draft.rename(path)


def _equal(path: Path, params: Params) -> bool:
    try:
        with alone():
            stored = _orbax().load(path)
        same = jax.tree.map(lambda a, b: np.array_equal(np.asarray(a), b), stored, params)
    except Exception:  # A damaged checkpoint may raise anything.
        return False
    return all(jax.tree.leaves(same))


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
        with alone():
            return jax.tree.map(np.asarray, _orbax().load(path.absolute(), template))
    except Exception as error:  # A damaged checkpoint may raise anything.
        raise _unusable(path, error) from error


def load_any(path: Path) -> Params:
    """Reads the parameters of whatever network a checkpoint holds, as host arrays.

    Raises:
      InputError: there is no whole checkpoint.
    """
    try:
        return jax.tree.map(np.asarray, _orbax().load(path.absolute()))
    except Exception as error:  # A damaged checkpoint may raise anything.
        raise _unusable(path, error) from error


def declared_bytes(path: Path) -> int:
    """Returns what the parameters of a checkpoint would take in memory, as it declares them.

    Raises:
      InputError: there is no whole checkpoint.
    """
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)  # Of a damaged one Orbax logs pages, and returns nothing.
    try:
        leaves = jax.tree.leaves(_orbax().metadata(path.absolute()).metadata)
        return sum(math.prod(leaf.shape) * np.dtype(leaf.dtype).itemsize for leaf in leaves)
    except Exception as error:  # A damaged checkpoint may raise anything.
        raise _unusable(path, error) from error
    finally:
        logging.disable(disabled)


def _unusable(path: Path, error: Exception) -> InputError:
    # Orbax reads arrays side by side; of its errors this is the first, the others Python prints.
    logging.getLogger("asyncio").addFilter(_is_ours)
    reason = next(iter(str(error).splitlines()), "") or type(error).__name__
    return InputError(f"{path} holds no whole checkpoint of this network ({reason[:_REASON]})")


def _is_ours(record: logging.LogRecord) -> bool:
    return "exception was never retrieved" not in record.getMessage()
