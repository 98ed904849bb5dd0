"""Ray: a job whose workers are actors, which Ray starts again on another node where theirs dies.

The code goes to the nodes with the job. What it needs, such as jax, they have, or `launch.ray.pip`
names it; the work directory they all see.
"""

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import yaml

import jaxbias
from jaxbias.errors import InputError
from launch.job import Job, call, cpu_environment

# Of jobs that are yet to do something.
_GOING = ("PENDING", "RUNNING")
_LINES = 20


def files(job: Job) -> dict[str, str]:
    """Returns what goes to the nodes, and the command that submits it."""
    return {
        "config.py": job.config,
        "runtime_env.yaml": yaml.safe_dump(_runtime(job), sort_keys=False),
        "submit.sh": f"#!/bin/sh\n{shlex.join(_submission(job, job.spec.workers))}\n",
    }


def submit(job: Job, count: int) -> None:
    """Submits a job of so many workers."""
    _call(_submission(job, count))


def alive(job: Job) -> int:
    """Returns how many workers wait or run."""
    return sum(int(each["metadata"]["workers"]) - _ended(job, each) for each in _jobs(job))


def cancel(job: Job) -> None:
    """Stops every job, and waits until it has ended."""
    for each in _jobs(job):
        _call([*_ray(job, "job", "stop"), each["submission_id"]])


def logs(job: Job) -> str:
    """Returns the last lines of every job that goes on; of the last one, where none does."""
    found = _jobs(job) or _jobs(job, (*_GOING, "STOPPED", "SUCCEEDED", "FAILED"))[:1]
    return "\n".join(f"==> {each['submission_id']} <==\n{_log(job, each)}" for each in found)


def _submission(job: Job, count: int) -> list[str]:
    # Ray shows it where it lists its jobs.
    metadata = json.dumps({"job_name": job.name, "workers": str(count)})
    return [
        *(*_ray(job, "job", "submit"), "--no-wait", f"--working-dir={job.folder}"),
        *(f"--runtime-env={job.folder / 'runtime_env.yaml'}", f"--metadata-json={metadata}"),
        *("--", "python", "-m", "launch.ray_workers", str(count), json.dumps(_each(job))),
        *job.supervised("config.py", "python"),
    ]


def _runtime(job: Job) -> dict[str, Any]:
    environment = dict(job.spec.environment)
    if job.spec.device == "cpu":
        environment = {**cpu_environment(job), **environment}
    packages = [str(Path(package).parent) for package in (jaxbias.__file__, __file__)]
    pip = {"pip": [*job.spec.ray.pip]} if job.spec.ray.pip else {}
    return {"py_modules": packages, "env_vars": environment, **pip}


def _each(job: Job) -> dict[str, Any]:
    """What Ray sets aside for one worker."""
    spec = job.spec
    own = {"gpu": {"num_gpus": spec.devices}, "tpu": {"resources": {"TPU": spec.devices}}}
    memory = {"memory": spec.memory_gib * 2**30} if spec.memory_gib else {}
    cpus = spec.devices if spec.device == "cpu" else spec.cpus
    return {"num_cpus": cpus, **own.get(spec.device, {}), **memory}


def _jobs(job: Job, states: tuple[str, ...] = _GOING) -> list[dict[str, Any]]:
    """Returns the jobs of this study, the last one first."""
    found = [each for each in _listed(job, "jobs", "--detail") if each["status"] in states]
    own = [each for each in found if (each["metadata"] or {}).get("job_name") == job.name]
    return sorted(own, key=lambda each: each["start_time"], reverse=True)


def _ended(job: Job, each: dict[str, Any]) -> int:
    """Returns how many workers of a job will not come back."""
    if not each["job_id"]:  # It has not begun.
        return 0
    which = ("class_name=Worker", f"job_id={each['job_id']}", "state=DEAD")
    return len(_listed(job, "actors", *(f"--filter={name}" for name in which)))


def _listed(job: Job, what: str, *words: str) -> list[dict[str, Any]]:
    told = _call([*_ray(job, "list", what), *words, "--format=json", "--limit=10000"])
    return json.loads(told) if told.startswith("[") else []  # None: it says so in words.


def _log(job: Job, each: dict[str, Any]) -> str:
    lines = _call([*_ray(job, "job", "logs"), each["submission_id"]]).splitlines()
    return "\n".join(lines[-_LINES * int(each["metadata"]["workers"]) :])


def _ray(job: Job, *words: str) -> list[str]:
    return ["ray", *words, *([f"--address={job.spec.ray.address}"] if job.spec.ray.address else [])]


def _call(words: list[str]) -> str:
    if not shutil.which("ray"):
        raise InputError(
            "there is no program `ray` here: pip install 'ray[default]', of the cluster's version"
        )
    return call(words)
