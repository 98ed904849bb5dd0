"""An image store in the making: pixels written in place, and a journal of what is written.

A build that is killed goes on from its journal. The journal is never ahead of the disk: spans are
noted only after the pixels they name have reached it.
"""

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from jaxbias.data import workers
from jaxbias.files.claims import Lost
from jaxbias.files.json_files import parse_json
from jaxbias.progress import progress

PIXELS, _JOURNAL = "pixels.npy", "journal.jsonl"
# What is in memory per worker, and read at once when the pixels are checksummed.
_BLOCK_BYTES = 16 * 2**20
_MOST_ROWS = 64
# What a killed build loses at most.
_SYNC_SECONDS = 5.0


class Draft:
    """The pixels of `count` rows, some of them written already.

    Attributes:
      done: bool[count], which rows are written or were found to be bad.
      bad: the reason of every bad row this build has found.
    """

    def __init__(self, folder: Path, count: int, size: int, identity: str) -> None:
        """Opens a draft that another build left behind, or starts one.

        Args:
          folder: exists, and nobody else writes to it.
          count: rows.
          size: side of the squares.
          identity: of the rows; a draft of others is not continued.
        """
        self.path, self._journal = folder / PIXELS, folder / _JOURNAL
        self.count, self.size = count, size
        self.row_bytes = size * size * 3
        self.done = np.zeros(count, bool)
        self.bad: dict[int, str] = {}
        self._pending: list[tuple[workers.Span, list[tuple[int, str]]]] = []
        self._header = json.dumps({"identity": identity, "count": count, "size": size})
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, IndexError):
            self._resume()
        fresh = not self.done.any()
        self._write_journal()  # Without the line that a kill may have torn.
        if fresh:
            with self.path.open("wb") as file:
                start = _write_header(file, (count, size, size, 3))
                file.truncate(start + count * self.row_bytes)
        with self.path.open("rb") as file:
            self.offset = _data_offset(file)

    def _resume(self) -> None:
        lines = self._journal.read_text().splitlines()
        if not lines or lines[0] != self._header:
            return
        with self.path.open("rb") as file:
            start = _data_offset(file)
        if self.path.stat().st_size != start + self.count * self.row_bytes:
            return
        for line in lines[1:]:
            start, stop, bad = parse_json(line)  # The last line may be torn: it raises.
            self.done[start:stop] = True
            self.done[[row for row, _ in bad]] = False  # They may have been mended since.

    def spans(self) -> list[workers.Span]:
        """Returns the rows still to be decoded, in pieces that fit into memory."""
        most = max(1, min(_MOST_ROWS, _BLOCK_BYTES // self.row_bytes))
        left = np.flatnonzero(~self.done)
        runs = np.split(left, np.flatnonzero(np.diff(left) > 1) + 1) if len(left) else []
        return [
            (int(start), int(min(start + most, run[-1] + 1)))
            for run in runs
            for start in range(int(run[0]), int(run[-1]) + 1, most)
        ]

    def decode(
        self, job: workers.Job, check: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[int, str]]:
        """Decodes what is left, yielding bad rows as they are found.

        Raises:
          Lost: of `check`, which is called before anything is noted; another process goes on.
        """
        with progress(self.count, "decoding images", "images") as advance:
            if self.done.any():
                advance(int(self.done.sum()))
            found = workers.run(job, self.spans())
            last = time.monotonic()
            try:
                for span, bad in found:
                    check()
                    self._pending.append((span, bad))
                    if time.monotonic() - last >= _SYNC_SECONDS:
                        self.sync()
                        last = time.monotonic()
                    self.done[slice(*span)] = True
                    self.bad.update(bad)
                    advance(span[1] - span[0])
                    yield from bad
            except Lost:
                self._pending = []
                raise
            finally:
                found.close()
                self.sync()

    def sync(self) -> None:
        """Notes in the journal what has been written, once the disk has it."""
        if not self._pending:
            return
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        with self._journal.open("a") as file:
            for (start, stop), bad in self._pending:
                file.write(f"{json.dumps([start, stop, bad])}\n")
            file.flush()
            os.fsync(file.fileno())
        self._pending = []

    def close_gaps(self) -> tuple[np.ndarray, str]:
        """Drops the bad rows from the file, once every row is done.

        Returns:
          int64[N], the good rows, and the sha256 (hex) of their pixels.
        """
        good = np.ones(self.count, bool)
        good[list(self.bad)] = False
        kept = int(good.sum())
        first = min(self.bad, default=self.count)
        if kept < self.count:  # If it is killed now, what has moved must be decoded again.
            self.done[first:] = False
            self._write_journal()
        digest = hashlib.sha256()
        most = max(1, _BLOCK_BYTES // self.row_bytes)
        with (
            self.path.open("r+b") as file,
            progress(self.count, "checksumming the image store", "images") as advance,
        ):
            to = self.offset
            for start in range(0, self.count, most):
                stop = min(start + most, self.count)
                file.seek(self.offset + start * self.row_bytes)
                block = file.read((stop - start) * self.row_bytes)
                if stop > first:  # From here on rows move.
                    rows = np.frombuffer(block, np.uint8).reshape(stop - start, self.row_bytes)
                    block = rows[good[start:stop]].tobytes()
                    file.seek(to)
                    file.write(block)
                to += len(block)
                digest.update(block)
                advance(stop - start)
            file.truncate(to)
            file.seek(0)
            if _write_header(file, (kept, self.size, self.size, 3)) != self.offset:
                raise RuntimeError("the .npy header changed its length")
            file.flush()
            os.fsync(file.fileno())
        return np.flatnonzero(good), digest.hexdigest()

    def close(self) -> None:
        """Removes what only a build needs."""
        self._journal.unlink()

    def discard(self) -> None:
        """Removes the draft."""
        shutil.rmtree(self.path.parent, ignore_errors=True)

    def _write_journal(self) -> None:
        """Writes the journal anew, in as few lines as it takes."""
        edges = np.flatnonzero(np.diff(np.concatenate([[False], self.done, [False]])))
        lines = [self._header]
        for start, stop in edges.reshape(-1, 2).tolist():
            bad = [(row, self.bad[row]) for row in sorted(self.bad) if start <= row < stop]
            lines.append(json.dumps([start, stop, bad]))
        temporary = self._journal.with_suffix(".new")
        temporary.write_text("".join(f"{line}\n" for line in lines))
        temporary.replace(self._journal)


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> int:
    """Writes an .npy header; NumPy pads it so that a shorter first axis keeps its length."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.tell()


def _data_offset(file: BinaryIO) -> int:
    np.lib.format.read_magic(file)
    np.lib.format.read_array_header_1_0(file)
    return file.tell()
