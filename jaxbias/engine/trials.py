"""Trials: a pack of them trained through one rung, from where they stopped."""

import dataclasses
import functools

import jax
import numpy as np

from jaxbias.engine.members import examples_of, hyper_of, key_of, schedule_of
from jaxbias.engine.programs import rung
from jaxbias.engine.rows import Row, outcome
from jaxbias.engine.runner import Runner
from jaxbias.models import Head, Network
from jaxbias.models.registry import Params
from jaxbias.plan.packs import Pack
from jaxbias.plan.variants import Maker, Variant
from jaxbias.scores.measures import measure
from jaxbias.training import State, Step


class Trials:
    """Trains the trials of a search.

    Args:
      runner: of the plan's layout.
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
        network, params = self._start(variant)
        draw = self.runner.curator.finetune(variant)
        schedule = schedule_of(variant.recipe, variant.objective, len(draw.ids), len(draw.counts))
        begin = self._beginning(Step(network, schedule))
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
            examples_of(draw, curator.cells(trial.task).labels())
            for trial, draw in zip(pack.members, draws, strict=True)
        ]
        last, longest = leader.recipe.epochs, runner.study.search.max_epochs
        recipe = dataclasses.replace(leader.recipe, epochs=longest)
        schedule = schedule_of(recipe, leader.objective, len(draws[0].ids), len(draws[0].counts))
        network, _ = self._start(leader)
        scored, images = runner.validation, runner.images
        if isinstance(network, Head):
            images, _ = runner.starts.features_on_device(leader.base, leader.recipe.solver)
            scored = np.searchsorted(runner.rows, scored).astype(np.int32)
            examples = [
                part._replace(ids=np.searchsorted(runner.rows, part.ids).astype(np.int32))
                for part in examples
            ]
        hypers = [hyper_of(trial.recipe) for trial in pack.members]
        keys = [key_of("finetune", trial.seed) for trial in pack.members]
        members = list(zip(states, examples, hypers, keys, strict=True))
        steps = schedule.steps_after(last) - schedule.steps_after(first)
        shared = (scored, images, np.array([first, last], np.int32))
        maker = (rung, network, schedule)
        out = runner.run(pack, maker, members, shared, steps, schedule.batch)
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
                **outcome(curator.cells(trial.task).names, draw, out, i),
                **self._measure(trial, scores[i, last - keep : last]),
            }
            for i, (trial, draw) in enumerate(zip(pack.members, draws, strict=True))
        ]
        ends = [jax.tree.map(lambda x, i=i: x[i], out["state"]) for i in range(len(rows))]
        return rows, ends

    def _start(self, variant: Variant) -> tuple[Network | Head, Params]:
        network = self.runner.starts.finetuned(variant.base)
        if variant.recipe.mode != "head":
            return network, self.runner.starts.of(network, variant)
        fresh = self.runner.fresh(network, variant.seed)["head"]
        return Head(fresh["kernel"].shape[0]), {"head": fresh}

    def _measure(self, trial: Variant, scores: np.ndarray) -> dict[str, np.ndarray]:
        runner, study = self.runner, self.runner.study
        population = study.evaluations[study.answer.population]
        return measure(scores, runner.curator.cells(trial.task), runner.validation, population)
