"""Kubernetes: an Indexed Job of workers, or a JobSet of gangs; Kueue admits either.

A pod that is preempted, drained or evicted counts as no failure: it is made again. One that ends
with wrong input is not.
"""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from jaxbias.errors import InputError
from launch.job import Job, call, cpu_environment
from launch.tpu import alone

_RESOURCES = {"cpu": "cpu", "gpu": "nvidia.com/gpu", "tpu": "google.com/tpu"}
_CONFIG = Path("/etc/jaxbias")
_QUEUE = "kueue.x-k8s.io/queue-name"
# Of a pod that somebody else ended: drained nodes, preemption, eviction.
_DISRUPTED = [{"type": "DisruptionTarget", "status": "True"}]
_WRONG_INPUT = 2
# Of a gang on one slice of TPUs: a node pool of GKE.
_SLICE = {"alpha.jobset.sigs.k8s.io/exclusive-topology": "cloud.google.com/gke-nodepool"}
# Where a gang meets. Each try has a port of its own: pods of the last may not be gone yet, and
# their names may still lead to them.
_PORT, _PORTS = 8476, 1000


def files(job: Job) -> dict[str, str]:
    """Returns the manifest, and the command that submits it."""
    manifest = job.folder / "manifest.yaml"
    documents = [_config_map(job), _workload(job)]
    return {
        "manifest.yaml": yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, width=96),
        "submit.sh": f"#!/bin/sh\nkubectl apply --filename {manifest}\n",
    }


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as they are."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    ),
)


def submit(job: Job, count: int) -> None:
    """Makes the Job, all of it: one that has ended is made anew."""
    call([*_kubectl(job), "delete", f"--selector=app={job.name}", *_kinds(job), "--wait"])
    call([*_kubectl(job), "apply", "--filename", str(job.folder / "manifest.yaml")])


def alive(job: Job) -> int:
    """Returns how many workers there are: all, where some wait or run, for the Job remakes them."""
    words = [*_kubectl(job), "get", "pods", f"--selector=app={job.name}", "--output=name"]
    going = "--field-selector=status.phase!=Succeeded,status.phase!=Failed"
    return job.spec.workers if call([*words, going]).split() else 0


def cancel(job: Job) -> None:
    """Deletes everything of the launch."""
    call([*_kubectl(job), "delete", f"--selector=app={job.name}", *_kinds(job)])


def logs(job: Job) -> str:
    """Returns the last lines of every pod."""
    words = [*_kubectl(job), "logs", f"--selector=app={job.name}", "--prefix", "--tail=20"]
    return call([*words, "--max-log-requests=1000"])


def _kubectl(job: Job) -> list[str]:
    return ["kubectl", f"--namespace={job.spec.kubernetes.namespace}"]


def _kinds(job: Job) -> list[str]:
    return [f"{_kind(job)},configmap"]


def _kind(job: Job) -> str:
    return "jobset" if job.spec.kubernetes.hosts > 1 else "job"


def _metadata(job: Job, name: str, queue: str = "") -> dict[str, Any]:
    labels = {"app": job.name, **({_QUEUE: queue} if queue else {})}
    return {"name": name, "namespace": job.spec.kubernetes.namespace, "labels": labels}


def _config_map(job: Job) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(job, job.name),
        "data": {"config.py": job.config},
    }


def _workload(job: Job) -> dict[str, Any]:
    spec = job.spec.kubernetes
    if not spec.image:
        raise InputError("launch.kubernetes.image is missing: an image of launch/Dockerfile")
    if bool(spec.claim) != bool(spec.mount):
        raise InputError("launch.kubernetes.claim and .mount go together: set both or neither")
    metadata = _metadata(job, job.name, spec.queue)
    if spec.hosts > 1 and job.spec.device == "tpu":
        metadata["annotations"] = _SLICE
    if spec.hosts == 1:
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": metadata,
            "spec": _workers(job),
        }
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": metadata,
        "spec": _gangs(job),
    }


def _workers(job: Job) -> dict[str, Any]:
    """An Indexed Job: each worker fails for itself."""
    wrong = {"containerName": "worker", "operator": "In", "values": [_WRONG_INPUT]}
    return {
        "completionMode": "Indexed",
        "completions": job.spec.workers,
        "parallelism": job.spec.workers,
        "backoffLimitPerIndex": job.spec.failures,
        "podFailurePolicy": {
            "rules": [
                {"action": "Ignore", "onPodConditions": _DISRUPTED},
                {"action": "FailIndex", "onExitCodes": wrong},
            ]
        },
        "template": _pod(
            job, job.supervised(_CONFIG / "config.py", "python", 1), _variables(job, alone)
        ),
    }


def _gangs(job: Job) -> dict[str, Any]:
    """A JobSet: each gang, a Job of its own, starts again as a whole."""
    hosts = job.spec.kubernetes.hosts
    gang = {
        "completionMode": "Indexed",
        "completions": hosts,
        "parallelism": hosts,
        "backoffLimit": 0,
        "podFailurePolicy": {"rules": [{"action": "FailJob", "onPodConditions": _DISRUPTED}]},
        "template": _pod(job, ["sh", "-c", _together(job)], _meeting(job)),
    }
    disrupted = {
        "name": "disrupted",
        "action": "RestartJobSetAndIgnoreMaxRestarts",
        "onJobFailureReasons": ["PodFailurePolicy"],
    }
    return {
        "failurePolicy": {"maxRestarts": job.spec.failures, "rules": [disrupted]},
        "replicatedJobs": [
            {"name": "gang", "replicas": job.spec.workers, "template": {"spec": gang}}
        ],
    }


def _pod(job: Job, command: list[str], variables: list[dict[str, Any]]) -> dict[str, Any]:
    spec = job.spec.kubernetes
    volumes = [{"name": "config", "configMap": {"name": job.name}}]
    mounts = [{"name": "config", "mountPath": str(_CONFIG)}]
    if spec.claim:
        volumes.append({"name": "study", "persistentVolumeClaim": {"claimName": spec.claim}})
        mounts.append({"name": "study", "mountPath": spec.mount})
    pod = {
        "restartPolicy": "Never",
        "containers": [
            {
                "name": "worker",
                "image": spec.image,
                "command": command,
                "env": variables,
                "resources": _resources(job),
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }
    if spec.nodes:
        pod["nodeSelector"] = dict(map(_label, spec.nodes))
    if spec.service_account:
        pod["serviceAccountName"] = spec.service_account
    return {"metadata": {"labels": {"app": job.name}}, "spec": pod}


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise InputError(f"launch.kubernetes.nodes: '{text}' must be written like disk=ssd")
    return name, value


def _variables(
    job: Job, topology: Callable[[int], dict[str, str]] = lambda chips: {}
) -> list[dict[str, Any]]:
    """The variables of a pod; of one that works by itself on TPUs its own topology too."""
    own = cpu_environment(job) if job.spec.device == "cpu" else {}
    if job.spec.device == "tpu":
        own = topology(job.spec.devices)
    return [{"name": k, "value": v} for k, v in {**own, **job.spec.environment}.items()]


def _together(job: Job) -> str:
    """What a pod of a gang runs: where they meet depends on how often they have tried."""
    port = f"$(({_PORT} + ATTEMPT % {_PORTS}))"
    address = f'"{job.name}-gang-$GANG-0.{job.name}:{port}"'
    where = [f"--config={_CONFIG / 'config.py'}", f"--workdir={job.workdir}"]
    run = shlex.join(["jaxbias", "run", "--distributed", *where])
    return f"JAX_COORDINATOR_ADDRESS={address} exec {run}"


def _meeting(job: Job) -> list[dict[str, Any]]:
    """What tells the pods of a gang apart, and the tries; JobSet writes it on each."""

    def field(name: str, path: str) -> dict[str, Any]:
        return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}

    return [
        *_variables(job),
        field("GANG", "metadata.labels['jobset.sigs.k8s.io/job-index']"),
        field("ATTEMPT", "metadata.labels['jobset.sigs.k8s.io/restart-attempt']"),
        field("JAX_PROCESS_ID", "metadata.annotations['batch.kubernetes.io/job-completion-index']"),
        {"name": "JAX_NUM_PROCESSES", "value": str(job.spec.kubernetes.hosts)},
    ]


def _resources(job: Job) -> dict[str, Any]:
    spec = job.spec
    wanted: dict[str, Any] = {_RESOURCES[spec.device]: spec.devices}
    if spec.device != "cpu":
        wanted["cpu"] = spec.cpus
    if spec.memory_gib:
        wanted["memory"] = f"{spec.memory_gib}Gi"
    whole = {name: str(amount) for name, amount in wanted.items()}
    # Kubernetes takes devices as limits alone.
    asked = {name: amount for name, amount in whole.items() if name in ("cpu", "memory")}
    limits = {name: amount for name, amount in whole.items() if name != "cpu"}
    return {"requests": asked, **({"limits": limits} if limits else {})}
