"""Every figure of the report: its files, and its description for who cannot see it."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from jaxbias.analysis import Answer
from jaxbias.files import atomic
from jaxbias.report import (
    comparison,
    forest,
    groupings,
    groups,
    levels,
    reduction,
    regression,
    salience,
    several,
    sizes,
    sources,
    style,
    trade_off,
)
from jaxbias.report.captions import caption
from jaxbias.report.frame import Picture
from jaxbias.study import TASKS

_SHEET = 12  # Targets times sizes on a sheet: more are no longer read.


def draw(answer: Answer, directory: Path) -> dict[str, Picture]:
    """Draws and writes every figure the answer has numbers for.

    Args:
      answer: the `Answer`.
      directory: an existing directory; NAME.png and NAME.pdf are written into it, and of a figure
        of many targets and sizes further sheets, NAME_2.png and so on.

    Returns:
      name -> picture, in reading order.
    """
    pictures, parts = {}, sheets(answer)
    for make, alt in _FIGURES:
        name, drawn = make.__name__, []
        for part in [answer] if make in _WHOLE else parts:
            with style.drawing():
                figure = make(part)
            if figure is not None:
                drawn.append((f"{name}_{len(drawn) + 1}" if drawn else name, figure))
        for file, figure in drawn:
            for kind in ("png", "pdf"):
                atomic.write_bytes(directory / f"{file}.{kind}", style.render(figure, kind))
        _forget(directory, name, len(drawn))
        if drawn:
            files = tuple(file for file, _ in drawn)
            said = caption(name, answer.study)
            pictures[name] = _picture(directory, files, drawn[0][1], said, alt)
    for grouping, name in groupings.names(answer).items():
        with style.drawing():
            figure = groupings.draw(answer, grouping)
        for kind in ("png", "pdf"):
            atomic.write_bytes(directory / f"{name}.{kind}", style.render(figure, kind))
        said = groupings.caption(answer, grouping)
        drawn = _picture(directory, (name,), figure, said, _GROUPS)
        pictures[name] = dataclasses.replace(drawn, frame="grouping_rates")
    return pictures


def _forget(directory: Path, name: str, drawn: int) -> None:
    """Removes the sheets of an earlier answer that had more."""
    while (old := directory / f"{name}_{drawn + 1}.png").exists() and drawn:
        for path in (old, old.with_suffix(".pdf")):
            path.unlink(missing_ok=True)
        drawn += 1


def sheets(answer: Answer) -> list[Answer]:
    """Returns the answer in parts that a sheet can show: target by target, all sizes of each."""
    tasks = [task for kind in TASKS for task in answer.study[kind]]
    sizes = max(len(answer.study["finetune"]["n"]), 1)
    each = max(_SHEET // sizes, 1)
    if len(tasks) <= each:
        return [answer]
    frames = {f.name: getattr(answer, f.name) for f in dataclasses.fields(answer)}
    frames = {name: one for name, one in frames.items() if "task" in getattr(one, "columns", ())}
    return [
        dataclasses.replace(
            answer,
            **{name: one[one["task"].isin(tasks[i : i + each])] for name, one in frames.items()},
        )
        for i in range(0, len(tasks), each)
    ]


def _picture(
    directory: Path, files: tuple[str, ...], first: Figure, said: str, alt: str
) -> Picture:
    name = files[0]
    if any(text.get_text() == style.DEGENERATE for key in first.legends for text in key.texts):
        said += " Hollow marks are degenerate models: at chance, or predicting all or nothing."
    if len(files) > 1:
        said += f" This is the first of {len(files)} sheets, each with scales of its own."
    png, width = (directory / f"{name}.png").read_bytes(), first.get_figwidth() / style.WIDTH
    return Picture(name, png, said, alt, width, files, _FRAMES.get(name, name))


_GROUPS = (
    "Heat map of the false-positive rate of every group after every curation, with the range over "
    "all groups; its numbers are in the CSVs, those of the fix in the tables that follow."
)
_FIGURES: tuple[tuple[Callable[[Answer], Figure | None], str], ...] = (
    (
        forest.inherited,
        "Forest plot of paired differences in the FPR gap with intervals; its numbers are in the "
        "table that follows.",
    ),
    (
        levels.dose_response,
        "Line chart of the FPR gap along correlation levels for every base; its numbers are in "
        "the tables that follow.",
    ),
    (
        trade_off.auc_gap,
        "Scatter plot of AUC against the FPR gap for every curation and base; its numbers are in "
        "the tables that follow.",
    ),
    (
        groups.rates,
        "Dumbbell chart of both groups' error rates before and after; its numbers are in the "
        "table that follows.",
    ),
    (
        levels.screen,
        "Line chart of the FPR gap along correlation levels, of heads and of finetuned models; its "
        "numbers are in the tables that follow.",
    ),
    (
        groups.underrepresentation,
        "Line charts of the AUC on each subgroup along the share of the second attribute; its "
        "numbers are in the table that follows.",
    ),
    (
        several.several,
        "Dot plot of every arm's metrics over all classes or labels, on all examples and in each "
        "group; its numbers are in the tables that follow.",
    ),
    (
        sources.sources,
        "Line charts of a metric along the share of the second source, a panel per place that is "
        "tested on; where bases catch up is in the table that follows.",
    ),
    (
        comparison.comparison,
        "Dot plot of the FPR gap and of the AUC of every base with intervals and ranks; its "
        "numbers are in the table that follows.",
    ),
    (
        comparison.ranks,
        "Bar chart of the ranks that each base may have at every curation; its numbers are in the "
        "tables that follow.",
    ),
    (
        salience.salience,
        "Dot plot of every attribute's salience with intervals, in order; its numbers are in the "
        "table that follows.",
    ),
    (
        regression.residuals,
        "Scatter plots of residuals; the coefficients are in the table that follows.",
    ),
    (
        sizes.sizes,
        "Line charts of the FPR gap and of the AUC along the finetuning size for every base; the "
        "differences are in the tables that follow.",
    ),
    (
        reduction.reduction,
        "Line charts of the FPR gap and of the AUC along correlation levels, with all images and "
        "with fewer; its numbers are in the table that follows.",
    ),
)

# Figures of all targets together, in order of what they show.
_WHOLE = (salience.salience, regression.residuals)
# Of figures that are not drawn from the frame of their name: which it is.
_FRAMES = {
    "dose_response": "curves",
    "auc_gap": "curves",
    "rates": "curves",
    "ranks": "comparison",
    "residuals": "regression_points",
    "several": "macro",
}
