"""The page's section on a screen: what heads showed, what was confirmed, where they disagree."""

from collections.abc import Callable

from jaxbias.analysis import Answer
from jaxbias.report import numbers
from jaxbias.report.select import along_curations, shown
from jaxbias.report.tables import Column, Content, column, estimated, table

_RULE = (
    "<p>The whole grid was trained as heads on frozen bases first. Heads keep more of a base's "
    "bias than finetuning does, so they only say where to look: of each studied base, the "
    "curation they would choose on validation and its neighbours were finetuned, and then what "
    "the finetuned ones asked for, until the smallest fix, or the smallest gap, lay between "
    "confirmed doses. Natural draws were finetuned from every base. Everything outside this "
    "section is said of finetuned models alone; this section's gaps are on test examples, which "
    "had no part in any choice.</p>"
)


def section(answer: Answer) -> Content:
    """Returns the tables of a screened study; empty where nothing was screened."""
    if answer.screen.empty:
        return Content()
    content = _RULE + _verdicts(answer)
    level = numbers.confidence(answer.study)
    columns = [
        column("curation", "Trained on"),
        column("base", "Base"),
        column("n", "n", numbers.count),
        estimated("gap", "gap_low", "gap_high", f"Gap of heads [{level}]"),
        column("auc_change", "AUC change of heads", numbers.signed),
        column("verdict", "Verdict on heads"),
        estimated(
            "gap_confirmed", "gap_low_confirmed", "gap_high_confirmed", f"Gap finetuned [{level}]"
        ),
        column("auc_change_confirmed", "AUC change finetuned", numbers.signed),
        Column("Verdict finetuned", lambda row: row["verdict_confirmed"] or "not confirmed"),
    ]
    for task, rows in shown(answer.screen, answer.study).groupby("task", sort=False):
        records = along_curations(rows).to_dict("records")
        content += table(records, columns, f"{task}: heads beside what was confirmed")
    return content


def _verdicts(answer: Answer) -> Content:
    columns = [
        column("task", "Target"),
        column("base", "Base"),
        column("n", "n", numbers.count),
        Column("Heads choose", _chosen("by_heads", "heads_qualify")),
        Column("Finetuned choose", _chosen("by_finetuning", "finetuning_qualifies")),
        Column("Apart", _apart, True),
        Column("Finetuned", lambda row: f"{row['confirmed']} of {row['screened']}", True),
        Column("Inherited, by heads", lambda row: row["inherited_by_heads"] or numbers.MISSING),
        Column("Inherited", lambda row: row["inherited"] or numbers.MISSING),
    ]
    rows = shown(answer.screen_verdicts, answer.study).to_dict("records")
    return table(rows, columns, "Choices on validation, by heads and by finetuned models")


def _chosen(name: str, qualifies: str) -> Callable[[dict], str]:
    return lambda row: f"{row[name]} ({'a fix' if row[qualifies] else 'smallest gap, no fix'})"


def _apart(row: dict) -> str:
    """Doses between the two choices; none are between curations of different kinds."""
    return numbers.MISSING if numbers.missing(row["doses_apart"]) else f"{row['doses_apart']:.0f}"
