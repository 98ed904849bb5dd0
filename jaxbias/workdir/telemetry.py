"""Telemetry: where the time goes, what every pack cost, in JSON lines and TensorBoard scalars."""

import contextlib
import json
import os
import secrets
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import masked_crc32c
from tensorboardX.summary import scalar

from jaxbias.files.atomic import make_directory, writing
from jaxbias.files.claims import Lost
from jaxbias.plan.packs import Pack
from jaxbias.workdir import whereabouts


class Clock:
    """Seconds spent per section of a run."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def section(self, name: str) -> Iterator[None]:
        """Adds the time inside the block to a section."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began


class Telemetry:
    """One process's events of a run, as lines of a file of its own.

    Args:
      directory: where all processes put theirs; made with the first event.
      counters: tells what this process has done so far, before and after each pack.
      memory: tells the most bytes that were in use so far.
      send: is given the file's name in the work directory, after every pack.
      devices: what is told of them with every pack that is started.

    Attributes:
      speed: of the last pack done here, in words.
    """

    def __init__(
        self,
        directory: Path,
        counters: Callable[[], dict[str, float]],
        memory: Callable[[], dict[str, int]],
        send: Callable[[str], None] = lambda name: None,
        devices: Mapping[str, Any] | None = None,
    ) -> None:
        name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self.path = directory / f"{name}.jsonl"
        self.speed = ""
        self._counters, self._memory, self._send = counters, memory, send
        self._devices = dict(devices or {})
        self._began = int(time.time())
        self._step = 0

    def event(self, kind: str, **facts: Any) -> None:
        """Adds a line."""
        make_directory(self.path.parent)
        line = json.dumps({"time": round(time.time(), 3), "event": kind, **facts})
        with writing(self.path), self.path.open("a") as file:
            file.write(line + "\n")

    @contextlib.contextmanager
    def pack(self, stage: str, unit: str, pack: Pack, *beside: Pack) -> Iterator[None]:
        """Tells of a pack's start and of its end, whichever it is, and what it took.

        Packs that are done beside it are told of with it: `members` counts theirs too.
        """
        count = sum(len(each.members) for each in (pack, *beside))
        what = {"stage": stage, "pack": pack.id, "members": count}
        if beside:
            what["beside"] = [each.id for each in beside]
        self.event("pack started", **what, **self._devices, width=pack.width)
        whereabouts.tell([each.id for each in (pack, *beside)], self._step)
        before, began = self._counters(), time.perf_counter()
        try:
            yield
        except BaseException as error:
            kind = "failed" if isinstance(error, Exception) else "stopped"  # By somebody else.
            kind = "lost" if isinstance(error, Lost) else kind
            # On a full disk this line fails too; the first failure is the one to be told.
            with contextlib.suppress(Exception):
                self.event(f"pack {kind}", **what, error=f"{type(error).__name__}: {error}")
                self._send(f"{self.path.parent.name}/{self.path.name}")
                whereabouts.tell([], self._step)
            raise
        seconds = time.perf_counter() - began
        used = {name: value - before[name] for name, value in self._counters().items()}
        images = used["trained_images"] / max(used["train_and_score_seconds"], 1e-9)
        members = count / seconds
        self.speed = f"{members:.2f} {unit}/s, {images:,.0f} images/s"
        rates = {"trained_images_per_second": images, f"{unit}_per_second": members}
        facts = {"seconds": seconds, **used, **rates, **self._memory()}
        self.event("pack finished", **what, **facts)
        self._send(f"{self.path.parent.name}/{self.path.name}")
        self._step += 1
        whereabouts.tell([], self._step)
        self._add_scalars({f"{stage}/{name}": value for name, value in facts.items()})

    def trained(self, name: str, id: str, step: int, values: dict[str, float]) -> None:
        """Tells how far a base that is trained step by step has come, and how it goes."""
        facts = {**values, **self._memory()}
        self.event("pretraining", base=name, id=id, step=step, **facts)
        self._add_scalars({f"pretraining/{name}/{key}": x for key, x in facts.items()}, step)

    def _add_scalars(self, values: dict[str, float], step: int | None = None) -> None:
        """Adds a point per value, at a step, or at the number of packs done here.

        The records are written here and now, not by a `SummaryWriter`, whose thread would print
        pages when the disk is full.
        """
        at = self._step if step is None else step
        run = make_directory(self.path.with_suffix(""))  # TensorBoard takes a directory for a run.
        path = run / f"events.out.tfevents.{self._began}.{socket.gethostname()}"
        events = [
            Event(wall_time=time.time(), step=at, summary=scalar(name, value))
            for name, value in values.items()
        ]
        if not path.exists():
            events.insert(0, Event(wall_time=time.time(), file_version="brain.Event:2"))
        with writing(path), path.open("ab") as file:
            file.write(b"".join(_record(event.SerializeToString()) for event in events))


def _record(data: bytes) -> bytes:
    """TFRecord: length and data, each with its checksum."""
    length = struct.pack("<Q", len(data))
    return b"".join(part + struct.pack("<I", masked_crc32c(part)) for part in (length, data))
