"""Pretraining bases: side by side in one program, or one after another step by step."""

import contextlib
import functools
from collections.abc import Sequence

import jax

from jaxbias.engine.rows import Row
from jaxbias.engine.runner import Runner
from jaxbias.models.network import Params
from jaxbias.plan.packs import Pack
from jaxbias.plan.variants import Base
from jaxbias.stages.bases import pretrain_base
from jaxbias.study import by_loop
from jaxbias.weights import checkpoint, content_hash
from jaxbias.workdir.crew import Crew, Work
from jaxbias.workdir.results import PARAMETERS


class PretrainStage:
    """The pretraining of a study's bases.

    Args:
      crew: the processes that share the directory.
      runner: of the study.
    """

    def __init__(self, crew: Crew, runner: Runner) -> None:
        self._crew = crew
        self._runner = runner

    def work(self, packs: Sequence[Pack]) -> Work:
        """Returns the work of pretraining some packs."""
        do = functools.partial(self._do, packs)
        return Work("pretrain", "pretraining", "bases", packs, do)

    def _do(self, packs: Sequence[Pack], pack: Pack) -> None:
        if any(by_loop(self._runner.study, base) for base in pack.members):
            self._write(pack, *self._step_by_step(pack))
            return
        with contextlib.ExitStack() as held:
            beside = self._beside(packs, pack, held)
            members = [base for each in (pack, *beside) for base in each.members]
            rows, params = self._runner.pretrain(Pack(pack.id, len(members), tuple(members)))
            for each in (pack, *beside):
                count = len(each.members)
                self._write(each, rows[:count], params[:count])
                rows, params = rows[count:], params[count:]
        for each in beside:
            self._crew.leases.forget(each.id)
            facts = {"pack": each.id, "members": len(each.members), "beside": pack.id}
            self._crew.telemetry.event("pack finished", stage="pretrain", **facts)

    def _beside(self, packs: Sequence[Pack], pack: Pack, held: contextlib.ExitStack) -> list[Pack]:
        """Takes more packs of a pack's program, for devices that would compute copies of it.

        Whether there are any changes no bit: a device computes its own members alone.
        """
        catalog, idle = self._runner.catalog, self._runner.layout.devices - len(pack.members)
        found, program = [], catalog.base(pack.members[0])
        for other in packs[packs.index(pack) + 1 :]:
            fits = len(other.members) <= idle and catalog.base(other.members[0]) == program
            if fits and self._crew.hold(other, held):
                found.append(other)
                idle -= len(other.members)
        return found

    def _write(self, pack: Pack, rows: Sequence[Row], params: Sequence[Params]) -> None:
        directory = self._crew.directory
        with self._crew.clock.section("write"):
            # Of a gang all save the parameters, where Orbax has them meet; the first alone writes.
            for base, leaves in zip(pack.members, params, strict=True):
                checkpoint.save(directory.base_path(base.id), leaves)
            if jax.process_index() == 0:
                hashes = map(content_hash, params)
                hashed = [{**row, PARAMETERS: of} for row, of in zip(rows, hashes, strict=True)]
                directory.write_pack(pack, hashed)

    def _step_by_step(self, pack: Pack) -> tuple[list[Row], list[Params]]:
        done = [self._one(base) for base in pack.members]
        return [row for row, _ in done], [params for _, params in done]

    def _one(self, base: Base) -> tuple[Row, Params]:
        tell = functools.partial(self._crew.telemetry.trained, base.name, base.id)
        return pretrain_base(self._runner, base, self._crew.directory.training_path(base.id), tell)
