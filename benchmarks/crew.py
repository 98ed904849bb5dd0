"""What a large grid loses to being shared by many processes, on a slow store and unsafe machines.

    python -m benchmarks.crew --out=benchmarks/results/crew.json
    python -m benchmarks.crew --workers=50 --packs=2000 --out=/tmp/crew.json

Crews, walks and claims are the real ones; time, the store and what a pack computes are simulated.
A pack takes 5 ± 2 minutes. A process is killed once an hour on average, without a word, and begins
anew two minutes later, knowing nothing. Of the packs 1 % are poisoned: they fail, always, and the
process with them; after three failures a pack is left alone. A request takes 50 ms to 2 s. Results
are listed a thousand at a time, sixteen listings side by side.

Compared with one queue in memory that answers at once and knows at once of every death: the same
processes, killed at the same times, the same packs and the same poison.
"""

import argparse
import contextlib
import dataclasses
import functools
import heapq
import itertools
import json
import math
import random
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from benchmarks.hardware import hardware
from jaxbias.files import claims as claims_module
from jaxbias.files.claims import Claims
from jaxbias.files.content import content_id
from jaxbias.files.holder import Holder
from jaxbias.files.objects import Found
from jaxbias.plan.packs import Pack
from jaxbias.workdir import crew as crew_module
from jaxbias.workdir.crew import Crew, Work
from jaxbias.workdir.telemetry import Clock

LATENCY = (0.05, 2.0)  # Seconds, the logarithm even.
PACK = (300.0, 120.0)  # Seconds, mean and standard deviation.
LIFE, RESTART = 3600.0, 120.0  # Seconds between deaths, on average, and until one begins anew.
POISONED, TRIES = 0.01, 3
PAGE, LISTINGS = 1000, 16


class Killed(BaseException):
    """A simulated process ends here, without a word."""


class World:
    """Simulated time. One thread runs at a time; all time passes in `sleep`."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, threading.Lock]] = []
        self._count = itertools.count()
        self._own = threading.local()
        self._over = threading.Event()

    def start(self, program: Callable[[], None], process: "Process") -> None:
        """Runs a program in a thread of its own, as part of a process, from now on."""
        turn = threading.Lock()
        turn.acquire()

        def run() -> None:
            turn.acquire()
            self._own.turn, self._own.process = turn, process
            with contextlib.suppress(Killed):
                program()
            self._pass_on()

        heapq.heappush(self._events, (self.now, next(self._count), turn))
        threading.Thread(target=run, daemon=True).start()

    def run(self) -> None:
        """Returns when nothing is left to happen."""
        self._pass_on()
        self._over.wait()

    @property
    def process(self) -> "Process":
        """The process that is running."""
        return self._own.process

    def become(self, process: "Process") -> None:
        """Makes what is running part of another process."""
        self._own.process = process

    def sleep(self, seconds: float) -> None:
        """Lets time pass; the process may die meanwhile."""
        process, turn = self.process, self._own.turn
        until = min(self.now + seconds, max(process.dies, self.now))
        heapq.heappush(self._events, (until, next(self._count), turn))
        self._pass_on()
        turn.acquire()
        if self.now >= process.dies:
            raise Killed

    def _pass_on(self) -> None:
        if not self._events:
            self._over.set()
            return
        self.now, _, turn = heapq.heappop(self._events)
        turn.release()

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


class Lock:
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


@dataclasses.dataclass(frozen=True)
class Process:
    """One life of a worker: who it is, and when it dies."""

    holder: Holder
    dies: float = math.inf


class Silent:
    """No telemetry."""

    speed = ""

    def pack(self, *_: Any) -> contextlib.AbstractContextManager[None]:
        """As of `Telemetry`."""
        return contextlib.nullcontext()


@contextlib.contextmanager
def simulated(world: World) -> Iterator[None]:
    """Puts a simulated world in the place of clocks, locks and processes."""
    silence = contextlib.nullcontext(lambda *_: None)
    with (
        mock.patch.object(crew_module, "time", SimpleNamespace(sleep=world.sleep)),
        mock.patch.object(crew_module, "progress", lambda *_: silence),
        mock.patch.object(claims_module, "threading", SimpleNamespace(Lock=lambda: Lock(world))),
        mock.patch.object(Holder, "myself", lambda: world.process.holder),
    ):
        yield


class Store:
    """Objects and results that take their time; counts requests."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._chance = random.Random(seed)
        self._objects: dict[str, tuple[bytes, int]] = {}
        self._generations = itertools.count(1)
        self.place = Path("store")
        self.requests: Counter[str] = Counter()
        self.minutes: Counter[int] = Counter()
        self.results: dict[str, float] = {}
        self.failures: Counter[str] = Counter()

    def wait(self, kind: str, count: int = 1) -> None:
        """Lets half of a request's time pass."""
        self.requests[kind] += count
        self.minutes[int(self._world.now // 60)] += count
        low, high = map(math.log, LATENCY)
        self._world.sleep(math.exp(self._chance.uniform(low, high)) / 2)

    def path(self, key: str) -> Path:
        """As of `Objects`."""
        return self.place / key

    def read(self, key: str) -> Found:
        """As of `Objects`."""
        self.wait("read")
        value, generation = self._objects.get(key, (None, 0))
        self.wait("read", 0)
        return Found(value, str(generation).encode())

    def write(self, key: str, value: bytes, replaces: bytes) -> bytes | None:
        """As of `Objects`."""
        self.wait("write")
        _, generation = self._objects.get(key, (None, 0))
        written = None
        if str(generation).encode() == replaces:
            generation = next(self._generations)
            self._objects[key] = value, generation
            written = str(generation).encode()
        self.wait("write", 0)
        return written

    # As of a result directory.

    def has(self, pack: Pack) -> bool:
        """Whether a pack has a result, or none is hoped for."""
        self.wait("look")
        found = self.is_settled(pack.id)
        self.wait("look", 0)
        return found

    def is_settled(self, id: str) -> bool:
        """Likewise, told at once."""
        return id in self.results or self.failures[id] >= TRIES

    def finished(self) -> set[str]:
        """All of those, listed page after page."""
        pages = max(LISTINGS, math.ceil(len(self.results) / PAGE))
        found = {id for id, count in self.failures.items() if count >= TRIES} | set(self.results)
        for _ in range(math.ceil(pages / LISTINGS)):
            self.wait("list", min(LISTINGS, pages))
            self.wait("list", 0)
        return found


class Fates:
    """What happens to packs and workers, whoever schedules them."""

    def __init__(self, packs: int, seed: int) -> None:
        chance = random.Random(seed)
        self.packs = [Pack(content_id({"pack": i}), 1, (None,)) for i in range(packs)]
        self.seconds = {pack.id: max(30.0, chance.gauss(*PACK)) for pack in self.packs}
        poisoned = chance.sample(self.packs, round(POISONED * packs))
        # A poisoned pack fails on its way.
        self.fails = {pack.id: chance.uniform(0, 1) for pack in poisoned}
        self._seed = seed

    def lives(self, worker: int) -> Iterator[float]:
        """How long each life of a worker lasts, in seconds."""
        chance = random.Random(f"{self._seed} {worker}")
        while True:
            yield chance.expovariate(1 / LIFE)


def shared(fates: Fates, workers: int, seed: int) -> dict[str, Any]:
    """By crews that know only what they read."""
    world = World()
    store = Store(world, seed)
    counts: Counter[str] = Counter()
    left = set(fates.seconds)

    def settle(id: str) -> None:
        left.discard(id)
        if not left:
            counts["end"] = world.now

    def do(packs: Sequence[Pack]) -> Callable[[], None]:
        (pack,) = packs
        share = fates.fails.get(pack.id)
        world.sleep(fates.seconds[pack.id] * (1 if share is None else share))
        if share is not None:
            store.failures[pack.id] += 1
            if store.failures[pack.id] == TRIES:
                settle(pack.id)
            raise RuntimeError("poisoned")
        counts["computed"] += 1
        return lambda: write(pack)

    def write(pack: Pack) -> None:
        store.wait("result")
        counts["written twice"] += pack.id in store.results
        store.results[pack.id] = world.now
        settle(pack.id)
        store.wait("result", 0)

    def live(worker: int, life: int) -> None:
        claims = Claims(store, clock=lambda: world.now, every=world.every)
        chance = random.Random(f"{seed} {worker} {life}")
        crew = Crew(store, claims, Silent(), Clock(), chance=chance)
        crew.share(Work("finetune", "", "", fates.packs, do))

    def work(worker: int) -> None:
        for life, seconds in enumerate(fates.lives(worker)):
            holder = Holder(f"host{worker}", life, "")
            world.become(Process(holder, world.now + seconds))
            try:
                live(worker, life)
                return
            except Killed:
                counts["deaths"] += 1
            except RuntimeError:
                counts["failures"] += 1
            world.become(Process(holder))
            world.sleep(RESTART)

    with simulated(world):
        for worker in range(workers):
            world.start(functools.partial(work, worker), Process(Holder("", worker, "")))
        world.run()
    assert set(store.results) | set(fates.fails) == set(fates.seconds)
    end = counts["end"]
    busy = [count for minute, count in store.minutes.items() if minute < end // 60]
    return {
        "makespan_hours": end / 3600,
        "all_have_seen_it_hours": world.now / 3600,
        "computed": counts["computed"],
        "discarded": counts["computed"] - len(store.results),
        "written_twice": counts["written twice"],
        "deaths": counts["deaths"],
        "failures": counts["failures"],
        "requests": dict(store.requests),
        "requests_per_second": sum(store.requests.values()) / world.now,
        "requests_per_second_in_the_busiest_minute": max(busy, default=0) / 60,
    }


def at_once(fates: Fates, workers: int) -> dict[str, Any]:
    """By one queue that answers at once and knows at once of every death and failure."""
    waiting, idle = deque(fates.packs), []
    lives = [fates.lives(worker) for worker in range(workers)]
    dies = [0.0] * workers
    tries: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    # When, in which order, whose, and what has ended then: "born", "done", "failed" or "died".
    order = itertools.count()
    events = [(0.0, next(order), worker, "born", None) for worker in range(workers)]
    end = 0.0

    def begin(now: float, worker: int) -> None:
        if not waiting:
            idle.append(worker)
            return
        pack = waiting.popleft()
        share = fates.fails.get(pack.id)
        ends = now + fates.seconds[pack.id] * (1 if share is None else share)
        what = "done" if share is None else "failed"
        if ends >= dies[worker]:
            ends, what = dies[worker], "died"
        heapq.heappush(events, (ends, next(order), worker, what, pack))

    while events:
        now, _, worker, what, pack = heapq.heappop(events)
        counts[what] += 1
        if what == "born":
            dies[worker] = now + next(lives[worker])
        elif what == "done":
            end = now
        else:
            tries[pack.id] += what == "failed"
            if tries[pack.id] < TRIES:
                waiting.append(pack)
            else:
                end = now
            heapq.heappush(events, (now + RESTART, next(order), worker, "born", None))
        if what in ("born", "done"):
            begin(now, worker)
        while waiting and idle:
            other = idle.pop()
            if dies[other] > now:
                begin(now, other)
            else:  # It died while it had nothing to do.
                again = dies[other] + RESTART
                heapq.heappush(events, (max(now, again), next(order), other, "born", None))
    return {"makespan_hours": end / 3600, "deaths": counts["died"], "failures": counts["failed"]}


def main() -> None:
    """Simulates both and writes what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--packs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    threading.stack_size(256 * 1024)
    began = time.monotonic()
    fates = Fates(given.packs, given.seed)
    ours, best = shared(fates, given.workers, given.seed), at_once(fates, given.workers)
    found = {
        "hardware": hardware(),
        "workers": given.workers,
        "packs": given.packs,
        "seed": given.seed,
        "shared": ours,
        "at_once": best,
        "lost_to_coordination": ours["makespan_hours"] / best["makespan_hours"] - 1,
        "discarded": ours["discarded"] / max(1, ours["computed"]),
        "simulated_in_seconds": round(time.monotonic() - began, 1),
    }
    given.out.write_text(json.dumps(found, indent=1) + "\n")
    json.dump(found, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
