"""Walking a search: rung after rung, together with other processes, and its record on disk."""

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from jaxbias import words
from jaxbias.engine.identities import identities
from jaxbias.engine.trials import Trials
from jaxbias.errors import InputError
from jaxbias.files.atomic import write_bytes
from jaxbias.peers import all_say, is_first
from jaxbias.plan.criteria import MEASURES
from jaxbias.plan.packs import Pack, Plan
from jaxbias.plan.search import Results, RungResult, follow, rung_epochs
from jaxbias.plan.search_tables import tables
from jaxbias.plan.selection import select
from jaxbias.study import Study
from jaxbias.training import State
from jaxbias.workdir import states
from jaxbias.workdir.crew import Bases, Crew, Work
from jaxbias.workdir.results import ResultDirectory

# Trial -> the pack of its rung, and its place in it.
_Places = Mapping[str, tuple[Pack, int]]


class SearchStage:
    """The search of one study in its directory.

    Args:
      crew: the processes that share the directory.
      trials: trains packs of trials.
      bases: that trials start from.
      replan: extends the plan by what follows from the results so far, and returns it.
    """

    def __init__(
        self, crew: Crew, trials: Trials, bases: Bases, replan: Callable[[], Plan]
    ) -> None:
        self._crew = crew
        self._trials = trials
        self._bases = bases
        self._replan = replan
        self._rungs = rung_epochs(trials.runner.study.search)

    def walk(self, plan: Plan, packs: str) -> tuple[Plan, int]:
        """Trains rung after rung until every search has its choice; or some packs alone.

        Args:
          plan: as far as the search has come.
          packs: of the plan's rungs, as `select` reads it; empty: the whole search.

        Returns:
          The plan at the end, and trials trained by this process, one counted once per rung.
        """
        count = 0
        while True:
            wanted = select(plan.rungs, packs, "search")
            work = Work("search", "searching", "trials", wanted, self.do, self._bases.missing)
            meanwhile = functools.partial(self._bases.look_after, wanted)
            count += self._crew.share(work, meanwhile=meanwhile)
            if packs:
                return plan, count
            longer = self._replan()
            if longer.rungs == plan.rungs:
                _write_record(self._crew.directory, self._trials.runner.study, longer)
                return longer, count
            plan = longer

    def do(self, packs: Sequence[Pack]) -> Callable[[], None]:
        """Trains a pack of trials through their rung; returns what writes its results."""
        (pack,) = packs
        epochs = pack.members[0].recipe.epochs
        first = max((rung for rung in self._rungs if rung < epochs), default=0)
        keep = epochs - first
        begun = [self._trials.begin(trial) for trial in pack.members]
        stopped = self._stopped(pack, first, begun) if first else begun
        known = all(state is not None for state in stopped)
        if not all(told == str(True) for told in all_say(str(known))):
            first, stopped = 0, begun  # All from their first step, to the same bits.
        rows, ends = self._trials.train(pack, first, stopped, keep)

        def write() -> None:
            if not is_first():
                return
            directory = self._crew.directory
            if epochs < self._rungs[-1]:
                ids = [trial.id for trial in pack.members]
                path = directory.rung_path(pack)
                states.write(path, ids, ends)
                directory.place.send(f"rungs/{path.name}")
            directory.write_pack(pack, rows)

        return write

    def _stopped(self, pack: Pack, first: int, begun: Sequence[State]) -> list[State | None]:
        """Where the trials of a pack stopped at the end of the rung before, None where unknown."""
        found, places = [], _places(self._crew.directory.plan())
        for trial, like in zip(pack.members, begun, strict=True):
            id = self._trials.shorter(trial, first).id
            before, place = places[id]
            path = self._crew.directory.rung_path(before)
            self._crew.directory.place.fetch(f"rungs/{path.name}")
            found.append(states.read(path, place, id, like))
        return found


def _places(plan: Plan) -> _Places:
    return {
        trial.id: (pack, place) for pack in plan.rungs for place, trial in enumerate(pack.members)
    }


def read_results(directory: ResultDirectory, plan: Plan | None) -> Results:
    """Reads what the finished trials of a plan came to."""
    ended = {}
    for pack in filter(directory.has, plan.rungs if plan else ()):
        rows = directory.read_pack(pack).to_pandas()
        for row in rows.to_dict("records"):
            curves = {name: np.asarray(row[name], np.float64) for name in MEASURES}
            ended[row["variant"]] = RungResult(curves, row["status"])
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
            f"{len(trials)} due so far have no result; "
            f"{directory.failures.sentence() or 'run --stage=search first'}"
        )


def read_tables(
    directory: ResultDirectory, study: Study, plan: Plan
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns every trial and every choice, as `search_tables.tables` does."""
    results = read_results(directory, plan)
    return tables(study, follow(study, plan.data, results, identities(study)), results)


def _write_record(directory: ResultDirectory, study: Study, plan: Plan) -> None:
    """Writes search.parquet and drops the states of the trials, which no rung will read again."""
    trials, _ = read_tables(directory, study, plan)
    write_bytes(directory.path / "search.parquet", trials.to_parquet(index=False))
    directory.place.send("search.parquet")
    directory.place.remove("rungs")
