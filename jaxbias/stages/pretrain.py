"""Pretraining bases: packs in one program, or one after another step by step."""

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
      runner: of the plan's layout.
    """

    def __init__(self, crew: Crew, runner: Runner) -> None:
        self._crew = crew
        self._runner = runner

    def work(self, packs: Sequence[Pack]) -> Work:
        """Returns the work of pretraining some packs."""
        return Work("pretrain", "pretraining", "bases", packs, self._do)

    def _do(self, pack: Pack) -> None:
        if any(by_loop(self._runner.study, base) for base in pack.members):
            rows, params = self._step_by_step(pack)
        else:
            rows, params = self._runner.pretrain(pack)
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
