"""The page of the paper's claims: claim, what was found here, its interval, and the verdict."""

import importlib.resources
import string
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import pandas as pd

from benchmarks.paper_verdicts import AGREES, DENIES, UNDECIDED
from jaxbias.files.atomic import write_text
from jaxbias.report.tables import Column, badge, column, estimated, table
from jaxbias.study import Study
from jaxbias.words import count

_TONES = {AGREES: "good", DENIES: "bad", UNDECIDED: "open"}
_VERDICT = Column("Verdict", lambda row: badge(row["verdict"], _TONES[row["verdict"]]))
_DRAWN = ("faces", "objects")


def write_page(
    path: Path, claims: pd.DataFrame, studies: Mapping[str, Study], missing: Sequence[str]
) -> Path:
    """Writes the page.

    Args:
      path: where.
      claims: one row per claim and what it is about.
      studies: directory, beside the page, -> its study.
      missing: directories that are not there yet.
    """
    said = [f"<p>{escape(one)}</p>" for one in _opening(claims, studies, missing)]
    main = "".join(said) + str(_tally(claims))
    for row, rows in claims.groupby("row", sort=False):
        links = ", ".join(
            f'<a href="{name}/report/report.html">{escape(name)}</a>'
            for name in studies
            if name.partition("_")[0] == row
        )
        main += f'<h2 id="{row}">{row.upper()}</h2><p>Reports: {links}.</p>'
        for claim, part in rows.groupby("claim", sort=False):
            columns = [
                column("about", "Of"),
                column("found", "Found"),
                estimated("value", "low", "high", "Estimate and interval"),
                _VERDICT,
            ]
            main += str(table(part.to_dict("records"), columns, claim))
    text = string.Template(_asset("page.html")).substitute(
        title="The paper's claims",
        style=_asset("page.css"),
        header="<h1>The paper's claims, and what was found here</h1>",
        main=main,
        script="",
    )
    return write_text(path, text)


def _opening(
    claims: pd.DataFrame, studies: Mapping[str, Study], missing: Sequence[str]
) -> list[str]:
    drawn = sorted({s.data.name for s in studies.values() if s.data.name in _DRAWN})
    said = [
        "Claims of Wang & Russakovsky, “Overwriting Pretrained Bias with Finetuning Data” (ICCV "
        "2023). A claim agrees where the whole interval says so, does not where the whole interval "
        "says the opposite, and else is undecided. Intervals hold for all questions of a row's "
        "study together, those of a regression for each coefficient alone."
    ]
    if drawn:
        said.append(
            f"Data: built-in drawings ({', '.join(drawn)}), made by a program, and a small "
            "network. What is found here is found on this simulator, and says nothing of "
            "photographs."
        )
    if missing:
        said.append(f"Not there yet: {', '.join(missing)}.")
    return said


def _tally(claims: pd.DataFrame) -> object:
    """How often each claim agrees, does not, or is undecided."""
    rows = []
    for (row, claim), part in claims.groupby(["row", "claim"], sort=False):
        tally = part["verdict"].value_counts()
        verdicts = {word: int(tally.get(word, 0)) for word in _TONES}
        rows.append({"row": row.upper(), "claim": claim, "tested": len(part)} | verdicts)
    columns = [column("row", "Row"), column("claim", "Claim")]
    columns += [column(name, name.capitalize(), "{:d}".format) for name in ("tested", *_TONES)]
    return table(rows, columns, f"{count(len(claims), 'test')} of {count(len(rows), 'claim')}")


def _asset(name: str) -> str:
    return importlib.resources.files("jaxbias.report").joinpath(name).read_text("utf-8")
