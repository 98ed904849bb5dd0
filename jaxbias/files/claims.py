"""Claims: one process works on a pack at a time, and a dead one's pack is taken over.

A claim is one object, which says who holds it and is written anew while that process works: by a
write that names the generation it replaces, so that of two who want it one gets it. It has expired
when an observer has seen the same generation for `seconds` of its own clock; what times others
wrote is for people to read, so clocks need not agree. It is never removed: given back, it says so.

Whoever could not renew its claim for that long, or finds another's in its place, has lost it: it
stops, and saves nothing.
"""

import contextlib
import dataclasses
import datetime
import json
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from jaxbias.errors import InputError
from jaxbias.files.atomic import writing
from jaxbias.files.heartbeat import every
from jaxbias.files.holder import Holder
from jaxbias.files.json_files import parse_json
from jaxbias.files.objects import Found, Objects

# A process that is not heard of for this long has lost its claim.
_SECONDS = 60.0
# Renewals in that time: some may fail.
_BEATS = 4
# Waiting for a lock this long is worth a line.
_PATIENCE = 2.0
# Between two looks at a lock, at first and at most.
_SHORTEST, _LONGEST = 0.1, 5.0
# The claims that this process holds, by their tokens.
_ours: "dict[str, Claim]" = {}


class Lost(InputError):
    """A claim was lost: what was worked on is another's now."""


class Claims:
    """The claims of a result directory.

    Args:
      objects: where they lie.
      seconds: a claim whose generation has not changed for so long has expired.
      clock: seconds of this process's own, from whenever.
      every: calls what renews a claim, as `heartbeat.every` does.
    """

    def __init__(
        self,
        objects: Objects,
        seconds: float = _SECONDS,
        clock: Callable[[], float] = time.monotonic,
        every: Callable[[float, Callable[[], None]], contextlib.AbstractContextManager] = every,
    ) -> None:
        self.objects = objects
        self.seconds = seconds
        self.clock = clock
        self.every = every
        # The generation of each claim that was seen last, and since when it is the same.
        self._seen: dict[str, tuple[bytes, float]] = {}
        self._held: dict[str, Holder] = {}

    def take(
        self, name: str, unless: Callable[[bool], bool] = lambda held_before: False
    ) -> "Claim | None":
        """Takes a claim that nobody holds.

        Args:
          name: of the claim.
          unless: asked where nobody holds it, with whether anybody ever did; true: it is not taken.
            Whatever its holders did is there by then, and if another takes it meanwhile we do not.

        Returns:
          The claim, renewed while its `with` block runs; None where another holds it.

        Raises:
          InputError: the place cannot be read or written.
        """
        with writing(self.objects.path(_key(name))):
            found, body = self._look(name)
            if body is not None or unless(found.value is not None):
                return None
            claim = Claim(self, _key(name), found.generation)
            return claim if claim.begin() else None

    @contextlib.contextmanager
    def lock(self, name: str, what: str = "") -> Iterator["Claim"]:
        """Waits for a claim and holds it inside the block.

        Args:
          name: of the claim.
          what: it is for, as the line says that tells of waiting; empty: its name.
        """
        began, told, pause = time.monotonic(), False, _SHORTEST
        while (claim := self.take(name)) is None:
            if not told and time.monotonic() - began > _PATIENCE:
                who = self.holder(name) or f"whoever wrote {self.objects.path(_key(name))}"
                print(f"waiting for {what or f'the {name}'}, held by {who}", file=sys.stderr)
                told = True
            time.sleep(pause)
            pause = min(1.2 * pause, _LONGEST)
        with claim:
            yield claim

    def holder(self, name: str) -> Holder | None:
        """Returns who holds a claim; None: nobody."""
        with writing(self.objects.path(_key(name)), "read"):
            _, body = self._look(name)
        return body.holder if body else None

    def seen_holder(self, name: str) -> Holder | None:
        """Returns who held a claim when this process looked last, without looking again."""
        return self._held.get(name)

    def at_work(self, names: Iterable[str]) -> dict[str, Holder]:
        """Returns who works on what, as people want to know at one look.

        By the times that they wrote, so it is wrong where clocks are; nothing is decided by it.
        """
        now = datetime.datetime.now(datetime.UTC)
        found = {}
        for name in names:
            with writing(self.objects.path(_key(name)), "read"):
                _, body = self._look(name)
            if body is not None and (now - body.time).total_seconds() < 2 * self.seconds:
                found[name] = body.holder
        return found

    def is_held(self, name: str) -> bool:
        """Whether somebody holds a claim, this process included."""
        return self.holder(name) is not None

    def _look(self, name: str) -> tuple[Found, "_Body | None"]:
        """Reads a claim; who holds it, where somebody does."""
        found = self.objects.read(_key(name))
        now = self.clock()  # After the read: a renewal may have come just before.
        generation, since = self._seen.get(name, (None, now))
        if generation != found.generation:
            since = now
            self._seen[name] = found.generation, now
        body = _Body.of(found.value)
        gone = body is None or not body.held or body.is_abandoned()
        if body is None or gone or now - since >= self.seconds:
            self._held.pop(name, None)
            return found, None
        self._held[name] = body.holder
        return found, body


class Claim:
    """A claim that this process has taken; inside its `with` block it is renewed."""

    def __init__(self, claims: Claims, key: str, generation: bytes) -> None:
        self._objects = claims.objects
        self._seconds = claims.seconds
        self._clock = claims.clock
        self._key = key
        self._generation = generation
        self._token = secrets.token_hex(8)
        self._beat = 0
        self._renewed = self._clock()
        self._taken_over = False
        self._writing = threading.Lock()
        self._beating = claims.every(self._seconds / _BEATS, self.renew)

    def begin(self) -> bool:
        """Writes it for the first time; whether it is ours."""
        _ours[self._token] = self  # Before another thread can see it.
        began = False
        try:
            began = self._write(held=True)
        finally:
            if not began:
                _ours.pop(self._token, None)
        return began

    @property
    def is_lost(self) -> bool:
        """Whether another may hold it: it was taken over, or could not be renewed for too long."""
        return self._taken_over or self._clock() - self._renewed >= self._seconds

    def renew(self) -> None:
        """Tells others that it is still held."""
        # A place that is full, read-only or out of reach: it is lost when its time is over.
        with contextlib.suppress(OSError):
            self._write(held=True)

    def confirm(self) -> bool:
        """Renews it, before what was done is saved; whether it is still ours."""
        self.renew()
        return not self.is_lost

    def check(self) -> None:
        """Refuses to go on with what may be another's by now.

        Raises:
          Lost: it may.
        """
        if self.is_lost:
            raise Lost(f"{self._objects.path(self._key)} was taken over by another process")

    def __enter__(self) -> "Claim":
        self._beating.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._beating.__exit__(None, None, None)
        self.give_back()
        _ours.pop(self._token, None)

    def give_back(self) -> None:
        """Tells others that it is free, where it is still ours."""
        with contextlib.suppress(OSError):
            self._write(held=False)

    def _write(self, held: bool) -> bool:
        """Replaces what we wrote last; nothing where that is another's by now."""
        with self._writing:
            if self._taken_over:
                return False
            now = self._clock()  # Before the write: nobody has seen it earlier.
            value = self._body(held)
            written = self._objects.write(self._key, value, self._generation)
            if written is None:
                # One of ours may have come through although it was not answered.
                found = self._objects.read(self._key)
                body = _Body.of(found.value)
                if body is not None and body.token == self._token:
                    written = self._objects.write(self._key, value, found.generation)
            self._taken_over = written is None
            if written is not None:
                self._generation, self._renewed = written, now
            return written is not None

    def _body(self, held: bool) -> bytes:
        self._beat += 1  # A bucket's generation is a hash of the content.
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        content = {"held": held, "token": self._token, "beat": self._beat, "time": now}
        return json.dumps({**vars(Holder.myself()), **content}).encode()


@dataclasses.dataclass(frozen=True)
class _Body:
    """What a claim says."""

    holder: Holder
    token: str
    held: bool
    time: datetime.datetime

    @classmethod
    def of(cls, value: bytes | None) -> "_Body | None":
        """Reads what an object holds; what is no claim, which nobody writes in parts, is None."""
        try:
            content = parse_json(value or b"")
            kinds = {"host": str, "pid": int, "born": str, "token": str, "held": bool, "time": str}
            host, pid, born, token, held, time = (content[name] for name in kinds)
            if any(type(content[name]) is not kind for name, kind in kinds.items()):
                return None
            at = datetime.datetime.fromisoformat(time).astimezone(datetime.UTC)
        except (ValueError, TypeError, KeyError, OverflowError):
            return None
        return cls(Holder(host, pid, born), token, held, at)

    def is_abandoned(self) -> bool:
        """Whether its process surely works on it no more."""
        # One of ours that could not be given back looks as if still held.
        mine = self.holder == Holder.myself()
        return self.token not in _ours if mine else self.holder.is_dead()


def give_back_all() -> None:
    """Gives back every claim that this process holds, which is about to end."""
    for claim in list(_ours.values()):
        claim.give_back()


def _key(name: str) -> str:
    return f"{name}.json"
