"""Gangs: several processes that pretrain one base after another together, each on its devices.

All do the same steps; the first writes what the study keeps. When one dies the others cannot go on:
the gang is started again as a whole, and goes on from the last checkpoint.
"""

import dataclasses
import random
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxbias.engine.compilation import use_compilation_cache
from jaxbias.engine.memory import peak_memory
from jaxbias.errors import InputError
from jaxbias.files.atomic import check_directory
from jaxbias.files.claims import Claims
from jaxbias.files.objects import is_url
from jaxbias.plan.packs import Plan
from jaxbias.stages.planning import Planner, load_data
from jaxbias.stages.pretrain import PretrainStage
from jaxbias.stages.rendezvous import VARIABLES, rendezvous
from jaxbias.study import Study
from jaxbias.workdir.crew import Crew
from jaxbias.workdir.results import ResultDirectory
from jaxbias.workdir.telemetry import Clock, Telemetry


def join() -> None:
    """Joins the processes that the environment tells of, before JAX starts.

    Slurm, Open MPI, Kubernetes jobs and TPU pods tell by themselves; elsewhere set
    JAX_COORDINATOR_ADDRESS=HOST:PORT, JAX_NUM_PROCESSES and JAX_PROCESS_ID.

    Raises:
      InputError: the environment tells of none, or the others did not come.
    """
    try:
        jax.distributed.initialize(*(rendezvous() or ()))
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(f"--distributed: {reason}; set {', '.join(VARIABLES)}") from error


def pretrain_together(study: Study, workdir: str | Path) -> None:
    """Pretrains the bases of a study step by step, over the devices of all processes.

    Args:
      study: the study.
      workdir: the result directory, on a disk that all of them see.

    Raises:
      InputError: as of `pretrain_base`.
    """
    if is_url(str(workdir)):
        raise InputError(f"--distributed needs a disk that all processes see, not {workdir}")
    pretrain = dataclasses.replace(study.pretrain, engine="loop")
    study = dataclasses.replace(study, pretrain=pretrain)
    directory = ResultDirectory(workdir)
    claims = Claims(directory.place.objects("claims"))
    dataset = load_data(study, directory)
    use_compilation_cache()
    planner = Planner(study, dataset, directory, claims)
    _decided(lambda: _lays_out(planner, directory))
    plan, runner = _seen(directory), planner.runner
    telemetry = Telemetry(
        directory.path / "events",
        runner.counters,
        peak_memory,
        directory.place.send,
        runner.layout.devices_told,
    )
    crew = Crew(directory, claims, telemetry, Clock(), _decided, random.Random(0))
    crew.share(PretrainStage(crew, runner).work(plan.bases))
    multihost_utils.sync_global_devices("done")


def _decided(ask: Callable[[], bool]) -> bool:
    """Returns what the first process answers, in all; another may not see a new file yet.

    Raises:
      InputError: of the first process; the others name it.
    """
    answer, failure = False, None
    if jax.process_index() == 0:
        try:
            answer = ask()
        except InputError as error:
            failure = error
    told = np.int32(-1 if failure else answer)
    told = int(multihost_utils.broadcast_one_to_all(told))
    if told < 0:
        raise failure or InputError("the first process of the job tells what is wrong")
    return bool(told)


def _lays_out(planner: Planner, directory: ResultDirectory) -> bool:
    check_directory(directory.path)
    planner.agree()
    return True


def _seen(directory: ResultDirectory) -> Plan:
    """Returns the plan; another host's disk may show a new file late."""
    for _ in range(60):
        plan = directory.plan()
        if plan is not None:
            return plan
        time.sleep(1)
    raise InputError(f"{directory.path} shows no plan.json; all processes must see one directory")
