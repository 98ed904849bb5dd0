"""Tables of the page: escaped cells, headers with a scope, wide ones scroll inside their box."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any, Union

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


@dataclasses.dataclass(frozen=True)
class Table:
    """A table, to be written as HTML or as LaTeX.

    Attributes:
      rows: mappings from field to value.
      columns: what to show, in order.
      caption: what the table holds.
    """

    rows: Sequence[_Row]
    columns: Sequence[Column]
    caption: str

    @property
    def html(self) -> str:
        """The table inside a box that scrolls sideways and can be reached by keyboard."""
        head = "".join(
            f'<th scope="col" role="columnheader"{_right(column)}>{escape(column.heading)}</th>'
            for column in self.columns
        )
        many = ' class="many"' if len(self.columns) > _MANY else ""
        body = "".join(f'<tr role="row">{_cells(row, self.columns)}</tr>\n' for row in self.rows)
        return (
            f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(self.caption)}">'
            f'<table role="table"{many}><caption>{escape(self.caption)}</caption>'
            f'<thead><tr role="row">{head}</tr></thead>\n'
            f"<tbody>{body}</tbody></table></div>\n"
        )


@dataclasses.dataclass(frozen=True)
class Content:
    """What a section holds, in reading order; adds like text, and as text is HTML.

    Attributes:
      parts: text that is HTML, and tables.
    """

    parts: tuple[str | Table, ...] = ()

    def __add__(self, other: Union[str, "Content"]) -> "Content":
        return Content(self.parts + _parts(other))

    def __radd__(self, other: str) -> "Content":
        return Content(_parts(other) + self.parts)

    def __bool__(self) -> bool:
        return bool(self.parts)

    def __str__(self) -> str:
        return "".join(part.html if isinstance(part, Table) else part for part in self.parts)

    @property
    def tables(self) -> list[Table]:
        """The tables, in reading order."""
        return [part for part in self.parts if isinstance(part, Table)]


def text(value: str) -> Html:
    """Returns text as HTML; `Html` is left as it is.

    >>> text("a<b"), text(Html("<b>a</b>"))
    ('a&lt;b', '<b>a</b>')
    """
    return value if isinstance(value, Html) else Html(escape(value))


def column(name: str, heading: str, write: Callable[[Any], str] = str) -> Column:
    """Returns the column that writes one field; numbers unless written by `str`."""
    return Column(heading, lambda row: write(row[name]), number=write is not str)


def estimated(
    name: str, low: str, high: str, heading: str, write: Callable[[float], str] = numbers.signed
) -> Column:
    """Returns the column that writes an estimate with its interval."""
    return Column(
        heading, lambda row: numbers.estimate(row[name], row[low], row[high], write), number=True
    )


def bounded(
    low: str, high: str, heading: str, write: Callable[[float], str] = numbers.signed
) -> Column:
    """Returns the column that writes an interval alone."""
    return Column(heading, lambda row: numbers.interval(row[low], row[high], write), number=True)


def table(rows: Iterable[_Row], columns: Sequence[Column], caption: str) -> Content:
    """Returns a table as content.

    Args:
      rows: mappings from field to value.
      columns: what to show, in order.
      caption: what the table holds, shown above it.
    """
    return Content((Table(tuple(rows), tuple(columns), caption),))


def folded(summary: str, content: Content) -> Content:
    """Returns content that is shown when its summary is touched."""
    return f"<details><summary>{escape(summary)}</summary>" + content + "</details>"


def badge(word: str, tone: str, verdict: str = "") -> Html:
    """Returns a verdict as a badge; its word carries the meaning, its colour only repeats it.

    Args:
      word: the verdict.
      tone: "good", "bad" or "open".
      verdict: which one it is: its kind and place, as what_if.js names it.

    >>> badge("undecided", "open")
    '<span class="badge open">undecided</span>'
    """
    named = f' data-verdict="{verdict}"' if verdict else ""
    return Html(f'<span class="badge {tone}"{named}>{escape(word)}</span>')


def _parts(content: str | Content) -> tuple[str | Table, ...]:
    if isinstance(content, Content):
        return content.parts
    return (content,) if content else ()


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
