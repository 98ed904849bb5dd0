"""TPU VMs: one queued resource, and the same command on every host of it by `gcloud`.

Rendered alone, to be read and then run by hand: no TPU was at hand to try it on. All hosts must see
the work directory.
"""

import dataclasses
import shlex

from jaxbias.errors import InputError
from launch.job import Job, exports
from launch.settings import LaunchSpec
from launch.tpu import alone

# On every host, where the repository has been cloned and jaxbias installed.
_HOME = "jaxbias"
# What types are called, up to the number -> the kind of their chips.
_KINDS = {"v4": "v4", "v5litepod": "v5e", "v5p": "v5p", "v6e": "v6e"}


def settled(spec: LaunchSpec) -> LaunchSpec:
    """Returns settings with what the type of the slice says of its chips.

    Raises:
      InputError: launch.kind says otherwise.
    """
    kind = _KINDS.get(spec.tpu_vm.type.rpartition("-")[0], spec.kind)
    if spec.kind not in ("", kind):
        raise InputError(
            f"launch.kind={spec.kind!r}, but launch.tpu_vm.type={spec.tpu_vm.type!r} has chips of "
            f"{kind}; leave launch.kind out"
        )
    return dataclasses.replace(spec, device="tpu", kind=kind)


def files(job: Job) -> dict[str, str]:
    """Returns what every host runs, and the commands that start, watch and stop it."""
    spec = job.spec.tpu_vm
    for field in ("project", "zone"):
        if not getattr(spec, field):
            raise InputError(f"launch.tpu_vm.{field} is missing")
    run = shlex.join(job.supervised("config.py", "python3"))
    place = [f"--zone={spec.zone}", f"--project={spec.project}"]
    queued = ["gcloud", "compute", "tpus", "queued-resources"]
    create = [
        *(*queued, "create", job.name, f"--node-id={job.name}", *place),
        *(f"--accelerator-type={spec.type}", f"--runtime-version={spec.runtime}"),
        *(["--spot"] if spec.spot else []),
    ]
    state = [*queued, "describe", job.name, *place, "--format=value(state.state)"]
    vm = ["gcloud", "compute", "tpus", "tpu-vm"]
    sent = [str(job.folder / name) for name in ("config.py", "worker.sh")]
    copy = [*vm, "scp", *sent, f"{job.name}:{_HOME}/", "--worker=all", *place]
    start = f"cd {_HOME} && nohup sh worker.sh > worker.log 2>&1 &"
    return {
        "config.py": job.config,
        "worker.sh": _script(
            f"{exports({**alone(job.spec.devices), **job.spec.environment})}exec {run}"
        ),
        "submit.sh": _script(
            shlex.join(create),
            f'until [ "$({shlex.join(state)})" = ACTIVE ]; do sleep 60; done',
            shlex.join(copy),
            shlex.join(_everywhere(job, start)),
        ),
        "logs.sh": _script(shlex.join(_everywhere(job, f"tail -n 20 {_HOME}/worker.log"))),
        "cancel.sh": _script(
            shlex.join([*queued, "delete", job.name, *place, "--force", "--quiet"])
        ),
    }


def _everywhere(job: Job, command: str) -> list[str]:
    spec = job.spec.tpu_vm
    place = [f"--zone={spec.zone}", f"--project={spec.project}"]
    words = ["gcloud", "compute", "tpus", "tpu-vm", "ssh", job.name, "--worker=all", *place]
    return [*words, f"--command={command}"]


def _script(*lines: str) -> str:
    return "\n".join(["#!/bin/sh", "# Unverified: written, never run.", "set -eu", *lines, ""])
