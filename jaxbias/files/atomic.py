"""Files that appear whole or not at all."""

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jaxbias.errors import InputError
from jaxbias.files.digits import whole
from jaxbias.files.holder import Holder

if TYPE_CHECKING:  # What may be written where is asked before any table is there.
    import pandas as pd
    import pyarrow as pa

_PART = ".part"
_STALE_SECONDS = 24 * 3600
_FULL = (errno.ENOSPC, errno.EDQUOT)
_IN_THE_WAY = (errno.EISDIR, errno.ENOTDIR, errno.EEXIST)
_REASON = 120  # Characters of another library's message.


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary name that takes the place of `path` once it is whole.

    What is made of that name may be a directory, where there is nothing at `path` yet.

    Raises:
      InputError: it cannot be written.
    """
    temporary = draft_of(path)
    try:
        with writing(path):
            yield temporary
            _sync(temporary)
            temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(temporary) if temporary.is_dir() else temporary.unlink(missing_ok=True)


def draft_of(path: Path) -> Path:
    """Returns a name beside `path` for what is not whole yet, which tells whose it is.

    Several threads, and processes of several hosts, may write one file.
    """
    mark = f"{_mark(Holder.myself())}-{secrets.token_hex(4)}"
    return path.with_name(f".{path.name}.{mark}{_PART}")


def remove_leftovers(directory: Path) -> None:
    """Removes the drafts, below a directory, of processes that were killed.

    A draft is a file or a directory of `draft_of`'s name, or what a library has made of that name
    (Orbax adds a suffix). Those of other hosts, of which nothing is known, go when they are a day
    old.
    """
    me = Holder.myself()
    for path in [*directory.rglob(f".*{_PART}*")]:
        mark = path.name.rpartition(_PART)[0].rpartition(".")[2]
        host, pid, born = [*mark.split("-"), "", ""][:3]
        number = whole(pid) if host == _mark(me).split("-")[0] else None
        with contextlib.suppress(OSError):  # Another process may be removing it too.
            stale = time.time() - path.stat().st_mtime > _STALE_SECONDS
            if stale or (number is not None and Holder(me.host, number, born).is_dead()):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _mark(holder: Holder) -> str:
    """Tells whose an unfinished file is, in letters, digits and dashes."""
    host = hashlib.sha256(holder.host.encode()).hexdigest()[:8]
    return f"{host}-{holder.pid}-{holder.born}"


@contextlib.contextmanager
def writing(
    path: Path | str,
    attempt: str = "write",
    way_out: str = "",
    raised: tuple[type[Exception], ...] = (OSError,),
) -> Iterator[None]:
    """Turns what goes wrong inside, while `path` is written, into one line with the way out.

    Args:
      path: what is written.
      attempt: what is done to it, as the line says.
      way_out: what to do, where that does not depend on what went wrong.
      raised: what goes wrong; libraries have other exceptions for a disk.

    Raises:
      InputError: the disk is full, read-only, or not ours.
    """
    try:
        yield
    except InputError:
        raise
    except raised as error:
        reason, advice = _unwritable(error)
        raise InputError(f"cannot {attempt} {path} ({reason}); {way_out or advice}") from error


def _unwritable(error: Exception) -> tuple[str, str]:
    """Why something cannot be written, and what to do."""
    number = getattr(error, "errno", None)
    reason = (getattr(error, "strerror", None) or str(error)).splitlines()[0]
    if number in _FULL or "o space left" in str(error):
        return "no space left on the disk", "free some and run again, what is finished is kept"
    if number in _IN_THE_WAY:
        return reason, "delete what is in its way and run again, what is finished is kept"
    return reason, "choose a place you can write to"


def damaged(path: Path, error: Exception | str, cost: str) -> InputError:
    """Returns the error that names a file that cannot be used, and the way out.

    Args:
      path: the file.
      error: what reading it raised, or what is wrong with it.
      cost: what deleting it costs, as a sentence after a colon.
    """
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    reason = reason.splitlines()[0].strip().rstrip(".")
    reason = reason if len(reason) <= _REASON else f"{reason[:_REASON]}…"
    if isinstance(error, PermissionError):
        return InputError(f"{path} cannot be read ({reason}); make it readable and run again")
    return InputError(f"{path} is damaged ({reason}); delete it and run again: {cost}")


def _sync(path: Path) -> None:
    # Some disks say only now that they are full; without this a crash may leave a hollow file.
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, content: bytes) -> Path:
    """Writes a file in one piece and returns its path."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return path


def write_text(path: Path, text: str) -> Path:
    """Writes a text file in one piece and returns its path."""
    return write_bytes(path, text.encode())


def write_parquet(path: Path, table: "pa.Table") -> Path:
    """Writes a Parquet file in one piece and returns its path."""
    import pyarrow.parquet as pq

    with replacing(path) as temporary:
        pq.write_table(table, temporary)
    return path


def write_csv(path: Path, table: "pd.DataFrame") -> Path:
    """Writes a CSV file in one piece and returns its path."""
    return write_text(path, table.to_csv(index=False))


def check_file(path: Path) -> Path:
    """Refuses a file that could not be written, before the work whose result it is to hold.

    Returns:
      The same path.

    Raises:
      InputError: its directory does not exist or cannot be written, or it is a directory itself.
    """
    with writing(path):
        if path.is_dir():  # Raises where the name is too long.
            raise InputError(f"cannot write {path} (it is a directory); name a file in it")
        if not path.parent.is_dir():
            raise InputError(
                f"cannot write {path} (there is no directory {path.parent}); make it, or choose "
                "another"
            )
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    return path


def check_directory(path: Path) -> Path:
    """Refuses a directory that could not be made or written, likewise; returns the same path."""
    place = path.absolute()
    with writing(path):
        while not place.exists():
            place = place.parent
        with tempfile.TemporaryFile(dir=place):
            pass
    return path


def make_directory(path: Path) -> Path:
    """Makes a directory and its parents where absent, and returns its path.

    Raises:
      InputError: it cannot be made.
    """
    with writing(path, "make the directory"):
        path.mkdir(parents=True, exist_ok=True)
    return path
