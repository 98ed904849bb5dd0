"""Walking a search: rung after rung, together with other processes, and its record on disk."""

import shutil
from collections.abc import Callable

import numpy as np
import pandas as pd

from jaxbias import words
from jaxbias.engine.trials import Trials
from jaxbias.errors import InputError
from jaxbias.files.atomic import write_bytes
from jaxbias.plan.criteria import MEASURES
from jaxbias.plan.packs import Pack, Plan
from jaxbias.plan.search import Ended, Results, follow, rung_epochs
from jaxbias.plan.search_tables import tables
from jaxbias.study import Study
from jaxbias.weights import identities
from jaxbias.workdir import states
from jaxbias.workdir.crew import Bases, Crew, Work, select
from jaxbias.workdir.results import ResultDirectory


class SearchStage:
    """The search of one study in its directory.

    Args:
      study: the study.
      crew: the processes that share the directory.
      trials: trains packs of trials.
      replan: extends the plan by what follows from the results so far, and returns it.
    """

    def __init__(
        self, study: Study, crew: Crew, trials: Trials, replan: Callable[[], Plan]
    ) -> None:
        self._study = study
        self._crew = crew
        self._trials = trials
        self._replan = replan

    def walk(
        self, plan: Plan, packs: str, needed: Bases, meanwhile: Callable[[Work], None]
    ) -> tuple[Plan, int]:
        """Trains rung after rung until every arm has its choice; or some packs alone.

        Args:
          plan: as far as the search has come.
          packs: of the plan's rungs, as `packs.select` reads it; empty: the whole search.
          needed: the bases that trials start from.
          meanwhile: called with the work before each wait for others.

        Returns:
          The plan at the end, and trials trained by this process, one counted once per rung.
        """
        directory, count = self._crew.directory, 0
        while True:
            wanted = select(plan.rungs, packs, "search")
            work = Work("search", "searching", "trials", wanted, self._do(plan), needed.are_there)
            count += self._crew.share(work, meanwhile=lambda work=work: meanwhile(work))
            if packs:
                return plan, count
            longer = self._replan()
            if longer.rungs == plan.rungs:
                write_record(directory, self._study, longer)
                return longer, count
            plan = longer

    def _do(self, plan: Plan) -> Callable[[Pack], None]:
        directory, rungs = self._crew.directory, rung_epochs(self._study.search)
        places = {
            trial.id: (pack, place)
            for pack in plan.rungs
            for place, trial in enumerate(pack.members)
        }

        def do(pack: Pack) -> None:
            epochs = pack.members[0].recipe.epochs
            first = max((e for e in rungs if e < epochs), default=0)
            begun = [self._trials.begin(trial) for trial in pack.members]
            stopped = []
            for trial, like in zip(pack.members, begun, strict=True) if first else ():
                id = self._trials.shorter(trial, first).id
                before, place = places[id]
                stopped.append(states.read(directory.rung_path(before), place, id, like))
            if first and all(state is not None for state in stopped):
                rows, ends = self._trials.train(pack, first, stopped, keep=epochs - first)
            else:
                rows, ends = self._trials.train(pack, 0, begun, keep=epochs - first)
            with self._crew.clock.section("write"):
                if epochs < rungs[-1]:
                    ids = [trial.id for trial in pack.members]
                    states.write(directory.rung_path(pack), ids, ends)
                directory.write_pack(pack, rows)

        return do


def read_results(directory: ResultDirectory, plan: Plan | None) -> Results:
    """Reads what the finished trials of a plan came to."""
    ended = {}
    for pack in filter(directory.has, plan.rungs if plan else ()):
        rows = directory.read_pack(pack).to_pandas()
        for row in rows.to_dict("records"):
            curves = {name: np.asarray(row[name], np.float64) for name in MEASURES}
            ended[row["variant"]] = Ended(curves, row["status"])
    return lambda trial: ended.get(trial.id)


def check_finished(directory: ResultDirectory, study: Study, plan: Plan) -> None:
    """Refuses to finetune before every hyperparameter is chosen.

    Raises:
      InputError: trials are left.
    """
    if not study.search.on:
        return
    results = read_results(directory, plan)
    trials = follow(study, plan.data, results, identities(study)).trials
    left = sum(results(trial) is None for trial in trials)
    if left:
        raise InputError(
            "the hyperparameters of the finetunes are not chosen yet: "
            f"{words.count(left, 'trial')} of "
            f"{len(trials)} due so far have no result; run --stage=search first"
        )


def read_tables(
    directory: ResultDirectory, study: Study, plan: Plan
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns every trial and every choice, as `search_tables.tables` does."""
    results = read_results(directory, plan)
    return tables(study, follow(study, plan.data, results, identities(study)), results)


def write_record(directory: ResultDirectory, study: Study, plan: Plan) -> None:
    """Writes search.parquet and drops the states of the trials, which no rung will read again."""
    trials, _ = read_tables(directory, study, plan)
    write_bytes(directory.path / "search.parquet", trials.to_parquet(index=False))
    shutil.rmtree(directory.path / "rungs", ignore_errors=True)
