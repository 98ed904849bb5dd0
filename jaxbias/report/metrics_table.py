"""Metrics on a terminal: a row per model and group, a column per metric."""

from collections.abc import Sequence

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jaxbias import words
from jaxbias.metrics import METRICS
from jaxbias.report import numbers

_WIDTH = 100  # Columns, where the output is a file and has no width of its own.
_MOST = 20  # Models shown; the file has all.
_EACH = "Per group"
_BETWEEN = "Between groups: the first minus the second, of more than two the range"
_BY_CHANCE = "By chance: its mean if all groups were equal; p: of their being equal"


def show_metrics(frame: pd.DataFrame, metrics: Sequence[str], notes: Sequence[str]) -> None:
    """Prints what is known per group, then what compares groups: a row per model and group.

    Args:
      frame: of a `GroupReport`.
      metrics: those shown.
      notes: sentences above the tables.
    """
    console = _console()
    for note in notes:
        console.print(Text(note), soft_wrap=True)
    models = list(dict.fromkeys(frame["variant"]))
    shown = frame[frame["metric"].isin(metrics) & frame["variant"].isin(models[:_MOST])]
    compares = shown["metric"].map(lambda name: METRICS[name].scope == "family")
    for title, rows in ((_EACH, shown[~compares]), (_BETWEEN, shown[compares])):
        if len(rows):
            console.print()
            console.print(_metrics_table(title, rows))
            if rows["chance"].notna().any():
                console.print(Text(_BY_CHANCE))
    if len(models) > _MOST:
        console.print(
            Text(
                f"... and {words.count(len(models) - _MOST, 'more model')}; --out=FILE has "
                "them all."
            )
        )


def _metrics_table(title: str, rows: pd.DataFrame) -> Table:
    table = _table(title)
    table.add_column("Model", overflow="fold")
    table.add_column("Group", overflow="fold")
    table.add_column("n", justify="right", no_wrap=True)
    metrics = list(dict.fromkeys(rows["metric"]))
    for metric in metrics:
        table.add_column(metric, justify="right")
    keys = rows.groupby(["variant", "group"], sort=False)
    for model in dict.fromkeys(rows["variant"]):
        for i, group in enumerate(dict.fromkeys(rows["group"])):
            part = keys.get_group((model, group)).set_index("metric")
            values = [Text(_cell(part.loc[metric])) for metric in metrics]
            count = numbers.count(part["n"].iloc[0])
            table.add_row(Text("" if i else model), Text(group), count, *values)
    return table


def show_comparison(frame: pd.DataFrame) -> None:
    """Prints what `GroupReport.compare` found, a row per model, metric and group."""
    table = _table("Difference from " + frame["against"].iloc[0])
    for name in ("Model", "Metric", "Group"):
        table.add_column(name, overflow="fold")
    for name in ("Difference", "p", "p (Holm)"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in frame.head(_MOST * 3).itertuples():
        table.add_row(
            Text(row.variant),
            Text(row.metric),
            Text(row.group),
            Text(numbers.estimate(row.difference, row.low, row.high)),
            Text(numbers.p_value(row.p_value)),
            Text(numbers.p_value(row.p_holm)),
        )
    console = _console()
    console.print(table)
    if len(frame) > _MOST * 3:
        console.print(Text(f"... and {words.count(len(frame) - _MOST * 3, 'more row')}."))


def _cell(row: pd.Series) -> str:
    if pd.isna(row["value"]):
        return row["undefined_reason"]
    value = numbers.plain(row["value"])
    if pd.isna(row["low"]):
        return value
    found = f"{value} [{numbers.plain(row['low'])}, {numbers.plain(row['high'])}]"
    if pd.isna(row["chance"]):
        return found
    chance, p = numbers.plain(row["chance"]), numbers.p_value(row["p_value"])
    return f"{found}\nby chance {chance}, p {p}"


def _table(title: str) -> Table:
    return Table(
        title=Text(title),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH)
