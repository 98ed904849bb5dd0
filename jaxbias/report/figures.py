"""Every figure of the report: its file, its caption and its description for who cannot see it."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from jaxbias.analysis import Answer
from jaxbias.files import atomic
from jaxbias.report import (
    forest,
    groupings,
    groups,
    levels,
    numbers,
    reduction,
    regression,
    salience,
    several,
    sizes,
    sources,
    style,
    trade_off,
)
from jaxbias.report.select import gap_name
from jaxbias.study import TASKS

_SHEET = 12  # Targets times sizes on a sheet: more are no longer read.


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
    for make, caption, alt in _FIGURES:
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
            pictures[name] = _picture(answer, directory, files, drawn[0][1], caption, alt)
    for grouping, name in groupings.names(answer).items():
        with style.drawing():
            figure = groupings.draw(answer, grouping)
        for kind in ("png", "pdf"):
            atomic.write_bytes(directory / f"{name}.{kind}", style.render(figure, kind))
        said = groupings.caption(answer, grouping)
        drawn = _picture(answer, directory, (name,), figure, lambda _, said=said: said, _GROUPS)
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
    answer: Answer,
    directory: Path,
    files: tuple[str, ...],
    first: Figure,
    caption: Callable[[dict], str],
    alt: str,
) -> Picture:
    said, name = caption(answer.study), files[0]
    if any(text.get_text() == style.DEGENERATE for key in first.legends for text in key.texts):
        said += " Hollow marks are degenerate models: at chance, or predicting all or nothing."
    if len(files) > 1:
        said += f" This is the first of {len(files)} sheets, each with scales of its own."
    png, width = (directory / f"{name}.png").read_bytes(), first.get_figwidth() / style.WIDTH
    return Picture(name, png, said, alt, width, files, _FRAMES.get(name, name))


def _intervals(study: dict) -> str:
    return f"{numbers.confidence(study)} intervals over checkpoints and examples"


def _band(study: dict) -> str:
    return f"the shaded band is ±ε = ±{study['answer']['epsilon']:g}, a gap that counts as none"


def _inherited(study: dict) -> str:
    return (
        f"Paired difference of the signed FPR gap ({gap_name(study)}): finetuned from the studied "
        "base minus finetuned from the other base, on the same natural draws and the same test "
        "examples, signed so that above zero the studied base leaves more of the bias. "
        f"Thick lines are {_intervals(study)}; thin lines hold for all questions of the study "
        "together. A filled mark means that the thick line excludes zero; "
        f"{_band(study)}."
    )


def _dose_response(study: dict) -> str:
    return (
        f"Signed FPR gap ({gap_name(study)}) on test examples after finetuning on data of each "
        f"correlation level, by base. Stars are natural draws. Bars are {_intervals(study)}; "
        f"{_band(study)}. Points are set side by side so that their bars can be told apart."
    )


def _auc_gap(study: dict) -> str:
    return (
        f"Every curation of the finetuning data as a point: signed FPR gap ({gap_name(study)}) "
        "across, AUC on all test examples up; lines join correlation levels in order. Numbers are "
        "the levels at the ends; the ring is the smallest fix or, where nothing qualifies, the "
        "curation nearest to no gap; stars are natural "
        f"draws. Light bars are {_intervals(study)}; {_band(study)}. Up and towards the middle "
        "is better."
    )


def _rates(study: dict) -> str:
    return (
        "Both groups' false-positive and true-positive rates, finetuned from the studied base on "
        "the natural draw and on the smallest fix (where nothing qualifies, on the curation "
        "nearest to no gap, marked “not a fix”). The grey bar is the gap; both marks moving to "
        f"the left would be levelling down. Lines are {_intervals(study)}."
    )


def _underrepresentation(study: dict) -> str:
    return (
        "AUC of each subgroup's positives against the shared negatives, along the share of the "
        f"second attribute among the finetuning positives, by base. Bands are {_intervals(study)}."
    )


def _several(study: dict) -> str:
    return (
        "Metrics over all classes or labels on test examples, on all of them and in each group, by "
        f"base and curation. Lines are {_intervals(study)}."
    )


def _sources(study: dict) -> str:
    second = study["group"]["names"][1]
    return (
        f"The first metric of the table along the share of {second} among the finetuning images, "
        f"on the test examples of each source, and of {second} by every grouping, by base. Bands "
        f"are {_intervals(study)}."
    )


def _screen(study: dict) -> str:
    return (
        f"Signed FPR gap ({gap_name(study)}) on test examples along the correlation levels: of "
        "heads on the frozen studied base (open marks, dashed) and, where it was confirmed, of "
        f"finetuned models (filled). The marks left of level 0 are natural draws. Bars are "
        f"{_intervals(study)} that hold for all curations together; "
        f"{_band(study)}."
    )


def _salience(study: dict) -> str:
    column = study["group"]["column"]
    return (
        f"Salience of {column} beside each attribute: of fresh networks trained where the two "
        f"always agree and where they always disagree, AUC for {column} minus AUC for the "
        "attribute plus 0.5, on test examples weighted to four equal cells. Below 0.5 the "
        f"attribute is the more salient. Thick lines are {_intervals(study)}; thin lines hold for "
        "all attributes together. A filled mark means that the thin line excludes 0.5."
    )


def _residuals(study: dict) -> str:
    return (
        "What the regressions leave unexplained, a point per attribute and draw, against what they "
        "explain (with each attribute's own intercept) and against salience. Hollow points: the "
        "two gaps have opposite signs, so that the ratio was set to 0 or 5."
    )


def _sizes(study: dict) -> str:
    return (
        f"FPR gap ({gap_name(study)}) and AUC on test examples along the number of finetuning "
        f"images, natural draws, by base. Bars are {_intervals(study)}; {_band(study)}."
    )


def _reduction(study: dict) -> str:
    return (
        f"FPR gap ({gap_name(study)}) and AUC on test examples at correlation levels, with all "
        "images (filled, solid) and where the level was reached by removing images alone (open, "
        f"dashed; the images left stand under the level). Bars are {numbers.confidence(study)} "
        "intervals of the difference between the two, for all levels of a base together; "
        f"{_band(study)}."
    )


_GROUPS = (
    "Heat map of the false-positive rate of every group after every curation, with the range over "
    "all groups; its numbers are in the CSVs, those of the fix in the tables that follow."
)
_FIGURES: tuple[tuple[Callable[[Answer], Figure | None], Callable[[dict], str], str], ...] = (
    (
        forest.inherited,
        _inherited,
        "Forest plot of paired differences in the FPR gap with intervals; its numbers are in the "
        "table that follows.",
    ),
    (
        levels.dose_response,
        _dose_response,
        "Line chart of the FPR gap along correlation levels for every base; its numbers are in "
        "the tables that follow.",
    ),
    (
        trade_off.auc_gap,
        _auc_gap,
        "Scatter plot of AUC against the FPR gap for every curation and base; its numbers are in "
        "the tables that follow.",
    ),
    (
        groups.rates,
        _rates,
        "Dumbbell chart of both groups' error rates before and after; its numbers are in the "
        "table that follows.",
    ),
    (
        levels.screen,
        _screen,
        "Line chart of the FPR gap along correlation levels, of heads and of finetuned models; its "
        "numbers are in the tables that follow.",
    ),
    (
        groups.underrepresentation,
        _underrepresentation,
        "Line charts of the AUC on each subgroup along the share of the second attribute; its "
        "numbers are in the table that follows.",
    ),
    (
        several.several,
        _several,
        "Dot plot of every arm's metrics over all classes or labels, on all examples and in each "
        "group; its numbers are in the tables that follow.",
    ),
    (
        sources.sources,
        _sources,
        "Line charts of a metric along the share of the second source, a panel per place that is "
        "tested on; where bases catch up is in the table that follows.",
    ),
    (
        salience.salience,
        _salience,
        "Dot plot of every attribute's salience with intervals, in order; its numbers are in the "
        "table that follows.",
    ),
    (
        regression.residuals,
        _residuals,
        "Scatter plots of residuals; the coefficients are in the table that follows.",
    ),
    (
        sizes.sizes,
        _sizes,
        "Line charts of the FPR gap and of the AUC along the finetuning size for every base; the "
        "differences are in the tables that follow.",
    ),
    (
        reduction.reduction,
        _reduction,
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
    "residuals": "regression_points",
    "several": "macro",
}
