"""Finetuning: features first, then pack after pack, and what finished ones ask for."""

import functools
from collections.abc import Callable, Sequence

import jax

from jaxbias.engine.runner import Runner
from jaxbias.plan.packs import Pack, Plan
from jaxbias.plan.selection import select
from jaxbias.plan.variants import Base
from jaxbias.progress import progress
from jaxbias.stages.gang import write_pack
from jaxbias.workdir.crew import Bases, Crew, Work


class FinetuneStage:
    """The finetuning of a study's variants.

    Args:
      crew: the processes that share the directory.
      runner: of the study.
      bases: that variants start from.
      replan: extends the plan by what follows from the results so far, and returns it.
    """

    def __init__(
        self, crew: Crew, runner: Runner, bases: Bases, replan: Callable[[], Plan]
    ) -> None:
        self._crew = crew
        self._runner = runner
        self._bases = bases
        self._replan = replan

    def walk(self, plan: Plan, packs: str) -> int:
        """Finetunes all packs of a plan, of a screened study round after round; or some alone.

        Args:
          plan: as far as the study has come.
          packs: of the plan's finetunes, as `select` reads it; empty: all.

        Returns:
          Variants trained by this process.
        """
        count = self._finetune(select(plan.finetunes, packs, "finetune"))
        while self._runner.study.screen.on and not packs:  # What is done may ask for more.
            with self._crew.clock.section("plan"):
                longer = self._replan()
            if longer == plan:
                break
            plan = longer
            count += self._finetune(plan.finetunes)
        return count

    def _finetune(self, packs: Sequence[Pack]) -> int:
        if jax.process_count() == 1:  # A gang does with the first pack of each base.
            self._extract(packs)
        work = Work("finetune", "finetuning", "variants", packs, self.do, self._bases.missing)
        with self._crew.clock.section("finetune"):
            return self._crew.share(
                work, meanwhile=functools.partial(self._bases.look_after, packs)
            )

    def do(self, packs: Sequence[Pack]) -> Callable[[], None]:
        """Finetunes a pack; returns what writes its results."""
        (pack,) = packs
        rows = self._runner.finetune(pack)
        return lambda: write_pack(self._crew.directory, pack, rows)

    def _extract(self, packs: Sequence[Pack]) -> None:
        """Extracts what untrained heads need; of bases to come, with the first pack of them."""
        wanted = self._unextracted(packs)
        if not wanted:
            return
        with (
            self._crew.clock.section("features"),
            progress(len(wanted), "extracting features", "bases") as advance,
        ):
            for base, solver in wanted:
                self._runner.starts.features(base, solver)
                advance()

    def _unextracted(self, packs: Sequence[Pack]) -> list[tuple[Base, str]]:
        """The bases, each with a solver, whose features untrained heads need; whole are kept."""
        wanted = {
            (variant.base.id, variant.recipe.solver): (variant.base, variant.recipe.solver)
            for pack in packs
            if not self._bases.missing(pack) and not self._crew.directory.has(pack)
            for variant in pack.members
            if variant.recipe.mode == "head"
        }
        return list(wanted.values())
