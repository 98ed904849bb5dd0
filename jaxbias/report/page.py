"""The report on disk: one HTML page that needs no network, the figures, and the tables."""

import hashlib
from html import escape
from pathlib import Path

from jaxbias.analysis import Answer
from jaxbias.analysis.grouped import LEAST
from jaxbias.files import atomic
from jaxbias.report import (
    comparison,
    figures,
    files,
    findings,
    groupings,
    groupings_tables,
    latex,
    numbers,
    panel,
    record,
    reduction,
    regression,
    salience,
    screening,
    search,
    several,
    sizes,
    sources,
    what_if,
)
from jaxbias.report.frame import Picture, Section, figure, framed
from jaxbias.report.select import records, shown
from jaxbias.report.tables import Content, Html


def write(answer: Answer, directory: Path, manifest: Path | None = None) -> Path:
    """Writes the whole report.

    Args:
      answer: the `Answer`.
      directory: made if absent. Gets report.html, summary.txt, a PNG and a PDF of every figure,
        metrics.parquet, one CSV per frame and one latex/NAME.tex per table; each file appears whole
        or not at all.
      manifest: the file that lists every variant's example ids, named with its sha256.

    Returns:
      The page's path.

    Raises:
      InputError: the directory cannot be made or written.
    """
    atomic.make_directory(directory)
    files.write_tables(answer, directory)
    pictures = figures.draw(answer, directory)
    sections = _sections(answer, pictures, _fingerprint(manifest))
    latex.write_tables(sections, latex.source(answer), directory / "latex")
    return atomic.write_bytes(directory / "report.html", _page(answer, sections).encode())


def render(
    answer: Answer, pictures: dict[str, Picture], manifest: tuple[str, str] | None = None
) -> str:
    """Returns the page.

    Args:
      answer: the `Answer`.
      pictures: the drawn figures by name.
      manifest: name and sha256 of the manifest of example ids.

    Returns:
      HTML with everything inside it.
    """
    return _page(answer, _sections(answer, pictures, manifest))


def _sections(
    answer: Answer, pictures: dict[str, Picture], manifest: tuple[str, str] | None
) -> list[Section]:
    """Returns name, heading and content of every section that the answer has."""
    sections = [
        ("what-if", "What would change the answer", what_if.section(answer)),
        ("panel", "Look closer", panel.section(answer)),
        ("inherited", "Is the bias inherited?", _inherited(answer, pictures)),
        ("overwritten", "Does finetuning data overwrite it?", _overwritten(answer, pictures)),
        ("fix", "The smallest fix", _fix(answer, pictures)),
        ("groupings", "Other groupings", _groupings(answer, pictures)),
        ("underrepresentation", "Underrepresentation", _underrepresentation(answer, pictures)),
        ("several", "Tasks of many classes and labels", _several(answer, pictures)),
        ("sources", "Two sources", _sources(answer, pictures)),
        ("comparison", "Bases side by side", _comparison(answer, pictures)),
        ("reduction", "By removal alone", _reduction(answer, pictures)),
        ("sizes", "Where bases meet", _sizes(answer, pictures)),
        ("salience", "Salience", _salience(answer, pictures)),
        ("regression", "What makes a bias inherited", _regression(answer, pictures)),
        ("screen", "The screen", _screen(answer, pictures)),
        ("search", "Hyperparameters", search.section(answer)),
        ("data", "Data", record.data(answer)),
        ("methods", "Methods", record.methods(answer)),
        ("notes", "Failures and notes", record.notes(answer)),
        ("record", "Record", record.record(answer, manifest)),
    ]
    return [part for part in sections if part[2]]


def _page(answer: Answer, sections: list[Section]) -> str:
    bodies = "".join(str(body) for _, _, body in sections)
    scripts: tuple[str, ...] = ()
    if 'id="what-if-data"' in bodies:
        scripts += what_if.SCRIPTS
    if 'id="panel-data"' in bodies:
        scripts += panel.SCRIPTS
    title = f"{answer.study['name']}: jaxbias report"
    return framed(title, record.heading(answer), _answer(answer), sections, scripts)


def _answer(answer: Answer) -> str:
    """Returns the verdicts as badges, one card per target, and the answer in words."""
    cards: dict[tuple, list[str]] = {}
    for row in records(shown(answer.inherited_verdicts, answer.study)):
        badge = findings.inherited_badge(row)
        cards.setdefault((row["task"], row["base"], row["n"]), []).append(badge)
    for row in records(shown(answer.smallest_fix, answer.study)):
        badge = findings.fix_badge(row)
        cards.setdefault((row["task"], row["base"], row["n"]), []).append(badge)
    items = "".join(
        f"<li><strong>{escape(task)}, base {escape(base)}, n = {n:,}</strong>{''.join(badges)}</li>"
        for (task, base, n), badges in cards.items()
    )
    words = "".join(f"<li>{escape(sentence)}</li>" for sentence in answer.sentences)
    verdicts = f'<ul class="verdicts">{items}</ul>' if items else ""
    if answer.unfinished:
        verdicts = f'<p class="unfinished">{escape(answer.unfinished)}</p>{verdicts}'
    return f'{verdicts}<h2>The answer in words</h2><ol class="answer">{words}</ol>'


def _inherited(answer: Answer, pictures: dict[str, Picture]) -> Content:
    if answer.inherited.empty:
        return Content()
    settings = answer.study["answer"]
    rule = (
        "<p>The studied base's FPR gap minus that of each control and of scratch, signed in the "
        "direction in which the labels of the training split correlate: above zero, the studied "
        f"base leaves more of it. “Yes”: above zero against every one of them, in "
        f"{numbers.confidence(answer.study)} intervals that hold for all questions of the study "
        "together; “practically none” where it is also surely less than "
        f"{settings['epsilon']:g}. “Reversed”: below zero against every one. “No”: surely less "
        f"than {settings['epsilon']:g} more than every one. “Undecided”: none of these. Repeats "
        "are checkpoints: finetunes that share one are averaged first.</p>"
    )
    return rule + _figure(pictures, "inherited") + findings.inherited(answer)


def _overwritten(answer: Answer, pictures: dict[str, Picture]) -> Content:
    if answer.overwritten.empty:
        return Content()
    epsilon = answer.study["answer"]["epsilon"]
    rule = (
        f"<p>“No gap”: the {numbers.confidence(answer.study)} interval of the signed FPR gap lies "
        f"inside ±{epsilon:g}; “gap”: it lies outside; “undecided”: neither. The intervals of a "
        "base's curations hold together, and for all questions of the study. Changes and "
        "reductions are paired with the natural draw of the same base; a positive reduction is a "
        "smaller gap, and none is given where the natural draw's is not surely there.</p>"
    )
    return (
        _figure(pictures, "dose_response")
        + _figure(pictures, "auc_gap")
        + rule
        + findings.overwritten(answer)
    )


def _fix(answer: Answer, pictures: dict[str, Picture]) -> Content:
    if answer.smallest_fix.empty:
        return Content()
    settings = answer.study["answer"]
    rule = (
        "<p>The curation that changes the fewest images among those whose signed FPR gap is shown "
        f"to lie inside ±{settings['epsilon']:g} and whose AUC is shown to be at most "
        f"{settings['delta']:g} below the natural draw's. Validation says where along the doses to "
        "begin; test proves, the first for all curations planned together, then dose by dose "
        "towards fewer changes until one fails. Numbers below are of test, each interval of "
        "itself. Images screened are enough with 95 % certainty. Where nothing is confirmed, the "
        "curation nearest to it is shown.</p>"
    )
    return rule + _figure(pictures, "rates") + findings.smallest_fix(answer)


def _groupings(answer: Answer, pictures: dict[str, Picture]) -> Content:
    found = groupings.names(answer)
    settings, content = answer.study["answer"], Content()
    for name, file in found.items():
        content += f"<h3>{escape(name)}</h3>" + _figure(pictures, file)
        content += groupings_tables.section(answer, name)
    if not found:
        return content
    several = (
        " Of tasks of several outputs, macro metrics are over the outputs of which every compared "
        "group has as many, and no verdict is given."
        if answer.study["classes"] or answer.study["labels"]
        else ""
    )
    return (
        "<p>The same scores in more groups, on the same test examples and at the same thresholds. "
        "A range is the highest rate minus the lowest; it is above zero by chance alone, so its "
        "lower bound holds for every two groups together (Tukey), and only that bound says that "
        f"groups differ. “Surely above ε”: above {settings['epsilon']:g}, in intervals for all "
        "ranges together; likewise “larger” and “not larger”: after the smallest fix, beside the "
        f"natural draw. Groups with fewer than {LEAST} positives or negatives are left out."
        f"{several}</p>"
    ) + content


def _underrepresentation(answer: Answer, pictures: dict[str, Picture]) -> Content:
    if answer.underrepresentation.empty:
        return Content()
    return _figure(pictures, "underrepresentation") + findings.underrepresentation(answer)


def _several(answer: Answer, pictures: dict[str, Picture]) -> Content:
    return _figure(pictures, "several") + several.section(answer)


def _sources(answer: Answer, pictures: dict[str, Picture]) -> Content:
    return _figure(pictures, "sources") + sources.section(answer)


def _comparison(answer: Answer, pictures: dict[str, Picture]) -> Content:
    if answer.comparison.empty:
        return Content()
    rule = (
        "<p>Rank 1 by |gap| is the smallest |FPR gap|, by AUC the largest AUC. Ranks are bounds: "
        "above the number of bases that are surely better, and before those surely worse, in "
        f"{numbers.confidence(answer.study)} intervals that hold for all pairs of bases at a "
        "curation, and for all targets and sizes of the study, together; each curation is ranked "
        "by itself.</p>"
    )
    return (
        rule
        + _figure(pictures, "comparison")
        + _figure(pictures, "ranks")
        + comparison.section(answer)
    )


def _reduction(answer: Answer, pictures: dict[str, Picture]) -> Content:
    return _figure(pictures, "reduction") + reduction.section(answer)


def _sizes(answer: Answer, pictures: dict[str, Picture]) -> Content:
    return _figure(pictures, "sizes") + sizes.section(answer)


def _salience(answer: Answer, pictures: dict[str, Picture]) -> Content:
    return _figure(pictures, "salience") + salience.section(answer)


def _regression(answer: Answer, pictures: dict[str, Picture]) -> Content:
    if answer.regression.empty:
        return Content()
    rule = (
        "<p>A point is an attribute and a natural draw, or one of a correlation level at the "
        "natural share of positives: the studied base's FPR gap beside the mean of the controls', "
        "in the direction of the bias. “Correlation” is the first group's share of the positives "
        "that were finetuned on, “base rate” its share of everybody. Linear models with a random "
        "intercept per attribute, by restricted maximum likelihood; intervals by Student's t with "
        "as many degrees of freedom as there are attributes beyond coefficients. Where the two "
        "gaps have opposite signs, the authors' ratio is 0 (the controls' alone is in the "
        "direction of the bias) or 5 (the studied base's alone): the difference needs no such "
        "rule.</p>"
    )
    return rule + _figure(pictures, "residuals") + regression.section(answer)


def _screen(answer: Answer, pictures: dict[str, Picture]) -> Content:
    return _figure(pictures, "screen") + screening.section(answer)


def _figure(pictures: dict[str, Picture], name: str) -> Html:
    return figure(pictures[name]) if name in pictures else Html("")


def _fingerprint(manifest: Path | None) -> tuple[str, str] | None:
    if manifest is None:
        return None
    with manifest.open("rb") as file:
        return manifest.name, hashlib.file_digest(file, "sha256").hexdigest()
