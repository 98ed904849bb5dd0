"""The search in tables: every trial with its learning curves, and every choice."""

from typing import Any

import numpy as np
import pandas as pd

from jaxbias.plan.criteria import MEASURES
from jaxbias.plan.search import Course, Results, Search, curve_of
from jaxbias.study import Study, searched_curation


def tables(study: Study, course: Course, results: Results) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns every trial, and every choice.

    Returns:
      One row per trial: base, task, n, mode, curation, learning_rate, weight_decay, repeat, rung
      (the last it reached, from 0), epochs trained, criterion (of this trial alone, at its best
      epoch), configuration_criterion (of the mean over repeats), status ("chosen", "stopped",
      "trained to the end", or when it diverged), and a learning curve per measure.
      One row per search: base, task, n, mode, curation, learning_rate, weight_decay, epochs,
      criterion, trials, trained_epochs, exhaustive_epochs.
    """
    trials, choices = [], []
    for search in course.searches:
        searched = search.searched
        about = {"base": searched.base, "task": searched.task, "n": searched.n}
        about |= {"mode": searched.recipe.mode}
        about |= {"curation": searched_curation(study, searched.task).name}
        rows = [
            about | _row(study, search, place, repeat, results)
            for place in range(len(search.configurations))
            for repeat in range(study.search.repeats)
        ]
        trials += rows
        if search.done:
            recipe, best = search.recipe, search.configurations[search.winner]
            choices.append(
                about
                | {
                    "learning_rate": recipe.learning_rate,
                    "weight_decay": recipe.weight_decay,
                    "epochs": recipe.epochs,
                    "criterion": best.value,
                    "trials": len(rows),
                    "trained_epochs": sum(row["epochs"] for row in rows),
                    "exhaustive_epochs": len(rows) * study.search.max_epochs,
                }
            )
    return pd.DataFrame(trials), pd.DataFrame(choices)


def _row(study: Study, search: Search, place: int, repeat: int, results: Results) -> dict[str, Any]:
    configuration = search.configurations[place]
    done = configuration.trials[repeat][: configuration.rungs]
    ends = [end for end in map(results, done) if end is not None]
    curve = curve_of(study, [ends]) if ends else np.zeros(0)
    status = next((end.status for end in ends if end.status != "ok"), "")
    if not status and search.done and place == search.winner:
        status = "chosen"
    epochs = done[-1].recipe.epochs if done else 0
    full = epochs == study.search.max_epochs
    return {
        "learning_rate": configuration.learning_rate,
        "weight_decay": configuration.weight_decay,
        "repeat": repeat,
        "rung": configuration.rungs - 1,
        "epochs": epochs,
        "criterion": float(curve.min(initial=np.inf)),
        "configuration_criterion": configuration.value,
        "status": status or ("trained to the end" if full else "stopped"),
        **{
            name: np.concatenate([end.curves[name] for end in ends]) if ends else np.zeros(0)
            for name in MEASURES
        },
    }
