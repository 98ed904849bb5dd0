"""Trials: a pack of them trained through one rung, from where they stopped."""

import dataclasses
import functools

import jax
import numpy as np

from jaxbias.engine.members import examples_of, hyper_of, key_of
from jaxbias.engine.rows import Row, outcome
from jaxbias.engine.runner import Runner
from jaxbias.models import Head
from jaxbias.plan.packs import Pack
from jaxbias.plan.variants import Maker, Variant
from jaxbias.scores.measures import measure, measure_several
from jaxbias.training import State, Step


class Trials:
    """Trains the trials of a search.

    Args:
      runner: of the study.
    """

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.maker = Maker(runner.study, runner.curator.dataset.fingerprint)
        # Compiled once for all trials of a schedule, as in `Starts`.
        self._beginning = functools.cache(lambda step: jax.jit(step.begin))

    def shorter(self, trial: Variant, epochs: int) -> Variant:
        """Returns a trial at the end of an earlier rung."""
        recipe = dataclasses.replace(trial.recipe, epochs=epochs)
        make = self.maker.make
        return make(trial.base, trial.task, trial.curation, trial.n, recipe, trial.seed)

    def begin(self, variant: Variant) -> State:
        """Returns the state of a trial before its first step, as host arrays."""
        program, starts = self.runner.catalog.rung(variant).longest, self.runner.starts
        network = starts.finetuned(variant.base, program.model.outputs)
        if isinstance(program.model, Head):
            params = {"head": starts.fresh(network, variant.seed)["head"]}
        else:
            params = starts.of(program.model, variant)
        begin = self._beginning(Step(program.model, program.schedule))
        return jax.tree.map(np.asarray, begin(params))

    def train(
        self, pack: Pack, first: int, states: list[State], keep: int
    ) -> tuple[list[Row], list[State]]:
        """Trains a pack to the end of its rung and measures it after every epoch.

        Args:
          pack: trials at the end of one rung.
          first: epochs they have been trained for.
          states: of each, as host arrays.
          keep: epochs of this rung, the last ones, whose measures are returned.

        Returns:
          One row per trial: its settings, realised counts, status, and of the kept epochs a
          float64[E] per measure of `criteria.MEASURES`; and the state of each to go on from.
        """
        runner, curator = self.runner, self.runner.curator
        leader = pack.members[0]
        draws = [curator.finetune(trial) for trial in pack.members]
        examples = [
            examples_of(draw, curator.task_labels(trial.task))
            for trial, draw in zip(pack.members, draws, strict=True)
        ]
        last, program = leader.recipe.epochs, runner.catalog.rung(leader)
        schedule = program.longest.schedule
        scored = curator.validation
        if not isinstance(program.longest.model, Head):
            store, places = runner.starts.store(program.longest.model, leader.base)
        else:
            store, _ = runner.starts.features_on_device(leader.base, leader.recipe.solver)
            places = runner.starts.places
        scored = places(scored)
        examples = [part._replace(ids=places(part.ids)) for part in examples]
        hypers = [hyper_of(trial.recipe) for trial in pack.members]
        keys = [key_of("finetune", trial.seed) for trial in pack.members]
        members = list(zip(states, examples, hypers, keys, strict=True))
        steps = schedule.steps_after(last) - schedule.steps_after(first)
        shared = (scored, store, np.array([first, last], np.int32))
        run = functools.partial(runner.executor.run, program, members, shared=shared)
        out = runner.counted(pack, program, run, len(scored), steps, schedule.batch)
        scores = np.asarray(out["scores"], np.float32)
        rows = [
            {
                "variant": trial.id,
                "base": trial.base.name,
                "role": trial.base.role,
                "base_id": trial.base.id,
                "task": trial.task,
                "curation": trial.curation.name,
                "n": trial.n,
                **dataclasses.asdict(trial.recipe),
                "seed": trial.seed,
                "first_epoch": first + 1,
                **outcome(draw, out, i),
                **self._measure(trial, scores[i, last - keep : last]),
            }
            for i, (trial, draw) in enumerate(zip(pack.members, draws, strict=True))
        ]
        ends = [jax.tree.map(lambda x, i=i: x[i], out["state"]) for i in range(len(rows))]
        return rows, ends

    def _measure(self, trial: Variant, scores: np.ndarray) -> dict[str, np.ndarray]:
        runner, study = self.runner, self.runner.study
        curator, population = runner.curator, study.evaluations[study.answer.population]
        cells, rows = curator.cells(trial.task), curator.validation
        if trial.task in study.several:
            labels = curator.task_labels(trial.task)
            return measure_several(scores, labels, cells, rows, curator.dataset.table)
        return measure(scores[:, :, 0], cells, rows, population)
