"""Doing packs: which this process takes, which it waits for."""

import contextlib
import dataclasses
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from jaxbias import words
from jaxbias.errors import InputError
from jaxbias.files.claims import Claim, Claims, Lost
from jaxbias.plan.packs import Pack
from jaxbias.progress import progress
from jaxbias.workdir.failures import MOST
from jaxbias.workdir.telemetry import Clock, Telemetry
from jaxbias.workdir.walk import Walk

if TYPE_CHECKING:  # It reads data; a crew does not.
    from jaxbias.workdir.results import ResultDirectory

# Between two looks at what other processes are doing.
_POLL_SECONDS = 0.5
_LONGEST_POLL = 15.0
# Others that are named while this process waits.
_NAMED = 3
# Before a process tries a pack again that it failed at; twice as long each time, more or less.
_RETRY_SECONDS = 5.0
# Packs in a row at which nobody else has failed: the process is to blame, not the packs.
_SUSPECT = 3


@dataclasses.dataclass(frozen=True)
class Work:
    """Packs of a stage, and how one is done.

    Attributes:
      stage: its name.
      verb: what is done, for the progress line.
      unit: what members are.
      packs: those to do.
      do: trains a pack, or several together, and returns what writes their results.
      needs: packs that must be done before a pack can be, and are not.
      fits: whether another pack can be done together with some; None: each is done alone.
    """

    stage: str
    verb: str
    unit: str
    packs: Sequence[Pack]
    do: Callable[[Sequence[Pack]], Callable[[], None]]
    needs: Callable[[Pack], Sequence[Pack]] = lambda pack: ()
    fits: Callable[[Sequence[Pack], Pack], bool] | None = None


class Crew:
    """The processes that share a result directory, seen from this one.

    A pack that raises what is no `InputError` costs nobody else: it is tried again later, by
    whoever comes to it first, and is quarantined when it has failed `failures.MOST` times.

    Args:
      directory: the result directory.
      claims: who works on what.
      telemetry: is told of every pack done here.
      clock: its section "wait" gets the time spent waiting for others.
      lead: in a gang, which does together whatever its first process does here: has the others do
        a work's packs too. One that fails ends the gang.
      chance: chooses which packs to look at.
    """

    def __init__(
        self,
        directory: "ResultDirectory",
        claims: Claims,
        telemetry: Telemetry,
        clock: Clock,
        lead: Callable[[Work], Work] | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self.directory = directory
        self.claims = claims
        self.telemetry = telemetry
        self.clock = clock
        self._lead = lead
        self._chance = chance or random.Random()
        self._held: list[Claim] = []  # Of what is being done.
        self._finished: set[str] = set()  # Packs that have a result, as far as was looked.
        self._quarantined: set[str] = set()
        self._not_before: dict[str, float] = {}  # Packs failed at here; seconds of `monotonic`.
        self._alone: set[str] = set()  # Packs that went wrong together with others.
        self._failed: set[str] = set()  # Packs that somebody failed at, as was seen at a look.
        self._recorded: set[str] = set()  # Packs that have failures, at the last look at all.
        self._first_to_fail: set[str] = set()  # Packs since the last one done here.

    def share(
        self, work: Work, wait: bool = True, meanwhile: Callable[[], None] | None = None
    ) -> int:
        """Does the packs that have no result and that no other process is doing.

        Those that are quarantined, or need one that is, are left out.

        Args:
          work: the packs.
          wait: whether to stay until the packs that others are doing have results too; those of a
            process that dies are taken over.
          meanwhile: called before each wait.

        Returns:
          Members done by this process.

        Raises:
          InputError: the directory cannot be written, or what a pack raised of that kind.
          Exception: what the last of several packs raised at which this process alone failed.
        """
        self._finished.clear()
        work = self._lead(work) if self._lead else work
        left = self._unfinished(work.packs)
        walk, here, busy = Walk(left, self._chance), 0, time.monotonic()
        total = sum(len(pack.members) for pack in left)
        with progress(total, work.verb, work.unit) as advance:
            while walk:
                packs = walk.round()
                settled, mine = self._look_at(packs, work)
                walk.settle(settled)
                if settled:
                    advance(sum(len(pack.members) for pack in settled), self._note(len(walk)))
                if mine:
                    here, busy = here + sum(len(pack.members) for pack in mine), time.monotonic()
                    walk.go_on_after(mine[0])
                    continue
                if not wait:
                    break
                if not settled:
                    advance(0, self._others(packs))
                    if meanwhile:
                        meanwhile()
                    self._pause(time.monotonic() - busy)
                elif len(settled) > len(packs) / 2 and not walk.is_short:
                    walk.keep(self._unfinished(walk.packs))
                walk.watch(packs)
                walk.jump()
        return here

    def is_lost(self, pack: Pack) -> bool:
        """Whether a pack is quarantined, as far as was looked."""
        return pack.id in self._quarantined

    def recall(self) -> None:
        """Learns which packs have failed, and which are quarantined."""
        counts = self.directory.failures.counts()
        self._recorded = set(counts)
        self._quarantined = {pack for pack, count in counts.items() if count >= MOST}

    def _unfinished(self, packs: Sequence[Pack]) -> list[Pack]:
        """Those that may get a result yet, at one look at all results and failures."""
        self.recall()
        settled = self.directory.finished() | self._quarantined
        return [pack for pack in packs if pack.id not in settled]

    def _look_at(self, packs: Sequence[Pack], work: Work) -> tuple[list[Pack], list[Pack]]:
        """Does the first of some packs that is to be had, and what is done together with it.

        Returns:
          Those that have a result now, as far as was looked, and those that were done here.
        """
        settled = []
        for pack in packs:
            if mine := self._take(work, pack):
                return [*settled, *mine], mine
            if self._is_settled(work, pack):
                settled.append(pack)
        return settled, []

    def _is_settled(self, work: Work, pack: Pack) -> bool:
        """Whether nothing is to be done for a pack: it has a result, or will have none."""
        return pack.id in self._finished or any(map(self.is_lost, (pack, *work.needs(pack))))

    def _pause(self, idle: float) -> None:
        """Waits, longer the longer it has had nothing to do."""
        seconds = min(max(_POLL_SECONDS, idle / 10), _LONGEST_POLL) * self._chance.uniform(0.5, 1)
        with self.clock.section("wait"):
            time.sleep(seconds)

    def has_lost_claim(self) -> bool:
        """Whether what is being done is another's by now."""
        return any(claim.is_lost for claim in self._held)

    def _take(self, work: Work, pack: Pack) -> list[Pack]:
        """Does a pack that is to be had, and others with it; returns those done."""
        with contextlib.ExitStack() as held:
            packs = self._hold_together(work, pack, held)
            if not packs:
                return []
            try:
                with self.telemetry.pack(work.stage, work.unit, *packs):
                    write = work.do(packs)
                    if not self._confirm():
                        raise Lost(f"pack {pack.id} was taken over by another process")
                    with self.clock.section("write"):
                        write()
            except Lost:  # Whoever has it now saves it.
                return []
            except InputError:  # Of the disk or the settings: the next pack would meet it too.
                raise
            except Exception as error:
                self._note_failure(packs, error)
                if self._lead is not None or len(self._first_to_fail) == _SUSPECT:
                    raise
                return []
        self._first_to_fail.clear()
        for pack in packs:
            if pack.id in self._failed:
                self.directory.failures.forget(pack.id)
        return packs

    def _note_failure(self, packs: Sequence[Pack], error: Exception) -> None:
        """Records a failure, and when to try again."""
        if len(packs) > 1:  # Nobody knows whose fault it is.
            self._alone.update(pack.id for pack in packs)
            told = f"{words.count(len(packs), 'pack')} failed together: {error!r:.200}"
            print(f"jaxbias: {told}; each is tried alone", file=sys.stderr)
            return
        (pack,), failures = packs, self.directory.failures
        count = failures.add(pack.id, error)
        if count == 1:
            self._first_to_fail.add(pack.id)
        self._failed.add(pack.id)
        wait = _RETRY_SECONDS * 2 ** (count - 1) * self._chance.uniform(0.5, 1.5)
        self._not_before[pack.id] = time.monotonic() + wait
        then = f"tried again in {wait:.0f} s at the earliest"
        if count >= MOST:
            self._quarantined.add(pack.id)
            then = "quarantined"
        told = f"pack {pack.id} failed ({count} of {MOST}, see {failures}): {error!r:.200}"
        print(f"jaxbias: {told}; {then}", file=sys.stderr)

    def _hold_together(self, work: Work, pack: Pack, held: contextlib.ExitStack) -> list[Pack]:
        """Holds the claims of a pack, where it is to be had, and of others that fit beside it."""
        self._held, packs = [], []
        if not work.needs(pack) and self._hold(pack, held):
            packs.append(pack)
        if packs and work.fits is not None and not self._goes_alone(pack):
            for other in work.packs:
                fits = other is not pack and other.id not in self._alone and work.fits(packs, other)
                if fits and self._hold(other, held):
                    packs.append(other)
        return packs

    def _goes_alone(self, pack: Pack) -> bool:
        """Whether a pack went wrong together with others, or killed a process that did several."""
        return pack.id in self._alone or pack.id in self._failed

    def _confirm(self) -> bool:
        return all([claim.confirm() for claim in self._held])

    def _hold(self, pack: Pack, held: contextlib.ExitStack) -> bool:
        """Holds the claim of a pack that is to be done now and that nobody is doing."""
        over = pack.id in self._finished or self.is_lost(pack)
        if over or time.monotonic() < self._not_before.get(pack.id, 0.0):
            return False
        claim = self.claims.take(pack.id, unless=lambda tried: self._leaves(pack, tried))
        if claim is None:
            return False
        held.enter_context(claim)
        self._held.append(claim)
        return True

    def _leaves(self, pack: Pack, tried: bool) -> bool:
        """Whether a pack that nobody is doing is left: it is done, quarantined or not yet to be.

        Args:
          pack: the pack.
          tried: whether anybody ever held its claim.
        """
        if self.directory.has(pack):
            self._finished.add(pack.id)
            return True
        if tried or pack.id in self._recorded:
            failed = self.directory.failures.count(pack.id)
            if failed >= MOST:  # Others were quarantined meanwhile as well.
                self.recall()
            elif failed and pack.id not in self._failed:
                self._failed.add(pack.id)
                return True  # The others first: it may end this process too.
        return self.is_lost(pack)

    def _note(self, packs: int) -> str:
        return ", ".join(filter(None, (f"{words.count(packs, 'pack')} left", self.telemetry.speed)))

    def _others(self, packs: Sequence[Pack]) -> str:
        holders = {str(holder) for pack in packs if (holder := self.claims.seen_holder(pack.id))}
        return f"waiting for {', '.join(sorted(holders)[:_NAMED]) or 'bases'}"


class Bases:
    """The pretrained bases that trials and finetunes start from.

    Args:
      crew: whose directory and claims tell which are there and which are being made.
      work: pretrains all bases of the plan.
      elsewhere: whether pretraining them is asked of others alone.
    """

    def __init__(self, crew: Crew, work: Work, elsewhere: bool) -> None:
        self._crew = crew
        self._work = work
        self._elsewhere = elsewhere
        self._pack_of = {base.id: pack for pack in work.packs for base in pack.members}
        self._there: set[str] = set()

    def missing(self, pack: Pack) -> list[Pack]:
        """Returns the packs of bases that a pack of finetunes needs and that are not done."""
        ids = {variant.base.id for variant in pack.members if variant.base.trained_here}
        needed = {self._pack_of[id].id: self._pack_of[id] for id in sorted(ids)}
        missing = [p for p in needed.values() if p.id not in self._there]
        self._there |= {p.id for p in missing if self._crew.directory.has(p)}
        return [p for p in missing if p.id not in self._there]

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
        directory, claims = self._crew.directory, self._crew.claims
        for pack in packs:
            if directory.has(pack):
                continue
            for base_pack in self.missing(pack):
                # In this order: a claim ends after its result, or failure, has appeared.
                if claims.is_held(base_pack.id) or directory.has(base_pack):
                    continue
                self._crew.recall()
                if not self._crew.is_lost(base_pack):
                    names = ", ".join(f"{base.name} seed {base.seed}" for base in base_pack.members)
                    raise InputError(
                        f"pack {pack.id} starts from bases that are not pretrained ({names}); "
                        "run --stage=pretrain first"
                    )
