"""Saves: checkpoints of a long training through Orbax, written while it goes on.

DIR/run.json  what the training is, so that another does not go on from its checkpoints
DIR/STEP/     the state before that step, and a checksum of it
"""

import contextlib
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxbias.errors import InputError
from jaxbias.files import sealed
from jaxbias.files.atomic import make_directory, writing
from jaxbias.files.content import content_id
from jaxbias.peers import alone

_RECORD = "run.json"
_COST = "this base alone is pretrained from its first step"
# What reading a damaged checkpoint may raise; TensorStore's errors are ValueErrors.
_DAMAGED = (OSError, ValueError, KeyError, TypeError, RuntimeError)


class Saves:
    """Checkpoints of one training.

    Args:
      directory: theirs alone; made here. With several processes, one that all of them see.
      keep: how many of the last are kept, beside the best.
      run: what the training is, JSON-able.
      layout: on what and how this process does its steps, JSON-able.

    Attributes:
      layouts: the same of everyone who did steps, in order, with no two alike in a row.

    Raises:
      InputError: the directory has checkpoints of another training, or cannot be written.
    """

    def __init__(
        self, directory: Path, keep: int, run: dict[str, Any], layout: dict[str, Any]
    ) -> None:
        self.directory = directory.absolute()
        record = self.directory / _RECORD
        if record.is_file():
            run = _refuse_another(record, run)
        elif jax.process_index() == 0:
            make_directory(self.directory)
            if any(path.name.isdecimal() for path in self.directory.iterdir()):
                raise _lost(record, "it is gone, and checkpoints are there")
            sealed.write(record, run)
        self._run = content_id(run)
        from orbax.checkpoint import v1 as ocp  # Takes a second or more: only where it is used.

        policies = ocp.training.preservation_policies
        best = policies.BestN(get_metric_fn=lambda metrics: -metrics["loss"], n=1)
        self._checkpointer = ocp.training.Checkpointer(
            self.directory,
            save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
            preservation_policy=policies.AnyPreservationPolicy([policies.LatestN(keep), best]),
            cleanup_tmp_directories=True,  # Of processes that were killed.
        )
        self.last: int | None = None
        self.layouts = [layout]

    def save(self, step: int, state: Any, loss: float) -> None:
        """Begins to write the state before a step; it was copied when this returns.

        Args:
          step: the step.
          state: arrays that every process has whole.
          loss: the mean since the checkpoint before; the lowest is the best.
        """
        # A copy: the arrays are used up by the next step, and on CPU would be written meanwhile.
        leaves = {f"{i:05d}": np.array(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
        facts = {"checksum": _checksum(leaves), "loss": loss, "run": self._run}
        facts["layouts"] = self.layouts
        with self._told(step):
            self._checkpointer.save_checkpointables_async(
                step,
                {"state": leaves},
                force=True,
                overwrite=True,  # A damaged one of a run before.
                metrics={"loss": loss},
                custom_metadata=facts,
            )
        self.last = step

    def wait(self) -> None:
        """Returns when everything is written."""
        with self._told(self.last or 0):
            self._checkpointer.wait()

    def restore(self, template: Any) -> tuple[int, Any, float] | None:
        """Returns the last whole checkpoint, or None.

        One that cannot be read is passed over with a warning; the training comes by its step again
        and writes it anew. Of several processes the first chooses, and all go on from its choice.

        Args:
          template: a state of the same structure, shapes and dtypes.

        Returns:
          The step that comes next, the state before it as host arrays, and the loss it was saved
          with.

        Raises:
          InputError: none can be read.
        """
        alone = jax.process_count() == 1
        found = self._newest(template) if alone else self._agreed(template)
        self.last = found[0] if found else None
        return found

    def _agreed(self, template: Any) -> tuple[int, Any, float] | None:
        found, failure, first = None, None, jax.process_index() == 0
        try:
            found = self._newest(template) if first else None
        except InputError as error:
            failure = error
        mine = np.int32(-1 if failure else found[0] if found else 0)
        chosen = int(multihost_utils.broadcast_one_to_all(mine))
        if chosen < 0:
            raise failure or InputError(f"{self.directory}: the first process tells what is wrong")
        return found if first or not chosen else (chosen, *self._read(chosen, template))

    def _newest(self, template: Any) -> tuple[int, Any, float] | None:
        steps = sorted((found.step for found in self._checkpointer.checkpoints), reverse=True)
        for step in steps:
            try:
                return step, *self._read(step, template)
            except _DAMAGED as error:
                reason = str(error).splitlines()[0][:200] if str(error) else repr(error)
                print(
                    f"jaxbias: checkpoint {self.directory / str(step)} is damaged ({reason}); "
                    "going on from the one before",
                    file=sys.stderr,
                )
        if steps:
            raise _lost(self.directory, "none of its checkpoints can be read")
        return None

    def _read(self, step: int, template: Any) -> tuple[Any, float]:
        """Reads the state of a step and the loss it was saved with."""
        leaves, tree = jax.tree.flatten(template)
        wanted = {f"{i:05d}": np.zeros(x.shape, x.dtype) for i, x in enumerate(leaves)}
        from orbax.checkpoint import v1 as ocp

        with alone():  # The first looks for the last whole one before the others do.
            read = ocp.load_checkpointables(self.directory / str(step), {"state": wanted})
        values = {name: np.asarray(value) for name, value in read["state"].items()}
        facts = self._checkpointer.checkpointables_metadata(step).custom_metadata
        if _checksum(values) != facts["checksum"]:
            raise ValueError("its checksum is wrong")
        if facts.get("run", self._run) != self._run:  # Earlier versions did not say.
            raise ValueError("it is of another training")
        before = facts.get("layouts", self.layouts)
        self.layouts = before if before[-1] == self.layouts[-1] else [*before, self.layouts[-1]]
        return jax.tree.unflatten(tree, [values[name] for name in wanted]), facts["loss"]

    def close(self) -> None:
        """Waits, and stops Orbax's threads."""
        with self._told(self.last or 0):
            self._checkpointer.close()

    @contextlib.contextmanager
    def _told(self, step: int) -> Iterator[None]:
        with writing(self.directory / str(step), raised=(OSError, ValueError, RuntimeError)):
            yield


def _refuse_another(record: Path, run: dict[str, Any]) -> dict[str, Any]:
    """Returns the record of a training, which of earlier versions says more."""
    try:
        stored = sealed.read(record)
    except (OSError, ValueError) as error:
        raise _lost(record, f"it is damaged: {error}") from error
    changed = [name for name in run if stored.get(name) != run[name]]
    if changed:
        name = changed[0]
        raise InputError(
            f"{record.parent} has checkpoints of another run: {name}={stored.get(name)!r}, now "
            f"{run[name]!r}; set it back, or delete {record.parent} and run again: {_COST}"
        )
    return stored


def _lost(path: Path, reason: str) -> InputError:
    directory = path.parent if path.name == _RECORD else path
    return InputError(
        f"{path} cannot be gone on from ({reason}); delete {directory} and run again: {_COST}"
    )


def _checksum(leaves: dict[str, np.ndarray]) -> int:
    total = 0
    for name in sorted(leaves):
        total = zlib.crc32(np.ascontiguousarray(leaves[name]).view(np.uint8).reshape(-1), total)
    return total
