"""Gangs: several processes that pretrain one base after another together, each on its devices.

All do the same steps; the first writes what the study keeps. When one dies the others cannot go on:
the gang is started again as a whole, and goes on from the last checkpoint.
"""

import contextlib
import dataclasses
import functools
import os
import time
from collections.abc import Iterator
from pathlib import Path

import jax
from jax.experimental import multihost_utils

from jaxbias.engine.compilation import use_compilation_cache
from jaxbias.engine.memory import peak_memory
from jaxbias.errors import InputError
from jaxbias.plan.packs import Pack, Plan
from jaxbias.stages.bases import pretrain_base
from jaxbias.stages.planning import agree_on_plan, load_data, runner_of
from jaxbias.study import Study
from jaxbias.weights import checkpoint, content_hash
from jaxbias.workdir.leases import Lease, Leases
from jaxbias.workdir.results import PARAMETERS, ResultDirectory
from jaxbias.workdir.telemetry import Telemetry

# As `jax.distributed.initialize` names its arguments.
_VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


def join() -> None:
    """Joins the processes that the environment tells of, before JAX starts.

    Slurm, Open MPI, Kubernetes jobs and TPU pods tell by themselves; elsewhere set
    JAX_COORDINATOR_ADDRESS=HOST:PORT, JAX_NUM_PROCESSES and JAX_PROCESS_ID.

    Raises:
      InputError: the environment tells of none, or the others did not come.
    """
    given = [os.environ.get(name) for name in _VARIABLES]
    if any(given) and not all(given):
        missing = ", ".join(n for n, value in zip(_VARIABLES, given, strict=True) if not value)
        raise InputError(f"--distributed needs all of {', '.join(_VARIABLES)}; not set: {missing}")
    address, count, place = given
    try:
        if not address:
            jax.distributed.initialize()
            return
        jax.distributed.initialize(address, int(count), int(place))
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(f"--distributed: {reason}; set {', '.join(_VARIABLES)}") from error


def pretrain_together(study: Study, workdir: str | Path) -> int:
    """Pretrains the bases of a study step by step, over the devices of all processes.

    Args:
      study: the study.
      workdir: the result directory, on a disk that all of them see.

    Returns:
      The bases that were pretrained now.

    Raises:
      InputError: as of `pretrain_base`.
    """
    pretrain = dataclasses.replace(study.pretrain, engine="loop")
    study = dataclasses.replace(study, pretrain=pretrain)
    directory = ResultDirectory(workdir)
    leases = Leases(directory.path / "leases")
    dataset = load_data(study, directory)
    use_compilation_cache()
    writes = jax.process_index() == 0
    with _first_alone("the plan") as first:
        if first:
            directory.check_writable()
            agree_on_plan(study, dataset, directory, leases)
    plan = _seen(directory)
    runner = runner_of(study, dataset, directory, leases)
    telemetry = Telemetry(directory.path / "events", runner.counters, peak_memory)
    done = 0
    for pack in plan.bases:
        # The first process has the say: another may not see a new file yet.
        if multihost_utils.broadcast_one_to_all(directory.has(pack)):
            continue
        with contextlib.ExitStack() as held:
            with _first_alone("a lease") as first:
                if first:
                    held.enter_context(_lease(leases, pack))
            rows = []
            for base in pack.members:
                tell = functools.partial(telemetry.trained, base.name, base.id)
                row, params = pretrain_base(runner, base, directory.training_path(base.id), tell)
                checkpoint.save(directory.base_path(base.id), params)
                rows.append({**row, PARAMETERS: content_hash(params)})
            if writes:
                directory.write_pack(pack, rows)
        done += len(pack.members)
    multihost_utils.sync_global_devices("done")
    return done


@contextlib.contextmanager
def _first_alone(what: str) -> Iterator[bool]:
    """A part that the first process does while the others wait; where it fails, all do.

    Raises:
      InputError: of the first process; the others name it.
    """
    first, failure = jax.process_index() == 0, None
    try:
        yield first
    except InputError as error:
        failure = error
    if multihost_utils.broadcast_one_to_all(failure is not None):
        raise failure or InputError(f"{what}: the first process of the job tells what is wrong")


def _lease(leases: Leases, pack: Pack) -> Lease:
    lease = leases.take(pack.id)
    if lease is None:
        raise InputError(
            f"another process is working on pack {pack.id} of this workdir; wait for it, or stop it"
        )
    return lease


def _seen(directory: ResultDirectory) -> Plan:
    """Returns the plan; another host's disk may show a new file late."""
    for _ in range(60):
        plan = directory.plan()
        if plan is not None:
            return plan
        time.sleep(1)
    raise InputError(f"{directory.path} shows no plan.json; all processes must see one directory")
