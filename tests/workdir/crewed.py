"""Fake work shared by processes: packs of numbers, written one file each, slowly enough to be seen.

As a program: `python -m tests.workdir.crewed WORKDIR [ID ...]` does all packs together with other
processes, stops for good in the middle of the packs that are named, and fails at those that are
named as bad:ID.
"""

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from jaxbias.files.atomic import write_text
from jaxbias.files.claims import Claims
from jaxbias.files.objects import Objects
from jaxbias.plan.packs import Pack
from jaxbias.workdir import crew as module
from jaxbias.workdir.crew import Bases, Crew, Work
from jaxbias.workdir.failures import Failures
from jaxbias.workdir.telemetry import Clock, Telemetry

COUNTERS = {"trained_images": 0.0, "train_and_score_seconds": 0.0}


def base_of(name):
    return SimpleNamespace(id=name, name=name, seed=0, trained_here=True)


BASES = [Pack(f"base{i}", 1, (base_of(f"b{i}"),)) for i in range(2)]
PACKS = [
    Pack(f"pack{i}", 2, (SimpleNamespace(base=BASES[i % 2].members[0]),) * (1 + i % 2))
    for i in range(6)
]
ALL = [pack.id for pack in (*BASES, *PACKS)]


class Directory:
    """As much of a result directory as a crew asks for."""

    def __init__(self, path):
        self.path = Path(path)
        (self.path / "packs").mkdir(parents=True, exist_ok=True)
        self.failures = Failures(Objects(self.path / "failures"))

    def pack_path(self, pack):
        return self.path / "packs" / pack.id

    def has(self, pack):
        return self.pack_path(pack).exists()

    def finished(self):
        return {path.name for path in (self.path / "packs").iterdir()}

    def write_pack(self, pack):
        write_text(self.pack_path(pack), content_of(pack))


def content_of(pack):
    return f"made of {pack.id}"


def crew_of(path, **more):
    directory = Directory(path)
    telemetry = Telemetry(directory.path / "events", lambda: COUNTERS, dict)
    return Crew(directory, Claims(Objects(directory.path / "claims")), telemetry, Clock(), **more)


def work_of(
    crew, packs, stage="finetune", seconds=0.0, stuck=(), needs=lambda pack: (), bad=(), fits=None
):
    def do(packs):
        for pack in packs:
            write_text(crew.directory.path / f"doing-{pack.id}", str(os.getpid()))
            time.sleep(600 if pack.id in stuck else seconds)
            if pack.id in bad:
                raise RuntimeError(f"{pack.id} is poisoned")
        return lambda: [crew.directory.write_pack(pack) for pack in packs]

    return Work(stage, f"{stage}ing", "members", packs, do, needs, fits)


def main(path, *names):
    module._POLL_SECONDS = module._RETRY_SECONDS = 0.02
    stuck = [name for name in names if not name.startswith("bad:")]
    bad = [name.removeprefix("bad:") for name in names if name.startswith("bad:")]
    crew = crew_of(path)
    pretraining = work_of(crew, BASES, "pretrain", 0.1, stuck, bad=bad)
    bases = Bases(crew, pretraining, elsewhere=False)
    meeting = crew.directory.path / "meeting"
    meeting.mkdir(exist_ok=True)
    (meeting / str(os.getpid())).touch()
    while not (crew.directory.path / "go").exists():
        time.sleep(0.005)
    crew.share(pretraining, wait=False)
    work = work_of(crew, PACKS, "finetune", 0.1, stuck, bases.missing, bad)
    crew.share(work, meanwhile=lambda: bases.look_after(PACKS))
    assert "jax" not in sys.modules


if __name__ == "__main__":
    main(*sys.argv[1:])
