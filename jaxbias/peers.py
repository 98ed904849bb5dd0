"""Peers: the processes of a gang, which run one program, and what they tell each other beside it.

They tell it through JAX's coordinator, which lives in the first of them: nobody's devices wait for
what is told, however long it takes. Whatever one process knows better than the others, or they know
differently, is said here before they act on it.
"""

import contextlib
import itertools
import json
import time

import jax
from jax.experimental import multihost_utils

# Between two signs of patience; the coordinator answers at once where there is something.
_PATIENCE_MS = 60_000
_steps = itertools.count()
_said: list[int] = []  # Steps that others may be reading still.


def is_first() -> bool:
    """Whether this process is the first of its gang, or alone."""
    return jax.process_index() == 0


def first_says(text: str = "") -> str:
    """Returns what the first process says, in all; they call this alike."""
    if jax.process_count() == 1:
        return text
    step = next(_steps)
    if not is_first():
        return wait_for(f"{step}/first")
    _said.append(step)
    say(f"{step}/first", text)
    return text


def all_say(text: str) -> list[str]:
    """Returns what every process says, by their places, in all; they call this alike."""
    if jax.process_count() == 1:
        return [text]
    step = next(_steps)
    if not is_first():
        say(f"{step}/{jax.process_index()}", text)
        return json.loads(wait_for(f"{step}/all"))
    others = range(1, jax.process_count())
    told = [text, *(wait_for(f"{step}/{place}") for place in others)]
    while _said:  # Nobody reads what came before.
        _client().key_value_delete(_key(f"{_said.pop()}/"))
    _said.append(step)
    say(f"{step}/all", json.dumps(told))
    return told


def say(name: str, text: str) -> bool:
    """Says something under a name, once; whether nobody had."""
    try:
        _client().key_value_set(_key(name), text)
    except jax.errors.JaxRuntimeError as error:
        if "ALREADY_EXISTS" not in str(error):
            raise
        return False
    return True


def wait_for(name: str, seconds: float = float("inf")) -> str:
    """Returns what is said under a name, by whomever.

    Raises:
      TimeoutError: it was not said in time.
    """
    end = time.monotonic() + seconds
    while True:
        left = max(0.0, 1000 * (end - time.monotonic()))
        try:
            patience = int(min(_PATIENCE_MS, left))
            return _client().blocking_key_value_get(_key(name), patience)
        except jax.errors.JaxRuntimeError as error:
            if "DEADLINE_EXCEEDED" not in str(error):
                raise
            if time.monotonic() >= end:
                raise TimeoutError(name) from error


def alone() -> contextlib.AbstractContextManager:
    """Inside, this process reads checkpoints by itself; Orbax would have all of a gang meet."""
    from orbax.checkpoint import v1  # Takes a second or more.

    context = v1.Context()
    if jax.process_count() > 1:
        place = jax.process_index()
        context.multiprocessing.primary_host = place
        context.multiprocessing.active_processes = {place}
        context.multiprocessing.barrier_sync_key_prefix = f"alone-{place}"
    return context


def _key(name: str) -> str:
    return f"jaxbias/{name}"


def _client():  # noqa: ANN202
    """JAX's own, for which it has no public name."""
    return multihost_utils.distributed.global_state.client
