"""The page's tables as LaTeX: one file each, to be read by \\input, of packages any TeX has."""

import html
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from jaxbias import __version__, words
from jaxbias.analysis import Answer
from jaxbias.files import atomic
from jaxbias.report.frame import Section
from jaxbias.report.tables import Content, Html, Table

_MOST_ROWS = 45  # On a page; longer tables break over pages.
_PACKAGES = "% Needs \\usepackage{booktabs,graphicx,longtable}"
_SHRUNK = "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%"
_ESCAPES = str.maketrans(
    {
        "\\": "\\textbackslash{}",
        "~": "\\textasciitilde{}",
        "^": "\\textasciicircum{}",
        "|": "\\textbar{}",
        "<": "\\textless{}",
        ">": "\\textgreater{}",
        "`": "\\textasciigrave{}",
        **{mark: f"\\{mark}" for mark in "&%$#_{}"},
        "−": "$-$",
        "×": "$\\times$",
        "²": "\\textsuperscript{2}",
        "½": "\\textonehalf{}",
        "→": "$\\rightarrow$",
        "Σ": "$\\Sigma$",
        "β": "$\\beta$",
        "±": "$\\pm$",
        "·": "$\\cdot$",
        "ε": "$\\varepsilon$",
        "δ": "$\\delta$",
        "–": "--",
        "…": "\\dots{}",
        "“": "``",
        "”": "''",
        "’": "'",
        "\u00a0": "~",
    }
)


def write_tables(sections: Iterable[Section], about: str, directory: Path) -> None:
    """Writes every table of a page as DIRECTORY/SECTION.tex, further ones SECTION-2.tex, ….

    Args:
      sections: of the page.
      about: where the numbers are from, for captions.
      directory: made if absent; files of an earlier page go.
    """
    atomic.make_directory(directory)
    written = set()
    for section, _, content in sections:
        tables = content.tables if isinstance(content, Content) else []
        for place, table in enumerate(tables, 1):
            name = section if place == 1 else f"{section}-{place}"
            text = latex(table, name, about)
            written.add(atomic.write_text(directory / f"{name}.tex", text))
    for path in set(directory.glob("*.tex")) - written:
        path.unlink()


def source(answer: Answer) -> str:
    """Returns what a caption says of where its numbers are from."""
    models = answer.variants
    sizes = ", ".join(f"{n:,}" for n in sorted(models["n"].unique())) if len(models) else "none"
    return (
        f"config {answer.study['name']} on {answer.dataset['name']}, n = {sizes}, "
        f"{words.count(len(models), 'model')}; jaxbias report, version {__version__}"
    )


def latex(table: Table, name: str, about: str) -> str:
    """Returns a table as LaTeX.

    Args:
      table: it.
      name: of its label, tab:NAME.
      about: where its numbers are from, for the caption; not escaped yet.

    Returns:
      A float as wide as the text at most; of many rows a longtable.
    """
    head = _row([column.heading for column in table.columns])
    rows = [_row([_plain(column.cell(row)) for column in table.columns]) for row in table.rows]
    shape = "".join("r" if column.number else "l" for column in table.columns)
    caption = f"\\caption{{{escape(table.caption)} ({escape(about)}).}}\\label{{tab:{name}}}"
    if len(rows) > _MOST_ROWS:
        lines = _over_pages(head, rows, shape, caption)
    else:
        lines = [
            "\\begin{table}",
            "\\centering",
            caption,
            "\\small",
            _SHRUNK,
            f"\\begin{{tabular}}{{{shape}}}",
            *("\\toprule", head, "\\midrule"),
            *rows,
            "\\bottomrule",
            "\\end{tabular}}",
            "\\end{table}",
        ]
    return "\n".join([_PACKAGES, *lines, ""])


def escape(text: str) -> str:
    r"""Returns text that LaTeX sets as it stands.

    >>> print(escape("50 % of_A & {B} cost $1 #2 ~x^2 \\end --workdir"))
    50 \% of\_A \& \{B\} cost \$1 \#2 \textasciitilde{}x\textasciicircum{}2 \textbackslash{}end -{}-workdir
    """  # noqa: E501
    text = "".join(mark if mark.isprintable() else " " for mark in text)
    # A hyphen beside another would become a dash; dashes that are one character come after.
    return re.sub("-(?=-)", "-\0", text).translate(_ESCAPES).replace("\0", "{}")


def _over_pages(head: str, rows: Sequence[str], shape: str, caption: str) -> list[str]:
    headed = ["\\toprule", head, "\\midrule"]
    return [
        "{\\small",
        f"\\begin{{longtable}}{{{shape}}}",
        f"{caption}\\\\",
        *headed,
        "\\endfirsthead",
        *headed,
        "\\endhead",
        *("\\bottomrule", "\\endfoot"),
        *rows,
        "\\end{longtable}}",
    ]


def _row(cells: Iterable[str]) -> str:
    first, *others = map(escape, cells)
    # After the end of a row, "[" and "*" would be read as its options.
    guard = "{}" if first[:1] in ("[", "*") else ""
    return f"{guard}{' & '.join([first, *others])} \\\\"


def _plain(cell: str) -> str:
    """Returns a cell as plain text."""
    if not isinstance(cell, Html):
        return cell
    return html.unescape(re.sub("<[^>]*>", "", cell.replace("<br>", "; ")))
