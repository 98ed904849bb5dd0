"""The answer on a terminal: in words, then one compact table."""

import textwrap
from collections.abc import Iterator
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jaxbias.analysis import Answer
from jaxbias.report import numbers
from jaxbias.report.findings import finetuned_after
from jaxbias.report.select import shown, studied
from jaxbias.words import count

_WIDTH = 100  # Columns, where the output is a file and has no width of its own.
_COLOURS = {"yes": "red", "reversed": "red", "no": "green", "practically none": "green"}


def show_answer(answer: Answer, console: Console | None = None) -> None:
    """Prints the answer in words, what failed, and one row per target.

    Args:
      answer: the `Answer`.
      console: where to; standard output by default, 100 columns wide when it is not a terminal.
    """
    if console is None:
        console = Console()
        if not console.is_terminal:
            console = Console(width=_WIDTH)
    console.print()
    first = [answer.unfinished] if answer.unfinished else []
    for sentence in (*first, *answer.sentences, *_left_out(answer)):
        lines = textwrap.fill(
            sentence, min(console.width, _WIDTH), initial_indent="• ", subsequent_indent="  "
        )
        # Text, not a string: a "[" in a column's name is no markup.
        console.print(Text(lines), soft_wrap=True)
    rows = list(_rows(answer))
    if rows:
        console.print()
        console.print(_table(answer, rows))


def _left_out(answer: Answer) -> list[str]:
    """Says that models failed: every statement above rests on fewer models than were trained."""
    if not answer.failures:
        return []
    return [
        f"{len(answer.failures):,} of {count(len(answer.variants), 'finetuned model')} diverged "
        f"and {'is' if len(answer.failures) == 1 else 'are'} left out of "
        "everything above; the report names them. A lower learning_rate may help, in "
        f"config.{'pretrain' if 'its base' in ''.join(answer.failures) else 'finetune'}."
    ]


def _rows(answer: Answer) -> Iterator[list[Text]]:
    verdicts = {
        (row.task, row.base, row.n): row.verdict
        for row in shown(answer.inherited_verdicts, answer.study).itertuples()
    }
    natural = shown(answer.overwritten, answer.study)
    natural = natural[natural["kind"] == "natural"] if len(natural) else natural
    gaps = {
        (row.task, row.base, row.n): _two_lines(row.gap, row.gap_low, row.gap_high)
        for row in natural.itertuples()
    }
    fixes = studied(shown(answer.smallest_fix, answer.study), answer.study).to_dict("records")
    fixes = {(row["task"], row["base"], row["n"]): row for row in fixes}
    for key in dict.fromkeys([*verdicts, *fixes]):
        task, base, n = key
        verdict = verdicts.get(key, numbers.MISSING)
        yield [
            Text(f"{task}\n{base}, n = {n:,}"),
            Text(verdict, _COLOURS.get(verdict, "")),
            Text(gaps.get(key, numbers.MISSING)),
            *_fix(fixes.get(key)),
        ]


def _fix(fix: dict[str, Any] | None) -> list[Text]:
    if fix is None:
        return [Text(numbers.MISSING)] * 4
    return [
        Text(finetuned_after(fix)),
        Text(_two_lines(fix["gap_after"], fix["gap_after_low"], fix["gap_after_high"])),
        Text(numbers.signed(fix["auc_change"])),
        Text(numbers.count(fix["images_changed"])),
    ]


def _two_lines(value: float, low: float, high: float) -> str:
    return numbers.estimate(value, low, high).replace(" [", "\n[")


def _table(answer: Answer, rows: list[list[Text]]) -> Table:
    epsilon = answer.study["answer"]["epsilon"]
    first, second = answer.study["group"]["names"][:2]
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
        caption=Text(
            f"Gap: FPR {first} − {second} on test [{numbers.confidence(answer.study)} interval]; "
            f"shown inside ±{epsilon:g} counts as no gap. AUC: change from the natural draw."
        ),
        caption_justify="left",
    )
    table.add_column("Target, base", overflow="fold")
    table.add_column("Inherited", no_wrap=True)
    table.add_column("Gap, natural", justify="right", no_wrap=True)
    table.add_column("Smallest fix", overflow="fold")
    table.add_column("Gap after", justify="right", no_wrap=True)
    table.add_column("AUC", justify="right", no_wrap=True)
    table.add_column("Images\nchanged", justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table
