"""Progress of long work: rich bars on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

# A log file wants a line now and then, not a line per step.
_SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def progress(total: int, description: str, unit: str = "") -> Iterator[Callable[..., None]]:
    """Shows how far a piece of work has come.

    Args:
      total: number of units of work.
      description: what is being done, a few words.
      unit: name of a unit, for the rate, e.g. "images".

    Yields:
      `advance(count=1, note="")`: call it after `count` more units.

    >>> with progress(2, "counting") as advance:
    ...     advance(2)
    """
    console = Console(stderr=True)
    show = _bar if console.is_terminal else _lines
    with show(console, total, description, unit) as advance:
        yield advance


@contextmanager
def _bar(console: Console, total: int, description: str, unit: str) -> Iterator[Callable]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(description, total=total, note="")

        def advance(count: int = 1, note: str = "") -> None:
            bar.update(task, advance=count, note=note)

        yield advance


@contextmanager
def _lines(console: Console, total: int, description: str, unit: str) -> Iterator[Callable]:
    del console
    start = last = time.monotonic()
    done = 0
    first: tuple[float, int] | None = None

    def advance(count: int = 1, note: str = "") -> None:
        nonlocal done, last, first
        done += count
        now = time.monotonic()
        if first is None and count:  # It holds the compilation: no rate can rest on it.
            first, last = (now, done), now
        elif now - last >= _SECONDS_BETWEEN_LINES and done < total:
            last = now
            line = f"{description}: {done}/{total} {unit}"
            if first and done > first[1] and now > first[0]:
                rate = (done - first[1]) / (now - first[0])
                line += f", {(total - done) / rate:.0f} s left"
            print(f"{line}, {note}" if note else line, file=sys.stderr, flush=True)

    yield advance
    seconds = time.monotonic() - start
    if seconds >= 2:
        speed = done / seconds
        rate = f", {speed:{',.0f' if speed >= 10 else '.2g'}} {unit}/s" if unit else ""
        print(f"{description}: {done} in {seconds:.1f} s{rate}", file=sys.stderr, flush=True)
