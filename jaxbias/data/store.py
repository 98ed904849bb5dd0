"""Every image of a dataset decoded once into one memory-mapped array, found again by its content.

A store is a folder named by the hash of what it was made from: `pixels.npy`,
`examples.parquet` (the id of each row) and `store.json`, which counts and checksums them. It is
written under another name and renamed when complete, so a store that exists is whole.
"""

import dataclasses
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from jaxbias.data import decode
from jaxbias.data.directories import home, remove_stale, writing
from jaxbias.data.source import Source
from jaxbias.errors import InputError
from jaxbias.progress import progress

_PIXELS, _EXAMPLES, _RECORD = "pixels.npy", "examples.parquet", "store.json"
# Rows decoded before the next write: what is in memory is this many squares.
_CHUNK = 256
# Stores up to this size are checksummed at every opening, at about a gigabyte a second.
_CHEAP_BYTES = 256 * 2**20
_PARTIAL = ".partial"


@dataclasses.dataclass(frozen=True, eq=False)
class Store:
    """Decoded images of the rows of a source that could be decoded, in the source's order."""

    images: np.ndarray  # uint8[N, S, S, 3], a read-only memory map.
    rows: np.ndarray  # int64[N]: the source row of each image.
    checksum: str  # sha256 hex of the pixels.
    skipped: tuple[dict[str, str], ...]  # 'id' and 'reason' of every row left out.
    built: bool = False  # Whether it was made by this opening.


def open_store(source: Source, size: int, on_bad_image: str, verify: bool = False) -> Store:
    """Opens the image store of a source, building it the first time.

    Args:
      source: the encoded images.
      size: side of the squares in pixels.
      on_bad_image: 'error' or 'skip', for images that cannot be decoded.
      verify: checksum the pixels whatever their size; small stores always are.

    Returns:
      The store.

    Raises:
      InputError: a bad image under 'error', no good image at all, or a data directory that
        cannot be written.
    """
    name = hashlib.sha256(json.dumps([source.key, size, decode.VERSION]).encode()).hexdigest()
    path = home() / "stores" / name[:32]
    store = _opened(path, source, verify)
    if store is None:
        with writing("the image store", path.parent):
            _build(path, source, size, on_bad_image)
        store = _opened(path, source, verify)
        if store is None:
            raise InputError(f"the image store {path} cannot be read back: check the disk")
        store = dataclasses.replace(store, built=True)
    if store.skipped and on_bad_image == "error":
        raise _bad(store.skipped[0]["id"], store.skipped[0]["reason"])
    return store


def _opened(path: Path, source: Source, verify: bool) -> Store | None:
    """Returns the store at `path`, or None when there is none or it is damaged."""
    try:
        record = json.loads((path / _RECORD).read_text())
        images = np.load(path / _PIXELS, mmap_mode="r", allow_pickle=False)
        examples = pd.read_parquet(path / _EXAMPLES)
        rows = examples["row"].to_numpy(np.int64)
        whole = (
            list(images.shape) == record["shape"]
            and images.dtype == np.uint8
            and len(rows) == len(images)
            and source.table["id"].iloc[rows].tolist() == examples["id"].tolist()
        )
        if whole and (verify or images.nbytes <= _CHEAP_BYTES):
            whole = hashlib.sha256(images).hexdigest() == record["sha256"]
        return Store(images, rows, record["sha256"], tuple(record["skipped"])) if whole else None
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def _build(path: Path, source: Source, size: int, on_bad_image: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_stale(path.parent, f"*{_PARTIAL}")
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}{_PARTIAL}")
    draft.mkdir()
    try:
        _write(draft, source, size, on_bad_image)
        if path.exists() and _opened(path, source, verify=True) is None:
            path.rename(draft.with_name(f"{draft.name}.damaged{_PARTIAL}"))
        try:
            draft.rename(path)
        except OSError:
            if not path.exists():  # Else another process finished the same store first.
                raise
    finally:
        for leftover in path.parent.glob(f"{draft.name}*"):
            shutil.rmtree(leftover, ignore_errors=True)


def _write(draft: Path, source: Source, size: int, on_bad_image: str) -> None:
    """Writes all files of a store; pixels first, their header again once their count is known."""
    ids = source.table["id"].tolist()
    rows, skipped, checksum = [], [], hashlib.sha256()
    with (draft / _PIXELS).open("wb") as file:
        start = _write_header(file, (len(ids), size, size, 3))
        for row, image in enumerate(_decoded(source, size)):
            if isinstance(image, decode.BadImageError):
                if on_bad_image == "error":
                    raise _bad(ids[row], str(image))
                skipped.append({"id": ids[row], "reason": str(image)})
                continue
            file.write(image.data)
            checksum.update(image.data)
            rows.append(row)
        if not rows:
            raise InputError(f"none of the {len(ids):,} images of {source.name} can be decoded")
        file.seek(0)
        if _write_header(file, (len(rows), size, size, 3)) != start:
            raise RuntimeError("the .npy header changed its length")
        _flush(file)
    examples = pd.DataFrame({"id": [ids[row] for row in rows], "row": rows})
    examples.to_parquet(draft / _EXAMPLES, index=False)
    record = {
        "source": source.name,
        "shape": [len(rows), size, size, 3],
        "sha256": checksum.hexdigest(),
        "skipped": skipped,
        "preprocessing": decode.VERSION,
    }
    with (draft / _RECORD).open("w", encoding="utf-8") as file:
        json.dump(record, file, indent=1)
        _flush(file)


def _decoded(source: Source, size: int) -> Iterator[np.ndarray | decode.BadImageError]:
    """Yields each row's uint8[size, size, 3], or why there is none, in order.

    Threads suffice: Pillow releases the interpreter lock while it decodes and resizes.
    """

    def decoded(row: int) -> np.ndarray | decode.BadImageError:
        try:
            return decode.decode(source.read(row), size)
        except decode.BadImageError as error:
            return error
        except OSError as error:
            return decode.BadImageError(error.strerror or str(error))

    total = len(source.table)
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        progress(total, "decoding images", "images") as advance,
    ):
        for start in range(0, total, _CHUNK):
            chunk = list(pool.map(decoded, range(start, min(start + _CHUNK, total))))
            yield from chunk
            advance(len(chunk))


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> int:
    """Writes an .npy header; NumPy pads it so that a shorter first axis keeps its length."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.tell()


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _bad(name: str, reason: str) -> InputError:
    return InputError(
        f"image '{name}' cannot be decoded: {reason}. Replace it or remove its row, or set"
        " config.data.on_bad_image='skip' to leave such images out and count them"
    )
