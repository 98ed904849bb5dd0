"""The frame of a page: head, navigation and sections; everything inside, nothing from elsewhere."""

import base64
import dataclasses
import string
from collections.abc import Sequence
from html import escape

from jaxbias.report.embedded import asset
from jaxbias.report.tables import Content, Html

Section = tuple[str, str, str | Content]  # Its id, heading and content.


@dataclasses.dataclass(frozen=True)
class Picture:
    """A drawn figure, ready for the page.

    Attributes:
      name: of the figure.
      png: its first sheet.
      caption: what it shows.
      alt: the same for who cannot see it.
      width: of the text width.
      sheets: the names of the files of all its sheets, without their ends.
      frame: the name of the CSV with its numbers.
    """

    name: str
    png: bytes
    caption: str
    alt: str
    width: float
    sheets: tuple[str, ...]
    frame: str


def framed(
    title: str,
    heading: str,
    opening: str,
    sections: Sequence[Section],
    scripts: Sequence[str] = (),
) -> str:
    """Returns a page.

    Args:
      title: of the window, as plain text.
      heading: HTML above the navigation.
      opening: HTML of the first section, which has no heading of its own.
      sections: the others, in order.
      scripts: files of this package that the page runs after page.js, in order.
    """
    main = f'<section id="answer">{opening}</section>\n' + "\n".join(
        f'<section id="{name}" aria-labelledby="{name}-heading">'
        f'<h2 id="{name}-heading">{words}</h2>\n{body}</section>'
        for name, words, body in sections
    )
    links = "".join(f'<a href="#{name}">{words}</a> ' for name, words, _ in sections)
    return string.Template(asset("page.html")).substitute(
        title=escape(title),
        style=asset("page.css"),
        header=f'{heading}<nav aria-label="Sections">{links}</nav>',
        main=main,
        script="\n".join(asset(name) for name in ("page.js", *scripts)),
    )


def figure(picture: Picture) -> Html:
    """Returns a figure with its caption and links to its files."""
    data = base64.b64encode(picture.png).decode()
    return Html(
        f'<figure id="figure-{picture.name}"><div class="scroll" tabindex="0" role="region" '
        f'aria-label="Figure {picture.name}"><img alt="{escape(picture.alt)}" '
        f'style="max-width: {62 * picture.width:.1f}rem" '
        f'src="data:image/png;base64,{data}"></div>'
        f"<figcaption>{escape(picture.caption)} {_files(picture)}</figcaption></figure>\n"
    )


def _files(picture: Picture) -> str:
    """Links to the files beside the page."""
    sheets = [f"{_link(f'{name}.png')}, {_link(f'{name}.pdf')}" for name in picture.sheets]
    files = f"Files: {sheets[0]}, numbers: {_link(f'{picture.frame}.csv')}."
    if sheets[1:]:
        more = ", ".join(sheets[1:])
        files += f" <details><summary>Other sheets</summary>{more}.</details>"
    return files


def _link(file: str) -> str:
    return f'<a href="{file}">{file}</a>'
