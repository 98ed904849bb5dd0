"""Settings of a launch: each with its default and range, written here and nowhere else."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Literal

from ml_collections import ConfigDict

from jaxbias.study import to_config
from jaxbias.values import Range

_Count = Annotated[int, Range(1, 100_000)]
_Amount = Annotated[float, Range(0, 1e12)]


@dataclasses.dataclass(frozen=True)
class SlurmSpec:
    """A cluster under Slurm: arrays of workers."""

    partition: str = ""
    account: str = ""
    qos: str = ""
    minutes: Annotated[int, Range(0, 10_000_000)] = 0  # Of a worker; 0: what the partition gives.
    options: tuple[str, ...] = ()  # What else sbatch is to know, such as "--constraint=a100".


@dataclasses.dataclass(frozen=True)
class RaySpec:
    """A cluster under Ray: a job of actors."""

    address: str = ""  # "http://HEAD:8265"; "": RAY_ADDRESS, or the cluster of this machine.
    pip: tuple[str, ...] = ()  # What nodes lack, such as "jax[cuda13]": Ray installs it.


@dataclasses.dataclass(frozen=True)
class KubernetesSpec:
    """A cluster under Kubernetes: an Indexed Job of workers, or a JobSet of gangs."""

    image: str = ""  # Made with launch/Dockerfile.
    namespace: str = "default"
    queue: str = ""  # A LocalQueue of Kueue that admits the workers.
    claim: str = ""  # A PersistentVolumeClaim that holds the work directory, ...
    mount: str = ""  # ... and where pods see it.
    service_account: str = ""
    nodes: tuple[str, ...] = ()  # Labels that nodes must have, such as "disk=ssd".
    # Of a gang, which does packs as one process; 1: no gangs, every worker by itself.
    hosts: _Count = 1


@dataclasses.dataclass(frozen=True)
class TpuVmSpec:
    """TPU VMs of Google Cloud, asked for as one queued resource."""

    project: str = ""
    zone: str = ""
    type: str = "v5litepod-8"
    runtime: str = "v2-alpha-tpuv5-lite"
    spot: bool = True


@dataclasses.dataclass(frozen=True)
class LaunchSpec:
    """Workers, which do what a study lacks until it is done, and what each gets."""

    workers: _Count = 1
    device: Literal["cpu", "gpu", "tpu"] = "cpu"
    # Which of them, where launch.cost knows its peak rates; for what a launch costs.
    kind: Literal["", "v4", "v5e", "v5p", "v6e", "A100", "H100", "H200", "L4", "T4"] = ""
    devices: _Count = 1  # Of a worker; of CPUs: cores.
    cpus: _Count = 4  # Cores of a worker that has other devices.
    memory_gib: Annotated[int, Range(0, 100_000)] = 0  # Of a worker; 0: what the engine gives.
    failures: _Count = 3  # Of one worker, until it is given up. To be preempted is no failure.
    # Before a worker that failed starts again; twice as long each time, more or less.
    retry_seconds: Annotated[float, Range(0, 100_000)] = 10.0
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    price: _Amount = 0.0  # Of a device for an hour, in a currency of one's own.
    max_cost: _Amount = 0.0  # What costs more is submitted with --yes alone; 0: anything goes.
    slurm: SlurmSpec = SlurmSpec()
    ray: RaySpec = RaySpec()
    kubernetes: KubernetesSpec = KubernetesSpec()
    tpu_vm: TpuVmSpec = TpuVmSpec()


def default_config() -> ConfigDict:
    """Returns every setting with its default, to be changed by a config file.

    >>> default_config().workers
    1
    """
    config = to_config(LaunchSpec()).lock()
    config.environment.unlock()  # Its keys are the config file's own.
    return config
