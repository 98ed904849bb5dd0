"""This machine: a process per worker, each on devices of its own, started again where it fails."""

import dataclasses
import json
import os
import shlex
import shutil
import signal
from pathlib import Path

from jaxbias.files.atomic import write_text
from jaxbias.files.holder import Holder
from jaxbias.files.json_files import load_json
from launch.job import Job, cpu_environment, exports, log_ends
from launch.tpu import alone


def files(job: Job) -> dict[str, str]:
    """Returns the script that runs one worker, and the one that starts them all."""
    environments = [_environment(job, place) for place in range(job.spec.workers)]
    cases = "".join(f"{i})\n{exports(each)};;\n" for i, each in enumerate(environments))
    pinned = ""
    if job.spec.device == "cpu" and shutil.which("taskset"):
        pinned = 'taskset --cpu-list "$CORES" '
    run = shlex.join(job.supervised(job.folder / "config.py"))
    return {
        "config.py": job.config,
        "worker.sh": (
            f"#!/bin/sh\n# One worker of {job.name}: sh worker.sh PLACE\nset -eu\n"
            f"cd {shlex.quote(str(Path.cwd()))}\n{exports(job.spec.environment)}"
            f"case $1 in\n{cases}esac\nexec {pinned}{run}\n"
        ),
        "submit.sh": "#!/bin/sh\n"
        + "".join(
            f"{shlex.join(_words(job, i))} >> {shlex.quote(str(_log(job, i)))} 2>&1 &\n"
            for i in range(job.spec.workers)
        ),
    }


def submit(job: Job, count: int) -> None:
    """Starts so many of the workers that do not run, in the background."""
    places = [place for place in range(job.spec.workers) if _holder(job, place) is None]
    for place in places[:count]:
        appended = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        files = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(_log(job, place)), appended, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        # In a session of its own it outlives this terminal, and ends as one group.
        pid = os.posix_spawn(
            "/bin/sh", _words(job, place), os.environ, file_actions=files, setsid=True
        )
        write_text(_record(job, place), json.dumps(dataclasses.asdict(Holder.of(pid))))


def alive(job: Job) -> int:
    """Returns how many workers run."""
    return len([*_running(job)])


def cancel(job: Job) -> None:
    """Stops every worker and what it runs."""
    for holder in _running(job):
        os.killpg(holder.pid, signal.SIGTERM)


def logs(job: Job) -> str:
    """Returns the last lines of every worker."""
    return log_ends(job.folder)


def _running(job: Job) -> list[Holder]:
    places = (int(path.stem.removeprefix("worker-")) for path in job.folder.glob("worker-*.json"))
    return [holder for place in sorted(places) if (holder := _holder(job, place))]


def _holder(job: Job, place: int) -> Holder | None:
    """Returns the process of a worker; None: it does not run."""
    try:
        holder = Holder(**load_json(_record(job, place)))
    except (OSError, ValueError, TypeError):
        return None
    return None if holder.is_dead() else holder


def _environment(job: Job, place: int) -> dict[str, str]:
    """What keeps a worker to devices of its own."""
    each = job.spec.devices
    own = range(place * each, (place + 1) * each)
    listed = ",".join(map(str, own))
    if job.spec.device == "gpu":
        return {"CUDA_VISIBLE_DEVICES": listed}
    if job.spec.device == "tpu":
        return {"TPU_VISIBLE_CHIPS": listed, **alone(each)}
    cores = sorted(os.sched_getaffinity(0))
    taken = sorted({cores[core % len(cores)] for core in own})
    return {"CORES": ",".join(map(str, taken)), **cpu_environment(job)}


def _words(job: Job, place: int) -> list[str]:
    return ["sh", str(job.folder / "worker.sh"), str(place)]


def _log(job: Job, place: int) -> Path:
    return job.folder / f"worker-{place}.log"


def _record(job: Job, place: int) -> Path:
    return job.folder / f"worker-{place}.json"
