"""The overview: how far a study has come, from its directory alone, whoever works on it and how."""

import dataclasses
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxbias.errors import InputError
from jaxbias.files import sealed
from jaxbias.files.atomic import damaged
from jaxbias.files.claims import Claims
from jaxbias.files.holder import Holder
from jaxbias.plan.packs import Pack, Plan
from jaxbias.plan.selection import PACKED
from jaxbias.workdir.failures import Failures
from jaxbias.workdir.places import Disk, Place, place_of

_HOUR = 3600.0
_ENDS = ("pack finished", "pack failed", "pack stopped", "pack lost")
_NAME = re.compile(r"(.+)-(\d+)-[0-9a-f]+")  # Of the events of a process: its host and its id.


@dataclasses.dataclass(frozen=True)
class Stage:
    """How far a stage has come.

    Attributes:
      name: of the stage.
      packs: how many of the plan's are "done", "running", "waiting" and "quarantined".
      members: how many bases or variants, likewise.
      seconds: that a member took, of the packs done so far; None: nothing is known.
      device_seconds: that a member took of all devices of its process, likewise.
      of_kinds: likewise, by the kinds of devices that took them, as JAX calls them.
    """

    name: str
    packs: Mapping[str, int]
    members: Mapping[str, int]
    seconds: float | None
    device_seconds: float | None
    of_kinds: Mapping[str, float]

    @property
    def left(self) -> int:
        """Members that are still to come."""
        return self.members["running"] + self.members["waiting"]


@dataclasses.dataclass(frozen=True)
class Host:
    """What a machine has done.

    Attributes:
      name: its own.
      running: processes that are in a pack now.
      done: members that it has finished.
      failed: packs it failed at, each time counted.
      lost: packs in which a process of it was stopped: preempted, interrupted or killed.
      seconds: spent in packs, all processes together.
      device_seconds: likewise, of all devices of each.
      span: seconds from its first event to its last.
    """

    name: str
    running: int
    done: int
    failed: int
    lost: int
    seconds: float
    device_seconds: float
    span: float

    @property
    def hourly(self) -> float:
        """Members done in an hour."""
        return self.done / max(self.span, 1.0) * _HOUR


@dataclasses.dataclass(frozen=True)
class Overview:
    """How far a study has come.

    Attributes:
      stages: those that have packs, in order; none before there is a plan.
      hosts: every machine that has worked on it.
      quarantine: which packs failed too often, and why; "" where none did.
      now: when this was, in seconds since the epoch.
    """

    stages: tuple[Stage, ...]
    hosts: tuple[Host, ...]
    quarantine: str
    now: float

    @property
    def is_done(self) -> bool:
        """Whether nothing of the plan is left; a search or a screen may plan more."""
        return bool(self.stages) and not any(stage.left for stage in self.stages)

    @property
    def device_hours(self) -> float:
        """Spent in packs so far."""
        return sum(host.device_seconds for host in self.hosts) / _HOUR

    @property
    def device_hours_left(self) -> float | None:
        """To the end of what is planned, by what members took so far; None: a stage has none."""
        left = self._left(lambda stage: stage.device_seconds)
        return None if left is None else left / _HOUR

    @property
    def seconds_left(self) -> float | None:
        """Until all is done, by those who are at work now; None: nobody is, or nothing is known."""
        left = self._left(lambda stage: stage.seconds)
        workers = sum(host.running for host in self.hosts)
        return left / workers if left is not None and workers else None

    def _left(self, of: Callable[[Stage], float | None]) -> float | None:
        each = [(stage.left, of(stage)) for stage in self.stages if stage.left]
        if any(seconds is None for _, seconds in each):
            return None
        return sum(left * seconds for left, seconds in each)


def look(workdir: str | Path, claims: Claims | None = None) -> Overview:
    """Returns how far the study of a directory has come.

    Reads the plan, the events, the names of results and failures, and the claims of packs that were
    started and not ended: a few listings, however many packs there are.

    Args:
      workdir: the directory, or its URL.
      claims: of the directory, as of an earlier look.

    Raises:
      InputError: there is no such directory, or its plan is damaged.
    """
    place = place_of(workdir)
    if isinstance(place, Disk) and not place.path.is_dir():
        raise InputError(f"there is no directory {workdir}")
    plan = _plan(place)
    processes = _processes(place)
    claims = claims or Claims(place.objects("claims"))
    holders = claims.at_work(sorted({id for process in processes for id in process.open}))
    failures = Failures(place.objects("failures"))
    done = {name.removesuffix(".parquet") for name in place.names("packs")}
    states = _States(done, {*holders}, {*failures.quarantined()})
    stages = [
        _stage(name, packs, states, processes)
        for name in PACKED
        if plan and (packs := plan.packs(name))
    ]
    hosts = [
        _host(name, [p for p in processes if p.host == name], holders)
        for name in sorted({process.host for process in processes})
    ]
    return Overview(tuple(stages), tuple(hosts), failures.sentence(), time.time())


def _plan(place: Place) -> Plan | None:
    """Returns the plan of a directory; None: it has none yet.

    Raises:
      InputError: it is damaged.
    """
    place.fetch("plan.json")
    path = place.path / "plan.json"
    try:
        return Plan.of(sealed.read(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise damaged(place.known_as(path), error, "a run tells what that costs") from error


def _processes(place: Place) -> list["_Process"]:
    """What the events of every process say."""
    names = [name for name in place.objects("events").listing() if name.endswith(".jsonl")]
    found = [name for name in names if _NAME.fullmatch(name.removesuffix(".jsonl"))]
    for name in found:
        place.fetch(f"events/{name}")
    return [_Process(place.path / "events" / name) for name in found]


@dataclasses.dataclass(frozen=True)
class _States:
    done: set[str]
    held: set[str]
    quarantined: set[str]

    def of(self, pack: Pack) -> str:
        if pack.id in self.done:
            return "done"
        if pack.id in self.held:
            return "running"
        return "quarantined" if pack.id in self.quarantined else "waiting"


class _Process:
    """What the events of one process say.

    Args:
      path: of its events.
    """

    def __init__(self, path: Path) -> None:
        self.host, pid = _NAME.fullmatch(path.stem).groups()
        self.pid = int(pid)
        self.finished: list[dict[str, Any]] = []
        self.failed = self.stopped = 0
        self.open: list[str] = []  # Packs that it started last and did not end.
        self.devices, self.kind = 1, ""
        self.seconds = 0.0
        times = []
        for event in _lines(path):
            times.append(event["time"])
            kind = event["event"]
            if kind == "pack started":
                self.open, began = [event["pack"], *event.get("beside", ())], event["time"]
                self.devices, self.kind = event.get("devices", 1), event.get("device", "")
            elif kind in _ENDS and self.open:
                self.seconds += event["time"] - began
                self.open = []
                self.failed += kind == "pack failed"
                self.stopped += kind in ("pack stopped", "pack lost")
                if kind == "pack finished":
                    self.finished.append(event)
        written = path.stat().st_mtime  # Where nothing could be read.
        self.first, self.last = min(times, default=written), max(times, default=written)


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    for line in path.read_text(errors="replace").splitlines():
        try:
            event = json.loads(line)
        except ValueError:  # Cut short: it is being written, or its process was killed.
            continue
        if isinstance(event, dict) and {"time", "event"} <= event.keys():
            yield event


def _stage(
    name: str, packs: Iterable[Pack], states: _States, processes: Iterable[_Process]
) -> Stage:
    counts = dict.fromkeys(("done", "running", "waiting", "quarantined"), 0)
    members = dict(counts)
    for pack in packs:
        state = states.of(pack)
        counts[state] += 1
        members[state] += len(pack.members)
    ended = [(p, event) for p in processes for event in p.finished if event["stage"] == name]
    kinds = {process.kind for process, _ in ended}
    of_kinds = {kind: _each([(p, e) for p, e in ended if p.kind == kind])[1] for kind in kinds}
    return Stage(name, counts, members, *_each(ended), of_kinds)


def _each(ended: Sequence[tuple[_Process, dict[str, Any]]]) -> tuple[float | None, float | None]:
    """Seconds that a member took, and those of all devices; None: nothing has ended."""
    done = sum(event["members"] for _, event in ended)
    if not done:
        return None, None
    seconds = sum(event["seconds"] for _, event in ended)
    return seconds / done, sum(e["seconds"] * process.devices for process, e in ended) / done


def _host(name: str, processes: list[_Process], holders: Mapping[str, Holder]) -> Host:
    opened = [process for process in processes if process.open]
    holds = {(holder.host.split("/")[0], holder.pid, pack) for pack, holder in holders.items()}
    running = [p for p in opened if (p.host, p.pid, p.open[0]) in holds]
    return Host(
        name=name,
        running=len(running),
        done=sum(event["members"] for process in processes for event in process.finished),
        failed=sum(process.failed for process in processes),
        lost=len(opened) - len(running) + sum(process.stopped for process in processes),
        seconds=sum(process.seconds for process in processes),
        device_seconds=sum(process.seconds * process.devices for process in processes),
        span=max(p.last for p in processes) - min(p.first for p in processes),
    )
