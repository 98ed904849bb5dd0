"""What `status` prints: how far a study has come, from its directory alone."""

import time
from collections.abc import Sequence
from pathlib import Path

from jaxbias import words
from jaxbias.files.claims import Claims
from jaxbias.workdir.overview import Overview, look
from jaxbias.workdir.places import place_of

_WATCH_SECONDS = 5.0
_CLEAR = "\x1b[H\x1b[2J"


def watch(workdir: Path | str, price: float) -> None:
    """Prints the state again and again, until all that is planned is done."""
    claims = Claims(place_of(workdir).objects("claims"))
    while True:
        overview = look(workdir, claims)
        print(f"{_CLEAR}{text(overview, price)}", flush=True)
        if overview.is_done:
            return
        time.sleep(_WATCH_SECONDS)


def text(overview: Overview, price: float) -> str:
    """Returns the state in lines for a terminal.

    Args:
      overview: the state.
      price: of a device for an hour; 0: none is known.
    """
    if not overview.stages:
        return "No plan yet: whoever comes first writes it"
    parts = [_stages(overview), _hosts(overview), _ends(overview, price)]
    return "\n\n".join(filter(None, (*parts, overview.quarantine)))


def _stages(overview: Overview) -> str:
    rows = [["stage", "done", "running", "waiting", "quarantined", "of", "seconds each"]]
    for stage in overview.stages:
        counts = [f"{count:,}" for count in stage.packs.values()]
        what = "base" if stage.name == "pretrain" else "model"
        total = words.count(sum(stage.packs.values()), "pack")
        size = words.count(sum(stage.members.values()), what)
        each = "" if stage.seconds is None else f"{stage.seconds:,.1f}"
        rows.append([stage.name, *counts, f"{total}, {size}", each])
    return _table(rows)


def _hosts(overview: Overview) -> str:
    if not overview.hosts:
        return ""
    rows = [["host", "at work", "done", "per hour", "failed", "stopped", "hours in packs"]]
    for host in overview.hosts:
        numbers = [host.running, host.done, round(host.hourly), host.failed, host.lost]
        rows.append([host.name, *(f"{x:,}" for x in numbers), f"{host.seconds / 3600:,.2f}"])
    return _table(rows)


def _ends(overview: Overview, price: float) -> str:
    spent, left = overview.device_hours, overview.device_hours_left
    more = "unknown: a stage has no result yet" if left is None else _hours(left, price)
    lines = [f"spent {_hours(spent, price)}; left {more}"]
    if overview.is_done:
        lines.append("all that is planned is done")
    elif overview.seconds_left is not None:
        lines.append(f"at the present pace done in {_span(overview.seconds_left)}")
    elif not any(host.running for host in overview.hosts):
        lines.append("nobody is at work in a pack")
    return "\n".join(lines)


def _hours(hours: float, price: float) -> str:
    """Hours of devices, and what they cost."""
    cost = f" ({hours * price:,.2f} at {price:g} an hour)" if price else ""
    return f"{hours:,.2f} device hours{cost}"


def _span(seconds: float) -> str:
    """Returns a span of time in the units that it is seen in.

    >>> _span(42), _span(4000), _span(400_000)
    ('42 s', '1 h 7 min', '4 d 15 h')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 86_400:
        hours, minutes = divmod(round(seconds / 60), 60)
        return f"{hours} h {minutes} min" if hours else f"{minutes} min"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h"


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
