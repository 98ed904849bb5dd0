"""Objects: small files of one place, on a disk or in a bucket, each with its generation.

A write names the generation that it replaces, and does nothing where that is another by now: of
several writers one gets through. TensorStore does it, by a lock and a rename on a disk, by
conditional requests to a bucket.
"""

import contextlib
import errno
import functools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # It takes a quarter of a second: only where it is used.
    import tensorstore as ts

_DRIVERS = {"gs://": "gcs", "s3://": "s3"}
_CODE = re.compile(r"os_error_code='(\d+)'")
# What it says of a write that met another at the same moment, which Amazon answers with 409.
_CONFLICT = "ABORTED"
# What TensorStore raises, of disks too.
_RAISED = (ValueError, RuntimeError, KeyError)


class Found(NamedTuple):
    """What was read.

    Attributes:
      value: what the object holds; None: there is none.
      generation: of the object, or of there being none; another after every write, in a bucket
        where it is of other content.
    """

    value: bytes | None
    generation: bytes


class Objects:
    """The objects of a place.

    Args:
      place: a directory, made with the first object, or a URL such as s3://BUCKET/PREFIX.
    """

    def __init__(self, place: str | Path) -> None:
        self.place = place

    def path(self, key: str) -> Path | str:
        """Returns where an object lies, for messages."""
        return self.place / key if isinstance(self.place, Path) else f"{self.place}/{key}"

    def read(self, key: str, unless: bytes | None = None) -> Found | None:
        """Reads an object.

        Args:
          key: of the object.
          unless: a generation.

        Returns:
          What there is; None where it is of that generation.

        Raises:
          OSError: the place cannot be read.
        """
        with _as_os_errors():
            found = self._store.read(key, if_not_equal=unless).result()
        if found.state == "unspecified":
            return None
        return Found(found.value if found.state == "value" else None, found.stamp.generation)

    def has(self, key: str) -> bool:
        """Whether there is an object that is not empty; reads no more than a byte of it."""
        with _as_os_errors():
            return self._store.read(key, byte_range=slice(0, 1)).result().state == "value"

    def hashes(self, prefix: str) -> set[str]:
        """Returns what follows a prefix in the keys that go on with a hash, in hexadecimal.

        A bucket lists a thousand keys at a time, one page after another; by their first digits
        sixteen listings go on side by side.
        """
        import tensorstore as ts

        with _as_os_errors():
            listings = [
                self._store.list(ts.KvStore.KeyRange(prefix + digit, prefix + after), len(prefix))
                for digit, after in zip("0123456789abcdef", "123456789:bcdefg", strict=True)
            ]
            return {key.decode() for listing in listings for key in listing.result()}

    def listing(self, prefix: str = "") -> list[str]:
        """Returns the keys that begin alike, sorted; of a few objects, by one listing."""
        with _as_os_errors():
            return sorted(key.decode() for key in self._store.list(_beginning(prefix)).result())

    def remove(self, prefix: str) -> None:
        """Removes all objects whose keys begin alike."""
        with _as_os_errors():
            self._store.delete_range(_beginning(prefix)).result()

    def put(self, key: str, value: bytes) -> bytes:
        """Writes an object, whatever is there, and returns its generation."""
        with _as_os_errors():
            return self._store.write(key, value).result().generation

    def write(self, key: str, value: bytes, replaces: bytes) -> bytes | None:
        """Writes an object whose generation is still the one that was read.

        Returns:
          The new generation; None where the present one is another. A write that was not answered
          and came through all the same may look so when TensorStore repeats it.

        Raises:
          OSError: the place cannot be written.
        """
        with _as_os_errors():
            try:
                return self._store.write(key, value, if_equal=replaces).result().generation or None
            except _RAISED as error:
                if str(error).startswith(_CONFLICT):
                    return None
                raise

    @functools.cached_property
    def _store(self) -> "ts.KvStore":
        import tensorstore as ts

        return ts.KvStore.open(_spec(self.place)).result()


def is_url(place: str) -> bool:
    """Whether a place is in a bucket.

    >>> is_url("s3://bucket/grid"), is_url("runs/grid")
    (True, False)
    """
    return place.startswith(tuple(_DRIVERS))


def _spec(place: str | Path) -> dict[str, object]:
    if isinstance(place, Path):
        # Whoever loses power loses what it claimed as well.
        return {"driver": "file", "path": f"{place.absolute()}/", "file_io_sync": False}
    scheme = next(scheme for scheme in _DRIVERS if place.startswith(scheme))
    bucket, _, path = place.removeprefix(scheme).partition("/")
    spec = {
        "driver": _DRIVERS[scheme],
        "bucket": bucket,
        "path": f"{path.rstrip('/')}/".lstrip("/"),
    }
    if _DRIVERS[scheme] == "s3":
        # TensorStore takes servers other than Amazon's for ones that ignore conditions.
        os.environ.setdefault("TENSORSTORE_S3_USE_CONDITIONAL_WRITE", "1")
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        if endpoint:
            region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
            spec |= {"endpoint": endpoint, "aws_region": region or "us-east-1"}
    return spec


def _beginning(prefix: str) -> "ts.KvStore.KeyRange":
    """The range of the keys that begin alike."""
    import tensorstore as ts

    last = prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else ""
    return ts.KvStore.KeyRange(prefix, last)


@contextlib.contextmanager
def _as_os_errors() -> Iterator[None]:
    """Turns TensorStore's errors into those of a disk, with its number where there is one."""
    try:
        yield
    except _RAISED as error:
        code = _CODE.search(str(error))
        if code:
            raise OSError(int(code[1]), os.strerror(int(code[1]))) from error
        raise OSError(errno.EIO, (str(error).splitlines() or [""])[0]) from error
