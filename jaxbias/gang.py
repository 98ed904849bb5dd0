"""Gangs: several processes that pretrain one base after another together, each on its devices.

All do the same steps; the first writes what the study keeps. When one dies the others cannot go on:
the gang is started again as a whole, and goes on from the last checkpoint.
"""

import dataclasses
import os
from pathlib import Path

import jax
from jax.experimental import multihost_utils

from jaxbias import checkpoint, data
from jaxbias.errors import InputError
from jaxbias.leases import Leases
from jaxbias.planning import agree_on_plan, runner_of, use_compilation_cache
from jaxbias.pretraining import pretrain_base
from jaxbias.results import ResultDirectory
from jaxbias.study import Study
from jaxbias.telemetry import Telemetry

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
        raise InputError(f"--distributed: {missing} is not set, and the others of {_VARIABLES} are")
    address, count, place = given
    try:
        if not address:
            jax.distributed.initialize()
            return
        jax.distributed.initialize(address, int(count), int(place))
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"--distributed: {str(error).splitlines()[0]}; set {', '.join(_VARIABLES)}"
        ) from error


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
    dataset = data.load(study.data)
    use_compilation_cache()
    writes = jax.process_index() == 0
    if writes:
        directory.check_writable()
        plan, runner = agree_on_plan(study, dataset, directory, leases)
    multihost_utils.sync_global_devices("plan")
    if not writes:
        plan = directory.plan()
        runner = runner_of(study, dataset, directory, leases)
    telemetry = Telemetry(directory.path / "events", runner)
    done = 0
    for pack in plan.bases:
        # The first process has the say: another may not see a new file yet.
        there = multihost_utils.broadcast_one_to_all(directory.has(pack))
        if there:
            continue
        rows, params = [], []
        for base in pack.members:

            def tell(step: int, values: dict[str, float], base=base) -> None:  # noqa: ANN001
                telemetry.trained(base.name, base.id, step, values)

            row, leaves = pretrain_base(runner, base, directory.training_path(base.id), tell)
            rows.append(row)
            params.append(leaves)
        for base, leaves in zip(pack.members, params, strict=True):
            checkpoint.save(directory.base_path(base.id), leaves)
        if writes:
            directory.write_pack(pack, rows)
        done += len(pack.members)
    multihost_utils.sync_global_devices("done")
    return done
