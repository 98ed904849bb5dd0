"""Places: where a work directory lies, on a disk or in a bucket.

Whatever reads and writes a work directory does so in a folder of this machine. Of a directory in a
bucket that folder is this process's copy, gone when it ends: what is read is fetched first where
the bucket has another, what was written is sent, and whether something is there the bucket tells. A
folder of files is sent with a list of them last, and is there when the list is.
"""

import atexit
import contextlib
import functools
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from jaxbias.data.directories import home
from jaxbias.errors import InputError
from jaxbias.files.atomic import (
    damaged,
    draft_of,
    make_directory,
    remove_leftovers,
    write_bytes,
    writing,
)
from jaxbias.files.json_files import load_json, parse_json
from jaxbias.files.objects import Objects, is_url

_LIST = ".files.json"
_DRAFT = "orbax-checkpoint-tmp"


def place_of(workdir: str | Path) -> "Place":
    """Returns where a work directory lies.

    Args:
      workdir: a path, or a URL: gs://BUCKET/... or s3://BUCKET/...
    """
    return Bucket(str(workdir)) if is_url(str(workdir)) else Disk(Path(workdir))


class Disk:
    """A work directory on a disk that all its processes see.

    Attributes:
      path: of its files.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def objects(self, folder: str) -> Objects:
        """Returns the objects in a folder."""
        return Objects(self.path / folder)

    def has(self, name: str) -> bool:
        """Whether there is a file."""
        return (self.path / name).exists()

    def names(self, folder: str) -> set[str]:
        """Returns the names of the files in a folder that are named by hashes."""
        return {path.name for path in (self.path / folder).glob("*")}

    def fetch(self, name: str) -> None:
        """Makes the copy of a file as it is in the bucket."""

    def fetch_folder(self, name: str) -> None:
        """Makes the copy of a folder as it is in the bucket."""

    def send(self, name: str) -> None:
        """Makes the bucket's file, or folder, as the copy is."""

    def remove(self, folder: str) -> None:
        """Removes a folder."""
        shutil.rmtree(self.path / folder, ignore_errors=True)

    def known_as(self, path: Path) -> Path | str:
        """Returns what a file of the copy is in the bucket."""
        return path

    @contextlib.contextmanager
    def named(self) -> Iterator[None]:
        """Inside, errors name what is in the bucket, not its copy."""
        yield


class Bucket:
    """A work directory in a bucket, with this process's copy on this machine.

    Args:
      url: of the directory.

    Attributes:
      path: of the copy's files.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self.path = _copy_of(home() / "workdirs", self._url)
        self._objects = Objects(self._url)
        self._generations: dict[str, bytes] = {}  # Of the files that were fetched or sent.

    def __str__(self) -> str:
        return self._url

    def objects(self, folder: str) -> Objects:
        """As of `Disk`."""
        return Objects(f"{self._url}/{folder}")

    def has(self, name: str) -> bool:
        """As of `Disk`."""
        with writing(f"{self._url}/{name}", "read"):
            return self._objects.has(name)

    def names(self, folder: str) -> set[str]:
        """As of `Disk`."""
        with writing(f"{self._url}/{folder}", "read"):
            return self._objects.hashes(f"{folder}/")

    def fetch(self, name: str) -> None:
        """As of `Disk`; what is not in the bucket is not in the copy either."""
        path = self.path / name
        known = self._generations.get(name) if path.exists() else None
        with writing(f"{self._url}/{name}", "read"):
            found = self._objects.read(name, unless=known)
        if found is None:
            return
        if found.value is None:
            path.unlink(missing_ok=True)
            return
        make_directory(path.parent)
        write_bytes(path, found.value)
        self._generations[name] = found.generation

    def fetch_folder(self, name: str) -> None:
        """As of `Disk`."""
        path = self.path / name
        with writing(f"{self._url}/{name}", "read"):
            content = self._objects.read(f"{name}/{_LIST}").value
            if content is None:
                shutil.rmtree(path, ignore_errors=True)
            elif not (path / _LIST).is_file() or (path / _LIST).read_bytes() != content:
                self._copy(name, content)

    def send(self, name: str) -> None:
        """As of `Disk`; of a folder what has changed since it was sent or fetched."""
        path = self.path / name
        with writing(f"{self._url}/{name}"):
            if not path.is_dir():
                self._generations[name] = self._objects.put(name, path.read_bytes())
                return
            sent, listed = _list_of(path), {}
            for file in _whole_files(path):
                key, content = file.relative_to(path).as_posix(), file.read_bytes()
                listed[key] = hashlib.sha256(content).hexdigest()
                if sent.get(key) != listed[key]:
                    self._objects.put(f"{name}/{key}", content)
            content = json.dumps(listed).encode()
            self._objects.put(f"{name}/{_LIST}", content)
            for key in sent.keys() - listed:
                self._objects.remove(f"{name}/{key}")
        write_bytes(path / _LIST, content)

    def remove(self, folder: str) -> None:
        """As of `Disk`."""
        with writing(f"{self._url}/{folder}", "remove"):
            self._objects.remove(f"{folder}/")
        shutil.rmtree(self.path / folder, ignore_errors=True)

    def known_as(self, path: Path) -> Path | str:
        """As of `Disk`."""
        return f"{self._url}/{path.relative_to(self.path).as_posix()}"

    @contextlib.contextmanager
    def named(self) -> Iterator[None]:
        """As of `Disk`."""
        try:
            yield
        except InputError as error:
            told = str(error)
            if str(self.path) not in told:
                raise
            raise type(error)(told.replace(str(self.path), self._url)) from error

    def _copy(self, name: str, content: bytes) -> None:
        """Makes a folder of what its list says."""
        path = self.path / name
        draft = draft_of(path)
        try:
            for key, digest in parse_json(content).items():
                value = self._objects.read(f"{name}/{key}").value or b""
                if hashlib.sha256(value).hexdigest() != digest:
                    reason = f"{key} is not what its list says"
                    raise damaged(path, reason, "what made it is run again")
                make_directory((draft / key).parent)
                (draft / key).write_bytes(value)
            (draft / _LIST).write_bytes(content)
            shutil.rmtree(path, ignore_errors=True)
            draft.rename(path)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


Place = Disk | Bucket


@functools.cache
def _copy_of(copies: Path, url: str) -> Path:
    """The folder of this process's copy; those of processes that were killed are removed."""
    remove_leftovers(copies)
    path = draft_of(copies / hashlib.sha256(url.encode()).hexdigest()[:16])
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def _list_of(path: Path) -> dict[str, str]:
    """Hashes of the files of a folder, by their names, as it was sent or fetched last."""
    try:
        return load_json(path / _LIST)
    except (OSError, ValueError):
        return {}


def _whole_files(path: Path) -> list[Path]:
    """The files of a folder that are not being written; drafts, Orbax's too, have such names."""
    found = (file for file in path.rglob("*") if file.is_file())
    return [
        file
        for file in sorted(found)
        if not any(part.startswith(".") or _DRAFT in part for part in file.relative_to(path).parts)
    ]
