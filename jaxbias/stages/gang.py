"""Gangs: several processes that do packs together, one program over the devices of all.

The first leads: it alone looks at the work directory, plans, and takes claims, as a process alone
does. The others follow: they do every pack that it does, at the same time, and ask nobody what is
to be done. Each writes what its devices computed. When one fails, it tells the others, and all end
alike; when one is gone, JAX ends the rest. The gang is then started again as a whole.
"""

import contextlib
import dataclasses
import ipaddress
import json
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence

import jax

from jaxbias import peers
from jaxbias.engine.rows import Row
from jaxbias.errors import InputError
from jaxbias.files.claims import Lost, give_back_all
from jaxbias.plan.packs import Pack
from jaxbias.stages.rendezvous import VARIABLES, number, rendezvous
from jaxbias.stages.supervisor import LOST, TERMINATED
from jaxbias.training.loop import Terminated
from jaxbias.workdir.crew import Work
from jaxbias.workdir.results import ResultDirectory
from jaxbias.workdir.stopping import on_sigterm

# A process that is not heard of for so many seconds is taken for gone: the variable, and JAX's own.
_HEARTBEAT = ("JAXBIAS_HEARTBEAT_SECONDS", 100)
# Until another host sees a file that was written.
_SEEN_SECONDS = 60
# Until the others have heard of an end, at most, and then until they have left.
_HEARD_SECONDS, _LEFT_SECONDS = 10, 1
_END, _WRITE, _DONE = "end", "write", "done"
_BROKEN = ("Gloo", "NCCL", "Socket closed", "Connection closed")  # Of a peer that is gone.

Do = Callable[[Sequence[Pack]], Callable[[], None]]


@contextlib.contextmanager
def joined() -> Iterator[bool]:
    """Joins the processes that the environment tells of, before JAX starts, for the block.

    Slurm, Open MPI, Kubernetes jobs and TPU pods tell by themselves; elsewhere set
    JAX_COORDINATOR_ADDRESS=HOST:PORT, JAX_NUM_PROCESSES and JAX_PROCESS_ID.

    What one of them raises inside ends all: the block then never returns.

    Yields:
      Whether this is the first.

    Raises:
      InputError: the environment tells of none, or the others did not come.
      Terminated: SIGTERM came to one of them, and what was done is saved.
    """
    _join()
    watch = threading.Thread(target=_watch, daemon=True)
    watch.start()
    terminated = None
    try:
        with on_sigterm(_stop):  # After JAX, which minds it otherwise.
            yield peers.is_first()
    except Terminated as error:  # Of all of them, at one step.
        terminated = error
    except KeyboardInterrupt:
        _end(130, "interrupted; the same command goes on from here")
        watch.join()
    except Exception as error:
        _fail(error)
        watch.join()
    if peers.is_first():
        peers.say(_END, json.dumps(None))
    watch.join()
    jax.distributed.shutdown()
    if terminated:
        raise terminated


def _join() -> None:
    try:
        found = rendezvous()
        own = {"heartbeat_timeout_seconds": number(*_HEARTBEAT)}
        if found and _is_ip(found[0]):  # Or the coordinator listens on all addresses.
            own["coordinator_bind_address"] = found[0]
        jax.distributed.initialize(*(found or ()), **own)
    except (ValueError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(f"--distributed: {reason}; set {', '.join(VARIABLES)}") from error


def _is_ip(address: str) -> bool:
    try:
        return bool(ipaddress.ip_address(address.rpartition(":")[0].strip("[]")))
    except ValueError:
        return False


# How a gang ends.


def _fail(error: Exception) -> None:
    """Ends all for what this process raised."""
    if isinstance(error, InputError):
        _end(2, str(error))
    elif any(mark in str(error) for mark in _BROKEN):
        _end(LOST, str(InputError(f"lost another process ({error})")))
    else:
        traceback.print_exc()
        _end(1, str(InputError(f"{type(error).__name__}: {error}")))


def _end(code: int, line: str) -> None:
    """Ends all by an exit code and a line, unless another process has begun to."""
    who = f"process {jax.process_index()} of the gang, on {socket.gethostname()}"
    try:
        peers.say(_END, json.dumps([code, line, who, jax.process_index()]))
    except jax.errors.JaxRuntimeError:  # The first is gone, who would have told the others.
        _tell(line)
        give_back_all()
        os._exit(code)


def _watch() -> None:
    """Ends this process when one says so; the first when all have heard of it."""
    with contextlib.suppress(jax.errors.JaxRuntimeError):  # Then JAX ends it.
        told = json.loads(peers.wait_for(_END))
        if told is None:
            return
        code, line, who, place = told
        _tell(line if place == jax.process_index() else f"{who}: {line}")
        give_back_all()
        peers.say(f"{_END}/{jax.process_index()}", "")
        if peers.is_first():  # Without it JAX would end the others in its own way.
            end = time.monotonic() + _HEARD_SECONDS
            for other in range(1, jax.process_count()):
                with contextlib.suppress(TimeoutError):
                    peers.wait_for(f"{_END}/{other}", max(0.0, end - time.monotonic()))
            time.sleep(_LEFT_SECONDS)
        os._exit(code)


def _tell(line: str) -> None:
    print(f"jaxbias: {line}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()


def _stop() -> None:
    _end(TERMINATED, "told to stop (SIGTERM); the same command goes on from here")


# What is done together.


def lead(work: Work) -> Work:
    """Returns, in the first, work whose packs the others do too."""

    def do(packs: Sequence[Pack]) -> Callable[[], None]:
        peers.first_says(json.dumps([work.stage, *(pack.id for pack in packs)]))
        write = work.do(packs)

        def write_together() -> None:
            peers.first_says(_WRITE)
            write()

        return write_together

    return dataclasses.replace(work, do=do)


def write_pack(directory: ResultDirectory, pack: Pack, rows: Sequence[Row]) -> None:
    """Writes the file of a pack; all call this alike.

    Each of the others writes a part, which the first takes over.

    Args:
      directory: where.
      pack: it.
      rows: those that this process has, each member's in one process.
    """
    place = jax.process_index()
    if rows and not peers.is_first():
        directory.write_part(pack, place, rows)
    told = peers.all_say(str(len(rows)))
    if peers.is_first():
        others = [other for other in range(1, len(told)) if int(told[other])]
        wait_until(
            lambda: directory.has_parts(pack, others),
            f"{directory.place} shows no parts of pack {pack.id} that other processes have written",
        )
        directory.write_pack(pack, directory.joined(pack, rows, others))


def dismiss() -> None:
    """Lets the others go: there is nothing more to do."""
    peers.first_says(_DONE)


def follow(do: Mapping[str, Do], directory: ResultDirectory) -> None:
    """Does what the first process does, until it lets the others go.

    Args:
      do: what is done to packs, by stage.
      directory: whose plan has them.
    """
    write = None
    while (told := peers.first_says()) != _DONE:
        if told == _WRITE:
            write()
            continue
        stage, *ids = json.loads(told)  # What was not written before is another's by now.
        with contextlib.suppress(Lost):
            write = do[stage](_planned(directory, stage, ids))


def _planned(directory: ResultDirectory, stage: str, ids: Sequence[str]) -> list[Pack]:
    """Returns packs of the plan, which grows."""
    found: dict[str, Pack] = {}

    def look() -> bool:
        plan = directory.plan()
        found.update({pack.id: pack for pack in plan.packs(stage)} if plan else {})
        return found.keys() >= set(ids)

    wait_until(look, f"{directory.place} shows no plan.json that has what the first process does")
    return [found[id] for id in ids]


def wait_until(seen: Callable[[], bool], refusal: str) -> None:
    """Waits for what another host has written; a disk may show it late.

    Raises:
      InputError: it is not seen for a minute.
    """
    for _ in range(_SEEN_SECONDS):
        if seen():
            return
        time.sleep(1)
    raise InputError(f"{refusal}; all processes must see one directory")
