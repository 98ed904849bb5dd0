"""What a large grid loses to being shared by many processes, on a slow store and unsafe machines.

    pip install -e ".[bench]"
    python -m benchmarks.crew --out=benchmarks/results/crew.json
    python -m benchmarks.crew --workers=50 --packs=2000 --out=crew.json

Crews, walks, claims and failures are the real ones; time, the store and what a pack computes are
simulated. A pack takes 5 ± 2 minutes. A process is killed once an hour on average, without a word,
and begins anew two minutes later, knowing nothing. Of the packs 1 % are poisoned: they raise,
always, on their way. A request takes 50 ms to 2 s. Results are listed a thousand at a time, sixteen
listings side by side.

Compared with one queue in memory that answers at once and knows at once of every death and failure:
the same processes, killed at the same times, the same packs and the same poison.
"""

import argparse
import contextlib
import functools
import heapq
import io
import itertools
import json
import random
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.crew_world import Killed, Process, SlowDirectory, Traffic, World
from benchmarks.hardware import hardware
from jaxbias.files.claims import Claims
from jaxbias.files.content import content_id
from jaxbias.files.holder import Holder
from jaxbias.plan.packs import Pack
from jaxbias.workdir.crew import Crew, Work
from jaxbias.workdir.failures import MOST
from jaxbias.workdir.telemetry import Clock

PACK = (300.0, 120.0)  # Seconds, mean and standard deviation.
LIFE, RESTART = 3600.0, 120.0  # Seconds between deaths, on average, and until one begins anew.
POISONED = 0.01


class Fates:
    """What happens to packs and workers, whoever schedules them."""

    def __init__(self, packs: int, seed: int) -> None:
        chance = random.Random(seed)
        self.packs = [Pack(content_id({"pack": i}), 1, (None,)) for i in range(packs)]
        self.seconds = {pack.id: max(30.0, chance.gauss(*PACK)) for pack in self.packs}
        poisoned = chance.sample(self.packs, round(POISONED * packs))
        # How far each gets before it raises.
        self.fails = {pack.id: chance.uniform(0, 1) for pack in poisoned}
        self._seed = seed

    def takes(self, pack: Pack) -> float:
        """How long a pack takes until it is computed, or raises, in seconds."""
        return self.seconds[pack.id] * self.fails.get(pack.id, 1.0)

    def lives(self, worker: int) -> Iterator[float]:
        """How long each life of a worker lasts, in seconds."""
        chance = random.Random(f"{self._seed} {worker}")
        while True:
            yield chance.expovariate(1 / LIFE)


class Silent:
    """No telemetry."""

    speed = ""

    def pack(self, *_: Any) -> contextlib.AbstractContextManager[None]:
        """As of `Telemetry`."""
        return contextlib.nullcontext()


def shared(fates: Fates, workers: int, seed: int) -> dict[str, Any]:
    """By crews that know only what they read."""
    world = World()
    traffic = Traffic(world, seed)
    directory = SlowDirectory(traffic)
    counts: Counter[str] = Counter()

    def do(packs: Sequence[Pack]) -> Callable[[], None]:
        (pack,) = packs
        world.sleep(fates.takes(pack))
        if pack.id in fates.fails:
            raise RuntimeError("poisoned")
        counts["computed"] += 1
        return functools.partial(write, pack)

    def write(pack: Pack) -> None:
        counts["written twice"] += not directory.write(pack)

    def live(chance: random.Random) -> None:
        claims = Claims(directory.claims, clock=lambda: world.now, every=world.every)
        crew = Crew(directory, claims, Silent(), Clock(), chance=chance)
        crew.share(Work("finetune", "", "", fates.packs, do))

    def work(worker: int) -> None:
        for life, seconds in enumerate(fates.lives(worker)):
            holder = Holder(f"host{worker}", life, "")
            world.become(Process(holder, world.now + seconds))
            try:
                live(random.Random(f"{seed} {worker} {life}"))
                return
            except Killed:
                counts["deaths"] += 1
            except RuntimeError:  # It takes itself for the one that is to blame.
                counts["gave up"] += 1
            world.become(Process(holder))
            world.sleep(RESTART)

    with world.instead(), contextlib.redirect_stderr(io.StringIO()):
        for worker in range(workers):
            world.start(functools.partial(work, worker), Process(Holder("", worker, "")))
        world.run()
    lost = {f"{id}.{MOST}.json": id for id in fates.fails}
    quarantined = {lost[key]: at for key, at in directory.failed.written.items() if key in lost}
    settled = {**directory.results, **quarantined}
    assert settled.keys() == fates.seconds.keys()
    return {
        "makespan_hours": max(settled.values()) / 3600,
        "all_have_seen_it_hours": world.now / 3600,
        "computed": counts["computed"],
        "discarded": counts["computed"] - len(directory.results),
        "written_twice": counts["written twice"],
        "deaths": counts["deaths"],
        "gave_up": counts["gave up"],
        "failures": len(directory.failed.written),
        "requests": dict(sorted(traffic.requests.items())),
        "requests_per_second": traffic.requests.total() / world.now,
        "requests_per_second_in_the_busiest_minute": max(traffic.minutes.values()) / 60,
        "most_keys_listed_at_once": dict(traffic.listed),
    }


def at_once(fates: Fates, workers: int) -> dict[str, Any]:
    """By one queue that answers at once and knows at once of every death and failure."""
    waiting, idle = deque(fates.packs), []
    lives = [fates.lives(worker) for worker in range(workers)]
    dies = [0.0] * workers
    failures: Counter[str] = Counter()
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
        ends, what = now + fates.takes(pack), "failed" if pack.id in fates.fails else "done"
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
            failures[pack.id] += what == "failed"
            if failures[pack.id] < MOST:
                waiting.append(pack)
            else:
                end = now
        if what == "died":
            heapq.heappush(events, (now + RESTART, next(order), worker, "born", None))
        else:
            begin(now, worker)
        while waiting and idle:
            other = idle.pop()
            if dies[other] > now:
                begin(now, other)
            else:  # It died while it had nothing to do.
                again = dies[other] + RESTART
                heapq.heappush(events, (max(now, again), next(order), other, "born", None))
    return {"makespan_hours": end / 3600, "deaths": counts["died"], "failures": counts["failed"]}


def compared(workers: int, packs: int, seed: int) -> dict[str, Any]:
    """Simulates both."""
    fates = Fates(packs, seed)
    ours, best = shared(fates, workers, seed), at_once(fates, workers)
    return {
        "workers": workers,
        "packs": packs,
        "seed": seed,
        "shared": ours,
        "at_once": best,
        "lost_to_coordination": ours["makespan_hours"] / best["makespan_hours"] - 1,
        "discarded": ours["discarded"] / max(1, ours["computed"]),
    }


def main() -> None:
    """Writes what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--packs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    began = time.monotonic()
    found = {"hardware": hardware(), **compared(given.workers, given.packs, given.seed)}
    found["simulated_in_seconds"] = round(time.monotonic() - began, 1)
    given.out.write_text(json.dumps(found, indent=1) + "\n")
    json.dump(found, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
