"""The runner: trains one pack, in as few programs as fit, and returns one row per member."""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from jaxbias.data.dataset import Dataset
from jaxbias.engine.catalog import Catalog
from jaxbias.engine.curator import Curator
from jaxbias.engine.executor import Executor
from jaxbias.engine.feed import Feed, Member
from jaxbias.engine.layout import Layout
from jaxbias.engine.members import examples_of, hyper_of, key_of, penalty_of
from jaxbias.engine.memory import device_room, least
from jaxbias.engine.programs import FittedHeads, Heads, Networks, Rung, Training
from jaxbias.engine.rows import DIVERGED, Row, base_row, variant_row
from jaxbias.engine.starts import LoadBase, LoadFeatures, Starts
from jaxbias.engine.unattached import UnattachedExecutor
from jaxbias.errors import InputError
from jaxbias.models import Tail
from jaxbias.models.network import Params
from jaxbias.parallel import make_mesh
from jaxbias.plan.packs import Pack
from jaxbias.plan.variants import Base, Recipe
from jaxbias.study import Study
from jaxbias.targets import Unattached, target
from jaxbias.training import TrainingSet


class Runner:
    """Runs packs of a study; the processes of a gang together, each its members of every pack.

    Args:
      study: the study.
      dataset: its data.
      layout: on what and how.
      load_base: returns the stored parameters of a base, given its network.
      load_features: see `Starts`.
    """

    def __init__(
        self,
        study: Study,
        dataset: Dataset,
        layout: Layout,
        load_base: LoadBase,
        load_features: LoadFeatures = lambda of, name, make: make(),
    ) -> None:
        self.study = study
        self.layout = layout
        self.curator = Curator(study, dataset)
        # Before anything is put there.
        room = least(device_room(study.grid.memory_mib, layout.devices))
        compiles_only = isinstance(target(), Unattached)
        make = UnattachedExecutor if compiles_only else Executor
        self.executor = make(make_mesh(layout.devices), layout.mode, room)
        # Where the images stay on the host.
        self.feed = Feed(self.executor, dataset.images) if layout.store == "host" else None
        self.starts = Starts(
            self.curator, self.executor, self.feed, load_base, load_features, layout.trunks
        )
        self.catalog = Catalog(self.curator, self.starts, self.executor, self.feed)
        self.train_seconds = 0.0
        self.train_steps = 0
        self.run_seconds = 0.0  # Of all programs, fits to convergence too.
        self.trained_images = 0
        self.scored_images = 0

    def counters(self) -> dict[str, float]:
        """Returns what was done so far. Training and scoring are one program, one time."""
        return {
            "compile_seconds": self.executor.compile_seconds,
            "train_and_score_seconds": self.run_seconds,
            "trained_images": self.trained_images,
            "scored_images": self.scored_images,
        }

    def pretrain(self, pack: Pack) -> tuple[list[Row], list[Params]]:
        """Pretrains a pack of bases.

        Returns:
          One row per base (its settings, realised counts, status, how well it learnt), and the
          parameters of each.
        """
        program = self.catalog.base(pack.members[0])
        hyper = hyper_of(Recipe.of(self.study.pretrain))
        draws = [self.curator.pretrain(base) for base in pack.members]
        members = [
            (
                self.starts.begin(program.model, base),
                examples_of(draw, self.curator.base_labels(base)),
                hyper,
                key_of("pretrain", base.seed),
            )
            for base, draw in zip(pack.members, draws, strict=True)
        ]
        out = self._train_networks(pack, program, members, self.curator.validation, pack.members[0])
        rows = [
            base_row(base, draw, out, i, self.curator.validation_labels(base))
            for i, (base, draw) in enumerate(zip(pack.members, draws, strict=True))
        ]
        params = [
            self.starts.whole(program.model, base, jax.tree.map(lambda x, i=i: x[i], out["params"]))
            for i, base in enumerate(pack.members)
        ]
        return rows, params

    def finetune(self, pack: Pack) -> list[Row]:
        """Finetunes a pack of variants and scores every validation and test example.

        Returns:
          One row per variant that the devices of this process trained: its settings, realised
          counts, status and scores.
        """
        draws = [self.curator.finetune(variant) for variant in pack.members]
        examples = [
            examples_of(draw, self.curator.task_labels(variant.task))
            for variant, draw in zip(pack.members, draws, strict=True)
        ]
        program = self.catalog.finetune(pack.members[0])
        if isinstance(program.model, Tail) and len({v.base.trunk for v in pack.members}) > 1:
            raise InputError(
                f"pack {pack.id} holds finetunes of several imported trunks, as an earlier version "
                "planned them; finish it with that version, or use a new workdir"
            )
        scored = np.concatenate([self.curator.validation, self.curator.test])
        if isinstance(program, Networks):
            members = [
                (
                    self.starts.of(program.model, variant),
                    part,
                    hyper_of(variant.recipe),
                    key_of("finetune", variant.seed),
                )
                for variant, part in zip(pack.members, examples, strict=True)
            ]
            out = self._train_networks(pack, program, members, scored, pack.members[0].base)
        else:
            out = self._train_heads(pack, program, examples, scored)
        rows, validation = [], len(self.curator.validation)
        for i, place in enumerate(out["members"]):
            variant, draw = pack.members[place], draws[place]
            rows.append(variant_row(variant, draw, out, i, validation=validation))
        return rows

    def _train_heads(
        self,
        pack: Pack,
        program: Heads | FittedHeads,
        examples: list[TrainingSet],
        scored: np.ndarray,
    ) -> Row:
        """Trains a pack of heads of one base and seed on the base's features."""
        first, starts = pack.members[0], self.starts
        features, variances = starts.features_on_device(first.base, first.recipe.solver)
        examples = [part._replace(ids=starts.places(part.ids)) for part in examples]
        recipes, places = [variant.recipe for variant in pack.members], starts.places(scored)
        if isinstance(program, FittedHeads):
            members = list(zip(examples, map(penalty_of, recipes), strict=True))
            shared = (places, features, variances)
        else:
            network = starts.finetuned(first.base, program.model.outputs)
            fresh = starts.fresh(network, first.seed)
            start = {"head": fresh["head"]}
            hypers = map(hyper_of, recipes)
            members = [(start, *each) for each in zip(examples, hypers, strict=True)]
            shared = (places, features, key_of("finetune", first.seed))
        return self._run(pack, program, members, shared)

    def _train_networks(
        self,
        pack: Pack,
        program: Networks,
        members: Sequence[Member],
        scored: np.ndarray,
        base: Base,
    ) -> Row:
        """Trains a pack of networks on the images, or of tails on what their trunk makes of them.

        The base is one of theirs, and its trunk is all theirs.
        """
        if self.feed is None or isinstance(program.model, Tail):
            store, places = self.starts.store(program.model, base)
            members = [
                (params, examples._replace(ids=places(examples.ids)), *rest)
                for params, examples, *rest in members
            ]
            return self._run(pack, program, members, (places(scored), store))
        run = functools.partial(self.feed.train, program, members, scored=scored)
        return self.counted(pack, program, run, len(scored), program.units, program.batch)

    def _run(self, pack: Pack, program: Training, members: Sequence[Any], shared: tuple) -> Row:
        run = functools.partial(self.executor.run, program, members, shared=shared)
        steps = program.units if program.batch else 0
        return self.counted(pack, program, run, program.scored, steps, program.batch)

    def counted(
        self,
        pack: Pack,
        program: Training | Rung,
        run: Callable[[int], Row],
        scored: int,
        steps: int,
        batch: int,
    ) -> Row:
        """Runs a pack and counts what it took.

        Args:
          pack: the members.
          program: theirs.
          run: returns what it does, so many members at a time, as host arrays.
          scored: examples that each is scored on.
          steps: of each; a fit to convergence has none to count.
          batch: examples of a step.

        Returns:
          What was returned, with the places of the members it tells of, the layout it ran in, the
          seconds of a member and what its failure is called before the number of its step.
        """
        began, compiled = time.perf_counter(), self.executor.compile_seconds
        width = self.catalog.part_width(program, pack.width)
        out = run(width)
        seconds = time.perf_counter() - began - (self.executor.compile_seconds - compiled)
        if steps:
            self.train_steps += steps * len(pack.members)
            self.trained_images += steps * batch * len(pack.members)
            self.train_seconds += seconds
        self.run_seconds += seconds
        self.scored_images += scored * len(pack.members)
        failure = DIVERGED if steps else "did not converge by iteration"
        seconds_each = seconds / len(pack.members)
        told = {"layouts": [self.layout.record(width)], "seconds": seconds_each, "failure": failure}
        return {**out, **told, "members": self.executor.told(program, len(pack.members), width)}
