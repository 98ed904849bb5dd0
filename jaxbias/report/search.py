"""The page's account of the hyperparameter search: what was chosen, and every trial."""

from jaxbias import words
from jaxbias.analysis import Answer
from jaxbias.report.tables import Content, column, folded, table


def section(answer: Answer) -> Content:
    """Returns the choices and, folded away, every trial; nothing where nothing was searched."""
    if answer.search.empty:
        return Content()
    spec = answer.study["search"]
    modes = answer.search["mode"].nunique() > 1
    arm = [
        column("base", "Base"),
        column("task", "Task"),
        column("n", "n", "{:,}".format),
        *([column("mode", "Mode")] if modes else []),
    ]
    settings = [
        column("learning_rate", "Learning rate", "{:g}".format),
        column("weight_decay", "Weight decay", "{:g}".format),
    ]
    chosen = [
        *arm,
        column("curation", "Searched at"),
        *settings,
        column("epochs", "Epochs", "{:d}".format),
        column("criterion", "Criterion", "{:.4f}".format),
        column("trials", "Trials", "{:,}".format),
        column("trained_epochs", "Epochs trained", "{:,}".format),
        column("exhaustive_epochs", "Of", "{:,}".format),
    ]
    tried = [
        *arm,
        *settings,
        column("repeat", "Repeat", "{:d}".format),
        column("rung", "Rung", "{:d}".format),
        column("epochs", "Epochs", "{:d}".format),
        column("criterion", "Criterion", "{:.4f}".format),
        column("configuration_criterion", "Mean of repeats", "{:.4f}".format),
        column("status", "Status"),
    ]
    rule = (
        f"<p>Every base, task and n was searched once, by {spec['criterion']}, and all of its "
        "finetunes use the choice. The criterion is the lowest after any epoch and smaller is "
        "better (1 − AUC, 1 − accuracy; infinite where a trial diverged); configurations are "
        "compared by the mean of their repeats. Learning curves: search.parquet.</p>"
    )
    choices = table(answer.choices.to_dict("records"), chosen, "Chosen configurations")
    trials = table(answer.search.to_dict("records"), tried, "Trials")
    count = words.count(len(answer.search), "trial")
    return rule + choices + folded(count, trials)
