"""The page that puts two studies side by side: figure, tables, and files of the tables."""

from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jaxbias import __version__
from jaxbias.analysis.beside import Beside
from jaxbias.analysis.sides import SIZE
from jaxbias.files import atomic
from jaxbias.report import latex, numbers, style
from jaxbias.report.frame import Picture, Section, figure, framed
from jaxbias.report.ledger import Block, Ledger, note
from jaxbias.report.record import flat
from jaxbias.report.tables import Column, Content, bounded, column, estimated, table

_ROW = 0.21  # Inches per line.
_RIGHT = 0.05  # Of the figure, right of each scale.
_NAMES = {"fpr_gap": "FPR gap", SIZE: "|FPR gap|", "auc": "AUC"}


def write(found: Beside, directory: Path) -> Path:
    """Writes comparison.html, its figure, a CSV and a LaTeX file per table.

    Args:
      found: what is shown.
      directory: made if absent.

    Returns:
      The page's path.

    Raises:
      InputError: the directory cannot be made or written.
    """
    atomic.make_directory(directory)
    frames = {
        "settings": settings(found),
        "differences": found.differences,
        "verdicts": found.verdicts,
    }
    for name, frame in frames.items():
        if len(frame.columns):
            atomic.write_csv(directory / f"{name}.csv", frame)
        else:
            (directory / f"{name}.csv").unlink(missing_ok=True)
    sections = _sections(found, frames["settings"], _picture(found, directory))
    names = " and ".join(found.names)
    about = f"{names}; jaxbias report --compare, version {__version__}"
    latex.write_tables(sections, about, directory / "latex")
    heading = f"<h1>{escape(names)}</h1><p>Two studies side by side.</p>"
    page = framed(f"{names}: jaxbias report", heading, _opening(found), sections)
    return atomic.write_bytes(directory / "comparison.html", page.encode())


def settings(found: Beside) -> pd.DataFrame:
    """Returns the settings that differ: setting, first, second; a dash where there is none."""
    first, second = (dict(flat(study)) for study in found.studies)
    rows = [
        {"setting": name} | {"first": first.get(name, "–"), "second": second.get(name, "–")}
        for name in dict.fromkeys([*first, *second])
        if first.get(name) != second.get(name)
    ]
    return pd.DataFrame(rows, columns=["setting", "first", "second"])


def differences(found: Beside) -> Figure:
    """Draws the second study's |gap| and AUC minus the first's, base by base."""
    rows = found.differences
    blocks = [
        (task, part) for task, part in rows[rows["metric"] == SIZE].groupby("task", sort=False)
    ]
    ledger = Ledger(
        [
            Block(style.label(task), tuple(_named(row) for row in part.itertuples()))
            for task, part in blocks
        ]
    )
    height = ledger.lines * _ROW + 0.9
    drawn = Figure(figsize=(style.WIDTH, height))
    width = (1 - ledger.margin - 2 * _RIGHT) / 2
    for place, metric in enumerate((SIZE, "auc")):
        left = ledger.margin + place * (width + _RIGHT)
        axes = drawn.add_axes((left, 0.5 / height, width, 1 - 0.75 / height))
        axes.axvline(0, color=style.INK, lw=0.7, zorder=1)
        mine = rows[rows["metric"] == metric]
        for i, (task, _) in enumerate(blocks):
            part = mine[mine["task"] == task]
            for y, row in zip(ledger.places(i)[1], part.itertuples(), strict=True):
                _line(axes, row, y)
        ledger.frame(axes, names=place == 0)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.set_xlabel(f"Difference in {_NAMES[metric]}")
    return drawn


def _named(row: Any) -> str:
    sizes = f"n = {row.n_second:,}"
    if row.n_first != row.n_second:
        sizes = f"n = {row.n_first:,}, {row.n_second:,}"
    return f"{style.label(row.base)}, {sizes}"


def _line(axes: Axes, row: Any, y: float) -> None:
    if row.left_out:
        note(axes, 0, y, "not compared", 6)
        return
    axes.plot([row.difference_low_all, row.difference_high_all], [y, y], color=style.INK, lw=0.8)
    axes.plot([row.difference_low, row.difference_high], [y, y], color=style.INK, lw=2.0)
    sure = row.difference_low_all > 0 or row.difference_high_all < 0
    axes.plot(
        [row.difference], [y], "o", ms=5.5, mfc=style.INK if sure else "white", mec=style.INK,
        mew=1.2, zorder=4,
    )  # fmt: skip


def _picture(found: Beside, directory: Path) -> Picture:
    with style.drawing():
        drawn = differences(found)
    content = {kind: style.render(drawn, kind) for kind in ("png", "pdf")}
    for kind, data in content.items():
        atomic.write_bytes(directory / f"differences.{kind}", data)
    first, second = found.names
    caption = (
        f"|FPR gap| and AUC on natural draws in {second} minus those in {first}: left of zero the "
        f"second's is the smaller. Thick lines are {_level(found)} intervals, thin lines hold for "
        "all rows together; a filled mark means that the thin line excludes zero."
    )
    alt = "Dot plot of differences with intervals; its numbers are in the table that follows."
    width = drawn.get_figwidth() / style.WIDTH
    name = "differences"
    return Picture(name, content["png"], caption, alt, width, sheets=(name,), frame=name)


def _sections(found: Beside, changed: pd.DataFrame, picture: Picture) -> list[Section]:
    first, second = found.names
    columns = [column("setting", "Setting"), column("first", first), column("second", second)]
    different = table(changed.to_dict("records"), columns, "Settings that differ")
    if changed.empty:
        different = Content() + "<p>None: the settings are the same.</p>"
    return [
        ("differences", "Natural draws", figure(picture) + _differences(found)),
        *([("verdicts", "Verdicts", _verdicts(found))] if len(found.verdicts) else []),
        ("settings", "Settings that differ", different),
    ]


def _differences(found: Beside) -> Content:
    first, second = found.names
    columns = [
        column("task", "Target"),
        column("base", "Base"),
        Column("n", _sizes, True),
        Column("Of", lambda row: _NAMES[row["metric"]]),
        Column(first, _value("first"), True),
        Column(second, _value("second"), True),
        estimated("difference", "difference_low", "difference_high",
                  f"Difference [{_level(found)}]"),
        bounded("difference_low_all", "difference_high_all", "For all rows"),
        *([column("left_out", "Not compared")] if found.differences["left_out"].any() else []),
    ]  # fmt: skip
    paired = bool(found.differences["paired"].all())
    how = "in pairs, on the same examples" if paired else "as independent samples"
    return table(
        found.differences.to_dict("records"), columns, f"The second minus the first, {how}"
    )


def _verdicts(found: Beside) -> Content:
    columns = [column("task", "Target"), column("base", "Base"), Column("n", _sizes, True)]
    for place, name in zip(("first", "second"), found.names, strict=True):
        columns += [
            column(f"inherited_{place}", f"Inherited, {name}"),
            Column(f"Smallest fix, {name}", _fix(place)),
            column(f"images_changed_{place}", f"Images changed, {name}", numbers.count),
            column(f"gap_after_{place}", f"Gap after, {name}", numbers.signed),
        ]
    return table(found.verdicts.to_dict("records"), columns, "Verdicts, each by its study's rules")


def _sizes(row: dict[str, Any]) -> str:
    sizes = dict.fromkeys((row["n_first"], row["n_second"]))
    return ", ".join(numbers.count(n) for n in sizes)


def _value(place: str) -> Any:
    return lambda row: (numbers.signed if row["metric"] == "fpr_gap" else numbers.plain)(row[place])


def _fix(place: str) -> Any:
    return lambda row: row[f"curation_{place}"] or row[f"fix_{place}"] or numbers.MISSING


def _level(found: Beside) -> str:
    return numbers.confidence({"answer": {"confidence": found.confidence}})


def _opening(found: Beside) -> str:
    warned = "".join(f'<p class="unfinished">{escape(text)}</p>' for text in found.warnings)
    said = "".join(f"<li>{escape(sentence)}</li>" for sentence in found.sentences)
    return f'{warned}<h2>In words</h2><ol class="answer">{said}</ol>'
