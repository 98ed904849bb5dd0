"""Every image of a dataset decoded once into one memory-mapped array, found again by its content.

A store is a folder named by the hash of what it was made from: `pixels.npy`,
`examples.parquet` (the id of each row) and `store.json`, which counts and checksums them. It is
written under another name and renamed when complete, so a store that exists is whole; a build that
was interrupted is continued (`draft`).
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from jaxbias import words
from jaxbias.capacity import require_disk
from jaxbias.data import decode
from jaxbias.data.directories import ELSEWHERE, home, remove_stale
from jaxbias.data.draft import PIXELS, Draft
from jaxbias.data.source import Source
from jaxbias.data.workers import Job
from jaxbias.errors import InputError
from jaxbias.files import arrays
from jaxbias.files.atomic import writing
from jaxbias.files.claims import Claim, Claims, Lost
from jaxbias.files.json_files import load_json
from jaxbias.files.objects import Objects

_EXAMPLES, _RECORD = "examples.parquet", "store.json"
# Stores up to this size are checksummed at every opening, at about a gigabyte a second.
_CHEAP_BYTES = 256 * 2**20
_PARTIAL = ".partial"
_ABANDONED = 7 * 24 * 3600  # Seconds: a build that was interrupted may be continued next week.


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
        count = len(source.table)
        require_disk(
            count * size * size * 3 - _written(path),
            path,
            f"{words.count(count, 'decoded image')} of {size} × {size}",
            "lower config.data.image_size, or set JAXBIAS_HOME to a folder on a larger disk",
        )
        source.prepare()
        with writing(path.parent, "write the image store in", ELSEWHERE):
            _build(path, source, size, on_bad_image)
        store = _opened(path, source, verify, cheap=0)  # Its checksum is a moment old.
        if store is None:
            raise InputError(f"the image store {path} cannot be read back: check the disk")
        store = dataclasses.replace(store, built=True)
    if store.skipped and on_bad_image == "error":
        raise _bad(store.skipped[0]["id"], store.skipped[0]["reason"])
    return store


def _written(path: Path) -> int:
    """Bytes that an interrupted build has on the disk already."""
    try:
        return (path.with_name(f"{path.name}{_PARTIAL}") / PIXELS).stat().st_blocks * 512
    except (OSError, AttributeError):  # None, or a system that does not tell.
        return 0


def _opened(path: Path, source: Source, verify: bool, cheap: int = _CHEAP_BYTES) -> Store | None:
    """Returns the store at `path`, or None when there is none or it is damaged."""
    try:
        record = load_json(path / _RECORD)
        images = arrays.read(path / PIXELS, record, np.uint8, None if verify else cheap)
        examples = pd.read_parquet(path / _EXAMPLES)
        rows = examples["row"].to_numpy(np.int64)
        whole = (
            len(rows) == len(images)
            and source.table["id"].iloc[rows].tolist() == examples["id"].tolist()
        )
        return Store(images, rows, record["sha256"], tuple(record["skipped"])) if whole else None
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def _build(path: Path, source: Source, size: int, on_bad_image: str) -> None:
    folder = path.with_name(f"{path.name}{_PARTIAL}")
    remove_stale(path.parent, f"*{_PARTIAL}", but=folder, seconds=_ABANDONED)
    path.parent.mkdir(parents=True, exist_ok=True)
    claims, built = Claims(Objects(home() / "claims")), False
    while not built:
        with claims.lock(path.name, "the decoded images") as claim, contextlib.suppress(Lost):
            if _opened(path, source, verify=True) is not None:  # Another process has built it.
                shutil.rmtree(folder, ignore_errors=True)
            else:
                folder.mkdir(parents=True, exist_ok=True)
                ids = source.table["id"].tolist()
                identity = hashlib.sha256("\0".join(ids).encode()).hexdigest()
                draft = Draft(folder, len(ids), size, identity)
                _write(draft, source, ids, on_bad_image, claim)
                claim.renew()
                claim.check()
                if path.exists():
                    shutil.rmtree(path)  # Damaged.
                folder.rename(path)
            built = True


def _write(draft: Draft, source: Source, ids: list[str], on_bad_image: str, claim: Claim) -> None:
    """Writes all files of a store; what an earlier build has written is not decoded again."""
    folder = draft.path.parent
    job = Job(source.read, draft.path, draft.offset, draft.size)
    with contextlib.closing(draft.decode(job, claim.check)) as bad:
        for row, reason in bad:
            if on_bad_image == "error":
                raise _bad(ids[row], reason)
    if len(draft.bad) == len(ids):
        draft.discard()
        raise InputError(f"none of the {len(ids):,} images of {source.name} can be decoded")
    claim.renew()
    claim.check()
    skipped = [{"id": ids[row], "reason": draft.bad[row]} for row in sorted(draft.bad)]
    rows, checksum = draft.close_gaps()
    examples = pd.DataFrame({"id": [ids[row] for row in rows], "row": rows})
    examples.to_parquet(folder / _EXAMPLES, index=False)
    record = {
        "source": source.name,
        "shape": [len(rows), draft.size, draft.size, 3],
        "sha256": checksum,
        "skipped": skipped,
        "preprocessing": decode.VERSION,
    }
    with (folder / _RECORD).open("w", encoding="utf-8") as file:
        json.dump(record, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.close()


def _bad(name: str, reason: str) -> InputError:
    return InputError(
        f"image '{name}' cannot be decoded: {reason}. Replace it or remove its row, or set"
        " config.data.on_bad_image='skip' to leave such images out and count them"
    )
