"""Saves: checkpoints of a long training through Orbax, written while it goes on.

DIR/run.json  what the training is, so that another does not go on from its checkpoints
DIR/STEP/     the state before that step, and a checksum of it
"""

import contextlib
import json
import sys
import zlib
from pathlib import Path
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from jaxbias.atomic import make_directory, unwritable, write_text
from jaxbias.errors import InputError

_RECORD = "run.json"
# What reading a damaged checkpoint may raise; TensorStore's errors are ValueErrors.
_DAMAGED = (OSError, ValueError, KeyError, TypeError, RuntimeError)


class Saves:
    """Checkpoints of one training.

    Args:
      directory: theirs alone; made here. With several processes, one that all of them see.
      keep: how many of the last are kept, beside the best.
      run: what the training is, JSON-able.

    Raises:
      InputError: the directory has checkpoints of another training, or cannot be written.
    """

    def __init__(self, directory: Path, keep: int, run: dict[str, Any]) -> None:
        self.directory = directory.absolute()
        record = self.directory / _RECORD
        if record.is_file():
            _refuse_another(record, run)
        elif jax.process_index() == 0:
            make_directory(self.directory)
            write_text(record, json.dumps(run, indent=1))
        policies = ocp.training.preservation_policies
        best = policies.BestN(get_metric_fn=lambda metrics: -metrics["loss"], n=1)
        self._checkpointer = ocp.training.Checkpointer(
            self.directory,
            save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
            preservation_policy=policies.AnyPreservationPolicy([policies.LatestN(keep), best]),
        )
        self.last: int | None = None

    def save(self, step: int, state: Any, loss: float) -> None:
        """Begins to write the state before a step; it was copied when this returns.

        Args:
          step: the step.
          state: arrays that every process has whole.
          loss: the mean since the checkpoint before; the lowest is the best.
        """
        # A copy: the arrays are used up by the next step, and on CPU would be written meanwhile.
        leaves = {f"{i:05d}": np.array(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
        facts = {"checksum": _checksum(leaves), "loss": loss}
        with self._told(step):
            self._checkpointer.save_checkpointables_async(
                step, {"state": leaves}, metrics={"loss": loss}, custom_metadata=facts
            )
        self.last = step

    def wait(self) -> None:
        """Returns when everything is written."""
        with self._told(self.last):
            self._checkpointer.wait()

    def restore(self, template: Any) -> tuple[int, Any, float] | None:
        """Returns the last whole checkpoint, or None.

        One that is damaged is passed over with a warning and deleted: the training comes by its
        step again.

        Args:
          template: a state of the same structure, shapes and dtypes.

        Returns:
          The step that comes next, the state before it as host arrays, and the loss it was saved
          with.

        Raises:
          InputError: all there are are damaged.
        """
        leaves, tree = jax.tree.flatten(template)
        wanted = {f"{i:05d}": np.zeros(x.shape, x.dtype) for i, x in enumerate(leaves)}
        steps = sorted((found.step for found in self._checkpointer.checkpoints), reverse=True)
        for step in steps:
            try:
                values = self._checkpointer.load_checkpointables(step, {"state": wanted})["state"]
                values = {name: np.asarray(value) for name, value in values.items()}
                facts = self._checkpointer.checkpointables_metadata(step).custom_metadata
                if _checksum(values) != facts["checksum"]:
                    raise ValueError("its checksum is wrong")
            except _DAMAGED as error:
                reason = str(error).splitlines()[0][:200] if str(error) else repr(error)
                print(
                    f"jaxbias: checkpoint {self.directory / str(step)} is damaged ({reason}); "
                    "going on from the one before",
                    file=sys.stderr,
                )
                self._checkpointer.delete(step)
                continue
            self.last = step
            return step, jax.tree.unflatten(tree, list(values.values())), facts["loss"]
        if steps:
            raise InputError(
                f"{self.directory}: none of its checkpoints can be read; delete the directory and "
                "run again from the beginning"
            )
        return None

    def close(self) -> None:
        """Waits, and stops Orbax's threads."""
        with self._told(self.last):
            self._checkpointer.close()

    @contextlib.contextmanager
    def _told(self, step: int | None) -> Any:
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:
            raise InputError(unwritable(self.directory / str(step), error)) from error


def _refuse_another(record: Path, run: dict[str, Any]) -> None:
    try:
        stored = json.loads(record.read_text())
        changed = [name for name in run if stored.get(name) != run[name]]
    except (json.JSONDecodeError, AttributeError) as error:
        raise InputError(f"{record} is damaged; delete {record.parent}") from error
    if changed:
        name = changed[0]
        raise InputError(
            f"{record.parent} has checkpoints of another run: {name}={stored.get(name)!r}, now "
            f"{run[name]!r}; set it back, or delete the directory and begin anew"
        )


def _checksum(leaves: dict[str, np.ndarray]) -> int:
    total = 0
    for name in sorted(leaves):
        total = zlib.crc32(np.ascontiguousarray(leaves[name]).view(np.uint8).reshape(-1), total)
    return total
