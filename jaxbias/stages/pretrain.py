"""Pretraining bases: side by side in one program, or one after another step by step."""

import functools
from collections.abc import Callable, Sequence

from jaxbias.engine.rows import Row
from jaxbias.engine.runner import Runner
from jaxbias.models.network import Params
from jaxbias.peers import is_first
from jaxbias.plan.packs import Pack
from jaxbias.plan.variants import Base
from jaxbias.stages.bases import pretrain_base
from jaxbias.study import by_loop
from jaxbias.training.loop import Terminated
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
        return Work("pretrain", "pretraining", "bases", packs, self.do, fits=self._fits)

    def do(self, packs: Sequence[Pack]) -> Callable[[], None]:
        """Pretrains packs together; returns what writes their results."""
        bases = [base for pack in packs for base in pack.members]
        if any(by_loop(self._runner.study, base) for base in bases):
            done = [self._one(base) for base in bases]
            rows, params = zip(*done, strict=True)
        else:
            rows, params = self._runner.pretrain(Pack(packs[0].id, len(bases), tuple(bases)))
        return functools.partial(self._write, packs, rows, params)

    def _fits(self, packs: Sequence[Pack], other: Pack) -> bool:
        """Whether devices that would compute copies of packs of its program can train another.

        Whether they do changes no bit: a device computes its own members alone.
        """
        catalog, first = self._runner.catalog, packs[0].members[0]
        if other.members[0].trunk != first.trunk:
            return False
        count = sum(len(pack.members) for pack in (*packs, other))
        if count > self._runner.layout.devices or by_loop(self._runner.study, first):
            return False
        return catalog.base(other.members[0]) == catalog.base(first)

    def _write(self, packs: Sequence[Pack], rows: Sequence[Row], params: Sequence[Params]) -> None:
        for pack in packs:
            count = len(pack.members)
            self._write_one(pack, rows[:count], params[:count])
            rows, params = rows[count:], params[count:]

    def _write_one(self, pack: Pack, rows: Sequence[Row], params: Sequence[Params]) -> None:
        directory = self._crew.directory
        # Of a gang all save the parameters, where Orbax has them meet; the first alone writes.
        for base, leaves in zip(pack.members, params, strict=True):
            checkpoint.save(directory.base_path(base.id), leaves)
        if is_first():
            for base in pack.members:
                directory.place.send(f"bases/{base.id}")
            hashes = map(content_hash, params)
            hashed = [{**row, PARAMETERS: of} for row, of in zip(rows, hashes, strict=True)]
            directory.write_pack(pack, hashed)

    def _one(self, base: Base) -> tuple[Row, Params]:
        directory, name = self._crew.directory, f"pretraining/{base.id}"

        def tell(step: int, figures: dict[str, float]) -> None:
            if not is_first():
                return
            self._crew.telemetry.trained(base.name, base.id, step, figures)
            directory.place.send(name)  # But for the checkpoint that is being written.

        directory.place.fetch_folder(name)
        path = directory.training_path(base.id)
        try:
            return pretrain_base(self._runner, base, path, tell, self._crew.has_lost_claim)
        except Terminated:
            if is_first():
                directory.place.send(name)
            raise
