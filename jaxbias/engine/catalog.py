"""The catalog: the program of every training of a study, told without drawing an example."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

from jaxbias.engine.curator import Curator
from jaxbias.engine.executor import Executor
from jaxbias.engine.feed import Feed
from jaxbias.engine.members import schedule_of
from jaxbias.engine.programs import Networks, Program, Rung, Training, training_of
from jaxbias.engine.starts import Starts
from jaxbias.models import Head, Tail
from jaxbias.plan.variants import Base, Recipe, Variant
from jaxbias.study import by_loop
from jaxbias.training import stored_bytes


class Catalog:
    """Programs of one study.

    Args:
      curator: of the study.
      starts: of the study.
      executor: of the devices that the programs run on.
      feed: gives images of the host, or None.
    """

    def __init__(
        self, curator: Curator, starts: Starts, executor: Executor, feed: Feed | None
    ) -> None:
        self.study = curator.study
        self.curator = curator
        self.starts = starts
        self.executor = executor
        self.feed = feed
        self._finetune = functools.cache(self._made)
        # How many members of a pack of a width run at once.
        self.part_width = functools.cache(self._part_width)

    def base(self, base: Base) -> Networks:
        """Returns the program that pretrains a base.

        Raises:
          InputError: its curation needs examples that the data does not have, or what it is to
            learn cannot be learnt together.
        """
        labels = self.curator.base_labels(base).shape[1]
        recipe, size = Recipe.of_base(self.study.pretrain, base), self.curator.pretrain_size(base)
        model = self.starts.trained(self.starts.network_of(base), base, recipe.mode)
        return Networks(
            model,
            len(self.curator.validation),
            self.starts.store_shape(model, base),
            schedule_of(recipe, "erm", size, cells=1, labels=labels),
            keep=True,
        )

    def finetune(self, variant: Variant) -> Training:
        """Returns the program that finetunes a variant.

        Raises:
          InputError: its curation needs examples that the data does not have.
        """
        return self._finetune(
            variant.base if variant.base.weights else None,
            variant.recipe,
            variant.objective,
            self.curator.size(variant.task, variant.curation, variant.n),
            len(self.curator.cells(variant.task).names),
            self.curator.task_labels(variant.task).shape[1],
            self.curator.task_outputs(variant.task),
        )

    def _made(
        self,
        weighted: Base | None,
        recipe: Recipe,
        objective: str,
        n: int,
        cells: int,
        labels: int,
        outputs: int,
    ) -> Training:
        model, images = self.starts.network(outputs), self.curator.dataset.images.shape
        if weighted:
            model = self.starts.finetuned(weighted, outputs)
            model = self.starts.trained(model, weighted, recipe.mode)
            images = self.starts.store_shape(model, weighted)
        return training_of(
            model,
            recipe,
            schedule_of(recipe, objective, n, cells, labels),
            scored=len(self.curator.validation) + len(self.curator.test),
            images=images,
            rows=len(self.starts.rows),
        )

    def rung(self, trial: Variant) -> Rung:
        """Returns the program of every rung of a trial: one, of the longest schedule."""
        recipe = dataclasses.replace(trial.recipe, epochs=self.study.search.max_epochs)
        whole = self.finetune(dataclasses.replace(trial, recipe=recipe))
        return Rung(dataclasses.replace(whole, scored=len(self.curator.validation)))

    def held(self, program: Training | Rung, width: int) -> tuple[Program, int]:
        """Returns what of a program the devices hold at once, and the bytes that lie beside it."""
        if self._is_fed(program):
            return self.feed.held(program, width)
        whole = program.longest if isinstance(program, Rung) else program
        # Of heads and tails, which are trained on features and activations.
        images = self.curator.dataset.images
        beside = stored_bytes(images.shape, images.dtype)
        return program, beside if isinstance(whole.model, Head | Tail) and not self.feed else 0

    def _is_fed(self, program: Training | Rung) -> bool:
        fed = isinstance(program, Networks) and self.feed is not None
        return fed and not isinstance(program.model, Tail)

    def _part_width(self, program: Training | Rung, width: int) -> int:
        held = functools.partial(self.held, program)
        if self._is_fed(program):
            brief, _ = held(self.executor.mesh.size)
        else:  # One epoch holds what more do.
            brief = program if isinstance(program, Rung) else program.resized(program.n, 1)
        return self.executor.part_width(held, brief, width)

    def signatures(self, variants: Sequence[Variant]) -> dict[str, Any]:
        """Returns, per variant and base id, what must agree within a pack.

        It is the program, and what its members share.

        Raises:
          InputError: a curation needs examples that the data does not have.
        """
        bases = {v.base.id: v.base for v in variants if v.base.trained_here}
        found: dict[str, Any] = {
            id: (self.base(base), by_loop(self.study, base), base.objective, base.trunk)
            for id, base in bases.items()
        }
        for variant in variants:
            shared: tuple = ()
            if variant.recipe.mode == "head":  # They share features and batch orders.
                cells = len(self.curator.cells(variant.task).names)
                shared = (variant.base.id, variant.seed, cells)
            elif variant.recipe.mode == "last_block":  # They share what it makes of images.
                shared = (variant.base.trunk,)
            found[variant.id] = (self.finetune(variant), *shared)
        return found
