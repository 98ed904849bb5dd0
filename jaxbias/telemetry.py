"""Telemetry: where the time goes, what every pack cost, in JSON lines and TensorBoard scalars."""

import contextlib
import json
import os
import resource
import secrets
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import masked_crc32c
from tensorboardX.summary import scalar

from jaxbias.atomic import make_directory, writing
from jaxbias.grid import Pack, Runner


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
      runner: whose counters are read before and after each pack.

    Attributes:
      speed: of the last pack done here, in words.
    """

    def __init__(self, directory: Path, runner: Runner) -> None:
        name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self.path = directory / f"{name}.jsonl"
        self.speed = ""
        self._runner = runner
        self._began = int(time.time())
        self._step = 0

    def event(self, kind: str, **facts: Any) -> None:
        """Adds a line."""
        make_directory(self.path.parent)
        line = json.dumps({"time": round(time.time(), 3), "event": kind, **facts})
        with writing(self.path), self.path.open("a") as file:
            file.write(line + "\n")

    @contextlib.contextmanager
    def pack(self, stage: str, unit: str, pack: Pack) -> Iterator[None]:
        """Tells of a pack's start and of its end, whichever it is, and what it took."""
        what = {"stage": stage, "pack": pack.id, "members": len(pack.members)}
        self.event("pack started", **what, width=pack.width)
        before, began = counters(self._runner), time.perf_counter()
        try:
            yield
        except BaseException as error:
            # On a full disk this line fails too; the first failure is the one to be told.
            with contextlib.suppress(Exception):
                self.event("pack failed", **what, error=f"{type(error).__name__}: {error}")
            raise
        seconds = time.perf_counter() - began
        used = {name: value - before[name] for name, value in counters(self._runner).items()}
        images = used["trained_images"] / max(used["train_and_score_seconds"], 1e-9)
        members = len(pack.members) / seconds
        self.speed = f"{members:.2f} {unit}/s, {images:,.0f} images/s"
        rates = {"trained_images_per_second": images, f"{unit}_per_second": members}
        facts = {"seconds": seconds, **used, **rates, **peak_memory()}
        self.event("pack finished", **what, **facts)
        self._step += 1
        self._add_scalars({f"{stage}/{name}": value for name, value in facts.items()})

    def trained(self, name: str, id: str, step: int, values: dict[str, float]) -> None:
        """Tells how far a base that is trained step by step has come, and how it goes."""
        facts = {**values, **peak_memory()}
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


def counters(runner: Runner) -> dict[str, float]:
    """Returns what a runner has done so far. Training and scoring are one program, one time."""
    return {
        "compile_seconds": runner.compile_seconds,
        "train_and_score_seconds": runner.run_seconds,
        "trained_images": runner.trained_images,
        "scored_images": runner.scored_images,
    }


def peak_memory() -> dict[str, int]:
    """Returns the most bytes this process has used, and each device where it can tell."""
    unit = 1 if sys.platform == "darwin" else 1024
    peak = {"process_peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    used = [
        (device.memory_stats() or {}).get("peak_bytes_in_use") for device in jax.local_devices()
    ]
    if any(used):
        peak["device_peak_bytes"] = max(value or 0 for value in used)
    return peak


def _record(data: bytes) -> bytes:
    """TFRecord: length and data, each with its checksum."""
    length = struct.pack("<Q", len(data))
    return b"".join(part + struct.pack("<I", masked_crc32c(part)) for part in (length, data))
