"""Simulated time, processes that die in it, and a store that takes its time: for `crew`.

    pip install -e ".[bench]"

Each process is a greenlet, which runs until it waits.
"""

import contextlib
import dataclasses
import heapq
import itertools
import math
import random
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from greenlet import getcurrent, greenlet

from jaxbias.files import claims as claims_module
from jaxbias.files.holder import Holder
from jaxbias.files.objects import Found
from jaxbias.plan.packs import Pack
from jaxbias.workdir import crew as crew_module
from jaxbias.workdir.failures import Failures

LATENCY = (0.05, 2.0)  # Seconds, the logarithm even.
PAGE, LISTINGS = 1000, 16


class Killed(BaseException):
    """A simulated process ends here, without a word."""


@dataclasses.dataclass(frozen=True)
class Process:
    """One life of a worker: who it is, and when it dies."""

    holder: Holder
    dies: float = math.inf


class World:
    """Simulated time. One greenlet runs at a time; all time passes in `sleep`."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, greenlet]] = []
        self._count = itertools.count()
        self._main = getcurrent()

    def start(self, program: Callable[[], None], process: Process) -> None:
        """Runs a program as part of a process, beside what runs already, from now on."""

        def run() -> None:
            with contextlib.suppress(Killed):
                program()

        started = greenlet(run, self._main)
        started.process = process
        heapq.heappush(self._events, (self.now, next(self._count), started))

    def run(self) -> None:
        """Returns when nothing is left to happen."""
        while self._events:
            self.now, _, following = heapq.heappop(self._events)
            following.switch()

    @property
    def process(self) -> Process:
        """The process that is running."""
        return getcurrent().process

    def become(self, process: Process) -> None:
        """Makes what is running part of another process."""
        getcurrent().process = process

    def sleep(self, seconds: float) -> None:
        """Lets time pass; the process may die meanwhile."""
        me, dies = getcurrent(), self.process.dies
        if self.now < dies:
            heapq.heappush(self._events, (min(self.now + seconds, dies), next(self._count), me))
            self._main.switch()
        if self.now >= dies:
            raise Killed

    @contextlib.contextmanager
    def every(self, seconds: float, beat: Callable[[], None]) -> Iterator[None]:
        """As `heartbeat.every`, in simulated time."""
        state = {"ended": False, "beating": False}

        def keep() -> None:
            while True:
                self.sleep(seconds)
                if state["ended"]:
                    return
                state["beating"] = True
                beat()
                state["beating"] = False

        self.start(keep, self.process)
        yield
        state["ended"] = True
        while state["beating"]:
            self.sleep(0.01)

    @contextlib.contextmanager
    def instead(self) -> Iterator[None]:
        """Inside, crews and claims live in this world."""
        silence = contextlib.nullcontext(lambda *_: None)
        clock = SimpleNamespace(sleep=self.sleep, monotonic=lambda: self.now)
        with (
            mock.patch.object(crew_module, "time", clock),
            mock.patch.object(crew_module, "progress", lambda *_: silence),
            mock.patch.object(claims_module, "threading", SimpleNamespace(Lock=self._lock)),
            mock.patch.object(Holder, "myself", lambda: self.process.holder),
            # Each is on a host of its own, where nobody sees it end.
            mock.patch.object(Holder, "is_dead", lambda holder: False),
        ):
            yield

    def _lock(self) -> "_Lock":
        return _Lock(self)


class _Lock:
    """A lock whose waiting takes simulated time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._held = False

    def __enter__(self) -> None:
        while self._held:
            self._world.sleep(0.01)
        self._held = True

    def __exit__(self, *error: object) -> None:
        self._held = False


class Traffic:
    """How long a store takes to answer, and how much it was asked."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._chance = random.Random(seed)
        self.requests: Counter[str] = Counter()
        self.minutes: Counter[int] = Counter()
        self.listed: Counter[str] = Counter()  # Most keys that one listing brought.

    @property
    def now(self) -> float:
        """Simulated seconds since the beginning."""
        return self._world.now

    def request(self, kind: str, happens: Callable[[], Any], count: int = 1) -> Any:
        """Returns what happens when half of the time has passed, after the other half."""
        low, high = LATENCY
        seconds = low * (high / low) ** self._chance.random()
        self._world.sleep(seconds / 2)
        self.requests[kind] += count
        self.minutes[int(self._world.now // 60)] += count
        answer = happens()
        self._world.sleep(seconds / 2)
        return answer

    def listing(self, kind: str, keys: int, side_by_side: int = 1) -> None:
        """Lets the time of a listing pass, page after page."""
        pages = max(side_by_side, math.ceil(keys / PAGE))
        for _ in range(math.ceil(pages / side_by_side)):
            self.request(kind, lambda: None, min(side_by_side, pages))
        self.listed[kind] = max(self.listed[kind], keys)


class SlowObjects:
    """As `Objects`, in memory, with traffic."""

    def __init__(self, traffic: Traffic, place: str) -> None:
        self._traffic = traffic
        self._objects: dict[str, tuple[bytes, bytes]] = {}
        self._keys: list[str] = []
        self._generations = itertools.count(1)
        self.written: dict[str, float] = {}  # When each was written last.
        self.place = Path(place)

    def path(self, key: str) -> Path:
        """As of `Objects`."""
        return self.place / key

    def read(self, key: str) -> Found:
        """As of `Objects`."""
        get = lambda: Found(*self._objects.get(key, (None, b"0")))  # noqa: E731
        return self._traffic.request(f"read {self.place}", get)

    def listing(self, prefix: str = "") -> list[str]:
        """As of `Objects`."""
        first = bisect_left(self._keys, prefix)
        found = list(itertools.takewhile(lambda key: key.startswith(prefix), self._keys[first:]))
        self._traffic.listing(f"list {self.place}", len(found))
        return found

    def put(self, key: str, value: bytes) -> bytes:
        """As of `Objects`."""
        return self._traffic.request(f"write {self.place}", lambda: self._set(key, value))

    def remove(self, prefix: str) -> None:
        """As of `Objects`."""
        for key in self.listing(prefix):
            self._traffic.request(f"remove {self.place}", lambda key=key: self._drop(key))

    def write(self, key: str, value: bytes, replaces: bytes) -> bytes | None:
        """As of `Objects`."""

        def replace() -> bytes | None:
            _, present = self._objects.get(key, (None, b"0"))
            return self._set(key, value) if present == replaces else None

        return self._traffic.request(f"write {self.place}", replace)

    def _drop(self, key: str) -> None:
        self._objects.pop(key, None)
        self._keys = sorted(self._objects)

    def _set(self, key: str, value: bytes) -> bytes:
        if key not in self._objects:
            insort(self._keys, key)
        generation = str(next(self._generations)).encode()
        self._objects[key] = value, generation
        self.written[key] = self._traffic.now
        return generation


class SlowDirectory:
    """As much of a result directory as a crew asks for, in a store."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self.claims = SlowObjects(traffic, "claims")
        self.failed = SlowObjects(traffic, "failures")
        self.failures = Failures(self.failed)
        self.results: dict[str, float] = {}  # When each was written first.

    def has(self, pack: Pack) -> bool:
        """As of `ResultDirectory`."""
        return self._traffic.request("look for results", lambda: pack.id in self.results)

    def finished(self) -> set[str]:
        """As of `ResultDirectory`."""
        found = set(self.results)
        self._traffic.listing("list results", len(found), LISTINGS)
        return found

    def write(self, pack: Pack) -> bool:
        """Writes a result; whether there was none."""

        def write() -> bool:
            new = pack.id not in self.results
            self.results.setdefault(pack.id, self._traffic.now)
            return new

        return self._traffic.request("write results", write)
