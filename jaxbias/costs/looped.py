"""Predictions of bases that are trained step by step, each step on all chips of the target."""

import dataclasses

from jaxbias.costs.timing import Rates
from jaxbias.engine.catalog import Catalog
from jaxbias.engine.instructions import Instructions
from jaxbias.engine.looped import Looped, fitted, looped_of
from jaxbias.engine.unattached import BRIEFLY, FULLY, UnattachedExecutor
from jaxbias.errors import InputError
from jaxbias.parallel import make_data_mesh
from jaxbias.plan.variants import Base
from jaxbias.targets import Kind


def predict_looped(catalog: Catalog, base: Base, bound: Rates, kind: Kind, basis: str) -> Rates:
    """Predicts what a step of a base holds and takes, where the target's compiler is here.

    Args:
      catalog: of the study; its executor is of the target.
      base: the largest of its kind.
      bound: by the roofline, of a score too.
      kind: of the target.
      basis: what times rest on where the compiler tells cycles.
    """
    executor = catalog.executor
    assert isinstance(executor, UnattachedExecutor)
    make = looped_of(catalog.starts, base, make_data_mesh(executor.mesh.size))
    asked = catalog.study.pretrain.accumulate

    def held(looped: Looped) -> int:
        return executor.held(executor.told(looped.lowered(), BRIEFLY))

    try:
        looped = fitted(base.name, make, asked, executor.room, held)
    except InputError as error:
        return dataclasses.replace(bound, memory=held(make(asked)), misfit=str(error))
    lowered = looped.lowered()
    memory = executor.told(lowered, BRIEFLY).peak + looped.beside
    found = dataclasses.replace(bound, memory=memory, pieces=looped.pieces)
    if not kind.clock:
        return found
    done = executor.told(lowered, FULLY).instructions
    # A step on two views of each image is counted as two.
    seconds = looped_seconds(done, kind, executor.mesh.size) / (2 if looped.contrasts else 1)
    return dataclasses.replace(found, unit_seconds=seconds, basis=basis, exchanged=done.exchanged)


def looped_seconds(done: Instructions, kind: Kind, chips: int) -> float:
    """Returns the seconds of a step on all chips; what crosses them is waited for.

    A sum over chips takes each to send twice what it gives, but for its own share. How long the
    first byte takes is left out.
    """
    sent = 2 * done.exchanged * (chips - 1) / chips
    work = done.work
    return work.cycles / kind.clock + work.moved / kind.bandwidth + sent / kind.link
