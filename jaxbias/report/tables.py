"""HTML tables: escaped cells, headers with a scope, wide ones scroll inside their box."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

from jaxbias.report import numbers

_MANY = 9  # Columns; more are written smaller.


class Html(str):
    """Text that is HTML already and is not escaped again."""


_Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Column:
    """One column: its heading and how a row's cell is written.

    `number` columns are set to the right; the first column of a table is its row header.
    """

    heading: str
    cell: Callable[[_Row], str]
    number: bool = False


def text(value: str) -> Html:
    """Returns text as HTML; `Html` is left as it is.

    >>> text("a<b"), text(Html("<b>a</b>"))
    ('a&lt;b', '<b>a</b>')
    """
    return value if isinstance(value, Html) else Html(escape(value))


def column(name: str, heading: str, write: Callable[[Any], str] = str) -> Column:
    """Returns the column that writes one field; numbers unless written by `str`."""
    return Column(heading, lambda row: write(row[name]), number=write is not str)


def estimated(name: str, low: str, high: str, heading: str) -> Column:
    """Returns the column that writes an estimate with its interval."""
    return Column(
        heading, lambda row: numbers.estimate(row[name], row[low], row[high]), number=True
    )


def table(rows: Iterable[_Row], columns: Sequence[Column], caption: str) -> Html:
    """Returns a table.

    Args:
      rows: mappings from field to value.
      columns: what to show, in order.
      caption: what the table holds, shown above it.

    Returns:
      The table inside a box that scrolls sideways and can be reached by keyboard.
    """
    head = "".join(
        f'<th scope="col" role="columnheader"{_right(column)}>{escape(column.heading)}</th>'
        for column in columns
    )
    many = ' class="many"' if len(columns) > _MANY else ""
    body = "".join(f'<tr role="row">{_cells(row, columns)}</tr>\n' for row in rows)
    return Html(
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f'<table role="table"{many}><caption>{escape(caption)}</caption>'
        f'<thead><tr role="row">{head}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>\n"
    )


def badge(word: str, tone: str) -> Html:
    """Returns a verdict as a badge; its word carries the meaning, its colour only repeats it.

    Args:
      word: the verdict.
      tone: "good", "bad" or "open".

    >>> badge("undecided", "open")
    '<span class="badge open">undecided</span>'
    """
    return Html(f'<span class="badge {tone}">{escape(word)}</span>')


def _cells(row: _Row, columns: Sequence[Column]) -> str:
    first, *others = columns
    cells = [f'<th scope="row" role="rowheader">{_breakable(first.cell(row), first)}</th>']
    cells += [
        f'<td role="cell" data-heading="{escape(column.heading)}"{_right(column)}>'
        f"{_breakable(column.cell(row), column)}</td>"
        for column in others
    ]
    return "".join(cells)


def _breakable(cell: str, column: Column) -> str:
    """Returns a cell that breaks, where there is no room, before an interval or inside a name."""
    html = text(cell)
    if column.number:
        return html.replace(" [", '<span class="break"> </span>[')
    return html if isinstance(cell, Html) else html.replace("_", "_<wbr>")


def _right(column: Column) -> str:
    return ' class="number"' if column.number else ""
