"""Corrections: how much longer runs took than had been predicted of them, on a kind of device.

Where packs of a model were timed on devices of a target's kind, by `jaxbias run --calibrate` or for
the table that comes with jaxbias, the same program is predicted too. The quotient corrects what is
predicted of this model there, of other sizes of images and batches too.
"""

import dataclasses
from collections.abc import Callable

from jaxbias.costs.mode_table import PackTiming, nearest, subject_of
from jaxbias.engine.programs import Heads, Networks, Training
from jaxbias.models import Head, Network, make_network
from jaxbias.models.network import computed_in

# Of a convnet's parameters, by how much they may differ for it to be the same network.
_ALIKE = 0.05


@dataclasses.dataclass(frozen=True)
class Correction:
    """How much longer a run took.

    Attributes:
      factor: seconds that were measured over those predicted of the same program.
      of: the timings.
    """

    factor: float
    of: PackTiming


def correction(
    brief: Training, mode: str, device: str, predict: Callable[[Training], float]
) -> Correction | None:
    """Returns how predictions of a kind of program are to be corrected; None: nothing was timed.

    Args:
      brief: the kind.
      mode: how its members are mapped.
      device: the kind of device, as JAX names it.
      predict: a program in brief -> the seconds of one step of a member on a device.
    """
    if not brief.batch:
        return None
    trains = brief.schedule.mode
    subject = subject_of(brief.model, trains, "sgd")
    found = nearest(device, subject, _dtype(brief.model), brief.batch)
    if found is None or found.predicted or mode not in found.images_per_second:
        return None
    timed = _timed(brief, found, mode)
    if timed is None or found.dtype != _dtype(brief.model):
        return None
    measured = found.batch * found.devices / found.images_per_second[mode]
    return Correction(measured / predict(timed), found)


def _timed(brief: Training, found: PackTiming, mode: str) -> Training | None:
    """Returns the program that was timed, in brief; None: it is of another network."""
    schedule = dataclasses.replace(brief.schedule, batch=found.batch, n=found.batch)
    if isinstance(brief.model, Head):
        head = Head(found.parameters, brief.model.outputs)
        return Heads(head, brief.scored, (brief.store[0], found.parameters), schedule).brief
    size = found.image_size
    network = make_network(brief.model.spec, size, brief.model.outputs, mapped=mode)
    parameters = subject_of(network, schedule.mode, "sgd")[1]
    if abs(parameters / found.parameters - 1) > _ALIKE:
        return None
    return Networks(network, brief.scored, (brief.store[0], size, size, 3), schedule).brief


def _dtype(model: Network | Head) -> str:
    return computed_in(model.spec) if isinstance(model, Network) else "float32"
