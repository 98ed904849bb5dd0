"""The page's record of the run: data, methods, failures, settings, timings, manifest."""

from collections.abc import Mapping
from html import escape
from typing import Any

from jaxbias import words
from jaxbias.analysis import Answer
from jaxbias.report import numbers
from jaxbias.report.select import gap_name
from jaxbias.report.tables import Column, Content, Html, column, folded, table


def heading(answer: Answer) -> Html:
    """Returns the page's title and one line of what was run."""
    study = answer.study
    binary = len(study["targets"]) + len(study["pairs"])
    several = len(study["classes"]) + len(study["labels"])
    facts = [
        f"data: {answer.dataset['name']}",
        *([words.count(binary, "target")] if binary or not several else []),
        *([f"{words.count(several, 'task')} of several outputs"] if several else []),
        words.count(len(study["bases"]), "base"),
        words.count(len(answer.variants), "finetuned model"),
        *([f"gaps are {gap_name(study)}"] if study["targets"] else []),
    ]
    return Html(
        f"<h1>{escape(study['name'])}</h1>"
        "<p>Does a finetuned model inherit its pretrained bias, and what is the smallest change "
        "to the finetuning data that removes it?</p>"
        f'<p class="quiet">{escape(" · ".join(facts))}</p>'
    )


def data(answer: Answer) -> Content:
    """Returns how many examples every split has in every cell of target and group."""
    counts = answer.dataset["counts"]
    content = Content() + (
        f"<p>{escape(answer.dataset['name'])}, fingerprint "
        f"<code>{escape(answer.dataset['fingerprint'])}</code>.</p>"
    )
    for task, block in counts.groupby("task", sort=False) if len(counts) else ():
        cells = list(dict.fromkeys(block["cell"]))
        rows = [
            {"split": split} | {row["cell"]: row for row in part.to_dict("records")}
            for split, part in block.groupby("split", sort=False)
        ]
        columns = [column("split", "Split"), *(_cell(name) for name in cells)]
        content += table(rows, columns, f"{task}: examples in each cell (share of the split)")
    return content


def methods(answer: Answer) -> Html:
    """Returns the methods paragraph and what differs from the authors' protocol."""
    html = f"<p>{escape(answer.methods)}</p>"
    if answer.deviations:
        html += f"<h3>Deviations from the authors' protocol</h3>{_list(answer.deviations)}"
    return Html(html)


def notes(answer: Answer) -> Html:
    """Returns what failed and what the data set remarks."""
    failures = _list(answer.failures) if answer.failures else "<p>Every model finished.</p>"
    remarks = answer.dataset["notes"]
    return Html(failures + (f"<h3>Notes on the data</h3>{_list(remarks)}" if remarks else ""))


def record(answer: Answer, manifest: tuple[str, str] | None) -> Content:
    """Returns manifest, timings and every setting.

    Args:
      answer: the `Answer`.
      manifest: name and sha256 of the manifest of example ids.
    """
    content = Content()
    if manifest:
        name, digest = manifest
        content += (
            "<h3>Manifest of example ids</h3>"
            f"<p><code>{escape(name)}</code>, sha256 <code>{escape(digest)}</code>.</p>"
        )
    if answer.timings:
        rows = [{"what": name, "value": value} for name, value in answer.timings.items()]
        columns = [column("what", "Stage"), Column("Seconds, or rate", _timing, True)]
        content += "<h3>Where the time went</h3>" + table(rows, columns, "Timings")
    settings = [{"name": name, "value": value} for name, value in flat(answer.study)]
    columns = [column("name", "Setting"), column("value", "Value")]
    content += "<h3>Settings</h3>"
    return content + folded("Every setting of this study", table(settings, columns, "Settings"))


def _cell(name: str) -> Column:
    def write(row: Mapping[str, Any]) -> str:
        if name not in row:
            return numbers.MISSING
        return f"{numbers.count(row[name]['count'])} ({numbers.percent(row[name]['share'])})"

    return Column(name, write, number=True)


def _timing(row: Mapping[str, Any]) -> str:
    return f"{row['value']:,.1f} s" if row["what"].endswith("_seconds") else f"{row['value']:,.1f}"


def flat(settings: Any, path: str = "") -> list[tuple[str, str]]:
    """Returns the dotted name and the value of every setting.

    >>> flat({"answer": {"epsilon": 0.05}, "pairs": ()})
    [('answer.epsilon', '0.05'), ('pairs', '()')]
    """
    if isinstance(settings, Mapping) and settings:
        dotted = f"{path}." if path else ""
        return [pair for name, value in settings.items() for pair in flat(value, f"{dotted}{name}")]
    return [(path, str(settings))]


def _list(items: list[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"
