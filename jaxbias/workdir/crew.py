"""Doing packs: which this process takes, which it waits for."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from jaxbias import words
from jaxbias.errors import InputError
from jaxbias.files.leases import Leases
from jaxbias.plan.packs import Pack
from jaxbias.progress import progress
from jaxbias.workdir.telemetry import Clock, Telemetry

if TYPE_CHECKING:  # It reads data; a crew does not.
    from jaxbias.workdir.results import ResultDirectory

# Between two looks at what other processes are doing.
_POLL_SECONDS = 0.5


@dataclasses.dataclass(frozen=True)
class Work:
    """Packs of a stage, and how one is done.

    Attributes:
      stage: its name.
      verb: what is done, for the progress line.
      unit: what members are.
      packs: those to do.
      do: trains a pack and writes its result.
      ready: whether what a pack needs is there.
    """

    stage: str
    verb: str
    unit: str
    packs: Sequence[Pack]
    do: Callable[[Pack], None]
    ready: Callable[[Pack], bool] = lambda pack: True


class Crew:
    """The processes that share a result directory, seen from this one.

    Args:
      directory: the result directory.
      leases: who works on what.
      telemetry: is told of every pack done here.
      clock: its section "wait" gets the time spent waiting for others.
      decide: answers a question about the directory; in a gang, whose processes do every pack
        together, all get the answer of the first.
    """

    def __init__(
        self,
        directory: "ResultDirectory",
        leases: Leases,
        telemetry: Telemetry,
        clock: Clock,
        decide: Callable[[Callable[[], bool]], bool] = lambda ask: ask(),
    ) -> None:
        self.directory = directory
        self.leases = leases
        self.telemetry = telemetry
        self.clock = clock
        self._decide = decide

    def share(
        self, work: Work, wait: bool = True, meanwhile: Callable[[], None] | None = None
    ) -> int:
        """Does the packs that have no result and that no other process is doing.

        Args:
          work: the packs.
          wait: whether to stay until the packs that others are doing have results too; those of a
            process that dies are taken over.
          meanwhile: called before each wait.

        Returns:
          Members done by this process.
        """
        left = [pack for pack in work.packs if not self._has(pack)]
        packs, here = len(left), 0
        total = sum(len(pack.members) for pack in left)
        with progress(total, work.verb, work.unit) as advance:
            while left:
                behind = []
                for pack in left:
                    trained = work.ready(pack) and self._take(work, pack)
                    if trained:
                        here += len(pack.members)
                    if trained or self._has(pack):
                        packs -= 1
                        advance(len(pack.members), self._note(packs))
                    else:
                        behind.append(pack)
                if not wait:
                    break
                if len(behind) == len(left):
                    advance(0, self._others(behind))
                    if meanwhile:
                        meanwhile()
                    with self.clock.section("wait"):
                        time.sleep(_POLL_SECONDS)
                left = behind
        return here

    def _has(self, pack: Pack) -> bool:
        return self._decide(lambda: self.directory.has(pack))

    def _take(self, work: Work, pack: Pack) -> bool:
        """Does a pack unless it is done or being done; returns whether it did."""
        with contextlib.ExitStack() as held:
            if not self._decide(lambda: self.hold(pack, held)):
                return False
            with self.telemetry.pack(work.stage, work.unit, pack):
                work.do(pack)
        self.leases.forget(pack.id)
        return True

    def hold(self, pack: Pack, held: contextlib.ExitStack) -> bool:
        """Holds the lease of a pack that has no result and that nobody is doing; returns whether.

        It is left with `held`.
        """
        lease = None if self.directory.has(pack) else self.leases.take(pack.id)
        if lease is None:
            return False
        held.enter_context(lease)
        if not self.directory.has(pack):
            return True
        held.close()  # Another has finished it between our look and our lease.
        self.leases.forget(pack.id)
        return False

    def _note(self, packs: int) -> str:
        return ", ".join(filter(None, (f"{words.count(packs, 'pack')} left", self.telemetry.speed)))

    def _others(self, packs: Sequence[Pack]) -> str:
        holders = {str(holder) for pack in packs if (holder := self.leases.holder(pack.id))}
        return f"waiting for {', '.join(sorted(holders)) or 'bases'}"


class Bases:
    """The pretrained bases that trials and finetunes start from.

    Args:
      crew: whose directory and leases tell which are there and which are being made.
      work: pretrains all bases of the plan.
      elsewhere: whether pretraining them is asked of others alone.
    """

    def __init__(self, crew: Crew, work: Work, elsewhere: bool) -> None:
        self._crew = crew
        self._work = work
        self._elsewhere = elsewhere
        self._pack_of = {base.id: pack for pack in work.packs for base in pack.members}
        self._there: set[str] = set()

    def are_there(self, pack: Pack) -> bool:
        """Whether every base of a pack of finetunes is pretrained."""
        return not self._missing(pack)

    def look_after(self, packs: Sequence[Pack]) -> None:
        """Sees to it, while finetunes wait, that their bases will come.

        Raises:
          InputError: nobody works on a base, and this process is not to.
        """
        if self._elsewhere:
            self._check_under_way(packs)
        else:  # Whoever was pretraining a base may have died.
            self._crew.share(self._work, wait=False)

    def _check_under_way(self, packs: Sequence[Pack]) -> None:
        directory, leases = self._crew.directory, self._crew.leases
        for pack in packs:
            if directory.has(pack):
                continue
            for base_pack in self._missing(pack):
                # In this order: a lease ends after its result has appeared.
                if not leases.is_held(base_pack.id) and not directory.has(base_pack):
                    names = ", ".join(f"{base.name} seed {base.seed}" for base in base_pack.members)
                    raise InputError(
                        f"pack {pack.id} starts from bases that are not pretrained ({names}); "
                        "run --stage=pretrain first"
                    )

    def _missing(self, pack: Pack) -> list[Pack]:
        ids = {variant.base.id for variant in pack.members if variant.base.trained_here}
        needed = {self._pack_of[id].id: self._pack_of[id] for id in sorted(ids)}
        missing = [p for p in needed.values() if p.id not in self._there]
        self._there |= {p.id for p in missing if self._crew.directory.has(p)}
        return [p for p in missing if p.id not in self._there]
