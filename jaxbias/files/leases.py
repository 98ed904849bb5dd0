"""Leases: one process works on a pack at a time, and a dead one's pack is taken over.

A lease is a file `NAME.GENERATION`, written aside and then given that name exclusively. It holds
until its file's time plus `seconds`; the holder renews that time while it works, which needs no
space on the disk. A takeover creates the next generation, never removes the present one first, so
that of two processes that see the same expired lease only one gets it. At worst (a stopped machine,
clocks a minute apart) a pack is trained twice and written twice with the same content.
"""

import contextlib
import dataclasses
import errno
import json
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from jaxbias.files.atomic import make_directory, writing
from jaxbias.files.digits import whole
from jaxbias.files.holder import Holder
from jaxbias.files.json_files import load_json

# A process that is not seen for this long has lost its lease.
_SECONDS = 60.0
# No clock is so far ahead: whatever has this time was not renewed by a holder.
_FUTURE = 3600.0
# Waiting for a lock this long is worth a line.
_PATIENCE = 2.0
# Files of the leases this process holds.
_ours: set[Path] = set()
# Held from when a lease of this process is seen until it stands in `_ours`.
_creating = threading.Lock()
# What disks without hard links answer.
_NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}


class Leases:
    """The leases of a result directory.

    Args:
      directory: where their files are; made with the first lease.
      seconds: a lease not renewed for so long has expired.
      clock: seconds since the epoch, near enough the same on all hosts.
    """

    def __init__(
        self, directory: Path, seconds: float = _SECONDS, clock: Callable[[], float] = time.time
    ) -> None:
        self.directory = directory
        self.seconds = seconds
        self.clock = clock

    def take(self, name: str) -> "Lease | None":
        """Takes a lease that nobody holds.

        Returns:
          The lease, renewed while its `with` block runs; None where another process holds it.

        Raises:
          InputError: the directory cannot be written.
        """
        last = max(self._generations(name), default=-1)
        if last >= 0 and self._holds(name, last):
            return None
        path = self._path(name, last + 1)
        with writing(path):
            make_directory(self.directory)
            try:
                self._create(path)
            except FileExistsError:
                return None
        lease = Lease(path, self.seconds, self.clock)
        generations = self._generations(name)
        if max(generations, default=-1) > last + 1:
            # What we looked at was swept away by a later holder.
            _ours.discard(path.absolute())
            path.unlink(missing_ok=True)
            return None
        self._remove(name, [g for g in generations if g <= last])
        return lease

    @contextlib.contextmanager
    def lock(self, name: str, what: str = "") -> Iterator[None]:
        """Waits for a lease and holds it inside the block.

        Args:
          name: of the lease.
          what: it is for, as the line says that tells of waiting; empty: its name.
        """
        began, told = time.monotonic(), False
        while (lease := self.take(name)) is None:
            if not told and time.monotonic() - began > _PATIENCE:
                who = self.holder(name) or f"whoever wrote {self.directory / name}.*"
                print(f"waiting for {what or f'the {name}'}, held by {who}", file=sys.stderr)
                told = True
            time.sleep(0.1)
        with lease:
            yield

    def holder(self, name: str) -> Holder | None:
        """Returns who holds a lease; None: nobody, or it cannot be told."""
        last = max(self._generations(name), default=-1)
        return self._read(name, last) if last >= 0 and self._holds(name, last) else None

    def is_held(self, name: str) -> bool:
        """Whether somebody holds a lease, this process included."""
        last = max(self._generations(name), default=-1)
        return last >= 0 and self._holds(name, last)

    def forget(self, name: str) -> None:
        """Removes the files of a lease; only where its work is done for good."""
        self._remove(name, self._generations(name))

    def _create(self, path: Path) -> None:
        # Whole and stamped before it has its name: seen half-made, with the time of the disk's own
        # clock, a lease looks expired to whoever's clock is far from that.
        draft = self.directory / f".{uuid.uuid4().hex}"
        try:
            draft.write_text(json.dumps(dataclasses.asdict(Holder.myself())))
            os.utime(draft, (self.clock(), self.clock()))
            with _creating:
                _name(draft, path)
                _ours.add(path.absolute())
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)

    def _path(self, name: str, generation: int) -> Path:
        return self.directory / f"{name}.{generation}"

    def _generations(self, name: str) -> list[int]:
        try:
            files = [path.name for path in self.directory.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        parts = (file.rpartition(".") for file in files)
        # What else lies there is none of ours.
        ends = [whole(end) for start, _, end in parts if start == name]
        return [end for end in ends if end is not None]

    def _holds(self, name: str, generation: int) -> bool:
        try:
            renewed = self._path(name, generation).stat().st_mtime
        except FileNotFoundError:
            return False
        if not renewed - _FUTURE <= self.clock() < renewed + self.seconds:
            return False
        holder = self._read(name, generation)
        if holder == Holder.myself():
            # On a disk that was read-only when it ended, a lease of ours looks as if still held.
            with _creating:
                return self._path(name, generation).absolute() in _ours
        return holder is None or not holder.is_dead()

    def _read(self, name: str, generation: int) -> Holder | None:
        try:
            holder = Holder(**load_json(self._path(name, generation)))
        except (OSError, ValueError, TypeError):
            return None  # Without hard links: not written yet; or no lease of ours.
        kinds = {"host": str, "pid": int, "born": str}
        return holder if all(type(getattr(holder, k)) is t for k, t in kinds.items()) else None

    def _remove(self, name: str, generations: list[int]) -> None:
        for generation in generations:
            with contextlib.suppress(OSError):
                self._path(name, generation).unlink(missing_ok=True)


class Lease:
    """A lease this process has taken; inside its `with` block a thread renews it."""

    def __init__(self, path: Path, seconds: float, clock: Callable[[], float]) -> None:
        self._path = path
        self._seconds = seconds
        self._clock = clock
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def renew(self) -> None:
        """Moves the expiry."""
        self._stamp(self._clock())

    def __enter__(self) -> "Lease":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self._thread.join()
        _ours.discard(self._path.absolute())
        # Expired, not removed: a removed generation could be created again behind a holder's back.
        self._stamp(0.0)

    def _keep(self) -> None:
        while not self._end.wait(self._seconds / 4):
            self.renew()

    def _stamp(self, when: float) -> None:
        # Gone, or on a disk gone read-only: it expires, and at worst the work is done twice.
        with contextlib.suppress(OSError):
            os.utime(self._path, (when, when))


def _name(draft: Path, path: Path) -> None:
    """Gives a written file a name that nobody may have yet; FileExistsError: somebody has it."""
    try:
        os.link(draft, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        stamp = draft.stat().st_mtime
        with path.open("x") as file:
            file.write(draft.read_text())
        os.utime(path, (stamp, stamp))
