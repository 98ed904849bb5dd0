"""Remote data: what lies in a bucket, copied once to this machine, where all readers read files.

Images that were copied are taken for what they are; every other file, such as a table, is asked for
again where the bucket has another by now. What is no longer in the bucket leaves the copy.
"""

import dataclasses
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from jaxbias.data.directories import home
from jaxbias.errors import InputError
from jaxbias.files.atomic import make_directory, write_bytes, write_text, writing
from jaxbias.files.json_files import load_json
from jaxbias.files.objects import Objects, is_url
from jaxbias.progress import progress
from jaxbias.study import DataSpec

_IMAGES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
# Files that are asked for at once.
_TOGETHER = 16
_GENERATIONS = "generations.json"


def here(data: DataSpec) -> DataSpec:
    """Returns data settings whose path is on this machine.

    Raises:
      InputError: as of `local`.
    """
    return dataclasses.replace(data, path=str(local(data.path))) if is_url(data.path) else data


def local(url: str) -> Path:
    """Returns the copy of a folder, or of a file, that lies in a bucket.

    Args:
      url: gs://BUCKET/... or s3://BUCKET/...

    Raises:
      InputError: nothing is there, it cannot be read, or the copy cannot be written.
    """
    url = url.rstrip("/")
    above, _, name = url.rpartition("/")
    # Under its own name, which datasets are told by.
    folder = home() / "sources" / hashlib.sha256(url.encode()).hexdigest()[:16] / name
    objects = Objects(url)
    with writing(url, "read"):
        names = [name for name in objects.listing() if not name.endswith("/")]
    if names:
        return copied(objects, names, folder)
    objects = Objects(above)
    with writing(url, "read"):
        if not objects.has(name):
            raise InputError(f"there is nothing at {url}")
    return copied(objects, [name], folder) / name


def copied(objects: Objects, names: list[str], folder: Path) -> Path:
    """Makes a folder hold objects, and nothing else; returns it.

    Beside it lies what generations they are of.

    Raises:
      InputError: a name leads out of the folder, or something cannot be read or written.
    """
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise InputError(f"{objects.path(name)} cannot be a file of a copy: rename it")
    make_directory(folder)
    known = _generations(folder)
    wanted = [name for name in names if not (_is_image(name) and (folder / name).is_file())]

    def fetch(name: str) -> str:
        path = folder / name
        unless = bytes.fromhex(known.get(name, "")) if path.is_file() else None
        with writing(objects.path(name), "read"):
            found = objects.read(name, unless=unless or None)
        if found is None:
            return known[name]
        if found.value is None:
            raise InputError(f"{objects.path(name)} was removed while it was copied")
        make_directory(path.parent)
        write_bytes(path, found.value)
        return found.generation.hex()

    with (
        progress(len(wanted), "copying", "files") as advance,
        ThreadPoolExecutor(_TOGETHER) as threads,
    ):
        for name, generation in zip(wanted, threads.map(fetch, wanted), strict=True):
            if not _is_image(name):
                known[name] = generation
            advance()
    own = {folder / name for name in names}
    for path in folder.rglob("*"):
        if path.is_file() and path not in own:
            path.unlink()
    write_text(folder.parent / _GENERATIONS, json.dumps({n: known[n] for n in names if n in known}))
    return folder


def _is_image(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in _IMAGES


def _generations(folder: Path) -> dict[str, str]:
    """Of the files that are no images, as they were copied."""
    try:
        return {str(name): str(of) for name, of in load_json(folder.parent / _GENERATIONS).items()}
    except (OSError, ValueError, AttributeError):
        return {}
