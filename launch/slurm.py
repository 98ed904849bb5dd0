"""Slurm: arrays of workers, in chunks of what the cluster takes; asked of slurmctld alone.

A node that fails, and preemption by requeueing, start a worker again by themselves. Preemption by
cancelling (PreemptMode=CANCEL) and time limits do not: `resubmit` starts as many as are missing.
"""

import re
import shlex
import subprocess
from pathlib import Path

from launch.job import Job, call, cpu_environment, exports, log_ends

# Slurm's own limit where nobody set one.
_MAX_ARRAY_SIZE = 1001
# Of tasks that are yet to do something.
_STATES = "PENDING,CONFIGURING,RUNNING,SUSPENDED,STOPPED,REQUEUED,REQUEUE_HOLD,RESIZING"


def files(job: Job) -> dict[str, str]:
    """Returns the batch script of one worker, and the commands that submit all."""
    return {
        "config.py": job.config,
        "worker.sh": _script(job),
        "submit.sh": "#!/bin/sh\n"
        + "".join(f"{shlex.join(words)}\n" for words in _arrays(job, job.spec.workers)),
    }


def submit(job: Job, count: int) -> None:
    """Submits so many workers."""
    for words in _arrays(job, count):
        call(words)


def alive(job: Job) -> int:
    """Returns how many workers wait or run."""
    words = ["squeue", "--noheader", "--array", "--me", f"--name={job.name}", f"--states={_STATES}"]
    return len(call([*words, "--format=%i"]).split())


def cancel(job: Job) -> None:
    """Takes all workers back."""
    call(["scancel", "--me", f"--name={job.name}"])


def logs(job: Job) -> str:
    """Returns the last lines of every worker."""
    return log_ends(job.folder)


def _script(job: Job) -> str:
    spec, slurm = job.spec, job.spec.slurm
    accelerated = spec.device != "cpu"
    options = {
        "job-name": job.name,
        "chdir": Path.cwd(),
        "output": job.folder / "%A_%a.log",
        "open-mode": "append",
        "nodes": 1,
        "ntasks": 1,
        "cpus-per-task": spec.cpus if accelerated else spec.devices,
        "gpus-per-task": spec.devices if accelerated else "",
        "mem": f"{spec.memory_gib}G" if spec.memory_gib else "",
        "time": slurm.minutes or "",
        "partition": slurm.partition,
        "account": slurm.account,
        "qos": slurm.qos,
    }
    lines = [f"#SBATCH --{name}={value}\n" for name, value in options.items() if value != ""]
    lines += [f"#SBATCH {option}\n" for option in ("--requeue", *slurm.options)]
    environment = dict(spec.environment)
    if not accelerated:
        environment = {**cpu_environment(job), **environment}
    run = shlex.join(job.supervised(job.folder / "config.py"))
    return f"#!/bin/sh\n{''.join(lines)}{exports(environment)}exec {run}\n"


def _arrays(job: Job, count: int) -> list[list[str]]:
    """Returns a command per array, none larger than the cluster takes."""
    most = _max_array_size()  # The largest index is one less.
    sizes = [min(most, count - start) for start in range(0, count, most)]
    script = str(job.folder / "worker.sh")
    return [["sbatch", "--parsable", f"--array=0-{size - 1}", script] for size in sizes]


def _max_array_size() -> int:
    try:
        told = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True)
    except OSError:  # Rendered on another machine than the cluster's.
        return _MAX_ARRAY_SIZE
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", told.stdout, flags=re.MULTILINE)
    return int(found[1]) if found else _MAX_ARRAY_SIZE
